"""What code changes in the process that runs it, and how it is put back.

A user's trainer is called in a process that later calls it again and that also takes gantune's
scores. It may change what the whole process shares: the default dtype, the working folder, signal
handlers, warnings. ``restored_process`` puts that back; ``ProcessState.applied`` lets gantune's
code run under its own settings in the middle of the trainer's.
"""

from __future__ import annotations

import gc
import locale
import logging
import multiprocessing
import operator
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

_DEVICES = ("cpu", "cuda")  # that autocast is switched for
_BACKEND_FLAGS = (
    "cuda.matmul.allow_fp16_reduced_precision_reduction",
    "cuda.matmul.allow_bf16_reduced_precision_reduction",
    "cudnn.enabled",
    "cudnn.benchmark",
    "cudnn.deterministic",
    "mkldnn.enabled",
    "opt_einsum.enabled",
)
_FP32_PRECISIONS = (
    "fp32_precision",
    "cudnn.fp32_precision",
    "cuda.matmul.fp32_precision",
    "cudnn.conv.fp32_precision",
    "cudnn.rnn.fp32_precision",
    "mkldnn.fp32_precision",
    "mkldnn.matmul.fp32_precision",
    "mkldnn.conv.fp32_precision",
    "mkldnn.rnn.fp32_precision",
)


class Setting(NamedTuple):
    """One value that the whole process shares. ``write`` takes what ``read`` gave."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


# ---- torch ---------------------------------------------------------------------------------------


def _write_tensor_type(is_cuda: bool) -> None:
    """Undoes ``torch.set_default_tensor_type``, which nothing but itself can; its dtype aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        torch.set_default_tensor_type("torch.cuda.FloatTensor" if is_cuda else "torch.FloatTensor")


def _write_device(device: torch.device) -> None:
    torch.set_default_device(None)  # the usual state, in which tensors are made on the CPU
    if torch.get_default_device() != device:
        torch.set_default_device(device)


def _read_deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _write_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _write_anomaly(value: tuple[bool, bool]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # switching it on warns of its cost
        torch.autograd.set_detect_anomaly(*value)


def _flushes_denormals() -> bool:
    return sys.float_info.min * float("0.5") == 0.0  # torch sets this and cannot tell it


def _uses_cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _read_cuda_device() -> int | None:
    return torch.cuda.current_device() if _uses_cuda() else None


def _write_cuda_device(index: int | None) -> None:
    if index is not None:
        torch.cuda.set_device(index)


def _read_matmul_precision() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # settings of torch's older and newer interface are mixed
        return None


def _write_matmul_precision(value: str | None) -> None:
    if value is not None:
        torch.set_float32_matmul_precision(value)


def _backend(path: str) -> Setting:
    """A setting of ``torch.backends``; one that this torch lacks stays as it is."""
    home, _, name = path.rpartition(".")

    def holder() -> Any:
        return operator.attrgetter(home)(torch.backends) if home else torch.backends

    def read() -> Any:
        try:
            return getattr(holder(), name)
        except (AttributeError, RuntimeError):
            return None

    def write(value: Any) -> None:
        if value is not None:
            setattr(holder(), name, value)

    return Setting(read, write)


def _write_tf32(value: bool | None) -> None:
    if value is not None:
        torch.backends.cudnn.allow_tf32 = value


def _autocast(device: str) -> tuple[Setting, ...]:
    return (
        Setting(
            partial(torch.is_autocast_enabled, device),
            partial(torch.set_autocast_enabled, device),
        ),
        Setting(
            partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)
        ),
    )


def _autocast_depth() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _write_autocast_depth(depth: int) -> None:
    """While it is not 0, autocast keeps its casts of weights, even after these have changed."""
    while _autocast_depth() > depth:
        torch.autocast_decrement_nesting()
    while _autocast_depth() < depth:
        torch.autocast_increment_nesting()
    torch.clear_autocast_cache()


_DEFAULT_DEVICE = Setting(torch.get_default_device, _write_device)
_GRAD = Setting(torch.is_grad_enabled, torch.set_grad_enabled)

_TORCH = (
    Setting(lambda: torch.Tensor().is_cuda, _write_tensor_type),
    Setting(torch.get_default_dtype, torch.set_default_dtype),
    _DEFAULT_DEVICE,
    _GRAD,
    Setting(torch.get_num_threads, torch.set_num_threads),
    Setting(_read_deterministic, _write_deterministic),
    Setting(
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()), _write_anomaly
    ),
    Setting(_flushes_denormals, torch.set_flush_denormal),
    Setting(_read_cuda_device, _write_cuda_device),
    *(setting for device in _DEVICES for setting in _autocast(device)),
    Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    Setting(_autocast_depth, _write_autocast_depth),
    *map(_backend, _BACKEND_FLAGS),
    # The older interface to precision sets several values of the newer one, so it comes first.
    Setting(_read_matmul_precision, _write_matmul_precision),
    Setting(_backend("cudnn.allow_tf32").read, _write_tf32),
    *map(_backend, _FP32_PRECISIONS),
)


# ---- Python and the operating system -------------------------------------------------------------


def _write_numpy(value: tuple[Mapping[str, Any], Any]) -> None:
    np.seterr(**value[0])
    np.seterrcall(value[1])


def _read_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:  # it was deleted
        return None


def _write_folder(path: str | None) -> None:
    with suppress(OSError):
        if path is not None:
            os.chdir(path)


def _write_environment(values: Mapping[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)
    time.tzset()


def _write_path(value: tuple[list[str], list[str]]) -> None:
    sys.path, content = value
    sys.path[:] = content


def _write_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # so that those that were shown already are judged anew
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _read_handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _write_handlers(handlers: Mapping[int, Any]) -> None:
    """Only Python's main thread may do it, and only for handlers that Python knows."""
    for number, handler in handlers.items() if _in_main_thread() else ():
        if handler is not None and signal.getsignal(number) != handler:
            with suppress(OSError, ValueError):
                signal.signal(number, handler)


def _write_mask(mask: set[int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _read_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _loggers() -> list[logging.Logger]:
    known = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(item for item in known if isinstance(item, logging.Logger))]


def _read_logging() -> tuple[int, dict[logging.Logger, tuple[Any, ...]]]:
    states = {
        item: (item.level, item.propagate, item.disabled, list(item.handlers))
        for item in _loggers()
    }
    return logging.root.manager.disable, states


def _write_logging(value: tuple[int, dict[logging.Logger, tuple[Any, ...]]]) -> None:
    """Loggers that are new keep what they have."""
    logging.disable(value[0])
    for item, (level, propagate, disabled, handlers) in value[1].items():
        item.setLevel(level)
        item.propagate, item.disabled, item.handlers[:] = propagate, disabled, handlers


def _attribute(holder: Any, name: str) -> Setting:
    return Setting(partial(getattr, holder, name), partial(setattr, holder, name))


def _collects() -> bool:
    return gc.isenabled()


_PYTHON = (
    Setting(lambda: (np.geterr(), np.geterrcall()), _write_numpy),
    Setting(_read_folder, _write_folder),
    Setting(lambda: dict(os.environ), _write_environment),
    Setting(lambda: (sys.path, list(sys.path)), _write_path),
    *(_attribute(sys, name) for name in ("argv", "stdin", "stdout", "stderr", "excepthook")),
    Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    Setting(lambda: list(warnings.filters), _write_filters),
    _attribute(warnings, "showwarning"),
    Setting(_collects, lambda value: gc.enable() if value else gc.disable()),
    Setting(partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    Setting(_read_umask, os.umask),
    Setting(_read_logging, _write_logging),
)

_LEFTOVERS = (
    Setting(_read_handlers, _write_handlers),
    Setting(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()), _write_mask),
    Setting(
        partial(multiprocessing.get_start_method, allow_none=True),
        partial(multiprocessing.set_start_method, force=True),
    ),
    Setting(torch.multiprocessing.get_sharing_strategy, torch.multiprocessing.set_sharing_strategy),
)
"""What gantune's own code may meet while the trainer runs, but its next call must not."""


# ---- All of it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProcessState:
    """Values of settings, as they were at one moment."""

    values: Mapping[Setting, Any]

    @classmethod
    def now(cls, settings: tuple[Setting, ...] = (*_TORCH, *_PYTHON)) -> ProcessState:
        """The settings as they are."""
        return cls({setting: setting.read() for setting in settings})

    def changes_since(self, earlier: ProcessState) -> ProcessState:
        """Only the settings that differ from those of an earlier state."""
        before = earlier.values
        return ProcessState({s: v for s, v in self.values.items() if v != before[s]})

    def write(self) -> None:
        """Sets all values that differ now."""
        for setting, value in self.values.items():
            if setting.read() != value:
                setting.write(value)

    @contextmanager
    def applied(self) -> Iterator[ProcessState]:
        """Runs code under this state, and then goes back to the present one, which it yields.

        Also without autograd's inference mode, in which no tensor of gantune's may be made.
        """
        present = ProcessState.now(tuple(self.values))
        with ExitStack() as stack:
            stack.callback(present.write)
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            self.write()
            device = self.values.get(_DEFAULT_DEVICE, torch.get_default_device())
            if torch.get_default_device() != device:  # within `with torch.device(...)`
                stack.enter_context(device)
            yield present


@contextmanager
def restored_process() -> Iterator[ProcessState]:
    """Puts back what the code within it changes in the process; yields the state before it.

    An alarm that it has set and a process group of ``torch.distributed`` that it has begun are
    ended. What lies elsewhere stays: threads and child processes that still run, memory that
    modules hold, and what was changed in other modules.
    """
    state = ProcessState.now((*_TORCH, *_PYTHON, *_LEFTOVERS))
    has_alarm, has_group = _has_alarm(), _has_process_group()
    try:
        with torch.inference_mode(torch.is_inference_mode_enabled()):
            torch.set_grad_enabled(bool(state.values[_GRAD]))
            yield ProcessState({s: state.values[s] for s in (*_TORCH, *_PYTHON)})
    finally:
        if _has_alarm() and not has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if _has_process_group() and not has_group:
            torch.distributed.destroy_process_group()
        state.write()


def _has_alarm() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _has_process_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
