"""What a driver leaves in the study for dashboards: pictures and notes, as trials go on and end."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from gantune.io.files import write_bytes
from gantune.io.formatting import fixed
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import beside_text, protocol_line
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.descriptions import describe_best
from gantune.tuner.state import RunState
from gantune.tuner.study import Study

_NOTED = 500  # trials; to list n trials with m notes takes optuna-dashboard a time like n times m


_BEST = 10  # a later one has a note where it is among so many


def show_pictures(study: Study, folder: RunFolder, assignment: Assignment) -> list[Shown]:
    """Adds the pictures that a run has by now to its trial, which must not have ended."""
    pictures = link_pictures(folder, assignment.name)
    study.attach(assignment.number, pictures)
    return [Shown(one, study.picture_url(assignment.number, one)) for one in pictures]


def show_ending(study: Study, folder: RunFolder, assignment: Assignment, outcome: Outcome) -> None:
    """The same, and the trial's note; to be called before the study is told that it has ended."""
    shown = show_pictures(study, folder, assignment)
    if assignment.number < _NOTED or _is_among_best(study, outcome):
        study.save_note(trial_note(folder, assignment, outcome, shown), assignment.number)


def show_search(trials: Study, finals: Study, state: RunState, header: str) -> None:
    """The notes on a search's two studies, where they are not what they were."""
    best = None
    if state.best is not None and state.best.outcome is not None:
        pictures = link_pictures(state.folder, state.best.name)
        number = state.best.number
        shown = [Shown(one, trials.picture_url(number, one)) for one in pictures]
        best = picked_grid(shown, state.best.outcome.best_kimg)
    trials.save_note(study_note(state, header, best))
    if state.finalists:
        finals.save_note(finals_note(state.study))


def _is_among_best(study: Study, outcome: Outcome) -> bool:
    if outcome.score is None:
        return False
    value = outcome.score.value
    better = [r for r in study.records() if r.value is not None and r.value <= value]
    return len(better) < _BEST


# Notes in the form in which optuna-dashboard keeps them: attributes of the study.
#
# Its own ``save_note`` is not called here: importing that package takes seconds, and a driver has
# no other use for it.


_PIECE = 2045  # characters; what MySQL takes


_OURS = 1  # version; each change by a person counts one up


def note_attributes(
    text: str, trial_id: int | None, known: Mapping[str, Any]
) -> Mapping[str, str | int]:
    """The study's attributes that make ``text`` the note of the study, or of one of its trials.

    ``known``: the attributes that it has. None where a person has changed the note.
    """
    home = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    if known.get(f"{home}note_ver", _OURS) > _OURS:
        return {}
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    wanted: dict[str, str | int] = {f"{home}note_str:{k}": part for k, part in enumerate(pieces)}
    wanted |= {f"{home}note_ver": _OURS}
    left = len(pieces)
    while known.get(f"{home}note_str:{left}"):  # of a longer note before it
        wanted[f"{home}note_str:{left}"] = ""
        left += 1
    return {key: value for key, value in wanted.items() if known.get(key) != value}


# Pictures of runs as Optuna's artifacts: each also lies, under its identity, in one folder.
#
# That is where a dashboard looks for them (``optuna-dashboard --artifact-dir``). They are the same
# files by hard links, and so take no room; where the disk knows none, they are copies.


_SPACE = uuid.UUID("6f1d7f0e-6d0b-4c53-9a53-8f3b0d3f2a41")  # of identities; any constant one


@dataclass(frozen=True)
class Picture:
    """One picture of a run of training."""

    path: Path
    identity: str
    """Of its name, so that linking it again is no second artifact."""
    kimg: float | None
    """When it was drawn, of a sample grid; ``None`` of the picture of neighbours."""

    @property
    def key(self) -> str:
        """Under which attribute of its trial Optuna keeps what it is."""
        return f"artifacts:{self.identity}"

    @property
    def meta(self) -> str:
        """What Optuna keeps there."""
        kind = {"mimetype": "image/png", "encoding": None}
        return json.dumps({"artifact_id": self.identity, "filename": self.path.name, **kind})


def link_pictures(run: RunFolder, name: str) -> list[Picture]:
    """Links the pictures that the run ``name`` has by now, such as ``trials/0007``: sample
    grids in order of their kimg, then neighbours. Raises ``OSError``."""
    home = run.trial(name)
    pictures = [
        Picture(path, str(uuid.uuid5(_SPACE, f"{name}/{path.name}")), kimg)
        for kimg, path in (*home.grids().items(), (None, home.neighbours))
        if path.exists()
    ]
    for picture in pictures:
        _link(picture.path, run.artifacts / picture.identity)
    return pictures


def _link(path: Path, target: Path) -> None:
    if target.exists() and target.samefile(path):
        return
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)  # of an earlier try of the same run
    try:
        target.hardlink_to(path)
    except OSError:
        write_bytes(target, path.read_bytes())


# What the notes on studies and trials say, in Markdown: dashboards show them.


_ERROR_LINES = 12


_ERROR_WIDTH = 100


_MOST = 2000  # characters of a trial's note; all of them are sent to a page that lists trials


@dataclass(frozen=True)
class Shown:
    """A picture, and where a dashboard serves it."""

    picture: Picture
    url: str


def trial_note(
    folder: RunFolder, assignment: Assignment, outcome: Outcome, shown: Sequence[Shown]
) -> str:
    """How a run ended and why, its samples, and how to train it."""
    parts = [_ending(assignment, outcome), *_samples(outcome, shown)]
    if outcome.score is not None:
        at = "" if outcome.best_kimg is None else f"; its weights at {outcome.best_kimg:g} kimg"
        parts.append(as_text(f"{protocol_line(outcome.score.protocol)}, one seed{at}"))
    if assignment.kind == "trial":
        number = assignment.number
        name = f"{quote(str(folder.path))}#{number}"
        commands = f"gantune train {name}\ngantune best {name} -o trial-{number}.yaml"
        parts += ["Train it, or write its config:", as_code(commands)]
    else:
        config = quote(str(folder.trial(assignment.name).config))
        parts += ["Train it:", as_code(f"gantune train {config}")]
    room = _MOST - sum(len(part) + 2 for part in parts)
    return "\n\n".join([*parts, *_error(outcome, room)]) + "\n"


def study_note(state: RunState, header: str, samples: Shown | None) -> str:
    """The best so far or the winner, its samples, and how to train it.

    ``header``: what ``best.yaml`` says of its origin.
    """
    parts = [f"## {as_text(state.study)}"]
    best = state.best
    if best is None:
        parts.append("No trial has a score yet.")
        return "\n\n".join([*parts, as_code(header)]) + "\n"
    what = "Winner" if state.winner is not None else "Best so far"
    first, *others = describe_best(state).splitlines()
    parts.append(f"**{what}: trial {best.number}**, {as_text(first)}.")
    if samples is not None:
        parts.append(f"![samples of trial {best.number}]({samples.url})")
    config = quote(str(state.folder.best))
    parts += [*map(as_text, others), "Train it:", as_code(f"gantune train {config}")]
    parts += [*_beside(state), "Where it comes from:", as_code(header)]
    return "\n\n".join(parts) + "\n"


def finals_note(study: str) -> str:
    """What the second study of a search is."""
    return (
        f"## The finals of {as_text(study)}\n\n"
        f"Each trial here trains the config of one of the best trials of the study {as_text(study)}"
        " from scratch on a fresh seed; its attributes `origin` and `seed` name both. They stand "
        "apart so that they do not teach the sampler.\n"
    )


def _ending(assignment: Assignment, outcome: Outcome) -> str:
    ending = {"pruned": "pruned by rank"}.get(outcome.ending, outcome.ending.replace("_", " "))
    text = f"**{ending.capitalize()}** at {outcome.kimg:g} of {assignment.config.kimg:g} kimg"
    if outcome.verdict is not None:
        text += f" ({as_text(outcome.verdict.rule)}): {as_text(outcome.verdict.sentence)}"
    if outcome.score is not None:
        score = outcome.score
        beside = beside_text(score.recall, score.coverage)
        text += f".\n\n**{as_text(score.name)} {fixed(score.value)}**, {beside}"
    return f"{text}."


def picked_grid(shown: Sequence[Shown], best_kimg: float | None) -> Shown | None:
    """The sample grid of the weights that were scored, else the last one; ``None`` of none."""
    grids = [one for one in shown if one.picture.kimg is not None]
    for grid in grids:
        path = grid.picture.path
        if best_kimg is not None and path == TrialFolder(path.parent).grid(best_kimg):
            return grid
    return grids[-1] if grids else None


def _samples(outcome: Outcome, shown: Sequence[Shown]) -> Iterator[str]:
    chosen = picked_grid(shown, outcome.best_kimg)
    if chosen is None:
        return
    at = f"{chosen.picture.kimg:g} kimg"
    yield f"![samples at {at}]({chosen.url})"
    yield f"Samples at {at}; those of the other rungs are among the artifacts."


def _beside(state: RunState) -> Iterator[str]:
    """That Optuna's best trial need not be the search's, where they differ."""
    single = state.survivors[0]
    if state.best is not None and single.number != state.best.number:
        yield (
            f"Optuna's best trial is {single.number}, by its single score of "
            f"{fixed(single.value or 0.0)}; the finals on fresh seeds, the study "
            f"{as_text(state.study)}.finalists, put trial {state.best.number} first."
        )


def _error(outcome: Outcome, room: int) -> Iterator[str]:
    """The last lines of a traceback, as many as there is room for."""
    lines = [line[:_ERROR_WIDTH] for line in outcome.error.strip().splitlines()[-_ERROR_LINES:]]
    while lines and len(as_code("\n".join(lines))) > room - 20:
        lines.pop(0)
    if lines:
        yield "Its error:"
        yield as_code("\n".join(lines))


# Text of others in Markdown: shown as it is, whatever stands in it.


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^=:@-])")


def as_text(text: str) -> str:
    """Text on one line in which nothing is markup, neither Markdown's nor HTML's."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def as_code(text: str) -> str:
    """Text as a block of code; its fence is longer than any in the text."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(ticks + 1, 3)
    return f"{fence}\n{text.strip()}\n{fence}"
