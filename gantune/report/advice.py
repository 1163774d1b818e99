"""What to do about a search that has found nothing."""

from __future__ import annotations

from gantune.report.analysis.outcomes import APART
from gantune.report.analysis.spending import stopped_by
from gantune.tuner.state import RunState

__all__ = ["no_survivors"]


def no_survivors(state: RunState) -> list[str]:
    """Sentences: what ended the trials, and what to change."""
    if not state.endings:
        return ["No trial has ended yet."]
    by = ", ".join(f"{stopped.by} ({stopped.trials})" for stopped in stopped_by(state))
    found = [
        "No trial has survived: there is no score to rank by.",
        f"What ended them: {by}.",
    ]
    endings = state.endings
    if any(endings[ending] for ending in APART):
        found.append(_for_those_apart(state))
    if endings["out_of_memory"]:
        found.append("Take smaller batches (batch_size) or a narrower network (network.width).")
    crashed = [r for r in state.trials if r.outcome and r.outcome.ending == "crashed"]
    if crashed:
        found.append(f"The first crash: {state.folder.trial(crashed[0].name).error}")
    return found


def _for_those_apart(state: RunState) -> str:
    """Where a recipe is to be had, and whether other rules would have let the trials go on."""
    ended = [(state.folder.trial(r.name), r.outcome) for r in state.trials if r.outcome]
    outputs = [home.output for home, _ in ended if home.output.exists()]
    known = "a start recipe known to work and ranges around it"
    if outputs:  # the trainer is the user's own
        recipe = f"Look what the trainer printed, in {outputs[0]}; then try {known}"
    else:
        recipe = f"Try {known} (gantune init dcgan has one)"
    rules = {outcome.verdict.rule for _, outcome in ended if outcome.verdict is not None}
    if rules == {"non_finite"}:  # which is asked for in every preset
        return f"{recipe}."
    return f"{recipe}, or judge less strictly: --set stability=lenient"
