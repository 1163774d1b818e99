"""Zips that cannot be unpacked here: those with a password, or of an unknown method."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from gantune.errors import DataError

_ENCRYPTED = 0x1  # flag of a member

_METHODS = {
    **{9: "Deflate64", 12: "BZIP2", 14: "LZMA", 93: "Zstandard"},
    **{95: "XZ", 97: "WavPack", 98: "PPMd"},
}
"""Methods that a Python may lack, by their numbers in PKWARE's APPNOTE.TXT."""


def check_members(
    archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo], path: Path, remedy: str
) -> None:
    """Raises ``DataError`` where a member needs a password or a method that Python does not have.

    Opens one member of each kind. ``remedy``: what to do with the file.
    """
    kinds: dict[tuple[int, int], list[zipfile.ZipInfo]] = {}
    for info in infos:
        kinds.setdefault((info.flag_bits, info.compress_type), []).append(info)
    for (flags, method), members in kinds.items():
        obstacle = "" if not flags & _ENCRYPTED else "a password, which gantune never asks for"
        if not obstacle:
            try:
                archive.open(members[0]).close()
                continue
            except (NotImplementedError, RuntimeError) as error:
                name = _METHODS.get(method, "number")
                obstacle = f"the method {name} ({method}), which this Python lacks ({error})"
            except Exception:  # a damaged member, told when it is read
                continue
        raise DataError(
            f"{path}: {len(members):,} of its {len(infos):,} files need {obstacle}, such as "
            f"{members[0].filename}; {remedy}"
        )
