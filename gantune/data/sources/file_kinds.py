"""Which files are images, by ending and content, and what to do with some others."""

import re
from collections.abc import Callable

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"),
)
"""Suffixes of image files, in any case; of an animation the first frame is used."""

DOCUMENTS = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".parquet")
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
_CONVERT = "convert to JPEG or PNG first"
_SAVE = "save its images as files or as .npz first"
_STEPS = {
    **dict.fromkeys((".heic", ".heif", ".psd", ".svg", ".eps", ".exr", ".hdr", ".dds"), _CONVERT),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".jxl"), _CONVERT),
    **dict.fromkeys((".dcm", ".nii", ".fits", ".xcf", ".tga", ".ico"), _CONVERT),
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
