"""What a user's trainer changes in the process reaches neither the next run nor a score."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from gantune.data import ImageSet
from gantune.io.trust import remember
from gantune.scores import Evaluator
from gantune.trial.external import find_trainer, trainer_code
from gantune.trial.process_state import _LEFTOVERS, _PYTHON, _TORCH, ProcessState, restored_process
from tests import float32
from tests.trial.runs import AnyRun

_ALL = (*_TORCH, *_PYTHON, *_LEFTOVERS)


def _float64() -> None:
    torch.set_default_dtype(torch.float64)


def _bfloat16() -> None:
    torch.set_default_dtype(torch.bfloat16)


def _meta_device() -> None:
    torch.set_default_device("meta")


def _entered_inference_mode() -> None:
    torch.inference_mode().__enter__()


def _entered_autocast() -> None:
    torch.autocast("cpu", torch.bfloat16).__enter__()


def _no_grad() -> None:
    torch.set_grad_enabled(False)


def _threads() -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)


def _precision() -> None:
    torch.set_float32_matmul_precision("medium")


def _new_precision() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def _cudnn() -> None:
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cudnn.allow_tf32 = False


def _deterministic() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)


def _denormals() -> None:
    torch.set_flush_denormal(True)


def _folder() -> None:
    os.chdir(tempfile.gettempdir())


def _environment() -> None:
    os.environ["GANTUNE_TEST_LEFT"] = "1"
    os.environ.pop("PATH")


def _search_path() -> None:
    sys.path = ["/nowhere"]


def _numpy_errors() -> None:
    np.seterr(all="raise")


def _strict_warnings() -> None:
    warnings.simplefilter("error")


def _handler() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _quiet_logging() -> None:
    logging.disable(logging.CRITICAL)
    logging.basicConfig(level=logging.ERROR, force=True)


def _stream() -> None:
    sys.stdout = io.StringIO()


def _no_collection() -> None:
    gc.disable()


CHANGES: tuple[Callable[[], None], ...] = (
    _float64,
    _bfloat16,
    _meta_device,
    _entered_inference_mode,
    _entered_autocast,
    _no_grad,
    _threads,
    _precision,
    _new_precision,
    _cudnn,
    _deterministic,
    _denormals,
    _folder,
    _environment,
    _search_path,
    _numpy_errors,
    _strict_warnings,
    _handler,
    _quiet_logging,
    _stream,
    _no_collection,
)


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """No test of this module changes the next one, even if it fails."""
    with restored_process():
        yield


@pytest.mark.parametrize("change", CHANGES)
def test_what_code_changes_in_the_process_is_put_back(change: Callable[[], None]) -> None:
    with restored_process():
        change()  # what it imports has loggers of its own, which stay
    before = ProcessState.now(_ALL)
    with restored_process():
        change()
    assert not ProcessState.now(_ALL).changes_since(before).values
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("changes", float32.CHANGES, ids=float32.named)
def test_settings_of_float32_are_put_back(changes: float32.Changes) -> None:
    with float32.unchanged():
        before = float32.settings()
        with restored_process():
            float32.apply(changes)
        assert float32.settings() == before


def _same_noise(kimg: float, count: int, generator: torch.Generator) -> torch.Tensor:
    noise = torch.rand(count, 1, 16, 16, generator=generator, device="cpu", dtype=torch.float32)
    return noise * 2 - 1


@pytest.fixture(scope="module")
def unchanged_score(
    images: ImageSet, evaluator: Evaluator, tmp_path_factory: pytest.TempPathFactory
) -> object:
    """The score of a trainer that changes nothing in its process."""
    run = AnyRun("images", tmp_path_factory.mktemp("unchanged") / "run", evaluator, images)
    run.draw = _same_noise
    score = run.train().score
    assert score is not None
    return score


@pytest.mark.parametrize("first", range(7))
def test_scores_do_not_depend_on_what_the_trainer_has_set(
    first: int,
    tmp_path: Path,
    images: ImageSet,
    evaluator: Evaluator,
    unchanged_score: object,
) -> None:
    run = AnyRun("images", tmp_path / "run", evaluator, images)
    run.draw = _same_noise
    done: list[float] = []

    def change_once(kimg: float) -> None:
        for change in () if done else CHANGES[first::7]:
            change()
        done.append(kimg)

    run.on_draw = change_once
    assert run.train().score == unchanged_score


@pytest.mark.parametrize("change", CHANGES)
def test_draw_runs_under_the_settings_of_its_trainer(
    change: Callable[[], None],
) -> None:
    import_module("torch._inductor")  # deterministic algorithms import it, with its loggers
    own = ProcessState.now()
    change()
    seen = ProcessState.now()
    with own.applied() as theirs:
        assert not ProcessState.now().changes_since(own).values
        with theirs.applied():
            assert not ProcessState.now().changes_since(seen).values
    assert not ProcessState.now().changes_since(seen).values


def test_scores_are_taken_within_the_trainers_contexts(
    tmp_path: Path, images: ImageSet, evaluator: Evaluator
) -> None:
    own = ProcessState.now()
    with torch.device("meta"), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with own.applied():
            assert torch.rand(1).device.type == "cpu" and torch.is_grad_enabled()
            assert (torch.rand(2, 2) @ torch.rand(2, 2)).dtype == torch.float32
            assert not torch.rand(1).is_inference()
        assert torch.rand(1).device.type == "meta" and torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")


def test_casts_of_a_run_whose_autocast_was_never_left_are_forgotten() -> None:
    layer, ones = torch.nn.Linear(2, 1, bias=False), torch.ones(1, 2)
    with restored_process():
        torch.autocast("cpu", torch.bfloat16).__enter__()
        layer(ones)
    for value in (1.0, 2.0):
        torch.nn.init.constant_(layer.weight, value)
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(ones).item() == 2 * value


def test_alarm_and_start_method_do_not_outlive_a_run() -> None:
    import multiprocessing

    former, method = signal.getitimer(signal.ITIMER_REAL), multiprocessing.get_start_method(True)
    with restored_process():
        multiprocessing.set_start_method("spawn", force=True)
        if not former[0]:
            signal.setitimer(signal.ITIMER_REAL, 100)
    assert multiprocessing.get_start_method(True) == method
    assert bool(signal.getitimer(signal.ITIMER_REAL)[0]) == bool(former[0])


def test_what_the_import_sets_holds_in_each_run_and_only_there(tmp_path: Path) -> None:
    """The module that sets it is imported once, by the trainer's file, which is read each time."""
    (tmp_path / "sets_float64.py").write_text(
        "import torch\ntorch.set_default_dtype(torch.float64)"
    )
    (tmp_path / "mine.py").write_text(
        "import torch, sets_float64\n"
        "def train(config, session): session.append(torch.get_default_dtype())"
    )
    name = f"{tmp_path / 'mine.py'}:train"
    remember(trainer_code(name))
    for _ in range(2):
        seen: list[torch.dtype] = []
        trainer = find_trainer(name)
        assert torch.get_default_dtype() == torch.float32
        with restored_process():
            trainer({}, seen)  # type: ignore[arg-type]
        assert seen == [torch.float64]
        assert torch.get_default_dtype() == torch.float32
