"""The answer of ``gantune stabilize`` on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.text import Text

from gantune.health.remedies import remedy_named, value_text
from gantune.io.formatting import count, format_value, number
from gantune.report.terminal.tables import new_table
from gantune.tuner.variants.stabilize import Stabilized
from gantune.tuner.variants.tried import Tried

_MOST = 6  # rows
_UNLEARNED = "it has learned nothing: its recall is 0.00. Train it longer, with --kimg."
_LIMITS = "the training, the time or the trials of stabilize were over"
_FAR = 3.0  # times the best score of the seeds


def stabilization_view(result: Stabilized) -> Group:
    """The config as it is, every change that was tried, the difference that holds, what to type."""
    parts: list[Any] = [_as_it_is(result)]
    if result.tried:
        parts += [Text(), _table(result.tried)]
        if len(result.tried) > _MOST:
            parts.append(Text(f"{len(result.tried) - _MOST} more: {result.table}", "dim"))
        if result.untried:
            parts.append(Text(f"{count(result.untried, 'change')} not tried: {_LIMITS}", "dim"))
    parts += [Text(), *_answer(result)]
    return Group(*parts)


def _as_it_is(result: Stabilized) -> Text:
    base = result.base
    text = f"As it is: {base.survived} of {count(base.ended, 'seed')} survived"
    if result.untrained:
        text += f", and the time was over before {count(result.untrained, 'other')} ended"
    if (first := base.verdict) is not None:
        text += f"; {first.kind} at {number(first.at)} kimg: {first.sentence}"
    return Text(text, "green" if base.holds else "red")


def _table(tried: tuple[Tried, ...]) -> Any:
    table = new_table()
    table.add_column("remedy", no_wrap=True)
    table.add_column("changes", overflow="fold")
    for title in ("survived", "score", "kimg"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in tried[:_MOST]:
        survived = f"{one.survived} of {one.ended}" if one.ended else "pruned"
        cells = [one.name, ", ".join(map(str, one.changes)), survived]
        cells += [_score(one), number(round(one.kimg, 1))]
        style = "bold green" if one is tried[0] and one.holds else "" if one.holds else "dim"
        table.add_row(*map(Text, cells), style=style)
    return table


def _score(one: Tried) -> str:
    """The mean at the end; of what was pruned the score at its last rung."""
    if one.score is None and one.rung is not None:
        percent, score = one.rung
        return f"{format_value(score)} at {percent}%"
    return format_value(one.score)


def _answer(result: Stabilized) -> list[Text]:
    best = result.best
    if result.is_healthy:
        return _healthy(result)
    if best is None:
        return [
            Text("Nothing that was tried holds on most seeds.", "bold yellow"),
            Text("Keep less, or train longer with --kimg."),
        ]
    heading = f"{best.name} holds: {best.survived} of {count(best.ended, 'seed')} survived"
    if best.has_learned:
        lines = [Text(heading, "bold green")]
    else:
        lines = [Text(f"{heading}, but {_UNLEARNED}", "bold yellow")]
    for change in best.changes:
        lines.append(Text(f"- {change.path}: {value_text(change.before)}", "red"))
        lines.append(Text(f"+ {change.path}: {value_text(change.after)}", "green"))
    known = filter(None, map(remedy_named, best.name.split("+")))
    lines += [Text(f"{remedy.why} ({remedy.source})", "dim") for remedy in known]
    lines.append(Text())
    lines.append(Text(f"train it   gantune train {result.file}"))
    return lines


def _healthy(result: Stabilized) -> list[Text]:
    """A config that no rule stops: whether it has also learned something, and its margins."""
    base = result.base
    scores = ", ".join(map(format_value, base.scores))
    doubt = ""
    if not base.has_learned:
        doubt = _UNLEARNED
    elif base.scores and max(base.scores) > _FAR * min(base.scores) > 0:
        doubt = f"its seeds differ much: {scores}. Look at their samples."
    if doubt:
        lines = [Text(f"No rule stops it, but {doubt}", "bold yellow")]
    else:
        lines = [Text("It trains as it is: no rule stops it.", "bold green")]
    if base.scores:
        recalls = ", ".join(f"{recall:.2f}" for recall in base.recalls)
        with_recall = f"; recall {recalls}" if recalls else ""
        lines.append(Text(f"scores of its seeds at the end: {scores}{with_recall}"))
    lines += [Text(sentence, "dim") for sentence in result.reach]
    return lines + [Text(f"{margin}, on one seed") for margin in result.margins]
