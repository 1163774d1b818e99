"""``Refusals``: why runs were told to stop, which the driver knows and they do not."""

from collections.abc import Iterable
from dataclasses import replace

from gantune.health import Verdict
from gantune.trial.records import Assignment, Outcome, Standing, TrialRecord
from gantune.tuner.pruning import is_in_better_half


class Refusals:
    """The reasons, by the names of runs, from the answer to the end of the run."""

    def __init__(self) -> None:
        self._reasons: dict[str, Verdict | Standing | None] = {}

    def spares(self, run: Assignment, records: Iterable[TrialRecord], doubt: Verdict) -> bool:
        """Whether a run goes on that a rule about pace would stop: where its score is among the
        better half. A no is its verdict."""
        if is_in_better_half(records, run.number):
            return True
        self._reasons[run.name] = doubt
        return False

    def note(self, name: str, standing: Standing | None) -> None:
        """Keeps by how much a trial was pruned or paused."""
        self._reasons[name] = standing

    def forget(self, name: str) -> None:
        """Drops the reason of an earlier try."""
        self._reasons.pop(name, None)

    def explain(self, name: str, outcome: Outcome) -> Outcome:
        """The outcome of a run that was told to stop, with the reason."""
        reason = self._reasons.pop(name, None)
        if outcome.ending != "pruned" or reason is None:
            return outcome
        if isinstance(reason, Verdict):
            return replace(outcome, ending=reason.kind, verdict=reason)
        return replace(outcome, standing=reason)
