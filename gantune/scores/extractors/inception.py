"""The Inception network of published FIDs, from torchmetrics and torch-fidelity."""

import importlib
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Self

import torch
from packaging.requirements import Requirement
from packaging.version import Version
from torch import Tensor

from gantune.config.extractor import ExtractorChoice
from gantune.errors import ScoreError, first_line, summarize_error
from gantune.gan.tensor_file import read_tensors
from gantune.scores.extractors.weights import Published, read_weights
from gantune.scores.features import Extractor, FeatureNetwork

_HOME = "torch_fidelity.feature_extractor_inceptionv3"
_FEATURES = 2048
_BATCH = 50  # at 299 pixels the first layers of such a batch take 300 MB
_REASON = "the network of published FIDs"
_EXTRA = ("torch-fidelity", "torchvision")
_RESIZES = {
    "legacy": "299 rgb, bilinear, TF1-compatible (legacy)",
    "antialias": "299 rgb, bilinear, antialiased",
}


class Inception(FeatureNetwork):
    """InceptionV3 as of 2015-12-05, the last pooling layer: 2048 features (Heusel et al. 2017).

    torchmetrics' network with torch-fidelity's conversion of the TensorFlow weights. Gray images
    are repeated to three channels. ``weights``: a file of these weights. Raises ``ScoreError`` for
    a damaged file or other weights, and where the libraries cannot be imported.
    """

    kind = "inception"

    def __init__(self, weights: Path, resize: Literal["legacy", "antialias"]) -> None:
        super().__init__({"resize": resize}, _FEATURES, _RESIZES[resize])
        _check_available()
        from torchmetrics.image.fid import NoTrainInceptionV3

        needed = f"{published_weights().file} of torch-fidelity"
        read_weights(weights, needed)  # the library itself would run code in the pickle
        names = [str(_FEATURES)]
        try:
            self.network = NoTrainInceptionV3(
                "inception-v3-compat", names, str(weights), antialias=resize == "antialias"
            )
        except Exception as error:  # load_state_dict raises several types on odd contents
            raise ScoreError(
                f"{weights}: these are weights of another network than InceptionV3 as of "
                f"2015-12-05 ({first_line(error)}); {needed} is needed"
            ) from None

    @classmethod
    def restored(cls, settings: dict[str, Any], weights: Path) -> Self:
        # The library has its own reader, which gets only what gantune's has read and bounded.
        with tempfile.TemporaryDirectory(prefix="gantune-") as folder:
            copy = Path(folder) / weights.name
            torch.save(read_tensors(weights), copy)
            return cls(copy, **settings)

    def weights(self) -> dict[str, Any]:
        weights: dict[str, Any] = self.network.state_dict()
        return weights

    def forward(self, images: Tensor) -> Tensor:
        parts = torch.split(images.expand(-1, 3, -1, -1), _BATCH)
        return torch.cat([self.network(part) for part in parts])


def load_inception(choice: ExtractorChoice) -> Extractor:
    """The Inception network with the weights of ``choice.weights``, or the library's download.

    Raises ``ScoreError``, with the remedy, where it is not available.
    """
    _check_available()
    path = Path(choice.weights) if choice.weights is not None else published_weights().download()
    return Extractor("inception", Inception(path, choice.resize).eval(), _REASON)


def _check_available() -> None:
    if missing := missing_inception():
        raise ScoreError(f"extractor: 'inception' is not available: {missing}")


def published_weights() -> Published:
    """The weights that torch-fidelity publishes."""
    return Published(importlib.import_module(_HOME).URL_INCEPTION_V3)


@dataclass(frozen=True)
class MissingDependency:
    """Why a library cannot be imported, and the command that fixes it."""

    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


def missing_inception() -> MissingDependency | None:
    """Why the Inception network cannot be imported; ``None`` where it can."""
    if missing := missing_packages():
        verb = "is" if len(missing) == 1 else "are"
        found = f"{' and '.join(missing)} {verb} not installed"
        if lack := missing_torchmetrics():
            return MissingDependency(f"{found}, and {lack.found}", lack.remedy)
        return MissingDependency(found, f"pip install 'gantune[inception]' {_kept_torch()}")
    return missing_torchmetrics() or _import_lack("torch_fidelity.feature_extractor_inceptionv3")


def missing_packages() -> list[str]:
    """Packages of the Inception network that are not installed, in any build."""
    return [name for name in _EXTRA if not _version(name)]


def missing_torchmetrics() -> MissingDependency | None:
    """Why torchmetrics cannot be imported; ``None`` where it can.

    The import fails where torchvision was built for another torch.
    """
    return _import_lack("torchmetrics.image.fid")


def _kept_torch() -> str:
    """What keeps pip from replacing the installed torch."""
    installed = _version("torch")
    return f"torch=={Version(installed).public}" if installed else "torch"


def _import_lack(module: str) -> MissingDependency | None:
    try:
        importlib.import_module(module)
    except Exception as error:  # a mismatched build can raise anything
        torch = _kept_torch()
        return MissingDependency(
            f"{module} cannot be imported ({summarize_error(error)}): {_builds()}",
            "install matching builds, all from the source of this torch: pip install "
            f"--force-reinstall {torch} torchvision torch-fidelity; or remove Inception: "
            "pip uninstall torchvision torch-fidelity",
        )
    return None


def _builds() -> str:
    """``torch 2.13.0, torchvision 0.27.1 built for torch 2.12.1, torch-fidelity 0.4.0``."""
    found = {
        name: f"{name} {version}" if (version := _version(name)) else f"no {name}"
        for name in ("torch", "torchvision", "torch-fidelity")
    }
    required = metadata.requires("torchvision") if _version("torchvision") else None
    for requirement in map(Requirement, required or ()):
        if requirement.name == "torch" and not requirement.marker:
            if wanted := str(requirement.specifier).removeprefix("=="):
                found["torchvision"] += f" built for torch {wanted}"
            break
    return ", ".join(found.values())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
