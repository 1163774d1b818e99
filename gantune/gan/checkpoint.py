"""Checkpoints: one dict in one file, written atomically, with a checksum; loading runs no code.

``last.pt`` holds all that training needs to resume, ``best.pt`` the weights of both players and of
the EMA.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gantune.config import TrialConfig, make_config
from gantune.errors import CheckpointError, ConfigError
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.networks import build_networks
from gantune.gan.rng import RngState
from gantune.gan.tensor_file import read_tensors
from gantune.gan.weights import Weights
from gantune.io.files import write_bytes

if TYPE_CHECKING:
    from gantune.gan.trainer import Trainer

_FORMAT = "gantune checkpoint 2"
_PLAYERS = ("generator", "discriminator", "generator_ema")


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to resume."""

    config: TrialConfig
    kimg: float
    """Thousands of real images shown to the discriminator."""
    trainer: Mapping[str, Any]
    """For ``Trainer.load_state_dict``."""

    @property
    def weights(self) -> Weights:
        """The weights in it. Raises ``KeyError`` or ``TypeError`` where it lacks any."""
        game = self.trainer["game"]
        players = {name: game[name]["network"] for name in ("generator", "discriminator")}
        return Weights(self.config, self.kimg, **players, generator_ema=game["generator_ema"])


def take_checkpoint(trainer: Trainer) -> Checkpoint:
    """A copy of the trainer's state in the machine's memory, which training does not change."""
    return Checkpoint(trainer.config, trainer.kimg, _copied(trainer.state_dict()))


def save_checkpoint(path: Path | str, checkpoint: Checkpoint, backup: Path | None = None) -> None:
    """Writes a checkpoint for ``load_checkpoint``; a file at ``path`` moves to ``backup``.

    Raises ``OSError``.
    """
    about = {"config": checkpoint.config.model_dump(), "kimg": checkpoint.kimg}
    _write(path, {**about, "trainer": checkpoint.trainer}, backup)


def save_weights(path: Path | str, weights: Weights, backup: Path | None = None) -> None:
    """Writes weights for ``load_weights``; a file at ``path`` moves to ``backup``.

    Raises ``OSError``.
    """
    players = {name: getattr(weights, name) for name in _PLAYERS}
    about = {"config": weights.config.model_dump(), "kimg": weights.kimg}
    _write(path, {**about, "weights": players}, backup)


def load_checkpoint(path: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Reads a file of ``save_checkpoint`` to ``device``.

    Raises ``CheckpointError`` for a file that is missing, damaged or something else.
    """
    content = _read(path, device)
    if "trainer" not in content:
        raise CheckpointError(
            f"{path}: holds only weights, so training cannot resume from it; take a last.pt, or "
            "start a new training from these weights with `gantune train --from`"
        )
    return Checkpoint(_config(path, content), _kimg(path, content), _part(path, content["trainer"]))


def load_weights(path: Path | str, device: torch.device | str = "cpu") -> Weights:
    """Reads the weights of a checkpoint of either kind to ``device``.

    Raises ``CheckpointError``.
    """
    content = _read(path, device)
    try:
        config, kimg = _config(path, content), _kimg(path, content)
        if "trainer" in content:
            found = Checkpoint(config, kimg, content["trainer"]).weights
        else:
            found = Weights(config, kimg, **{name: content["weights"][name] for name in _PLAYERS})
        for name in _PLAYERS:
            _part(path, getattr(found, name))
        return found
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: lacks {error}, which a checkpoint has") from error


def load_generator(path: Path | str, device: torch.device | str = "cpu") -> nn.Module:
    """The EMA generator of a checkpoint of either kind, in eval mode, without gradients.

    Input: latents [N, generator.latent] from a standard normal distribution, and where
    ``generator.classes`` is not 0 labels int64 [N]. Output: images [N, C, H, W] in [-1, 1], or
    points [N, 2]. Raises ``CheckpointError``.
    """
    return make_generator(load_weights(path, device), path, device)


def make_generator(
    weights: Weights, path: Path | str, device: torch.device | str = "cpu"
) -> nn.Module:
    """The EMA generator of weights that were read from ``path``, which errors name."""
    with RngState(weights.config.seed, torch.device("cpu")).active():
        generator = build_networks(weights.config).generator
    try:
        generator.load_state_dict(weights.generator_ema)
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(f"{path}: its weights do not fit its own config") from error
    # The memory format of training, for the same images to the last bit.
    generator.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator.eval().requires_grad_(False)


def _write(path: Path | str, content: dict[str, Any], backup: Path | None = None) -> None:
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "sha256": checksum(content), **content}, buffer)
    write_bytes(path, buffer.getbuffer(), backup)


def _read(path: Path | str, device: torch.device | str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        content = read_tensors(path, device)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint of gantune ({error})"
        ) from error
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this version of gantune ({_FORMAT!r})")
    if content.pop("sha256", None) != checksum(content):
        raise CheckpointError(f"{path}: damaged: its checksum is not that of its content")
    return content


def _kimg(path: Path | str, content: Mapping[str, Any]) -> float:
    kimg = content.get("kimg")
    if not isinstance(kimg, int | float) or not 0 <= kimg < math.inf:
        raise CheckpointError(f"{path}: damaged: its kimg is no number")
    return float(kimg)


def _part(path: Path | str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: damaged: a part of it is no state dict")
    return value


def _config(path: Path | str, content: Mapping[str, Any]) -> TrialConfig:
    if not isinstance(content.get("config"), dict):
        raise CheckpointError(f"{path}: damaged: it has no config")
    try:
        config = make_config(content["config"])
    except ConfigError as error:
        raise CheckpointError(f"{path}: its config is of another version: {error}") from None
    if not config.data.is_points and "auto" in (config.data.resolution, config.data.colour):
        raise CheckpointError(f"{path}: damaged: its config does not say what images it draws")
    return config


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 over every name, number and tensor, independent of the file's layout."""
    digest = hashlib.sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


def _copied(value: Any) -> Any:
    """A copy of a tree of mappings, sequences, tensors and plain values, without a GPU's memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        items = ((key, _copied(item)) for key, item in value.items())
        if not isinstance(value, OrderedDict):
            return dict(items)
        found = OrderedDict(items)
        found.__dict__.update(value.__dict__)  # the versions of modules, in a state dict
        return found
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value


def _pieces(value: Any) -> Iterator[bytes | memoryview]:
    """Unambiguous bytes of a tree of mappings, sequences, tensors and plain values."""
    if isinstance(value, Tensor):
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    elif isinstance(value, Mapping):
        yield f"mapping{len(value)}".encode()
        for key, item in value.items():
            yield repr(key).encode()
            yield from _pieces(item)
    elif isinstance(value, list | tuple):
        yield f"sequence{len(value)}".encode()
        for item in value:
            yield from _pieces(item)
    else:
        yield repr(value).encode()
