"""What a driver leaves in the study for dashboards: pictures and notes, as trials go on and end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote

from gantune.io.formatting import format_value
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import extra_metrics_text, protocol_line
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.artifacts import Picture, link_pictures
from gantune.tuner.descriptions import describe_best
from gantune.tuner.state import RunState
from gantune.tuner.study import Study

_NOTED = 500  # trials; to list n trials with m notes takes optuna-dashboard a time like n times m


_BEST = 10  # a later one has a note where it is among so many


def show_pictures(study: Study, folder: RunFolder, assignment: Assignment) -> list[ServedPicture]:
    """Adds the pictures that a run has by now to its trial, which must not have ended."""
    pictures = link_pictures(folder, assignment.name)
    study.attach(assignment.number, pictures)
    return [ServedPicture(one, study.picture_url(assignment.number, one)) for one in pictures]


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
        shown = [ServedPicture(one, trials.picture_url(number, one)) for one in pictures]
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


# What the notes on studies and trials say, in Markdown: dashboards show them.


_ERROR_LINES = 12


_ERROR_WIDTH = 100


_MOST = 2000  # characters of a trial's note; all of them are sent to a page that lists trials


@dataclass(frozen=True)
class ServedPicture:
    """A picture, and where a dashboard serves it."""

    picture: Picture
    url: str


def trial_note(
    folder: RunFolder, assignment: Assignment, outcome: Outcome, shown: Sequence[ServedPicture]
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


def study_note(state: RunState, header: str, samples: ServedPicture | None) -> str:
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
        beside = extra_metrics_text(score.recall, score.coverage)
        text += f".\n\n**{as_text(score.name)} {format_value(score.value)}**, {beside}"
    return f"{text}."


def picked_grid(shown: Sequence[ServedPicture], best_kimg: float | None) -> ServedPicture | None:
    """The sample grid of the weights that were scored, else the last one; ``None`` of none."""
    grids = [one for one in shown if one.picture.kimg is not None]
    for grid in grids:
        path = grid.picture.path
        if best_kimg is not None and path == TrialFolder(path.parent).grid(best_kimg):
            return grid
    return grids[-1] if grids else None


def _samples(outcome: Outcome, shown: Sequence[ServedPicture]) -> Iterator[str]:
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
            f"{format_value(single.value or 0.0)}; the finals on fresh seeds, the study "
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
