"""Kinds of files by name and content: images, others, and what to do with those not read."""

import os
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"),
)
"""Suffixes of image files, in any case; of an animation the first frame is used."""

DOCUMENTS = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".parquet", ".mat")
"""Suffixes of files that may hold labels."""

ARCHIVES = re.compile(r"(\.tar)?\.(gz|tgz|bz2|tbz|xz|zip|7z|rar|tar)$", re.IGNORECASE)
"""Endings of archives."""

SNIFFED = 32
"""Bytes at the start of a file by which ``is_image`` tells it."""

# Files with these suffixes are no images; they are not opened to find out.
_OTHER_SUFFIXES = frozenset(
    (
        *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".md", ".yaml", ".yml", ".html"),
        *(".log", ".py", ".npy", ".npz", ".mat", ".pkl", ".pt", ".h5", ".db", ".ini", ".pdf"),
        *(".zip", ".tar", ".gz"),
    )
)
_SIGNATURES = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*"
    rb"|P[1-6]\s+[#0-9]|....ftypavi[fs]|\0\0\0\x0cjP  ",
    re.DOTALL,
)
CONVERT = "convert to JPEG or PNG first"
"""What to do with images of formats that are not read."""
_SAVE = "save its images as files or as .npz first"
_STEPS = {
    **dict.fromkeys((".heic", ".heif", ".psd", ".svg", ".eps", ".exr", ".hdr", ".dds"), CONVERT),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".jxl"), CONVERT),
    **dict.fromkeys((".dcm", ".nii", ".fits", ".xcf", ".tga", ".ico"), CONVERT),
    **dict.fromkeys(
        (".mp4", ".mov", ".avi", ".mkv", ".webm"), "split into PNGs first, as ffmpeg does"
    ),
    **dict.fromkeys(
        (".zip", ".tar", ".tgz", ".tbz", ".xz", ".bz2", ".7z", ".rar", ".gz"), "unpack first"
    ),
    **dict.fromkeys((".parquet", ".arrow", ".tfrecord", ".h5", ".hdf5", ".mat", ".lmdb"), _SAVE),
    **dict.fromkeys((".npy", ".npz"), "name it as the source itself"),
}


def is_image(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an image that can be read."""
    return _SIGNATURES.match(start) is not None


def next_step(suffix: str) -> str:
    """What to do first with a file that is not read; empty where there is nothing to be done."""
    return _STEPS.get(suffix.lower(), "")


def reason_of_kind(suffix: str, start: Callable[[], bytes]) -> str:
    """Why a file is not looked at; empty for an image. ``start``: reads its first bytes."""
    if suffix in SUFFIXES:
        return ""
    step = next_step(suffix)
    if not step and suffix not in _OTHER_SUFFIXES and is_image(start()):
        return ""
    return f"to {step}" if step else "no image"


# ---- What to do with names and files that are not read -----------------------------------------

_NAMES = (
    (r"(?:.*/)?(?:https?|ftp|s3|gs|az|hf|kaggle):/.*", "an address; download it first"),
    (r"(?:.*/)?file:/.*", "an address; write the path alone, without file://"),
    (r"(?:.*/)?[A-Za-z]:\\.*", "a path of Windows; in WSL it begins with /mnt/c/"),
    (
        r".*\$\{?\w.*|.*%\w+%.*",
        "a name with a variable, which is not replaced here; write the whole path",
    ),
    (r".*[*?].*", "a pattern of names; name the folder that holds these files"),
)
_HUB = re.compile(r"[\w.\-]+/[\w.\-]+")
_KNOWN = re.compile(
    r"(?:torchvision\.datasets\.|tfds[:.])?(?:[kq]?mnist|emnist|fashion-?mnist|cifar-?100?|svhn"
    r"|stl-?10|celeb-?a(?:-?hq)?|ffhq|afhq|lsun|imagenet|tiny-?imagenet|omniglot|lfw)",
    re.IGNORECASE,
)

_LMDB = "an LMDB is not read: save its images as files with the package lmdb"
# By the names of all files that must be there.
_SETS = (
    (
        ("train", "test", "meta"),
        "CIFAR-100 in Python's format is not read: save its arrays with numpy.savez(FILE, "
        "images=batch[b'data'].reshape(-1, 3, 32, 32), labels=batch[b'fine_labels'])",
    ),
    (
        ("train_X.bin",),
        "STL-10 in binary files is not read: save its arrays with numpy.savez(FILE, "
        "images=numpy.fromfile('train_X.bin', 'uint8').reshape(-1, 3, 96, 96).transpose(0, 1, 3, "
        "2), labels=numpy.fromfile('train_y.bin', 'uint8'))",
    ),
    (("data.mdb",), _LMDB),
    (
        ("dataset_info.json",),
        "a data set of Hugging Face is not read: save its images as files, a folder for each class",
    ),
)
_TABLE = (
    "a table of pixels is not read: save numpy.loadtxt(FILE, delimiter=',', skiprows=1) as uint8 "
    "arrays 'images', N x H x W, and 'labels' of an .npz; of a list of files name their folder"
)
_ARRAYS = "save its images as one uint8 array with numpy.savez(FILE, images=..., labels=...)"
_CODE = "it may run code when it is opened, so it is not read"
_HINTS = {
    **dict.fromkeys((".csv", ".tsv"), _TABLE),
    **dict.fromkeys((".pt", ".pth", ".pkl", ".pickle", ".joblib"), f"{_CODE}: {_ARRAYS}"),
    **dict.fromkeys((".bin", ".dat", ".raw"), f"its form is not known: {_ARRAYS}"),
    ".mdb": _LMDB,
}
_ODD_ENDINGS = (
    (r".*\.nii\.gz", "save its slices as 16-bit PNGs with the package nibabel"),
    (r".*\.tfrecords?.*|.*\.beton|.*\.mds|.*\.rec", "save its images as files or as .npz first"),
)
_CONTENTS = (
    (128, b"DICM", "DICOM is not read: save the pixels as 16-bit PNGs with the package pydicom"),
    (0, b"\x89HDF", "HDF5 is not read: save its images as files or as .npz"),
    (0, b"PAR1", "Parquet is not read: save its images as files or as .npz"),
    (0, b"SQLite", "SQLite is not read: save its images as files or as .npz"),
    (0, b"SIMPLE  =", "FITS is not read: save the pixels as 16-bit PNGs"),
)

_MOST_BYTES = 256  # bytes of a file that tell what it is
_MOST_FILES = 200


def hint_of_name(name: str) -> str:
    """What a source that is no path may be, and what to do; empty where nothing is known."""
    for pattern, hint in _NAMES:
        if re.fullmatch(pattern, name):
            return hint
    return ""


def hint_of_hub(name: str) -> str:
    """For ``user/dataset`` or ``cifar10``, no part of which is here; empty for other names."""
    if _KNOWN.fullmatch(name.replace("_", "-")):
        return "; nothing is downloaded: fetch the set first, and name its folder"
    if _HUB.fullmatch(name) is None:
        return ""
    return "; nothing is downloaded: save the images of a data set of Hugging Face as files first"


def hint_of_folder(folder: Path) -> str:
    """What the files below a folder without images are; empty where it is unknown."""
    found = (Path(place) / name for place, _, files in os.walk(folder) for name in sorted(files))
    return _hint(list(islice(found, _MOST_FILES)))


def hint_of_file(file: Path) -> str:
    """The same of a file."""
    return _hint([file])


def _hint(files: Sequence[Path]) -> str:
    bare = {file.name for file in files}
    for names, hint in _SETS:
        if bare >= set(names):
            return hint
    for file in files:
        try:
            with file.open("rb") as opened:
                content = opened.read(_MOST_BYTES)
        except OSError:
            continue
        told = (hint for place, magic, hint in _CONTENTS if content[place:].startswith(magic))
        if hint := next(told, "") or _step(file.name):
            return f"{file.name}: {hint}"
    return _hint_of_endings([file.name for file in files])


def _hint_of_endings(names: Sequence[str]) -> str:
    hints = ((name, _HINTS.get(PurePosixPath(name).suffix.lower())) for name in names)
    return next((f"{name}: {hint}" for name, hint in hints if hint), "")


def _step(name: str) -> str:
    odd = (step for pattern, step in _ODD_ENDINGS if re.fullmatch(pattern, name.lower()))
    step = next(odd, "") or next_step(Path(name).suffix)
    return step and f"not read: {step}"


def hint_of_members(archive: Path, members: Sequence[str]) -> str:
    """The same of the names in a zip: those that can be read once they are unpacked."""
    for name in members:
        low = PurePosixPath(name).name.lower()
        is_whole = low.endswith((".npy", ".npz", ".zip"))
        if is_whole or "ubyte" in low or "_batch" in low:
            what = name if is_whole else "the folder"
            return f"unpack it (unzip {archive.name} -d FOLDER) and name {what} there"
    steps = (f"{name}: {step}" for name in members if (step := _step(name)))
    return next(steps, "") or _hint_of_endings(members)
