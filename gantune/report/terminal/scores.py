"""Scores of samples: one as a sheet, several as a table, either as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from gantune.io.formatting import count, format_ratio, format_value
from gantune.report.terminal.tables import fact_grid, new_table
from gantune.scores.score import FurtherScore, Score, warnings
from gantune.scores.text import held_out_text, protocol_text
from gantune.tuner.answer import has_learned

_NAME = 12  # characters of the samples' name in a table, at least

NamedScore = tuple[str, Score]
"""Name and score of the samples."""


def score_sheet(name: str, score: Score) -> Group:
    """One score with its extra metrics and its protocol."""
    rows = [
        (score.name, _with_error(score.value, score.error), "lower", "distance from real images"),
        *(
            (one.name, _with_error(one.value, one.error), "lower", _what(one, score))
            for one in score.also
        ),
        ("kid", _with_error(score.kid, score.kid_error), "lower", "the same, by a kernel"),
        ("precision", format_ratio(score.precision), "higher", "samples among real images"),
        ("recall", format_ratio(score.recall), "higher", "real images among samples"),
        ("density", format_ratio(score.density), "higher", "how densely; real: 1"),
        ("coverage", format_ratio(score.coverage), "higher", "real images near a sample"),
    ]
    if score.balance is not None:
        balance = format_ratio(score.balance)
        rows.append(("class balance", balance, "higher", "classes as often as real"))
    rows.append(("spread", format_ratio(score.spread), "near 1", "variety; real: 1"))

    table = new_table()
    for title in ("score", "value", "better"):
        table.add_column(title, no_wrap=True)
    table.add_column("what it is")
    for index, row in enumerate(rows):
        table.add_row(*map(Text, row), style="bold" if index == 0 else "")
    protocol = score.protocol
    beside = f"{count(protocol.generated, 'sample')} beside {protocol.real:,} real images"
    heading = Text.assemble((name, "bold"), f": {beside}\n")
    found = [Text(f"! {sentence}", "yellow") for sentence in warnings(score)]
    return Group(heading, table, *found, Text(), _notes([(name, score)]))


def _what(one: FurtherScore, first: Score) -> str:
    return "for infinitely many samples" if one.protocol == first.protocol else "by other features"


def score_table(ranking: Sequence[NamedScore]) -> Group:
    """Scores of one protocol, best first."""
    first = ranking[0][1]
    table = new_table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("samples", overflow="fold", min_width=_NAME)
    also = [one.name for one in first.also]
    for title in ("score", *also, "kid", "prec", "recall", "dens", "cover", "class"):
        table.add_column(Text(title), justify="right", no_wrap=True)
    for rank, (name, score) in enumerate(ranking, start=1):
        shares = (score.precision, score.recall, score.density, score.coverage, score.balance)
        cells = [_with_error(score.value, score.error)]
        cells += [_with_error(one.value, one.error) for one in score.also]
        cells.append(_with_error(score.kid, score.kid_error))
        cells += [format_ratio(share) for share in shares]
        style = "" if rank > 1 else "bold green" if _is_sound(score) else "bold yellow"
        table.add_row(str(rank), Text(name), *map(Text, cells), style=style)
    return Group(
        Text(f"{first.name} and kid: lower is better; all others: higher is better", "bold"),
        table,
        *(
            Text(f"! {name}: {text}", "yellow")
            for name, score in ranking
            for text in warnings(score)
        ),
        Text("prec: precision, dens: density, cover: coverage, class: class balance\n", "dim"),
        _notes(ranking),
    )


def _is_sound(score: Score) -> bool:
    return has_learned(score.recall) and not warnings(score)


def scores_json(ranking: Sequence[NamedScore]) -> dict[str, Any] | list[dict[str, Any]]:
    """A score with its protocol and warnings as a plain mapping; several as a list, best first."""
    trees = [
        {"samples": name, **score.to_dict(), "balance": score.balance, "warnings": warnings(score)}
        for name, score in ranking
    ]
    return trees[0] if len(trees) == 1 else trees


def _with_error(value: float | None, error: float | None) -> str:
    """A value and its standard error: ``8.10 (0.21)``; ± is for the spread over seeds."""
    return f"{format_value(value)} ({format_value(error, digits=2)})"


def _notes(ranking: Sequence[NamedScore]) -> Group:
    """What the scores depend on, and the protocol that all share."""
    rows = []
    for name, score in ranking:
        if score.held_out is not None:
            text = held_out_text(score.name, score.held_out)
            rows.append(("copying", text if len(ranking) == 1 else f"{name}: {text}"))
    protocol = ranking[0][1].protocol
    accuracy = ""
    if protocol.accuracy is not None:
        accuracy = f", which classifies {protocol.accuracy:.1%} of held-out images correctly"
    images = "" if protocol.colour == "points" else f"; images as {protocol.resize}"
    bias = f"with fewer, the same model has a higher {protocol.score_name}"
    rows += [
        ("extractor", f"{protocol.extractor}{accuracy}{images}"),
        ("samples", f"{protocol.generated:,}; {bias}"),
        ("protocol", f"{protocol.hash}; scores of another protocol cannot be compared"),
        ("brackets", "standard error"),
    ]
    return Group(fact_grid(rows), Text(f"\n{protocol_text(protocol)}", "dim"))
