"""Whether torchmetrics and the Inception network can be imported here. No torch at the top."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

__all__ = ["Lack", "inception_lack", "is_inception_installed", "torchmetrics_lack"]

_EXTRA = ("torch-fidelity", "torchvision")


@dataclass(frozen=True)
class Lack:
    """Why something cannot be imported, and the command that helps."""

    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


def inception_lack() -> Lack | None:
    """Why the Inception network cannot be imported; ``None`` if it can."""
    if missing := _missing():
        verb = "is" if len(missing) == 1 else "are"
        found = f"{' and '.join(missing)} {verb} not installed"
        if lack := torchmetrics_lack():
            return Lack(f"{found}, and {lack.found}", lack.remedy)
        return Lack(found, "pip install 'gantune[inception]'")
    return torchmetrics_lack() or _import_lack("torch_fidelity.feature_extractor_inceptionv3")


def is_inception_installed() -> bool:
    """Whether what the Inception network needs is there, be it of builds that fit or not."""
    return not _missing()


def torchmetrics_lack() -> Lack | None:
    """Why torchmetrics cannot be imported; ``None`` if it can.

    Its import fails as a whole where torchvision was built for another torch.
    """
    return _import_lack("torchmetrics.image.fid")


def _missing() -> list[str]:
    return [name for name in _EXTRA if not _version(name)]


def _import_lack(module: str) -> Lack | None:
    try:
        importlib.import_module(module)
    except Exception as error:  # a library of another build can raise anything
        first = next(iter(str(error).splitlines()), "")
        found = f"{module} cannot be imported ({type(error).__name__}: {first}): {_builds()}"
        return Lack(found, _remedy())
    return None


def _builds() -> str:
    """``torch 2.13.0, torchvision 0.27.1 built for torch 2.12.1, torch-fidelity 0.4.0``."""
    wanted = _torch_of_torchvision()
    parts = []
    for name in ("torch", "torchvision", "torch-fidelity"):
        version = _version(name)
        text = f"{name} {version}" if version else f"no {name}"
        parts.append(
            f"{text} built for torch {wanted}" if name == "torchvision" and wanted else text
        )
    return ", ".join(parts)


def _torch_of_torchvision() -> str:
    """The one version of torch that the installed torchvision asks for; empty if not known."""
    if not _version("torchvision"):
        return ""
    for text in metadata.requires("torchvision") or ():
        requirement = Requirement(text)
        if requirement.name == "torch" and not requirement.marker:
            return str(requirement.specifier).removeprefix("==")
    return ""


def _remedy() -> str:
    installed = _version("torch")
    torch = f"torch=={Version(installed).public}" if installed else "torch"
    return (
        "take builds that fit each other, all from where this torch came from: pip install "
        f"--force-reinstall {torch} torchvision torch-fidelity; or do without Inception: "
        "pip uninstall torchvision torch-fidelity"
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
