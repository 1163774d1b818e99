"""``find_source``: the source that a name or a path refers to."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gantune.config import DataConfig
from gantune.data.cache import fingerprint
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
_PARTS = ("train", "test")


@dataclass(frozen=True)
class Source:
    """A source that exists, not yet opened."""

    fingerprint: str
    """Changes when its files change."""
    open: Callable[[], RawImages]
    parts: tuple[str, ...] = ("train",)
    """The parts that ``split`` can name. A file named by the user is the part that it is called."""


def find_source(config: DataConfig) -> Source:
    """The source that ``config.source`` names; decodes nothing.

    Built-in names win over files of that name (``./digits`` is the file). Raises ``DataError``
    where there is none, and where it has no such ``key`` or ``split``.
    """
    name = config.source
    if config.key is not None and not name.lower().endswith(".npz"):
        raise DataError(
            f"data.key: {config.key!r} names an array of an .npz file, which {name!r} is not"
        )
    source = Source("digits", open_digits) if name == "digits" else _find_path(name, config)
    if config.split not in source.parts:
        raise DataError(f"data.split: {name!r} has no {config.split!r} part; leave split out")
    return source


def find_test_part(config: DataConfig) -> Source | None:
    """The test part of a source; ``None`` where ``config`` trains on another part or the source has
    no test part. Raises ``DataError`` where there is no source."""
    if config.split != "train" or "test" not in find_source(config).parts:
        return None
    try:
        return find_source(config.model_copy(update={"split": "test"}))
    except DataError:  # a folder with the training part only
        return None


def _find_path(name: str, config: DataConfig) -> Source:
    path = Path(name)
    with reading(path):
        with suppress(RuntimeError):  # an unknown user: reported below as a missing file
            path = path.expanduser()
        if not path.exists():
            raise DataError(f"{name}: no such file or folder{_suggestion(path, name)}")
        path = path.resolve()
        if path.is_dir():
            return _find_in_folder(path, config)
        if path.is_file():
            return _find_file(path, config)
    raise DataError(f"{name}: neither a file nor a folder")


def _find_in_folder(folder: Path, config: DataConfig) -> Source:
    if idx := idx_files(folder, config.split):
        return Source(fingerprint(idx), partial(open_idx, *idx), _PARTS)
    if cifar := cifar_files(folder, config.split):
        return Source(fingerprint(cifar), partial(open_cifar, cifar), _PARTS)
    if pictures := picture_files(folder):
        return Source(fingerprint(pictures), partial(open_picture_folder, folder, pictures))
    names = sorted(entry.name for entry in folder.iterdir())
    what = f"it holds {', '.join(names[:5])}" + (", ..." if len(names) > 5 else "")
    raise DataError(
        f"{folder}: no image in it, at any depth; {what if names else 'it is empty'}. "
        f"Images are {', '.join(SUFFIXES)}, IDX files or CIFAR-10 batches; an .npy, .npz or .zip "
        "is named itself"
    )


def _find_file(path: Path, config: DataConfig) -> Source:
    name = path.name.lower()
    if name.endswith((".npy", ".npz")):
        return Source(fingerprint([path]), partial(open_array, path, config.key))
    if name.endswith(".zip"):
        return Source(fingerprint([path]), partial(open_picture_zip, path))
    if name.endswith(_TARS):
        return Source(fingerprint([path]), partial(open_cifar_tar, path, config.split), _PARTS)
    if "ubyte" in name or "idx" in name:
        idx = idx_files(path, config.split)
        return Source(fingerprint(idx), partial(open_idx, *idx), (config.split,))
    if name.endswith(SUFFIXES):
        raise DataError(f"{path}: one image is no data set; name its folder")
    raise DataError(
        f"{path}: not a kind of file that holds images; known are .npy, .npz, .zip, IDX "
        "(MNIST), a .tar.gz of CIFAR-10, or a folder"
    )


def _suggestion(path: Path, name: str) -> str:
    """What the user may have meant: a built-in name, or a file where the path breaks off.

    A misspelt built-in name has become a path, usually an absolute one.
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
