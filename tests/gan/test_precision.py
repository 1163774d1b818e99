"""Which number format is used where, and float32 that is float32 whatever the process has set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from gantune.gan.precision import compute_dtype, float32_computed, training_float32, used_precision
from gantune.gan.sampling import sample_images
from gantune.gan.trainer import Trainer
from tests.float32 import CHANGES, Changes, apply, backends, named, settings, unchanged
from tests.gan.builders import config_of, images_for

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


# ---- The format of a training ----------


@pytest.mark.parametrize(
    ("found", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_depends_on_the_device(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert compute_dtype(config_of(precision="auto"), CPU) == dtype
    assert compute_dtype(config_of("mlp", precision="auto"), CPU) == torch.float32


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes one up, of a compute capability."""

    def make(major: int) -> None:
        monkeypatch.setattr(torch.cuda, "device", lambda device: torch.no_grad())
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: major >= 8)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 0))

    return make


@pytest.mark.parametrize(
    ("precision", "old", "new"),
    [
        ("auto", "fp32", "bf16"),
        ("fp32", "fp32", "fp32"),
        ("tf32", "fp32", "tf32"),
        ("bf16", "bf16", "bf16"),
        ("fp16", "fp16", "fp16"),
    ],
)
def test_what_a_precision_means_on_gpus(
    precision: str, old: str, new: str, gpu: Callable[[int], None]
) -> None:
    config = config_of(precision=precision)
    for major, used in ((7, old), (9, new)):
        gpu(major)
        assert used_precision(config, GPU) == used
        assert training_float32(config, GPU) == ("ieee" if used == "fp32" else "tf32")


def test_a_cpu_has_no_tf32() -> None:
    assert used_precision(config_of(precision="tf32"), CPU) == "fp32"
    assert training_float32(config_of(precision="tf32"), CPU) == "ieee"


# ---- float32 ----------


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    with unchanged():
        yield


@pytest.mark.parametrize("changes", CHANGES, ids=named)
def test_float32_is_in_full_whatever_was_set_and_that_is_put_back(
    changes: Changes,
) -> None:
    apply(changes)
    before = settings()
    for on_gpus in ("ieee", "tf32"):
        with pytest.raises(KeyboardInterrupt), float32_computed(on_gpus):
            inside = settings()
            raise KeyboardInterrupt
        assert settings() == before
        for operation in ("matmul", "conv", "rnn"):
            assert inside["cuda", operation] == on_gpus
            assert inside["mkldnn", operation] == "ieee"
        # torch.compile reads this one.
        assert inside["matmul precision",] == ("highest" if on_gpus == "ieee" else "high")


IN_A_NEW_PROCESS = """
from gantune.gan.precision import float32_computed
from tests.float32 import apply, settings
for value in ("ieee", "bf16", "tf32", "none"):
    apply([("fp32_precision", value)])
    before = settings()
    for on_gpus in ("ieee", "tf32"):
        with float32_computed(on_gpus):
            pass
        assert settings() == before, value
"""


def test_what_nobody_has_set_stays_so() -> None:
    """cuDNN's default is TF32 until there is a general setting. Once set, it is no default any
    more, so only a new process has it."""
    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS], check=True)


def test_what_had_no_value_of_its_own_still_follows_the_general_one() -> None:
    backends.fp32_precision = "tf32"
    with float32_computed("ieee"):
        pass
    for value in ("ieee", "none"):
        backends.fp32_precision = value
        assert backends.cuda.matmul.fp32_precision == backends.mkldnn.conv.fp32_precision == value


@pytest.mark.parametrize(("precision", "on_gpus"), [("fp32", "ieee"), ("tf32", "tf32")])
def test_training_and_samples_are_computed_as_the_config_says(
    precision: str, on_gpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantune.gan.precision.has_tf32", lambda device: True)
    config = config_of(precision=precision, kimg=0.016)
    trainer = Trainer(config, images_for(config), "cpu")
    seen: dict[str, set[str]] = {"d": set(), "ema": set()}
    for name, network in (("d", trainer.discriminator), ("ema", trainer.generator_ema)):
        network.register_forward_pre_hook(
            lambda *_, seen=seen[name]: seen.add(backends.cudnn.conv.fp32_precision)
        )
    backends.fp32_precision = "tf32"
    before = settings()
    list(trainer)
    sample_images(trainer.generator_ema, 2, torch.Generator().manual_seed(0))
    assert seen == {"d": {on_gpus}, "ema": {"ieee"}}
    assert settings() == before
