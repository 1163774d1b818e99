"""What to try after a run's verdict."""

from __future__ import annotations

from gantune.config import TrialConfig, load_any_config
from gantune.errors import ConfigError
from gantune.health.remedies import Proposal, proposals
from gantune.run_folder.run import RunFolder
from gantune.trial.records import TrialRecord


def what_to_try(folder: RunFolder, record: TrialRecord) -> list[Proposal]:
    """The most promising changes to the config of a run that got a verdict; else none."""
    verdict = None if record.outcome is None else record.outcome.verdict
    if verdict is None:
        return []
    try:
        config = load_any_config(folder.trial(record.name).config)
    except ConfigError:  # its folder was deleted
        return proposals(verdict.rule)
    return proposals(verdict.rule, config if isinstance(config, TrialConfig) else None)
