"""What to try after a run's verdict."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gantune.config import ExternalConfig, load_any_config
from gantune.errors import GantuneError
from gantune.health.remedies import Proposal, declared_proposals, proposals
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace, load_space
from gantune.space.remedies import declared_remedies
from gantune.trial.records import Outcome


def what_to_try(folder: RunFolder, name: str, outcome: Outcome | None) -> list[Proposal]:
    """The most promising changes to the config of a run that got a verdict; else none.

    ``name``: the run's folder, such as ``trials/0007``. For a trainer of the user's own they are
    the remedies that its space declares; where it declares none, advice without values.
    """
    verdict = None if outcome is None else outcome.verdict
    if verdict is None:
        return []
    try:
        config = load_any_config(folder.trial(name).config)
    except GantuneError:  # its folder was deleted
        return proposals(verdict.rule)
    if isinstance(config, ExternalConfig):
        return _declared(folder, config) or proposals(verdict.rule)
    return proposals(verdict.rule, config)


def _declared(folder: RunFolder, config: ExternalConfig) -> list[Proposal]:
    try:
        space = _space(folder.space, folder.space.stat().st_mtime_ns)
        return declared_proposals(declared_remedies(space.remedies, config, space.document), config)
    except (GantuneError, OSError):  # the space or its trainer was changed
        return []


@lru_cache(maxsize=8)
def _space(file: Path, written: int) -> SearchSpace:
    """A page asks for every failed trial of a search. ``written``: when the file was, in ns."""
    return load_space(file)
