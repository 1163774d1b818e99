"""Notes and pictures that the driver adds to the studies for dashboards.

Pictures are Optuna artifacts: each is linked, under its identity, into one folder, where a
dashboard looks for it (``optuna-dashboard --artifact-dir``). Hard links take no disk space; where
the file system has none, the pictures are copied.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from gantune.health.remedies import Proposal
from gantune.io.files import write_bytes
from gantune.io.formatting import format_value
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import extra_metrics_text, protocol_line
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.advice import what_to_try
from gantune.tuner.answer import answer
from gantune.tuner.descriptions import describe_best
from gantune.tuner.state import RunState
from gantune.tuner.study import Study

_MANY_TRIALS = 500  # optuna-dashboard lists n trials with m notes in a time proportional to n * m
_BEST = 10  # in a study of more trials, a trial gets a note if it is among so many
_NAMESPACE = uuid.UUID("6f1d7f0e-6d0b-4c53-9a53-8f3b0d3f2a41")  # of identities; any constant
_ERROR_LINES = 12
_ERROR_WIDTH = 100
_LONGEST = 2000  # characters of a trial's note; a dashboard's list of trials loads all notes
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^=:@-])")


@dataclass(frozen=True)
class Picture:
    """One picture of a run of training."""

    path: Path
    identity: str
    """Made from its name, so that linking it again adds no second artifact."""
    kimg: float | None
    """When a sample grid was drawn; ``None`` for the picture of neighbours."""


def link_pictures(run: RunFolder, name: str) -> list[Picture]:
    """Links the pictures of the run of training ``name``, such as ``trials/0007``.

    Returns its sample grids in order of their kimg, then the neighbours. Raises ``OSError``.
    """
    home = run.trial(name)
    pictures = [
        Picture(path, str(uuid.uuid5(_NAMESPACE, f"{name}/{path.name}")), kimg)
        for kimg, path in (*home.grids().items(), (None, home.neighbours))
        if path.exists()
    ]
    for picture in pictures:
        target = run.artifacts / picture.identity
        if target.exists() and target.samefile(picture.path):
            continue
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)  # of an earlier attempt at the same run
        try:
            target.hardlink_to(picture.path)
        except OSError:
            write_bytes(target, picture.path.read_bytes())
    return pictures


def attach_pictures(study: Study, folder: RunFolder, assignment: Assignment) -> list[Picture]:
    """Adds the pictures that a run has by now to its trial, which must not have ended."""
    pictures = link_pictures(folder, assignment.name)
    study.attach(assignment.number, {one.identity: one.path.name for one in pictures})
    return pictures


def annotate_outcome(
    study: Study, folder: RunFolder, assignment: Assignment, outcome: Outcome
) -> None:
    """Adds pictures and a note to a trial. Call it before ``Study.tell``, which ends the trial."""
    pictures = attach_pictures(study, folder, assignment)
    if assignment.number < _MANY_TRIALS or _is_among_best(study, outcome):
        note = _trial_note(study, folder, assignment, outcome, pictures)
        study.save_note(note, assignment.number)


def annotate_promotion(study: Study, assignment: Assignment, percent: int) -> None:
    """Replaces the note of a trial that was paused: it goes on."""
    if assignment.number < _MANY_TRIALS:
        text = f"**In training**: goes on from its {percent}% rung, where it was paused.\n"
        study.save_note(text, assignment.number)


def _is_among_best(study: Study, outcome: Outcome) -> bool:
    if outcome.score is None:
        return False
    values = [record.value for record in study.records() if record.value is not None]
    return sum(value <= outcome.score.value for value in values) < _BEST


def _trial_note(
    study: Study,
    folder: RunFolder,
    assignment: Assignment,
    outcome: Outcome,
    pictures: Sequence[Picture],
) -> str:
    """How a run ended and why, its samples, and how to train it."""
    proposals = what_to_try(folder, assignment.name, outcome)
    score, parts = outcome.score, [_outcome_text(assignment, outcome, proposals)]
    grid = _grid_of_score(pictures, outcome.best_kimg)
    if grid is not None:
        url = study.artifact_url(assignment.number, grid.identity)
        parts += [
            f"![samples at {grid.kimg:g} kimg]({url})",
            f"Samples at {grid.kimg:g} kimg; those of the other rungs are among the artifacts.",
        ]
    if score is not None:
        at = "" if outcome.best_kimg is None else f"; its weights at {outcome.best_kimg:g} kimg"
        parts.append(as_text(f"{protocol_line(score.protocol)}, one seed{at}"))
    if assignment.kind == "trial":
        number = assignment.number
        name = f"{quote(str(folder.path))}#{number}"
        if any(one.changes for one in proposals):
            parts += ["Find a change that holds:", as_code(f"gantune stabilize {name}")]
        commands = f"gantune train {name}\ngantune best {name} -o trial-{number}.yaml"
        parts += ["Train it, or write its config:", as_code(commands)]
    else:
        config = quote(str(folder.trial(assignment.name).config))
        parts += ["Train it:", as_code(f"gantune train {config}")]
    room = _LONGEST - sum(len(part) + 2 for part in parts) - 20
    lines = [line[:_ERROR_WIDTH] for line in outcome.error.strip().splitlines()[-_ERROR_LINES:]]
    while lines and len(as_code("\n".join(lines))) > room:
        lines.pop(0)
    if lines:
        parts += ["Its error:", as_code("\n".join(lines))]
    return "\n\n".join(parts) + "\n"


def _outcome_text(assignment: Assignment, outcome: Outcome, proposals: Sequence[Proposal]) -> str:
    ending = "pruned by rank" if outcome.ending == "pruned" else outcome.ending.replace("_", " ")
    text = f"**{ending.capitalize()}** at {outcome.kimg:g} of {assignment.config.kimg:g} kimg"
    if outcome.verdict is not None:
        text += f" ({as_text(outcome.verdict.rule)}): {as_text(outcome.verdict.sentence)}"
        text += ".\n\nTry: " + "; or ".join(as_text(str(proposal)) for proposal in proposals)
    elif outcome.standing is not None or outcome.remark:
        text += f": {as_text(str(outcome.standing or outcome.remark))}"
    if outcome.score is not None:
        score = outcome.score
        metrics = extra_metrics_text(score.recall, score.coverage)
        text += f".\n\n**{as_text(score.name)} {format_value(score.value)}**, {metrics}"
    if outcome.ending == "paused":
        text += "; it goes on if it is among the best at its rung"
    return f"{text}."


def annotate_search(trials: Study, finals: Study, state: RunState, header: str) -> None:
    """Updates the notes on both studies of a search. ``header``: where ``best.yaml`` comes from."""
    trials.save_note(_study_note(trials, state, header))
    if state.finalists:
        name = as_text(state.study)
        finals.save_note(
            f"## The finals of {name}\n\n"
            f"Each trial here trains the config of one of the best trials of the study {name} from "
            "scratch on a fresh seed; its attributes `origin` and `seed` name both. They are a "
            "study of their own so that they do not train the sampler.\n"
        )


def _study_note(trials: Study, state: RunState, header: str) -> str:
    """The winner or the best so far, its samples, and how to train it."""
    parts = [f"## {as_text(state.study)}"]
    best = state.best
    parts.append(f"**{as_text(str(answer(state)))}**")
    if best is None:
        return "\n\n".join([*parts, as_code(header)]) + "\n"
    first, *others = describe_best(state).splitlines()
    parts.append(f"Trial {best.number}: {as_text(first)}.")
    best_kimg = None if best.outcome is None else best.outcome.best_kimg
    grid = _grid_of_score(link_pictures(state.folder, best.name), best_kimg)
    if grid is not None:
        url = trials.artifact_url(best.number, grid.identity)
        parts.append(f"![samples of trial {best.number}]({url})")
    config = quote(str(state.folder.best))
    parts += [*map(as_text, others), "Train it:", as_code(f"gantune train {config}")]
    single = state.survivors[0]
    if single.number != best.number:
        parts.append(
            f"Optuna's best trial is {single.number}, by its single score of "
            f"{format_value(single.value or 0.0)}; the finals on fresh seeds, the study "
            f"{as_text(state.study)}.finalists, put trial {best.number} first."
        )
    parts += ["Where it comes from:", as_code(header)]
    return "\n\n".join(parts) + "\n"


def _grid_of_score(pictures: Sequence[Picture], best_kimg: float | None) -> Picture | None:
    """The sample grid of the weights that were scored, else the last one; ``None`` without any."""
    grids = [one for one in pictures if one.kimg is not None]
    for grid in grids:
        if best_kimg is not None and grid.path == TrialFolder(grid.path.parent).grid(best_kimg):
            return grid
    return grids[-1] if grids else None


def as_text(text: str) -> str:
    """Markdown that shows a text as it is, on one line; no part of it is markup or HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def as_code(text: str) -> str:
    """Markdown for a block of code, with a fence longer than any in the text."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(ticks + 1, 3)
    return f"{fence}\n{text.strip()}\n{fence}"
