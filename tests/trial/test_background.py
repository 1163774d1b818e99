"""Work beside training: on a GPU it has a stream of its own and has ended there once it is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from gantune.trial import background
from gantune.trial.background import in_background


class Cuda:
    """The part of ``torch.cuda`` that such work uses, in the order in which it does."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def Stream(self, device: torch.device) -> Cuda:
        return self

    def current_stream(self, device: torch.device) -> str:
        return f"training on {device}"

    def wait_stream(self, other: str) -> None:
        self.events.append(f"waits for {other}")

    def synchronize(self) -> None:
        self.events.append("has ended")

    def empty_cache(self) -> None:
        self.events.append("memory is given back")

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        self.events.append(f"uses {device}")
        yield

    @contextmanager
    def stream(self, stream: Cuda) -> Iterator[None]:
        self.events.append("its stream begins")
        try:
            yield
        finally:
            self.events.append("its stream ends")


@pytest.mark.parametrize("fails", [False, True])
def test_work_on_a_gpu_follows_training_and_has_ended_once_it_is_done(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    cuda, device = Cuda(), torch.device("cuda", 7)
    monkeypatch.setattr(torch, "cuda", cuda)
    background._stream.cache_clear()

    def work() -> str:
        cuda.events.append("works")
        if fails:
            raise ValueError("no score")
        return threading.current_thread().name

    future = in_background(work, device)
    if fails:
        with pytest.raises(ValueError, match="no score"):
            future.result()
    else:
        assert future.result().startswith("beside training on cuda:7")
    background._stream.cache_clear()
    assert cuda.events == [
        *("memory is given back", "waits for training on cuda:7"),
        *("uses cuda:7", "its stream begins", "works", "has ended", "memory is given back"),
        "its stream ends",
    ]
