"""Rungs: where a trial is scored, and which trials stop there because others did better."""

from __future__ import annotations

from optuna.pruners import BasePruner, MedianPruner, NopPruner

from gantune.space import Pruning

__all__ = ["make_pruner", "percent", "rungs_of"]


def rungs_of(pruning: Pruning) -> tuple[float, ...]:
    """The points of scoring as shares of the budget; the end is always one."""
    return (*sorted({share for share in pruning.rungs if share < 1}), 1.0)


def percent(rung: float) -> int:
    """A rung as Optuna's step: whole percent of the budget, so that all budgets share steps."""
    return round(100 * rung)


def make_pruner(pruning: Pruning) -> BasePruner:
    """Optuna's pruner for the space's rule: ``median`` or ``none``."""
    if pruning.rule == "median":
        return MedianPruner(n_startup_trials=pruning.startup)
    return NopPruner()
