"""Judges whether a run still trains, from plain numbers. Imports neither torch nor Optuna."""

from gantune.health.history import History
from gantune.health.monitor import HealthMonitor
from gantune.health.presets import PRESETS, read_stability
from gantune.health.rules import RULES, Rule, Verdict

__all__ = ["PRESETS", "RULES", "HealthMonitor", "History", "Rule", "Verdict", "read_stability"]
