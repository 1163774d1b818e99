"""Is this run still alive? Rules on plain numbers: no torch and no Optuna here."""

from __future__ import annotations

from gantune.health.history import History
from gantune.health.monitor import HealthMonitor
from gantune.health.presets import PRESETS, read_stability
from gantune.health.rules import RULES, Rule
from gantune.health.verdict import Verdict

__all__ = [
    "PRESETS",
    "RULES",
    "HealthMonitor",
    "History",
    "Rule",
    "Verdict",
    "read_stability",
]
