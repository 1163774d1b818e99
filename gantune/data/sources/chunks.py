"""Folders that only divide one set: numbered ones, dates, and those by the start of names."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_WORDS = frozenset(
    (
        *("chunk", "part", "piece", "batch", "shard", "fold", "split", "subset", "set", "block"),
        *("images", "image", "imgs", "img", "pics", "pictures", "photos", "frames", "files"),
        *(
            "data",
            "dataset",
            "archive",
            "vol",
            "volume",
            "folder",
            "dir",
            "directory",
            "disk",
            "disc",
            "cd",
            "dvd",
        ),
        *("pack", "bucket", "section", "tar", "zip", "train", "test", "val", "unlabeled"),
    )
)
_NUMBERED = re.compile(
    r"(?P<text>.*?(?P<word>[A-Za-z]+)?)"
    r"([_\-. ]*\(?[0-9]{1,6}(?:[_\-. ]*of[_\-. ]*[0-9]+)?\)?|[_\-. ]+[A-Za-z])?"
)
_RANGE = re.compile(r"([0-9]{1,18})[_\-. ]+([0-9]{1,18})")
_HASH = re.compile(r"[0-9a-f]{16,}")
_SIZES = (100, 1000, 10_000)  # images in a folder of FFHQ, StyleGAN and similar tools
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_NAMED_MONTH = r"(?:[01]?[0-9][_\-. ]*)?(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(
    rf"{_YEAR}(?:(?P<by>[_\-. ]?){_MONTH}(?:(?P=by){_DAY}(?:[_\-. T]?[0-9]{{4,6}})?)?)?"
    rf"|{_DAY}[_\-. ]{_MONTH}[_\-. ]{_YEAR}|{_MONTH}[_\-. ]{_YEAR}"
)
_CAMERA = re.compile(r"[1-9][0-9]{2}(?P<text>[A-Z_]{5}|_[A-Z0-9_]{4})")  # 100CANON in DCIM


def chunk_kind(level: int, paths: Sequence[Sequence[str]], files: Sequence[str]) -> str:
    """What the folders at a level are, if they only divide a set; empty if they are classes.

    ``paths``: the folders above each image, at least up to ``level``; ``files``: its file's name.
    """
    folders = sorted({path[level] for path in paths})
    if _are_numbered(level, folders, paths, files):
        return "numbered parts of one set"
    if _are_dates(level, folders, paths):
        return "dates"
    if _are_starts(level, paths, files):
        return "the first letters of the names in them"
    return ""


def _are_numbered(
    level: int, folders: Sequence[str], paths: Sequence[Sequence[str]], files: Sequence[str]
) -> bool:
    if all(re.fullmatch(r"[0-9]{5,12}", name) and int(name) % 1000 == 0 for name in folders):
        return True
    if all(re.fullmatch(r"[0-9]{2,12}", name) for name in folders):
        places = [
            (_number(file), int(path[level])) for path, file in zip(paths, files, strict=True)
        ]
        return any(all(n // size == place for n, place in places) for size in _SIZES)
    if all(_RANGE.fullmatch(name) for name in folders):
        ranges = {name: [int(n) for n in re.findall("[0-9]+", name)] for name in folders}
        of_files = [
            (_number(file), *ranges[p[level]]) for p, file in zip(paths, files, strict=True)
        ]
        return all(first <= n <= last for n, first, last in of_files)
    found = [each for name in folders if (each := _NUMBERED.fullmatch(name))]
    if len(found) == len(folders) and len({each["text"].lower() for each in found}) == 1:
        return (found[0]["word"] or "").lower() in _WORDS
    cameras = [_CAMERA.fullmatch(name) for name in folders]
    return None not in cameras and len({each["text"] for each in cameras if each}) == 1


def _number(file: str) -> int:
    """The number at the end of a file's name; -1 if there is none."""
    stem = file.rpartition(".")[0] or file
    digits = stem[len(stem.rstrip("0123456789")) :][-18:]
    return int(digits) if digits else -1


def _are_dates(level: int, folders: Sequence[str], paths: Sequence[Sequence[str]]) -> bool:
    if all(_DATE.fullmatch(name) for name in folders):
        return True
    above = ["/".join(path[max(0, level - 2) : level]) for path in paths]
    month = rf"(?:{_MONTH}|{_NAMED_MONTH})"
    for inner, outer in (
        (month, rf"(?:.*/)?{_YEAR}"),
        (_DAY, rf"{_YEAR}/{month}|.*{_YEAR}.?{month}"),
    ):
        if all(re.fullmatch(outer, text) for text in above):
            return all(re.fullmatch(inner, name) for name in folders)
    return False


def _are_starts(level: int, paths: Sequence[Sequence[str]], files: Sequence[str]) -> bool:
    """``a/abbey/``, ``0/1/01f3.png`` and names of hashes; not ``a/a1.png``: they may be classes."""
    for path, file in zip(paths, files, strict=True):
        start, inner = path[level].lower(), path[level + 1].lower() if len(path) > level + 1 else ""
        stem = PurePosixPath(file).stem.lower()
        least = 1 if _HASH.fullmatch(stem) else 2  # levels that together start the name
        above = path[: max(least, level + 1)]
        of_file = len(above) >= least and stem.startswith("".join(above).lower())
        of_folder = start.isalpha() and inner.startswith(start) and inner != start
        if len(start) > 2 or not (of_file or of_folder):
            return False
    return True
