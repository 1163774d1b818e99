"""``Remedy``: a small change to a config that may cure a failed run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from gantune.config import AnyConfig, ExternalConfig, make_config, make_external_config
from gantune.errors import ConfigError
from gantune.io.formatting import number

Config = TypeVar("Config", bound=AnyConfig)

Changes = Mapping[str, Any]
"""New values by dotted path, such as ``{"discriminator.lr": 1e-4}``."""

D_AHEAD = frozenset({"discriminator_won", "generator_vanished", "generator_idle"})
"""The rules that see the discriminator ahead of the generator."""


@dataclass(frozen=True)
class Change:
    """One line of the difference between two configs."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path} {value_text(self.before)} → {value_text(self.after)}"


@dataclass(frozen=True)
class Remedy:
    """One change that people try when a GAN fails."""

    name: str
    """Short and unique, such as ``lower_d_lr``; ``lower_d_lr:2`` for the second of several values
    that a space declares."""
    advice: str
    """What to do, for any trainer: a phrase in the imperative, without a full stop."""
    why: str
    """Why it may help: one sentence."""
    source: str
    """Who proposed or measured it."""
    answers: frozenset[str]
    """The health rules whose verdicts it answers."""
    changes: Callable[[Any], Changes]
    """The new values for a config of the trainer that it is for: gantune's, or the user's own that
    declares it. None where the remedy does not apply."""

    def applied(self, config: Config) -> Config | None:
        """The config with this change; ``None`` where the change does not apply, changes nothing
        or makes a config that cannot be trained."""
        return changed(config, self.changes(config))


def changed(config: Config, changes: Changes) -> Config | None:
    """The config with new values; ``None`` where they are those that it has, or make a config that
    cannot be trained."""
    before = plain_values(config)
    after = with_values(before, changes)
    if after == before:
        return None
    try:
        if isinstance(config, ExternalConfig):
            return cast(Config, make_external_config(config.trainer, after))
        return cast(Config, make_config(after))
    except ConfigError:
        return None


def plain_values(config: AnyConfig) -> dict[str, Any]:
    """A config as nested plain values."""
    if isinstance(config, ExternalConfig):
        return config.mapping()
    return config.model_dump(mode="json")


def with_values(tree: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A copy of a config's plain values with other values at dotted paths."""
    copy = dict(tree)
    for path, value in changes.items():
        first, _, rest = path.partition(".")
        copy[first] = with_values(copy[first], {rest: value}) if rest else value
    return copy


def differences(before: AnyConfig, after: AnyConfig) -> list[Change]:
    """What two configs differ in, in the order of their fields: a change for each setting. A
    section that is switched on or off is one change."""
    return list(_differences("", plain_values(before), plain_values(after)))


def value_text(value: Any) -> str:
    """A setting's value as a config has it: ``2e-4``, ``true``, ``{weight: auto}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else number(value)


def _differences(path: str, before: Any, after: Any) -> Iterable[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in after:
            yield from _differences(f"{path}.{name}" if path else name, before[name], after[name])
    elif before != after:
        yield Change(path, before, after)
