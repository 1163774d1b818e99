"""glibc's memory allocator, which otherwise returns memory to the system in every training step."""

import ctypes
import os

_MIB = 2**20
_SETTINGS = (  # mallopt's numbers of them, from malloc.h
    (-3, 32 * _MIB),  # M_MMAP_THRESHOLD: larger blocks are mapped one by one; its largest value
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: free memory above which some is returned
    (-2, 64 * _MIB),  # M_TOP_PAD: taken beyond what is needed
)
_ENVIRONMENT = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
_TUNABLES = "GLIBC_TUNABLES"


def keep_freed_memory() -> str:
    """Makes this process keep the memory that it frees, for its next blocks; says so in words.

    Tensors of a training step are freed and allocated again in the next one. With glibc's defaults
    their pages go back to the system in between, which must clear them each time. Without glibc,
    or where the environment sets these thresholds, all stays as it is. It cannot be undone.
    """
    library = _glibc()
    if not library:
        return "not glibc's; left as it is"
    own = [name for name in _ENVIRONMENT if name in os.environ]
    if "glibc.malloc." in os.environ.get(_TUNABLES, ""):
        own.append(_TUNABLES)
    if own:
        return f"{library}, set by {own[0]}; left as it is"
    mallopt = ctypes.CDLL(None).mallopt
    for setting, value in _SETTINGS:
        mallopt(setting, value)
    return f"{library}; training keeps freed memory, which is faster on the CPU"


def return_freed_memory() -> None:
    """Gives what this process has freed back to the system, where glibc is."""
    if _glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _glibc() -> str | None:
    """Name and version of glibc; ``None`` with another C library, which does not know the name."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        return None
