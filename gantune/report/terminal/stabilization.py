"""The answer of ``gantune stabilize`` on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.text import Text

from gantune.health.remedies import remedy_named, value_text
from gantune.io.formatting import count, format_value, number
from gantune.report.terminal.tables import new_table
from gantune.tuner.variants.stabilize import Stabilized, Tried

_MOST = 12  # rows
_FAR = 3.0  # times the best score of the seeds


def stabilization_view(result: Stabilized) -> Group:
    """The config as it is, every change that was tried, the difference that holds, what to type."""
    parts: list[Any] = [_as_it_is(result.base)]
    if result.tried:
        parts += [Text(), _table(result.tried)]
        if len(result.tried) > _MOST:
            more = f"{len(result.tried) - _MOST} more: gantune status {result.folder.path}"
            parts.append(Text(more, "dim"))
    parts += [Text(), *_answer(result)]
    return Group(*parts)


def _as_it_is(base: Tried) -> Text:
    alive = f"{base.survived} of {count(base.ended, 'seed')} survived"
    text = f"As it is: {alive}"
    if base.verdicts:
        first = base.verdicts[0]
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
        cells += [format_value(one.score), number(round(one.kimg, 1))]
        style = "bold green" if one is tried[0] and one.holds else "" if one.holds else "dim"
        table.add_row(*map(Text, cells), style=style)
    return table


def _answer(result: Stabilized) -> list[Text]:
    best = result.best
    if result.is_healthy:
        scores = result.base.scores
        texts = ", ".join(map(format_value, scores))
        if scores and max(scores) > _FAR * min(scores) > 0:
            worse = f"No rule stops it, but its seeds differ much: {texts}. Look at their samples."
            lines = [Text(worse, "bold yellow")]
        else:
            lines = [Text("It trains as it is: nothing needs to change.", "bold green")]
            lines += [Text(f"scores of its seeds: {texts}")] if scores else []
        return lines + [Text(f"{margin}, on one seed") for margin in result.margins]
    if best is None:
        return [
            Text("Nothing that was tried holds on most seeds.", "bold yellow"),
            Text("Give more time or trials, keep less, or train longer with --kimg."),
        ]
    heading = f"{best.name} holds: {best.survived} of {count(best.ended, 'seed')} survived"
    lines = [Text(heading, "bold green")]
    for change in best.changes:
        lines.append(Text(f"- {change.path}: {value_text(change.before)}", "red"))
        lines.append(Text(f"+ {change.path}: {value_text(change.after)}", "green"))
    known = filter(None, map(remedy_named, best.name.split("+")))
    lines += [Text(f"{remedy.why} ({remedy.source})", "dim") for remedy in known]
    lines.append(Text())
    lines.append(Text(f"train it   gantune train {result.file}"))
    return lines
