"""The available devices."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gantune import events
from gantune.errors import DeviceError
from gantune.trial import devices
from gantune.trial.devices import (
    explain_gpu_error,
    find_devices,
    find_gpus,
    last_error,
    training_devices,
)

OLD = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: http://www.nvidia.com"
)
UNKNOWN = "CUDA unknown error - this may be due to an incorrectly set up environment"
BUSY = "CUDA error: CUDA-capable device(s) is/are busy or unavailable"


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:0,99", "cpu:one,two"])
def test_missing_device_is_refused(name: str) -> None:
    for find in (find_devices, training_devices):
        with pytest.raises(DeviceError, match="--device"):
            find(name)


def test_cpu_is_always_available() -> None:
    assert find_devices("cpu") == training_devices("cpu") == ["cpu"]


@pytest.fixture
def _three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["H200", "H200", "T4"]
    found = {
        f"cuda:{i}": SimpleNamespace(name=name, total_memory=(len(name) << 34) - (i << 20))
        for i, name in enumerate(names)
    }
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found[device])


@pytest.mark.usefixtures("_three_gpus")
def test_one_training_takes_several_devices_only_where_they_are_listed() -> None:
    assert training_devices("auto") == training_devices("cuda") == ["cuda:0"]
    assert training_devices("cuda:1") == ["cuda:1"]
    assert training_devices("cuda:0, 1") == ["cuda:0", "cuda:1"]
    assert training_devices("cpu:0,1,2") == ["cpu"] * 3


@pytest.mark.usefixtures("_three_gpus")
def test_gpus_of_different_kinds_share_no_training() -> None:
    with pytest.raises(DeviceError, match=r"cuda:1: H200, 64 GiB; cuda:2: T4, 32 GiB"):
        training_devices("cuda:1,2")

    assert find_devices("cpu") == ["cpu"]


@pytest.mark.parametrize("name", ["cpu:0,0", "cuda:1,1"])
def test_no_device_shares_a_batch_with_itself(name: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {name}: a device is named twice"):
        training_devices(name)


# ---- A GPU that torch cannot use ----------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A machine with an NVIDIA driver, a torch for CUDA, and no GPU that torch finds."""
    driver = tmp_path / "version"
    driver.touch()
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    fail_to_start(monkeypatch, "No CUDA GPUs are available")
    events.warn_once.cache_clear()
    yield monkeypatch
    events.warn_once.cache_clear()


def warn_once(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """As torch, which warns at the first call alone."""
    left = [f"CUDA initialization: {text} (Triggered internally at CUDAFunctions.cpp:108.)"]

    def is_available() -> bool:
        if left:
            warnings.warn(left.pop(), UserWarning, stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)


def fail_to_start(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def init() -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)


def refusal(name: str) -> str:
    with pytest.raises(DeviceError) as error:
        find_devices(name)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "remedy"), [(OLD, "update the NVIDIA driver, or install"), (UNKNOWN, "nvidia-smi")]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_the_reason_that_torch_gives_is_told(
    machine: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    text: str,
    remedy: str,
    is_first: bool,
) -> None:
    fail_to_start(machine, text)
    warn_once(machine, text)
    if not is_first:  # another call has had the warning
        with pytest.warns(UserWarning, match="CUDA initialization"):
            torch.cuda.is_available()
    for _ in range(2):
        assert find_devices("auto") == training_devices("auto") == ["cpu"]
    (line,) = caplog.messages
    assert line.startswith(f"the CPU is used, because torch cannot use a GPU here: {text}. To use ")
    assert remedy in line and "Triggered" not in line
    for name in ("cuda", "cuda:0,1"):
        assert f"--device {name}: torch cannot use a GPU here: {text}. " in refusal(name)
        assert remedy in refusal(name) and "only the CPU" not in refusal(name)


def test_a_torch_without_cuda_is_told(
    machine: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert find_devices("auto") == ["cpu"]
    assert "is built without CUDA" in caplog.text and "is built without CUDA" in refusal("cuda")
    assert "install a torch that is built for CUDA" in refusal("cuda")


@pytest.mark.parametrize(("visible", "lines"), [("", 0), ("-1", 0), ("7", 1)])
def test_gpus_that_the_environment_hides(
    machine: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, visible: str, lines: int
) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_devices("auto") == ["cpu"]
    assert len(caplog.messages) == lines
    assert f"CUDA_VISIBLE_DEVICES={visible} hides every GPU" in refusal("cuda")


def test_a_driver_without_a_gpu(machine: pytest.MonkeyPatch) -> None:
    assert "torch finds no GPU" in refusal("cuda") and "--gpus all" in refusal("cuda")


def test_a_machine_without_a_gpu_needs_no_words(
    machine: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    machine.setattr(devices, "NVIDIA_DRIVER", tmp_path / "none")
    fail_to_start(machine, "Found no NVIDIA driver on your system. Please check that you have one")
    assert find_devices("auto") == ["cpu"] and not caplog.messages
    assert refusal("cuda") == "--device cuda: there is no GPU; torch finds only the CPU"


@pytest.mark.usefixtures("_three_gpus")
def test_other_warnings_about_gpus_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_available() -> bool:
        warnings.warn("Can't initialize NVML", UserWarning, stacklevel=2)
        return True

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    with pytest.warns(UserWarning, match="NVML"):
        assert find_gpus().names == ("cuda:0", "cuda:1", "cuda:2")


# ---- How devices are spelt ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cpu,cpu", "cpu:0,1"),
        ("cpu:0,cpu:1", "cpu:0,1"),
        ("cuda:0,cuda:1", "cuda:0,1"),
        ("cuda:0,", "cuda:0"),
        ("cuda:", "cuda"),
        ("CUDA:1", "cuda:1"),
        ("gpu", "cuda"),
        ("cuda0", "cuda:0"),
        ("0,1", "cuda:0,1"),
        ("cuda:0;1", "cuda:0,1"),
    ],
)
def test_the_right_spelling_is_shown(name: str, meant: str) -> None:
    with pytest.raises(DeviceError) as error:
        training_devices(name)
    text = str(error.value)
    assert text.startswith(f"--device {name}: unknown (did you mean {meant!r}?); give auto, ")
    assert "cuda:0,1 for GPUs" in text and "cpu:0,1 for two processes on the CPU" in text
    of_search = "cpu" if meant.startswith("cpu") else meant
    assert f"(did you mean {of_search!r}?)" in refusal(name)


@pytest.mark.parametrize("name", ["tpu", "cpu,cuda", "cuda:-1", "cuda:one", "cuda:0.5", ""])
def test_an_unclear_name_gets_no_guess(name: str) -> None:
    assert refusal(name).startswith(f"--device {name}: unknown; give auto, cpu, cuda, or")
    assert "cuda:0,1" in refusal(name)


def test_only_a_training_takes_several_processes_on_the_cpu() -> None:
    assert refusal("cpu:0,1").endswith("takes several processes on the CPU; give cpu")


@pytest.mark.usefixtures("_three_gpus")
def test_a_missing_gpu_is_told_beside_those_that_exist() -> None:
    text = refusal("cuda:0,5")
    assert text == "--device cuda:0,5: there is no cuda:5; there are cpu, cuda:0, cuda:1, cuda:2"


# ---- Other GPUs, and errors ---------------------------------------------------------------------


@pytest.mark.usefixtures("_three_gpus")
@pytest.mark.parametrize("name", ["cuda", "auto"])
def test_a_training_on_one_of_several_gpus_says_so(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert training_devices(name) == ["cuda:0"]
    (line,) = caplog.messages
    assert line.startswith("this training uses cuda:0 alone, and this machine has 3 GPUs; ")
    assert "--device cuda:0,1 they" in line  # the third is of another kind
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        training_devices("cuda:0")
        find_devices(name)
    assert not caplog.messages


def test_the_only_gpu_of_its_kind_shares_no_batch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "device_kind", lambda device: device)
    assert training_devices("cuda") == ["cuda:0"]
    assert caplog.messages[0].endswith("has 2 GPUs; --device cuda:1 takes another one")


def test_errors_about_gpus_are_explained() -> None:
    assert "exclusive mode" in explain_gpu_error(f"AcceleratorError: {BUSY}\nmore")
    full = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
    assert "too little free memory" in explain_gpu_error(full)
    assert explain_gpu_error("exit code -9, as Linux does when memory runs out") == ""


def test_the_last_error_is_found_in_what_processes_have_printed() -> None:
    def printed(line: str) -> str:
        return f'Traceback (most recent call last):\n  File "a.py", line 1\n    f()\n{line}\n'

    first, last = printed("ValueError: no"), printed(f"torch.AcceleratorError: {BUSY}\nSearch for")
    between = "2026-11-29 10:00:00 a worker died: another takes its place\nnoise: 3\n"
    assert last_error(first + between + last + between) == f"torch.AcceleratorError: {BUSY}"
    assert last_error(printed("KeyboardInterrupt")) == "KeyboardInterrupt"
    assert last_error(between) == last_error("") == ""


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n", "550.54.15"),
        ("NVRM version: unreadable\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_driver_tells_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, version: str
) -> None:
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", tmp_path / "version")
    if text is not None:
        (tmp_path / "version").write_text(text)
    assert devices.nvidia_driver_version() == version
