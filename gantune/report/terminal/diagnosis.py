"""The diagnosis of a log on the terminal."""

from rich.console import Group
from rich.text import Text

from gantune.health.diagnosis import Diagnosis
from gantune.health.history import Unit
from gantune.io.formatting import count, figure, share
from gantune.report.terminal.tables import fact_grid

_STYLES = {"healthy": "bold green", "diverged": "bold red"}


def diagnosis_sheet(name: str, found: Diagnosis, is_running: bool = False) -> Group:
    """The verdict, its evidence, and which checkpoint to use.

    ``is_running``: the run is still training, so nothing was wasted after the stop.
    """
    verdict, style = found.verdict, _STYLES.get(found.kind, "bold yellow")
    headlines = [Text.assemble((name, "bold"), ": ", (headline(found), style))]
    rows = [("best point", _best(found))]
    if verdict is not None:
        headlines.append(Text(f"{verdict.sentence}  ({verdict.rule})"))
        is_earlier = not is_running and found.last > verdict.at
        way = f", {share(verdict.at / found.last)} of the way" if is_earlier else ""
        rows.append(("stop at", f"{place(verdict.at, found.unit)}{way}"))
    if not is_running and (verdict or found.best_score):
        rows.append(("after best", f"{share(found.wasted_share)} of the run"))
    rows += [("try", str(proposal)) for proposal in found.proposals]
    records = f"{count(found.records, 'record')} to {place(found.last, found.unit)}"
    rows.append(("read", f"{records}: {', '.join(found.measured)}"))
    rows.append(("loss", found.loss or "not named"))
    if lacking := not_judged(found):
        rows.append(("not judged", lacking))
    notes = [Text(f"! {note}", "yellow") for note in found.notes]
    return Group(*headlines, Text(), fact_grid(rows), *notes)


def headline(found: Diagnosis) -> str:
    """The verdict in a few words: ``healthy``, ``collapsed by step 14,600``."""
    if found.verdict is None:
        return f"not judged: {found.lacking}" if found.lacking else "healthy"
    return f"{found.kind} by {place(found.verdict.at, found.unit)}"


def not_judged(found: Diagnosis) -> str:
    """The rules that could not act anywhere in a log without a verdict, and what they lack."""
    if found.verdict is not None:
        return ""
    return ", ".join(f"{one.rule} (needs {one.needs})" for one in found.reach if one.at is None)


def place(at: float, unit: Unit) -> str:
    """``step 14,600``, ``200 kimg``."""
    if unit == "kimg":
        return f"{figure(at)} kimg"
    return f"{unit} {at:,.0f}" if at.is_integer() else f"{unit} {at:,.10g}"


def _best(found: Diagnosis) -> str:
    if found.best is None:
        return "none: no record before the evidence is sound"
    score = found.best_score
    if score is not None:
        return f"{place(found.best, found.unit)}, {score.name} {figure(score.value)}"
    what = "the last record" + (" before the evidence" if found.verdict else "")
    return f"{place(found.best, found.unit)}, {what} (no scores were logged)"
