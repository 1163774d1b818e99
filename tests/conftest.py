"""What all tests share: cache and state folder of the session, one thread, number of examples."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# No deadlines: machines are shared, so the duration of one example says nothing about the code.
# The unit tests try a fifth of the examples that `make test-integration` tries, always the same.
settings.register_profile("full", deadline=None)
settings.register_profile("unit", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("unit")

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run side by side
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # what cuBLAS needs to give the same bits twice

# A shell's background job ignores Ctrl-C, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


gc.disable()  # until all is imported and collected


def pytest_collection_finish() -> None:
    """What is imported stays to the end: the garbage collector looks only at what tests make."""
    gc.enable()
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long texts are shortened: the workers tell each other the name of each test."""
    if isinstance(val, str | bytes) and len(val) > 60:
        return f"{val[:40]!a} and {len(val) - 40:,} more"
    return None


@pytest.fixture(autouse=True, scope="session")
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for all processes of the tests, and no syncs: no test cuts the power, and
    thousands of them take minutes."""
    from gantune.evaluation import request  # here, so that coverage sees the import
    from gantune.trial import train

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTUNE_CACHE", str(shared / "cache"))
        patch.setenv("XDG_STATE_HOME", str(own / "state"))
        patch.setattr(os, "fsync", lambda file: None)
        for module in (request, train):
            patch.setattr(module, "available_cores", lambda: 1)
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """What is tested may have set the number for its process: threads that wait take CPU time."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def forked_workers() -> Iterator[None]:
    """The test's searches fork their workers: where it is not about how a worker starts."""
    from tests.forked import fork_workers

    with fork_workers():
        yield
