"""What a device lacks, and what is used instead; running out of memory."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.version import Version

from gantune.gan import device_support as compiling
from gantune.gan.device_support import fallbacks, is_out_of_memory
from gantune.gan.precision import compute_dtype
from gantune.gan.trainer import Trainer
from tests.gan.builders import config_of, images_for


def test_the_oldest_allowed_torch_is_tested() -> None:
    """Two are: the one in ``constraints.txt``, and the one beside torchvision in the Makefile."""
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (admitted,) = (r for r in map(Requirement, project["dependencies"]) if r.name == "torch")
    lines = (root / "constraints.txt").read_text().splitlines()
    (newest,) = (line.partition("==")[2] for line in lines if line.startswith("torch=="))
    (oldest,) = re.findall(r"'torch==([\d.]+)\.\*'", (root / "Makefile").read_text())
    assert newest in admitted.specifier and oldest in admitted.specifier
    below = f"{Version(oldest).major}.{Version(oldest).minor - 1}"
    assert below not in admitted.specifier


# ---- What a device cannot do as a config asks ----------


CPU = torch.device("cpu")


@pytest.mark.parametrize(("native", "word"), [(True, "bf16"), (False, "fp32")])
def test_fp16_needs_a_gpu(native: bool, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": native})
    config = config_of(precision="fp16")
    assert fallbacks(config, CPU) == [
        f"precision fp16 needs a GPU; on cpu training computes in {word}"
    ]
    assert compute_dtype(config, CPU) == compute_dtype(config_of(precision="auto"), CPU)
    assert compute_dtype(config, torch.device("cuda")) == torch.float16


def test_tf32_needs_a_gpu_that_has_it() -> None:
    (sentence,) = fallbacks(config_of(precision="tf32"), CPU)
    assert "needs a GPU that has TF32" in sentence and sentence.endswith("computes in fp32")


@pytest.mark.parametrize("is_native", [False, True])
def test_emulated_bf16_is_told(is_native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantune.gan.device_support.has_native_bf16", lambda device: is_native)
    for device, faster in (("cpu", "fp32"), ("cuda:1", "fp16 or fp32")):
        sentences = fallbacks(config_of(precision="bf16"), torch.device(device))
        expected = f"precision bf16 is emulated on {device}; {faster} may be faster"
        assert sentences == ([] if is_native else [expected])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"compile": True}, "compile is on"),
        ({"precision": "fp16"}, "fp16 adapts the scale"),
    ],
)
def test_a_gpu_is_told_why_steps_are_not_recorded(
    settings: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantune.gan.device_support.missing_compiler", lambda device: "")
    config = config_of(**{"precision": "fp32", **settings})
    told = [s for s in fallbacks(config, torch.device("cuda")) if "CUDA graphs" in s]
    assert len(told) == 1 and f"({reason}" in told[0]
    assert not [s for s in fallbacks(config, CPU) if "CUDA graphs" in s]
    assert not fallbacks(config_of(precision="fp32"), torch.device("cuda"))


def test_without_a_compiler_networks_run_uncompiled() -> None:
    import torch._inductor.config

    plain = config_of("mlp", kimg=0.016)
    config = config_of("mlp", kimg=0.016, compile=True)
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        (sentence,) = fallbacks(config, CPU)
        assert "no C++ compiler" in sentence and "run uncompiled" in sentence
        (tick,) = Trainer(config, images_for(config), "cpu")
    (other,) = Trainer(plain, images_for(plain), "cpu")
    assert tick.d_loss == other.d_loss


def test_a_broken_compiler_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("ld: cannot find -lm\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    compiling._compile_error.cache_clear()
    try:
        (sentence,) = fallbacks(config_of("mlp", compile=True), CPU)
    finally:
        compiling._compile_error.cache_clear()
    assert "the compiler does not work (ld: cannot find -lm)" in sentence


def test_no_fallback_where_everything_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert fallbacks(config_of(precision="bf16"), CPU) == []


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")  # the compiler hides its own from all but pytest
def test_compiled_networks_train_alike() -> None:
    if compiling._missing_tool(CPU):
        pytest.skip("needs a C++ compiler")
    settings = {"kimg": 0.04, "penalties": {"r1": {"interval": 2}}, "loss": "relativistic"}
    configs = [config_of("mlp", compile=wanted, **settings) for wanted in (True, False)]
    one, other = (Trainer(config, images_for(config), "cpu") for config in configs)
    for first, second in zip(one, other, strict=True):
        assert first.d_loss == pytest.approx(second.d_loss, rel=1e-3)
        assert first.penalties["r1"] == pytest.approx(second.penalties["r1"], rel=1e-3)


# ---- How running out of memory shows itself ----------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_out_of_memory_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
