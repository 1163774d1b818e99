"""What a device cannot do as a config asks."""

from __future__ import annotations

import pytest
import torch

from gantune.gan import device_support as compiling
from gantune.gan.device_support import compute_dtype, fallbacks
from gantune.gan.trainer import Trainer
from tests.gan.builders import config_of, images_for

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


def test_without_a_compiler_networks_run_as_they_are() -> None:
    import torch._inductor.config

    plain = config_of("mlp", kimg=0.016)
    config = config_of("mlp", kimg=0.016, compile=True)
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        (sentence,) = fallbacks(config, CPU)
        assert "no C++ compiler" in sentence and "run as they are" in sentence
        (tick,) = Trainer(config, images_for(config), "cpu")
    (other,) = Trainer(plain, images_for(plain), "cpu")
    assert tick.d_loss == other.d_loss


def test_a_compiler_that_does_not_work_is_no_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("ld: cannot find -lm\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    compiling._failure.cache_clear()
    try:
        (sentence,) = fallbacks(config_of("mlp", compile=True), CPU)
    finally:
        compiling._failure.cache_clear()
    assert "the compiler does not work (ld: cannot find -lm)" in sentence


def test_nothing_is_said_where_all_is_done_as_asked() -> None:
    assert fallbacks(config_of(precision="bf16"), CPU) == []


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")  # the compiler hides its own from all but pytest
@pytest.mark.skipif(bool(compiling._missing_tool(CPU)), reason="needs a C++ compiler")
def test_compiled_networks_learn_the_same() -> None:
    settings = {"kimg": 0.04, "penalties": {"r1": {"interval": 2}}, "loss": "relativistic"}
    configs = [config_of("mlp", compile=wanted, **settings) for wanted in (True, False)]
    one, other = (Trainer(config, images_for(config), "cpu") for config in configs)
    for first, second in zip(one, other, strict=True):
        assert first.d_loss == pytest.approx(second.d_loss, rel=1e-3)
        assert first.penalties["r1"] == pytest.approx(second.penalties["r1"], rel=1e-3)
