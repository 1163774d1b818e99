"""Reads configs from plain values and files, and writes them as YAML."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gantune.config.command import Command
from gantune.config.external import (
    ExternalConfig,
    absolute_path,
    absolute_trainer,
    explain_wrong_trainer,
    make_external_config,
    names_trainer,
    trainer_section,
    without_trainer,
)
from gantune.config.trial import TrialConfig
from gantune.errors import ConfigError
from gantune.io.validation import model_problems
from gantune.io.yaml_document import Document, format_document, read_document

AnyConfig = TrialConfig | ExternalConfig
"""One training run, by gantune's trainer or by the user's own."""


def make_config(tree: Mapping[str, Any], document: Document | None = None) -> TrialConfig:
    """A config from plain values. Raises ``ConfigError`` with all problems."""
    try:
        return TrialConfig.model_validate(tree)
    except ValidationError as error:
        report = (document or Document(tree)).problem
        raise ConfigError(model_problems(error, TrialConfig, report)) from None


def load_config(path: Path | str) -> TrialConfig:
    """Reads a config file such as ``best.yaml``. Raises ``ConfigError`` with all problems.

    A relative data path starts at the file's folder. A config of a user's own trainer is refused:
    its keys belong to that trainer.
    """
    config = load_any_config(path)
    if isinstance(config, ExternalConfig):
        raise ConfigError(
            f"{path}: belongs to the trainer {config.trainer}, whose keys gantune does not know; "
            "train it with `gantune train`, or read it as plain YAML"
        )
    return config


def load_any_config(path: Path | str) -> AnyConfig:
    """As ``load_config``; a file with ``trainer:`` or ``command:`` gives an ``ExternalConfig``."""
    document = read_document(path)
    if not isinstance(document.tree, dict):
        raise ConfigError([document.problem((), "not a training configuration (no mapping)")])
    if "trial" in document.tree:
        message = "this is a space, not one training configuration: run it with `gantune search`"
        raise ConfigError([document.problem(("trial",), message)])
    if names_trainer(document.tree):
        return _external_config(document, Path(path).parent)
    config = make_config(document.tree, document)
    source = absolute_source(config.data.source, Path(path).parent)
    data = config.data.model_copy(update={"source": source})
    return config.model_copy(update={"data": data})


def _external_config(document: Document, folder: Path) -> ExternalConfig:
    tree = without_trainer(document.tree)
    config = make_external_config(_trainer(document, folder), tree, document)
    if config.data is None:
        return config
    source = absolute_source(config.data.source, folder)
    return config.with_data(config.data.model_copy(update={"source": source}))


def _trainer(document: Document, folder: Path) -> str | Command:
    """The trainer that a config's file names. Raises ``ConfigError``."""
    if "trainer" in document.tree:
        trainer, error = document.tree["trainer"], "the name of a trainer belongs here, as text"
        if not isinstance(trainer, str) or (error := explain_wrong_trainer(trainer)):
            raise ConfigError([document.problem(("trainer",), f"trainer: {error}")])
        return absolute_trainer(trainer, folder)
    fields = {key: document.tree[key] for key in Command.model_fields if key in document.tree}
    try:
        command = Command.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(model_problems(error, Command, document.problem)) from None
    place = command.working_folder
    place = str(Path.cwd()) if place is None else absolute_path(place, folder)
    return command.model_copy(update={"working_folder": place})


def dump_config(config: AnyConfig) -> str:
    """The whole config as YAML text, defaults included."""
    if isinstance(config, ExternalConfig):
        return format_document({**trainer_section(config.trainer), **config.values})
    tree = config.model_dump()
    tree["data"]["class_names"] = list(config.data.class_names)
    tree["penalties"] = {k: v for k, v in tree["penalties"].items() if v is not None}
    return "".join(_format_section(name, json.dumps(value)) for name, value in tree.items())


@lru_cache(maxsize=1000)
def _format_section(name: str, value: str) -> str:
    """A section, from JSON; the configs of a search share most of theirs, and YAML is slow."""
    return format_document({name: json.loads(value)})


def absolute_source(source: str, folder: Path) -> str:
    """A data source with its path made absolute from ``folder``; a built-in one as it is."""
    if source in ("", "digits") or source.partition(":")[0] == "gaussians":
        return source
    return absolute_path(source, folder)
