"""Which source a name or a path means."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gantune.config import DataConfig
from gantune.data.cache import identity
from gantune.data.image_set import RawImages, reading
from gantune.data.sources.arrays import open_array
from gantune.data.sources.builtin import open_digits
from gantune.data.sources.cifar import cifar_files, open_cifar, open_cifar_tar
from gantune.data.sources.idx import idx_files, open_idx
from gantune.data.sources.pictures import (
    SUFFIXES,
    open_picture_folder,
    open_picture_zip,
    picture_files,
)
from gantune.errors import DataError
from gantune.io.validation import did_you_mean

__all__ = ["Source", "find_source", "find_test_part"]

_BUILT_IN = ("digits", "gaussians", "gaussians:grid", "gaussians:ring")

_TARS = (".tar", ".tar.gz", ".tgz")
_BOTH = ("train", "test")


@dataclass(frozen=True)
class Source:
    """A source that was found, not yet opened."""

    identity: str
    """Changes when what it reads changes."""
    open: Callable[[], RawImages]
    parts: tuple[str, ...] = ("train",)
    """The parts that it can be asked for. A file that is named itself is the part it is called."""


def find_source(config: DataConfig) -> Source:
    """The source that ``config.source`` names; only looks, decodes nothing.

    Built-in names win over files of that name (``./digits`` is the file). Raises ``DataError``
    where there is none, or where ``key`` or ``split`` ask for what it does not have.
    """
    name = config.source
    if config.key is not None and not name.lower().endswith(".npz"):
        raise DataError(
            f"data.key: {config.key!r} names an array of an .npz file; {name!r} is none"
        )
    source = Source("digits", open_digits) if name == "digits" else _find_path(name, config)
    if config.split not in source.parts:
        raise DataError(f"data.split: {name!r} has no {config.split!r} part; leave split out")
    return source


def find_test_part(config: DataConfig) -> Source | None:
    """The test part that comes with a training part; ``None`` where ``config`` learns another part
    or the source has no test part. Raises ``DataError`` where there is no source at all."""
    if config.split != "train" or "test" not in find_source(config).parts:
        return None
    try:
        return find_source(config.model_copy(update={"split": "test"}))
    except DataError:  # of a folder that holds the training part alone
        return None


def _find_path(name: str, config: DataConfig) -> Source:
    path = Path(name)
    with reading(path):
        with suppress(
            RuntimeError
        ):  # of an unknown user; then there is no such file, which is said
            path = path.expanduser()
        if not path.exists():
            raise DataError(f"{name}: no such file or folder{_meant(path, name)}")
        path = path.resolve()
        if path.is_dir():
            return _find_in_folder(path, config)
        if path.is_file():
            return _find_file(path, config)
    raise DataError(f"{name}: neither a file nor a folder")


def _find_in_folder(folder: Path, config: DataConfig) -> Source:
    if idx := idx_files(folder, config.split):
        return Source(identity(idx), partial(open_idx, *idx), _BOTH)
    if cifar := cifar_files(folder, config.split):
        return Source(identity(cifar), partial(open_cifar, cifar), _BOTH)
    if pictures := picture_files(folder):
        return Source(identity(pictures), partial(open_picture_folder, folder, pictures))
    held = sorted(entry.name for entry in folder.iterdir())
    what = f"it holds {', '.join(held[:5])}" + (", ..." if len(held) > 5 else "")
    raise DataError(
        f"{folder}: no image in it, at any depth; {what if held else 'it is empty'}. "
        f"Images are {', '.join(SUFFIXES)}, IDX files or CIFAR-10 batches; an .npy, .npz or .zip "
        "is named itself"
    )


def _find_file(path: Path, config: DataConfig) -> Source:
    name = path.name.lower()
    if name.endswith((".npy", ".npz")):
        return Source(identity([path]), partial(open_array, path, config.key))
    if name.endswith(".zip"):
        return Source(identity([path]), partial(open_picture_zip, path))
    if name.endswith(_TARS):
        opens = partial(open_cifar_tar, path, config.split)
        return Source(identity([path]), opens, _BOTH)
    if "ubyte" in name or "idx" in name:
        idx = idx_files(path, config.split)
        return Source(identity(idx), partial(open_idx, *idx), (config.split,))
    if name.endswith(SUFFIXES):
        raise DataError(f"{path}: one image is no data set; name its folder")
    raise DataError(
        f"{path}: not a kind of file that holds images; known are .npy, .npz, .zip, IDX "
        "(MNIST), a .tar.gz of CIFAR-10, or a folder"
    )


def _meant(path: Path, name: str) -> str:
    """What the user may have meant: a built-in name, or what stands where the path breaks off.

    A built-in name that was misspelt has become a path, most often an absolute one.
    """
    if guess := did_you_mean(name, _BUILT_IN):
        return guess
    while not path.parent.exists():
        path = path.parent
    if not path.parent.is_dir():
        return f"; {path.parent} is a file"
    siblings = [entry.name for entry in path.parent.iterdir()]
    known = [*siblings, *_BUILT_IN] if path.name == Path(name).name else siblings
    return f"; {path.parent.resolve()} holds no {path.name!r}{did_you_mean(path.name, known)}"
