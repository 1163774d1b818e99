"""Members of zips: their names, and what cannot be unpacked: a password, an unknown method."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from gantune.errors import DataError

_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags of a member

_METHODS = {
    **{9: "Deflate64", 12: "BZIP2", 14: "LZMA", 93: "Zstandard"},
    **{95: "XZ", 97: "WavPack", 98: "PPMd"},
}
"""Methods that a Python may lack, by their numbers in PKWARE's APPNOTE.TXT."""


def decoded_names(infos: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str]:
    """The names of members, and a warning where their encoding is not known.

    A name without the flag for UTF-8 is taken for code page 437, which nearly no program of today
    writes: macOS and others write UTF-8, Windows its own code page.
    """
    names = [info.filename for info in infos]
    unsure = {
        row: name
        for row, (name, info) in enumerate(zip(names, infos, strict=True))
        if not name.isascii() and not info.flag_bits & _UTF8
    }
    try:
        found = {row: name.encode("cp437").decode("utf-8") for row, name in unsure.items()}
    except UnicodeDecodeError:
        return names, (
            "warning: the names of the zip are in an unknown encoding, such as "
            f"{next(iter(unsure.values()))}; unpack it with a program that knows it, or write it "
            "again with UTF-8 names"
        )
    except UnicodeEncodeError:  # told by an extra field, which zipfile has read
        return names, ""
    return [found.get(row, name) for row, name in enumerate(names)], ""


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
