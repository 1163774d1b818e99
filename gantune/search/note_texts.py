"""What the notes on studies and trials say, in Markdown: dashboards show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote

from gantune.io.formatting import fixed
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import beside_text, protocol_line
from gantune.search.markdown import as_code, as_text
from gantune.search.pictures import Picture
from gantune.search.results import describe_best
from gantune.search.state import RunState
from gantune.trial.records import Assignment, Outcome

__all__ = ["Shown", "finals_note", "picked_grid", "study_note", "trial_note"]

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
