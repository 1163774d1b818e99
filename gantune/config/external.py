"""``ExternalConfig``: one run of a user's own trainer. Imports neither torch nor Optuna.

Its keys belong to the trainer; gantune reads a few at the top level and passes all of them on.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gantune.config.command import Command, CommandFields
from gantune.config.loss_families import known_loss
from gantune.config.sections import DataConfig
from gantune.errors import ConfigError, HomeError
from gantune.io.home import expand_home
from gantune.io.validation import model_problems, validation_errors
from gantune.io.yaml_document import Document

TRAINER = "package.module:function, or file.py:function"
"""How a trainer is named."""

_NAME = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_TRAINER = re.compile(rf"(?:{_NAME}|.+\.py):{_NAME}", re.DOTALL)


class ExternalFields(BaseModel):
    """The keys that gantune reads; all others belong to the trainer."""

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    kimg: float | None = Field(default=None, gt=0, le=1_000_000)
    """Length of the run: thousands of real images shown to the discriminator. Must be given."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of the run; finalists get others."""
    loss: str | None = None
    """If it is the name of a loss that gantune knows, health judges the run by its family."""
    auxiliary: bool = False
    """Whether the reported losses have other than adversarial terms."""
    data: DataConfig | None = None
    """The real images that samples are scored against."""

    @model_validator(mode="after")
    def _check_keys(self) -> ExternalFields:
        errors = []
        if self.kimg is None:
            what = "is missing; it is the length of a run, of which rungs are shares, such as 40"
            errors.append((what, "kimg"))
        if "trainer" in (self.model_extra or {}):
            what = "names the trainer, at the top level of the file; rename this key"
            errors.append((what, "trainer"))
        if errors:
            raise validation_errors(*errors)
        return self


@dataclass(frozen=True)
class ExternalConfig:
    """All settings of one run of a user's own trainer."""

    trainer: str | Command
    """``package.module:function``, ``/absolute/file.py:function``, or a command line."""
    values: Mapping[str, Any]
    """The whole config as plain values, with ``kimg`` and ``seed``."""
    kimg: float
    """Length of the run."""
    seed: int
    """Seed of the run."""
    loss: str | None
    """The loss whose family health judges by; ``None`` if gantune does not know it."""
    auxiliary: bool
    """Whether the reported losses have other than adversarial terms."""
    data: DataConfig | None
    """The real images that samples are scored against."""
    label_smoothing: float = 0.0
    """Of the reported losses: unknown, taken as none."""

    def replaced(self, *, kimg: float | None = None, seed: int | None = None) -> ExternalConfig:
        """The same run with another length or seed. Raises ``ConfigError``."""
        changes = {"kimg": kimg, "seed": seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return make_external_config(self.trainer, {**self.values, **given})

    def with_data(self, data: DataConfig) -> ExternalConfig:
        """The same run with other data settings."""
        return make_external_config(
            self.trainer, {**self.values, "data": data.model_dump(mode="json")}
        )

    def mapping(self) -> dict[str, Any]:
        """The values as plain dicts and lists that the trainer may change."""
        return copy.deepcopy(dict(self.values))


def make_external_config(
    trainer: str | Command, tree: Mapping[str, Any], document: Document | None = None
) -> ExternalConfig:
    """A config from plain values. Raises ``ConfigError`` with all problems."""
    try:
        fields = ExternalFields.model_validate(tree)
    except ValidationError as error:
        report = (document or Document(tree)).problem
        raise ConfigError(model_problems(error, ExternalFields, report)) from None
    assert fields.kimg is not None
    values: dict[str, Any] = {**tree, "kimg": fields.kimg, "seed": fields.seed}
    if fields.data is not None:
        values["data"] = fields.data.model_dump()
    loss = known_loss(fields.loss) if fields.loss else None
    return ExternalConfig(
        trainer, values, fields.kimg, fields.seed, loss, fields.auxiliary, fields.data
    )


def trainer_section(trainer: str | Command) -> dict[str, Any]:
    """The keys at the top level of a file that name a trainer."""
    return {"trainer": trainer} if isinstance(trainer, str) else trainer.section()


def names_trainer(tree: Mapping[str, Any]) -> bool:
    """Whether the top level of a file names a trainer of the user's own."""
    return "trainer" in tree or "command" in tree


def without_trainer(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a config's file that do not name its trainer."""
    others = {"trainer"} if "trainer" in tree else set(CommandFields.model_fields)
    return {key: value for key, value in tree.items() if key not in others}


def explain_wrong_trainer(text: str) -> str:
    """The error in a trainer's name; empty if there is none."""
    if _TRAINER.fullmatch(text):
        return ""
    return f"{text!r} names no trainer; write {TRAINER}"


def absolute_weights(named: str, folder: Path) -> str:
    """``NAME=FILE`` with the file's path made absolute from ``folder``; a bare name as it is."""
    name, equals, file = named.partition("=")
    return f"{name}={absolute_path(file, folder)}" if equals else name


def absolute_trainer(text: str, folder: Path) -> str:
    """A trainer in a file with its path made absolute from ``folder``; one in a module as it is."""
    file, _, function = text.rpartition(":")
    return f"{absolute_path(file, folder)}:{function}" if file.endswith(".py") else text


def absolute_path(file: str, folder: Path) -> str:
    """A file name made absolute from ``folder``; an impossible one as it is, for its reader."""
    try:
        return str((folder / expand_home(file)).resolve())
    except (OSError, RuntimeError, ValueError, HomeError):
        return file
