"""``find_source``: the source that a name or a path refers to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gantune.config import DataConfig
from gantune.data.cache import fingerprint
from gantune.data.image_set import RawImages, reading
from gantune.data.sources.arrays import array_parts, open_array
from gantune.data.sources.builtin import open_digits
from gantune.data.sources.cifar import cifar_files, open_cifar, open_cifar_tar
from gantune.data.sources.file_kinds import (
    SUFFIXES,
    hint_of_file,
    hint_of_folder,
    hint_of_hub,
    hint_of_name,
)
from gantune.data.sources.idx import IdxSet, find_idx_file, find_idx_set, lone_labels, open_idx
from gantune.data.sources.labels_beside import array_labels_file
from gantune.data.sources.pictures import Listing, list_folder, list_zip
from gantune.errors import DataError, MissingSourceError
from gantune.io.formatting import first_names
from gantune.io.home import expand_home
from gantune.io.validation import did_you_mean

__all__ = ["Source", "find_source", "held_out_part", "other_part"]

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
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Number of images of each part, as far as it is known."""
    notes: tuple[str, ...] = ()
    """What a user should know: which files are not looked at, and why."""
    part: Callable[[str], "Source"] | None = None
    """Gives another part without listing the files again; ``None`` where that is cheap."""


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
    if config.folders != "auto" and source.part is None:
        raise DataError(f"data.folders: {name!r} is no folder or zip of image files; leave it auto")
    if config.split not in source.parts:
        raise DataError(
            f"data.split: {name!r} has no {config.split!r} part; it has {', '.join(source.parts)}"
        )
    return source


def held_out_part(source: Source, config: DataConfig) -> str | None:
    """The part that ``config.held_out`` names; for ``auto`` the test part, else the val part.

    ``None`` where there is none, and for ``auto`` where ``config`` trains on another part than
    ``train``. Raises ``DataError`` where ``source`` does not have the part that is named.
    """
    wanted = config.held_out
    if wanted == "auto":
        parts = source.parts if config.split == "train" else ()
        return next((part for part in ("test", "val") if part in parts), None)
    if wanted == config.split:
        raise DataError(f"data.held_out: {wanted!r} is the part that data.split learns")
    if wanted not in source.parts:
        raise DataError(
            f"data.held_out: {config.source!r} has no {wanted!r} part; it has "
            f"{', '.join(source.parts)}"
        )
    return str(wanted)


def other_part(source: Source, config: DataConfig, split: str) -> Source:
    """Another part of a source that ``config`` names: one of ``source.parts``."""
    if source.part is not None:
        return source.part(split)
    return find_source(config.model_copy(update={"split": split}))


def _find_path(name: str, config: DataConfig) -> Source:
    path = Path(name)
    with reading(path):
        path = Path(expand_home(name))
        if not path.exists():
            raise MissingSourceError(f"{name}: no such file or folder{_suggestion(path, name)}")
        path = path.resolve()
        if path.is_dir():
            return _find_in_folder(path, config)
        if path.is_file():
            return _find_file(path, config)
    raise DataError(f"{name}: neither a file nor a folder")


def _find_in_folder(folder: Path, config: DataConfig) -> Source:
    if idx := find_idx_set(folder):
        return _idx(folder, idx, config.split)
    if cifar := cifar_files(folder, config.split):
        return Source(fingerprint(cifar), partial(open_cifar, cifar), _PARTS)
    listing = list_folder(folder, config.folders)
    if listing.names:
        return _pictures(listing, fingerprint(listing.files), config.split)
    if idx := find_idx_set(folder, is_deep=True):
        return _idx(folder, idx, config.split)
    names = sorted(entry.name for entry in folder.iterdir())
    what = f"it holds {first_names(names, 5)}"
    if lone := lone_labels(folder):
        raise DataError(
            f"{folder}: IDX labels without images: put {lone[1]} beside {lone[0]}, or name a "
            "folder that holds both"
        )
    if hint := hint_of_folder(folder):
        raise DataError(f"{folder}: no image in it, at any depth; {what}. {hint}")
    if hidden := listing.left_out.text(besides="no image"):
        what += f"; {hidden}"
    raise DataError(
        f"{folder}: no image in it, at any depth; {what if names else 'it is empty'}. "
        f"Images are {', '.join(SUFFIXES)}, IDX files or CIFAR-10 batches; an .npy, .npz or .zip "
        "is named itself"
    )


def _idx(place: Path, idx: IdxSet, split: str) -> Source:
    parts = idx.parts
    notes: tuple[str, ...] = ()
    if list(parts) != ["train"] and len(parts) == 1 and split == "train":
        # A folder with one part only is that part, unless a config names the other.
        ((only, files),) = parts.items()
        notes = (f"only a {only} part is there: it is learned, as by data.split: {only}",)
        parts = {"train": files}
    if split not in parts:
        names = ", ".join(files[0].name for files in parts.values())
        raise DataError(f"{place}: no {split!r} part among its IDX files: {names}")
    files = parts[split]
    return Source(fingerprint(files), partial(open_idx, *files), tuple(sorted(parts)), notes=notes)


def _pictures(listing: Listing, fingerprint: str, split: str) -> Source:
    found = listing.part(split)
    other = partial(_pictures, listing, fingerprint)
    tree = found.tree
    return Source(fingerprint, found.open, tree.parts, tree.sizes, tree.notes, other)


def _array(path: Path, config: DataConfig) -> Source:
    parts = array_parts(path) if path.suffix.lower() == ".npz" and config.key is None else {}
    labels = array_labels_file(path)
    files = [path] if labels is None else [path, labels]
    if not parts:
        return Source(fingerprint(files), partial(open_array, path, config.key, labels))
    notes = [f"array {parts[config.split][0]!r}"] if config.split in parts else []
    if len(parts) == 1 and config.split == "train":
        ((only, array),) = parts.items()
        notes = [f"only a {only} part is there: its array {array[0]!r} is learned"]
        parts = {"train": array}
    key = parts.get(config.split, ("", 0))[0]
    sizes = {part: size for part, (_, size) in parts.items()}
    opened = partial(open_array, path, key, labels)
    return Source(fingerprint(files), opened, tuple(sorted(parts)), sizes, tuple(notes))


def _find_file(path: Path, config: DataConfig) -> Source:
    name = path.name.lower()
    if name.endswith((".npy", ".npz")):
        return _array(path, config)
    if name.endswith(".zip"):
        return _pictures(list_zip(path, config.folders), fingerprint([path]), config.split)
    if name.endswith(_TARS):
        return Source(fingerprint([path]), partial(open_cifar_tar, path, config.split), _PARTS)
    if "ubyte" in name or "idx" in name:
        part, idx = find_idx_file(path)
        if part == "train":
            return _idx(path, idx, config.split)
        files = idx.parts[part]  # named by the user: the part that it is called
        return Source(fingerprint(files), partial(open_idx, *files), (config.split,))
    if name.endswith(SUFFIXES):
        raise DataError(f"{path}: one image is no data set; name its folder")
    if hint := hint_of_file(path):
        raise DataError(f"{path.parent / hint}")
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
    if hint := hint_of_name(name):
        return f"; it looks like {hint}"
    whole = path.absolute()
    while not path.parent.exists():
        path = path.parent
    if not path.parent.is_dir():
        return f"; {path.parent} is a file"
    siblings = [entry.name for entry in path.parent.iterdir()]
    known = [*siblings, *_BUILT_IN] if path.name == Path(name).name else siblings
    hub = ""
    if path.absolute().parent == Path.cwd():
        hub = hint_of_hub(str(whole.relative_to(Path.cwd())))
    meant = f"{did_you_mean(path.name, known)}{hub}"
    if path.absolute() != whole:
        return f"; {path.parent.resolve()} has no folder {path.name!r}{meant}"
    return meant if Path(name).is_absolute() else f" in {path.parent.resolve()}{meant}"
