"""The same training on a GPU: nothing waits for it, in any precision, on any network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from gantune.gan.device_support import fallbacks, missing_compiler
from gantune.gan.statistics import TickStatistics
from gantune.gan.trainer import Trainer
from tests.gan.builders import assert_same_state, config_of, images_for
from tests.gan.tape import NoTapes
from tests.gan.test_training_step import EVERYTHING

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def trainer_of(network: str, /, **settings: Any) -> Trainer:
    config = config_of(network, **settings)
    return Trainer(config, images_for(config), "cuda")


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between ticks a wait for the device is an error; where a tick's numbers are read it is not"""
    read = TickStatistics.means

    def means(signals: TickStatistics) -> dict[str, Any]:
        torch.cuda.set_sync_debug_mode("default")
        return read(signals)

    monkeypatch.setattr(TickStatistics, "means", means)


def run_strictly(trainer: Trainer) -> None:
    ticks = iter(trainer)
    next(ticks)  # the libraries are loaded and the images are there
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(ticks)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("network", ["dcgan", "dcgan28", "resnet", "r3gan", "mlp"])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_no_step_waits_for_a_gpu(network: str, precision: str) -> None:
    run_strictly(trainer_of(network, precision=precision, penalties={"r1": {"interval": 2}}))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_no_step_of_everything_waits_for_a_gpu(optimizer: str) -> None:
    player = {"optimizer": optimizer, "clip_norm": 1.0}
    run_strictly(trainer_of("dcgan", **{**EVERYTHING, "generator": player}))


@pytest.mark.parametrize("network", ["dcgan", "resnet", "r3gan"])
def test_fp16_trains_with_a_scaler_for_each_player(network: str) -> None:
    trainer = trainer_of(network, precision="fp16", kimg=0.4, tick_kimg=0.2)
    (sentence,) = fallbacks(trainer.config, torch.device("cuda"))
    assert "not recorded as CUDA graphs (fp16 adapts" in sentence
    *_, tick = trainer
    assert math.isfinite(tick.d_loss) and math.isfinite(tick.g_loss)
    game = trainer.state_dict()["game"]
    assert game["generator"]["scaler"]["scale"] > 0 < game["discriminator"]["scaler"]["scale"]


def test_resuming_is_exact_on_a_gpu() -> None:
    settings = {**EVERYTHING, "kimg": 0.12, "tick_kimg": 0.04, "precision": "fp16"}
    first, second = (trainer_of("dcgan", **settings) for _ in range(2))
    next(iter(first))
    second.load_state_dict(first.state_dict())
    list(first)
    list(second)
    assert second.kimg == first.kimg
    # Convolutions on a GPU add up in no fixed order: both agree, but not to the last bit.
    anchors = [t.state_dict()["game"]["regularizer"]["anchors"] for t in (first, second)]
    torch.testing.assert_close(*anchors, rtol=1e-2, atol=1e-3)


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_train_on_a_gpu() -> None:
    lack = missing_compiler(torch.device("cuda"))
    if lack:
        pytest.skip(lack)
    (tick,) = trainer_of("dcgan", compile=True, kimg=0.08, tick_kimg=0.08)
    (other,) = trainer_of("dcgan", kimg=0.08, tick_kimg=0.08)
    assert tick.d_loss == pytest.approx(other.d_loss, rel=1e-2)


def test_a_state_goes_to_a_gpu_and_back() -> None:
    trainer = trainer_of("dcgan", kimg=0.04)
    list(trainer)
    other = trainer_of("dcgan", kimg=0.04)
    other.load_state_dict(trainer.state_dict())
    assert_same_state(other.state_dict(), trainer.state_dict())


@pytest.mark.filterwarnings("ignore:.*deterministic")  # of operations that have no such kind
@pytest.mark.parametrize("network", ["dcgan", "r3gan", "mlp"])
def test_a_graph_trains_as_each_step_does(network: str) -> None:
    settings = {
        "penalties": {"r1": {"interval": 2}},
        "augment": {} if network == "mlp" else {"colour": True, "probability": "adaptive"},
        "schedule": {"name": "linear"},
    }
    config = config_of(network, kimg=0.4, tick_kimg=0.2, **settings)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        graphs, each = (
            Trainer(config, images_for(config), "cuda", recorder=r) for r in (None, NoTapes())
        )
        assert len(list(graphs)) == len(list(each))
        assert graphs.recorded_phases > 0 == each.recorded_phases
    finally:
        torch.use_deterministic_algorithms(False)
    assert_same_state(graphs.state_dict(), each.state_dict())
