"""``SearchSpace``: a space file as read and checked, ready to be searched."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import InstanceOf

from gantune.config import AnyConfig, make_config, make_external_config, trainer_section
from gantune.errors import SpaceError
from gantune.io.yaml_document import Document
from gantune.space.distributions import Choices, Distribution, Range, Same, is_number, plain
from gantune.space.prior import Prior
from gantune.space.sampling import sample_tree
from gantune.space.settings import SpaceFile
from gantune.space.tree import Decision, Leaf, Tree

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


_NOT_SCORED = ("working_folder", "grace")  # of a command
_SOURCE = "trial.data.source"
_OF_PLACE = {"trial.data.key": None, "trial.data.split": "train", "trial.data.classes": "auto"}


class SearchSpace(SpaceFile):
    """A space file after all checks. ``load_space`` makes it.

    Every sample is a valid ``TrialConfig``, or an ``ExternalConfig`` where the space names a
    trainer.
    """

    tree: InstanceOf[Tree]
    """All values and decisions of ``trial``."""
    points: tuple[Mapping[str, Any], ...]
    """The ``start`` entries as parameters."""
    priors: tuple[InstanceOf[Prior], ...] = ()
    """The earlier searches that ``start`` names. ``tuner.prior`` reads them."""
    document: InstanceOf[Document]
    """The file with overrides merged in, file names made absolute, and all positions."""
    note: str = ""
    """What the user should know about how the file was read: lines, empty if nothing."""

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits over everything that a score depends on: the trial, the objective,
        stability, pruning and the sampler; not the budget, the finalists or the start, nor the
        place of the images, whose content is part of the protocol."""
        return _digest(_without_place(_scored_content(self)))

    @cached_property
    def hash_with_source(self) -> str:
        """As ``hash``, and over the place of the images; it names run folders."""
        return _digest(_scored_content(self))

    def resolved_tree(self) -> dict[str, Any]:
        """The file's content with overrides merged in and file names made absolute.

        Written as YAML anywhere, it has the same hash when it is read again.
        """
        tree: dict[str, Any] = copy.deepcopy(self.document.tree)
        return tree

    def largest(self, path: str) -> float:
        """The largest number that any trial may have at a path such as ``batch_size``."""
        return float(max(filter(is_number, self.values_at(path))))

    def sample_config(self, trial: BaseTrial) -> AnyConfig:
        """Samples a config from an Optuna trial."""
        return self._config(lambda item: item.distribution.suggest(trial, item.name))

    def start_points(self) -> list[dict[str, Any]]:
        """Each ``start`` entry as parameters for ``study.enqueue_trial``."""
        return [dict(point) for point in self.points]

    def started_from(self, points: Sequence[Mapping[str, Any]]) -> SearchSpace:
        """The same space with further start points, written into ``document`` in place of the
        earlier runs that they come from."""
        tree = self.resolved_tree()
        tree["start"] = [*tree["start"], *map(dict, points)]
        changed = {"points": (*self.points, *points), "start": tree["start"], "priors": ()}
        return self.model_copy(update={**changed, "document": replace(self.document, tree=tree)})

    def configs_of(self, params: Mapping[str, Any]) -> AnyConfig:
        """The config of a trial's parameters. Raises ``SpaceError`` for a missing or wrong one."""

        def given(item: Decision | Leaf) -> Any:
            if item.name not in params or not item.distribution.contains(params[item.name]):
                value = f"is {params[item.name]!r}" if item.name in params else "is missing"
                raise SpaceError(f"parameter {item.name} {value}; it is {item.distribution}")
            return params[item.name]

        return self._config(given)

    def first_config(self) -> AnyConfig:
        """The first ``start`` entry's config, else one sampled with the sampler's seed."""
        if self.points:
            return self.configs_of(self.points[0])
        source = random.Random(self.sampler.seed)
        return self._config(lambda item: item.distribution.sample(source))

    def parameters(self) -> dict[str, Distribution]:
        """The distributions of Optuna's parameters by name, decisions first."""
        return {item.name: item.distribution for item in self.tree.open}

    @property
    def compares_settings(self) -> bool:
        """Whether trials may differ in more than their seed."""
        return any(name != "seed" for name in self.parameters())

    def values_at(self, path: str) -> list[Any]:
        """All values that a trial may have at a dotted path; of a range both ends."""
        return self.tree.values_at(tuple(path.split(".")))

    def _config(self, choose: Callable[[Decision | Leaf], Any]) -> AnyConfig:
        tree = sample_tree(self.tree, choose).tree()
        if self.own_trainer is None:
            return make_config(tree, self.document)
        return make_external_config(self.own_trainer, tree, self.document)


def _without_place(content: dict[str, Any]) -> dict[str, Any]:
    """The same without the path of the images and what ``--data`` sets with it, where that is the
    default; built-in sources stay."""
    content = {k: v for k, v in content.items() if k not in _OF_PLACE or v != _OF_PLACE[k]}
    source = content.get(_SOURCE)
    is_path = isinstance(source, str) and Path(source).is_absolute()
    return {**content, _SOURCE: "images"} if is_path else content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def space_differences(first: SearchSpace, second: SearchSpace) -> list[str]:
    """The differences that can change a score, one line each: ``trial.generator.lr: 1e-4 → 2e-4``.

    Empty for spaces with the same hash.
    """
    contents = [_without_place(_scored_content(space)) for space in (first, second)]
    lines = []
    for key in sorted({*contents[0], *contents[1]}):
        texts = {json.dumps(content[key], sort_keys=True) for content in contents if key in content}
        if len(texts) > 1 or not all(key in content for content in contents):
            shown = [plain(content[key]) if key in content else "nothing" for content in contents]
            lines.append(f"{key}: {' → '.join(shown)}")
    return lines


def _scored_content(space: SearchSpace) -> dict[str, Any]:
    """Plain values that a score depends on, by dotted place. The file's order does not matter."""
    content: dict[str, Any] = {}
    for decision in space.tree.decisions:
        content[".".join(map(str, decision.path))] = list(decision.distribution.values)
    for leaf in space.tree.leaves:
        value = leaf.value
        if isinstance(value, Choices):
            times = {"times": value.times} if value.times else {}
            value = {"choices": list(value.values), **times}
        elif isinstance(value, Range):
            fields = asdict(value).items()
            value = {key: item for key, item in fields if item is not None and item is not False}
        elif isinstance(value, Same):
            value = {"same": value.path}
        content[".".join(map(str, leaf.path))] = value
    if space.own_trainer is not None:
        for name, value in trainer_section(space.own_trainer).items():
            if name not in _NOT_SCORED:
                _flatten(value, name, content)
    for name in ("objective", "stability", "pruning", "sampler"):
        part = getattr(space, name)
        _flatten(part if isinstance(part, str | dict) else part.model_dump(), name, content)
    return content


def _flatten(value: Any, place: str, content: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, f"{place}.{key}", content)
    else:
        content[place] = list(value) if isinstance(value, tuple) else value
