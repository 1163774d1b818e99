"""Where a command finds its images: ``--data``, ``--set data.key=x_train``, images that moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

if TYPE_CHECKING:
    from gantune.config import AnyConfig, DataConfig

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


def found_again(config: AnyConfig, of_trial: Path | None, resumed: Path | None) -> AnyConfig:
    """The same config with its images at the place where their run had them last.

    ``of_trial``: the trial's config or checkpoint that is trained. ``resumed``: the folder of a
    training that goes on; a place that its config names and that is there comes first.
    """
    from gantune.config import ExternalConfig
    from gantune.run_folder.run import read_images

    if (data := config.data) is None:
        return config
    images = read_images(of_trial.parent) if of_trial is not None else None
    place = Path(data.source)  # a built-in one is not absolute
    if resumed is not None and place.is_absolute() and not place.exists():
        images = read_images(resumed) or images
    if images is None:
        return config
    moved = data.model_copy(update={"source": images.source})
    if isinstance(config, ExternalConfig):
        return config.with_data(moved)
    return config.model_copy(update={"data": moved})


def with_data(config: AnyConfig, source: str | None, settings: dict[str, Any]) -> AnyConfig:
    """The same config with images of another place, or read in another way."""
    from gantune.config import ExternalConfig, absolute_source, make_config

    changes: dict[str, Any] = {"classes": "auto", "class_names": (), **settings}
    if source is not None:
        changes["source"] = absolute_source(source, Path())
    if not isinstance(config, ExternalConfig):
        tree = config.model_dump()
        return make_config({**tree, "data": {**tree["data"], **changes}})
    if config.data is None:
        given = f"--data {source}" if source is not None else "--set data"
        raise typer.BadParameter(f"{given}: this trainer's config has no data section")
    return config.with_data(type(config.data)(**{**config.data.model_dump(), **changes}))
