"""One trial on the terminal: its outcome and the reason, its scores, its parameters."""

from collections.abc import Iterator
from shlex import quote

from rich.console import Group
from rich.text import Text

from gantune.io.formatting import duration, format_ratio, format_value, number, share
from gantune.report.analysis.outcomes import ENDINGS
from gantune.report.terminal.tables import new_table
from gantune.scores import score as flags
from gantune.scores.score import Score
from gantune.scores.text import held_out_text, protocol_line, sampling_error_text
from gantune.trial.records import TrialRecord, why_ended
from gantune.tuner.advice import what_to_try
from gantune.tuner.descriptions import score_name
from gantune.tuner.state import RunState


def trial_sheet(state: RunState, record: TrialRecord) -> Group:
    """One trial of a search with all its facts."""
    table = new_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _facts(state, record):
        table.add_row(Text(name), Text(text))
    table.add_section()
    for name, value in record.params.items():
        table.add_row(Text(name), Text(number(value)))
    return Group(Text(f"{state.study}, trial {record.number}", "bold"), table)


def _facts(state: RunState, record: TrialRecord) -> Iterator[tuple[str, str]]:
    outcome, folder = record.outcome, state.folder.trial(record.name)
    if record.is_start:
        yield "origin", "a start recipe"
    if outcome is None:
        is_running = state.folder.is_running
        yield "outcome", "none yet" if is_running else "none: interrupted with its search"
    else:
        reached = f"{number(outcome.kimg)} of {number(record.budget_kimg)} kimg"
        waits = "; it goes on if it is among the best at its rung" if record.is_paused else ""
        yield "outcome", f"{ENDINGS[outcome.ending]} at {reached}{waits}"
        if why := why_ended(record):
            name = "verdict" if outcome.verdict else "error" if outcome.error else "reason"
            yield name, why
        if outcome.verdict is not None:
            found = what_to_try(state.folder, record.name, outcome)
            yield from (("try", str(proposal)) for proposal in found)
            if any(proposal.changes for proposal in found):
                yield "", f"gantune stabilize {quote(str(state.folder.path))}#{record.number}"
        if outcome.score is not None:
            yield from _score_facts(outcome.score)
            yield "scored at", f"{number(outcome.best_kimg)} kimg"
    if record.rungs:
        protocol = state.rung_protocol
        terms = "fewer samples" if protocol is None else protocol_line(protocol)
        for percent, value in sorted(record.rungs.items()):
            yield f"at {percent}%", f"{format_value(value)} ({score_name(state)}, {terms})"
    if outcome is not None:
        steps = f"{outcome.step:,} generator steps in " if outcome.step else ""
        yield "trained", f"{steps}{duration(outcome.seconds)}"
    yield "files", str(folder.path)
    if folder.neighbours.exists():
        yield "neighbours", str(folder.neighbours)


def _score_facts(score: Score) -> Iterator[tuple[str, str]]:
    yield score.name, f"{format_value(score.value)} (protocol {score.protocol.hash})"
    if score.protocol.is_external:
        return
    yield "sampling error", format_value(score.error, digits=2)
    yield "recall", f"{format_ratio(score.recall)}, coverage {format_ratio(score.coverage)}"
    yield "precision", f"{format_ratio(score.precision)}, density {format_ratio(score.density)}"
    error = format_value(score.kid_error, digits=2)
    yield "kid", f"{format_value(score.kid)} (standard error {error})"
    for one in score.also:
        yield one.name, f"{format_value(one.value)}{sampling_error_text(one.error)}"
    if score.balance is not None:
        yield "class balance", f"{share(score.balance)} agreement with the real shares"
    for text in flags.warnings(score):
        yield "warning", text
    if score.held_out is not None:
        what, _, text = held_out_text(score.name, score.held_out).partition(": ")
        yield what, text
