"""Freed memory stays with the process, where glibc is and nobody has set it otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gantune.io.allocator import keep_freed_memory, return_freed_memory

_FAULTS = """
import ctypes, resource
libc, size = ctypes.CDLL(None), 8 * 2**20
libc.malloc.restype = ctypes.c_void_p

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [ctypes.c_void_p(libc.malloc(size)) for _ in range(8)]
    for block in blocks:
        libc.memset(block, 1, size)
    for block in blocks:
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

step(), step()
{between}
print(step())
"""


KEPT = "from gantune.io.allocator import keep_freed_memory; keep_freed_memory()"


def faults(before: str = "", between: str = "", **environment: str) -> int:
    """Page faults of a step that allocates what the step before it has freed, in a process that has
    run ``before`` first and ``between`` these two steps."""
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{_FAULTS.format(between=between)}"],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    return int(done.stdout)


@pytest.fixture
def glibc() -> None:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        pytest.skip("needs glibc")


@pytest.mark.usefixtures("glibc")
def test_a_step_gets_the_memory_that_the_last_one_freed() -> None:
    assert 10 * faults(KEPT) < faults()


@pytest.mark.usefixtures("glibc")
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_environment_are_kept(name: str) -> None:
    value = "131072" if name.startswith("MALLOC") else "glibc.malloc.trim_threshold=131072"
    assert 10 * faults(KEPT) < faults(KEPT, **{name: value})


@pytest.mark.usefixtures("glibc")
def test_freed_memory_can_be_returned() -> None:
    returned = "from gantune.io.allocator import return_freed_memory"
    assert 10 * faults(KEPT) < faults(f"{KEPT}; {returned}", between="return_freed_memory()")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    def loaded(name: str | None) -> None:
        raise AssertionError("no function of it is called")

    monkeypatch.setattr(os, "confstr", unknown)
    monkeypatch.setattr("ctypes.CDLL", loaded)
    assert keep_freed_memory() == "not glibc's; left as it is"
    return_freed_memory()
