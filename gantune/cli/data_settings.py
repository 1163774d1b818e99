"""``--set data.key=x_train``: how the source of ``--data`` is read, the same for every command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

if TYPE_CHECKING:
    from gantune.config import DataConfig

DataSettings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="data.NAME=VALUE",
        help="How images are read, such as data.key=x_train, data.split=val; may be repeated.",
        show_default="none",
    ),
]


def read_settings(texts: Sequence[str] | None) -> dict[str, Any]:
    """Values by name, such as ``{"split": "val"}`` for ``data.split=val``.

    Raises ``BadParameter`` for another form, and for a name that is no setting of data.
    """
    from gantune.config import DataConfig
    from gantune.errors import ConfigError
    from gantune.io.validation import did_you_mean
    from gantune.io.yaml_document import parse_document

    found: dict[str, Any] = {}
    for text in texts or ():
        path, equals, value = text.partition("=")
        name = path.strip().removeprefix("trial.").removeprefix("data.")
        if not equals or not value.strip() or not path.strip().startswith(("data.", "trial.data.")):
            raise typer.BadParameter(f"--set {text}: write data.NAME=VALUE, such as data.split=val")
        if name not in DataConfig.model_fields:
            hint = did_you_mean(name, DataConfig.model_fields)
            raise typer.BadParameter(f"--set {text}: data has no {name!r}{hint}")
        try:
            found[name] = parse_document(value).tree
        except ConfigError as error:
            raise typer.BadParameter(f"--set {text}: {error.problems[0].message}") from None
    return found


def data_config(source: str, texts: Sequence[str] | None) -> DataConfig:
    """The settings of a source. Raises ``ConfigError`` for a value that is not valid."""
    from pydantic import ValidationError

    from gantune.config import DataConfig
    from gantune.errors import ConfigError, Problem
    from gantune.io.validation import model_problems

    try:
        return DataConfig(**{"source": source, **read_settings(texts)})
    except ValidationError as error:
        problems = model_problems(error, DataConfig, lambda _, text: Problem(text, "--set data"))
        raise ConfigError(problems) from None
