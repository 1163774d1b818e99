"""``SearchSpace``: a space file as read and checked, ready to be searched."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gantune.config import AnyConfig, make_config, make_external_config
from gantune.errors import SpaceError
from gantune.io.yaml_document import Document
from gantune.space.distributions import Choices, Distribution, Range, plain
from gantune.space.sampling import sample_tree
from gantune.space.settings import Budget, Finalists, Objective, Pruning, Sampler, SpaceFile
from gantune.space.tree import Decision, Leaf, Tree

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class SearchSpace:
    """What one search may try, and how it goes about it.

    Made by ``load_space``, which has checked all of it: every draw is a valid ``TrialConfig``, or
    an ``ExternalConfig`` where the space names a trainer.
    """

    parts: SpaceFile
    """The file's top level."""
    tree: Tree
    """The ``trial`` taken apart."""
    points: tuple[Mapping[str, Any], ...]
    """The ``start`` entries as parameters."""
    text: str
    """The file's own text."""
    document: Document
    """The file with overrides merged in, data paths absolute, and where everything stands."""
    note: str = ""
    """What the user should know of how the file was read; lines, most often none."""

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.parts.study

    @property
    def budget(self) -> Budget:
        """When the search ends."""
        return self.parts.budget

    @property
    def objective(self) -> Objective:
        """What trials are ranked by."""
        return self.parts.objective

    @property
    def trainer(self) -> str | None:
        """The user's own trainer; ``None``: gantune's."""
        return self.parts.trainer

    @property
    def score_name(self) -> str | None:
        """What the trainer calls the score that it gives itself; ``None``: samples are scored."""
        return self.parts.score_name

    @property
    def trial(self) -> dict[str, Any]:
        """The file's ``trial``, overrides merged in."""
        return self.parts.trial

    @property
    def start(self) -> tuple[Mapping[str, Any], ...]:
        """The file's ``start`` entries that can be tried."""
        return tuple(self.parts.start)

    @property
    def stability(self) -> str | dict[str, Any]:
        """Rules of health: a preset's name, or rules by name."""
        return self.parts.stability

    @property
    def pruning(self) -> Pruning:
        """Where trials are scored on the way, and which stop there."""
        return self.parts.pruning

    @property
    def finalists(self) -> Finalists:
        """What is trained again on fresh seeds."""
        return self.parts.finalists

    @property
    def sampler(self) -> Sampler:
        """What proposes the next trial."""
        return self.parts.sampler

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits over what a score depends on: the trial, the objective, stability,
        pruning and the sampler; not the budget, the finalists or the start."""
        return content_hash(space_content(self.parts, self.tree))

    def resolved_tree(self) -> dict[str, Any]:
        """The file's content as it is searched: overrides merged in, data paths absolute.

        Written as YAML anywhere, it reads back to the same hash.
        """
        tree: dict[str, Any] = copy.deepcopy(self.document.tree)
        return tree

    def largest(self, path: str) -> float:
        """The largest number that any trial may have at a path such as ``batch_size``."""
        return self.tree.span(tuple(path.split(".")))[1]

    def sample_config(self, trial: BaseTrial) -> AnyConfig:
        """Draws a config from an Optuna trial."""
        return self._config(lambda item: item.distribution.suggest(trial, item.name))

    def start_points(self) -> list[dict[str, Any]]:
        """Each ``start`` entry as parameters for ``study.enqueue_trial``."""
        return [dict(point) for point in self.points]

    def configs_of(self, params: Mapping[str, Any]) -> AnyConfig:
        """The config of a trial's parameters. Raises ``SpaceError`` where one is missing."""

        def given(item: Decision | Leaf) -> Any:
            if item.name not in params or not item.distribution.contains(params[item.name]):
                value = f"is {params[item.name]!r}" if item.name in params else "is missing"
                raise SpaceError(f"parameter {item.name} {value}; it is {item.distribution}")
            return params[item.name]

        return self._config(given)

    def first_config(self) -> AnyConfig:
        """The first ``start`` entry's config, else one drawn with a fixed seed."""
        if self.points:
            return self.configs_of(self.points[0])
        source = random.Random(self.sampler.seed)
        return self._config(lambda item: item.distribution.sample(source))

    def parameters(self) -> dict[str, Distribution]:
        """Everything that is searched, decisions first, by the names of Optuna's parameters."""
        return {item.name: item.distribution for item in self.tree.open}

    def values_at(self, path: str) -> list[Any]:
        """Every value that a trial may have at a dotted path; of a range, its ends."""
        leaves = [leaf for leaf in self.tree.leaves if leaf.dotted == path]
        values = [leaf.possible_values() for leaf in leaves]
        if not any(not leaf.when for leaf in leaves):
            values.append((self.tree.default_of(tuple(path.split("."))),))
        return [value for ends in values for value in ends]

    def _config(self, choose: Callable[[Decision | Leaf], Any]) -> AnyConfig:
        tree = sample_tree(self.tree, choose).tree()
        if self.trainer is None:
            return make_config(tree, self.document)
        return make_external_config(self.trainer, tree, self.document)


def space_differences(first: SearchSpace, second: SearchSpace) -> list[str]:
    """The keys in which two spaces' scores could differ, one line each; none for one hash."""
    return content_differences(
        space_content(first.parts, first.tree), space_content(second.parts, second.tree)
    )


# A space's hash, and the keys in which two spaces differ.


_SCORED = ("objective", "stability", "pruning", "sampler")


def space_content(parts: SpaceFile, tree: Tree) -> dict[str, Any]:
    """All that a score depends on, as plain values by dotted place, whatever the file's order."""
    content: dict[str, Any] = {}
    for decision in tree.decisions:
        content[".".join(map(str, decision.path))] = list(decision.distribution.values)
    for leaf in tree.leaves:
        content[".".join(map(str, leaf.path))] = _plain_value(leaf.value)
    if parts.trainer is not None:
        content["trainer"] = parts.trainer
    for name in _SCORED:
        part = getattr(parts, name)
        _flatten(part if isinstance(part, str | dict) else part.model_dump(), name, content)
    return content


def content_hash(content: Mapping[str, Any]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a content."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def content_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One line for each place that differs: ``trial.generator.lr: 1e-4 → 2e-4``."""
    lines = {key: json.dumps(value, sort_keys=True) for key, value in first.items()}
    others = {key: json.dumps(value, sort_keys=True) for key, value in second.items()}
    return [
        f"{key}: {_shown(first, key)} → {_shown(second, key)}"
        for key in sorted({*lines, *others})
        if lines.get(key) != others.get(key)
    ]


def _shown(content: Mapping[str, Any], key: str) -> str:
    return plain(content[key]) if key in content else "nothing"


def _plain_value(value: Any) -> Any:
    if isinstance(value, Choices):
        return {"choices": list(value.values)} | ({"times": value.times} if value.times else {})
    if isinstance(value, Range):
        said = asdict(value).items()
        return {key: item for key, item in said if item is not None and item is not False}
    return value


def _flatten(value: Any, place: str, content: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, f"{place}.{key}", content)
    else:
        content[place] = list(value) if isinstance(value, tuple) else value
