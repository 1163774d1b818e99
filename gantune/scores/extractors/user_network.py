"""A network of the user's own, named ``package.module:factory``."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError, summarize_error
from gantune.gan.device_support import is_out_of_memory, torch_threads
from gantune.io.imports import import_named
from gantune.io.trust import UserCode, check_code
from gantune.scores.feature_statistics import BATCH
from gantune.scores.features import Extractor, FeatureNetwork

_SEED = 0
_TRIAL_BATCHES = (5, 2, BATCH)  # sizes of the batches that it must accept
_GRAINS = (1, 4, 16)  # pixels; sides of the squares of one brightness
_VIEWS = 4  # random projections of the features of an image
_STEPS = 100  # per unit of a projection; most values are within two units


class UserNetwork(FeatureNetwork):
    """What ``factory()`` returns: an ``nn.Module`` from uint8 [N, C, H, W] to float [N, D].

    ``folder``: searched first for the module. ``shape``: [C, H, W] of the images. ``named_by``: the
    file that names the factory. The factory is called under a fixed seed of torch and must return
    the same weights each time; they are not copied. Raises ``ScoreError`` where there is no such
    factory or it returns something else than a module, and ``TrustError`` for one that the user has
    never named.
    """

    kind = "user"
    is_users = True
    changed = (
        "the factory returns other weights or features than before, but must return the same "
        "each time: load the weights from a file, or seed them, and do not change its code"
    )

    def __init__(
        self,
        factory: str,
        folder: str,
        shape: Sequence[int],
        num_features: int = 0,
        named_by: str = "objective: extractor",
    ) -> None:
        settings = {
            "factory": factory,
            "folder": folder,
            "shape": list(shape),
            "num_features": num_features,
        }
        super().__init__(settings, num_features, "the network's own")
        check_code(UserCode(factory, Path(folder)), named_by)
        try:
            found = import_named(factory, folder)
        except ImportError as error:
            raise ScoreError(f"{self.place}: {error}") from error.__cause__
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_SEED)
                network = found()
        except (Exception, SystemExit) as error:
            raise ScoreError(
                f"{self.place}: the factory fails: {summarize_error(error)}"
            ) from error
        if not isinstance(network, nn.Module):
            given = type(network).__name__
            raise ScoreError(f"{self.place}: the factory gives a {given}, not an nn.Module")
        self.network = network.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Raises ``ScoreError`` where the network fails or does not return floats [N, D].

        An out-of-memory error is raised unchanged.
        """
        try:
            features = self.network(images)
        except (Exception, SystemExit) as error:  # the user's code
            if is_out_of_memory(error):
                raise
            raise _failure(self.place, images, error) from error
        if not isinstance(features, Tensor) or not features.is_floating_point():
            given = str(features.dtype) if isinstance(features, Tensor) else type(features).__name__
            raise ScoreError(f"{self.place} gives {given}; a float tensor [N, D] is needed")
        if features.ndim != 2 or len(features) != len(images) or not features.shape[1]:
            raise ScoreError(
                f"{self.place} gives the shape {list(features.shape)} for {len(images)} images; "
                f"[{len(images)}, D] with D of 1 or more is needed"
            )
        return features.float()

    @property
    def place(self) -> str:
        """The setting that names it, for errors."""
        return f"objective: extractor: {self.settings['factory']!r}"

    def behaviour(self) -> str:
        """A fingerprint of its features of fixed images, which shows changes of its code.

        Computed on the network's device (on the CPU in gantune) with one thread, because the number
        of threads changes the last digits of a sum. Raises ``ScoreError`` where the network fails.
        """
        tensors = chain(self.parameters(), self.buffers())
        device = next((tensor.device for tensor in tensors), torch.device("cpu"))
        try:
            with torch.inference_mode(), torch_threads(1):
                features = self(probe(self.settings["shape"]).to(device))
        except ScoreError as error:
            raise ScoreError(
                f"{error} (on {device}, where features of noise show whether its code has changed)"
            ) from error
        return fingerprint(features)

    def weights(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restored(cls, settings: dict[str, Any], weights: Path) -> Self:
        return cls(**settings, named_by=str(weights.with_suffix(".json")))


def load_user_network(name: str, images: ImageSet, device: torch.device) -> Extractor:
    """Loads the network of ``name`` and tries it on batches of several sizes.

    Raises ``ScoreError`` where it cannot be imported, fails on the images, or does not return one
    row of D >= 1 finite numbers per image, with the same D each time.
    """
    network = UserNetwork(name, str(Path.cwd()), images.array.shape[1:]).to(device)
    sizes: set[int] = set()
    for batch in (torch.tensor(images.array[:n]).to(device) for n in _TRIAL_BATCHES):
        try:
            with torch.inference_mode():
                features: Tensor = network(batch)
        except (RuntimeError, MemoryError) as error:  # also out of memory
            raise _failure(network.place, batch, error) from error
        if not features.isfinite().all():
            raise ScoreError(
                f"{network.place} gives features that are not finite (NaN or infinity)"
            )
        sizes.add(features.shape[1])
    if len(sizes) > 1:
        listed = " and ".join(map(str, sorted(sizes)))
        raise ScoreError(
            f"{network.place} gives {listed} features per image; the number must not change"
        )
    network.num_features = network.settings["num_features"] = sizes.pop()
    return Extractor(name, network, "the user's own network")


def _failure(place: str, images: Tensor, error: BaseException) -> ScoreError:
    return ScoreError(f"{place} fails on uint8 {list(images.shape)}: {summarize_error(error)}")


def probe(shape: Sequence[int]) -> Tensor:
    """Fine, medium and coarse noise: uint8 [3, C, H, W], for ``shape`` [C, H, W].

    NumPy guarantees the same numbers from ``RandomState`` in every version.
    """
    noise = np.random.RandomState(_SEED)
    channels, height, width = shape
    images = []
    for grain in _GRAINS:
        squares = noise.randint(0, 256, (channels, -(-height // grain), -(-width // grain)))
        images.append(squares.repeat(grain, axis=1).repeat(grain, axis=2)[:, :height, :width])
    return torch.from_numpy(np.stack(images).astype(np.uint8))


def fingerprint(features: Tensor) -> str:
    """A few coarse numbers that identify features [N, D]: their number, sizes and directions.

    For each image: the logarithm of the root mean square in steps of 1%, and four random
    projections of the direction in steps of 0.01. Other machines sum in another order, which
    changes values by about 1e-6. So few and coarse numbers almost never change by that, while one
    of thousands of features would. Smaller changes of the features are not detected.
    """
    rows = features.double().cpu()
    size = rows.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-30)
    views = np.random.RandomState(_SEED).standard_normal((rows.shape[1], _VIEWS))
    directions = rows / size @ torch.from_numpy(views) / rows.shape[1] ** 0.5
    numbers = torch.cat([size.log(), directions], dim=1).mul(_STEPS).round().add(0.0)  # no -0
    return " ".join([str(rows.shape[1]), *(f"{number:.0f}" for number in numbers.flatten())])
