"""Options of a search on Ray, and how many trials fit on a cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import RunError
from gantune.events import Observer
from gantune.tuner.engines.placement import Placement
from gantune.tuner.engines.ray.cluster import (
    capacity,
    concurrency,
    describe_cluster,
    resolve_resources,
)
from gantune.tuner.options import Options, Resources, parse_resources
from gantune.tuner.prepare import prepare

MACHINES = [{"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0}, {"CPU": 2.0}]


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("gpu=0.25,cpu=2", {"CPU": 2.0, "GPU": 0.25}),
        ("gpu=1", {"CPU": 1.0, "GPU": 1.0}),
        (" GPU=2 , cpu=0 ", {"GPU": 2.0}),
        ("tpu=4", {"CPU": 1.0, "tpu": 4.0}),
    ],
)
def test_resources_are_parsed(text: str, amounts: dict[str, float]) -> None:
    assert parse_resources(text).amounts == amounts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gpu", "'gpu' is not NAME=AMOUNT"),
        ("", "'' is not NAME=AMOUNT"),
        ("gpu=half", "'half' is not a number"),
        ("cpu=-1", "from 0 up"),
        ("cpu=nan", "from 0 up"),
        ("gpu=1.5", "a part of one GPU, or whole GPUs"),
        ("cpu=1,CPU=2", "CPU is named twice"),
        ("cpu=0", "a trial must take something"),
    ],
)
def test_malformed_resources_are_an_error_that_says_why(text: str, reason: str) -> None:
    with pytest.raises(RunError) as caught:
        parse_resources(text)
    assert reason in str(caught.value)
    assert f"--resources {text}" in str(caught.value)
    assert "gpu=0.25,cpu=2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [("cpu=1", 10), ("cpu=3", 2), ("gpu=1", 2), ("gpu=0.4", 4), ("gpu=0.1,cpu=0", 20), ("x=1", 0)],
)
def test_how_many_trials_fit_on_a_cluster(text: str, count: int) -> None:
    assert capacity(parse_resources(text), MACHINES) == count


def test_threads_and_device_follow_from_the_resources() -> None:
    assert parse_resources("cpu=2.5").threads == 2
    assert parse_resources("cpu=0.5").threads == 1
    assert parse_resources("gpu=0.25").device == "cuda"
    assert parse_resources("cpu=4").device == "cpu"
    assert str(parse_resources("gpu=0.25,cpu=2")) == "cpu=2,gpu=0.25"


def test_by_default_a_trial_takes_a_core_and_a_gpu_if_there_are_gpus() -> None:
    assert resolve_resources(None, MACHINES).amounts == {"CPU": 1.0, "GPU": 1.0}
    assert resolve_resources(None, MACHINES[1:]).amounts == {"CPU": 1.0}
    asked = Resources({"CPU": 3.0})
    assert resolve_resources(asked, MACHINES) is asked


def test_what_no_machine_has_is_an_error_that_says_what_the_cluster_has() -> None:
    with pytest.raises(RunError, match=r"gpu=0\.25.*no room|no machine has room") as caught:
        concurrency(parse_resources("gpu=0.25"), "auto", MACHINES[1:])
    assert "1 machine of 2 CPUs, no GPU" in str(caught.value)
    with pytest.raises(RunError, match="1 machine of 8 CPUs, 2 GPUs; 1 machine of 2 CPUs, no GPU"):
        concurrency(parse_resources("cpu=9"), "auto", MACHINES)  # both together have 10
    with pytest.raises(RunError, match="--workers 3: there is room for 2 trials"):
        concurrency(parse_resources("gpu=1"), 3, MACHINES)
    assert concurrency(parse_resources("gpu=1"), 1, MACHINES) == 1
    assert describe_cluster([{"CPU": 1.0, "tpu": 4.0}] * 2) == "2 machines of 1 CPU, no GPU, 4 tpu"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"address": "auto"}, "--address auto: is for --engine ray"),
        ({"resources": "gpu=1"}, "--resources gpu=1: is for --engine ray"),
        ({"checkpoints": "s3://mine"}, "--checkpoints s3://mine: is for --engine ray"),
        ({"engine": "dask"}, "--engine dask: unknown"),
        ({"engine": "ray", "device": "cpu"}, "--device cpu: with --engine ray"),
        ({"engine": "ray", "address": "ray://head:10001"}, "for Ray's client"),
        ({"engine": "ray", "address": "head"}, "HOST:PORT such as"),
        ({"engine": "ray", "address": "head:"}, "HOST:PORT such as"),
        ({"engine": "ray", "resources": "gpu"}, "NAME=AMOUNT"),
    ],
)
def test_options_that_do_not_go_together(
    tiny_space: Path, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RunError) as caught:
        prepare(tiny_space, Options(**options), Observer())
    assert reason in str(caught.value)


@pytest.mark.integration
def test_the_command_has_the_options(tiny_space: Path) -> None:
    command = [sys.executable, "-m", "gantune", "search", str(tiny_space), "--resources", "gpu=1"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.strip().endswith("add --engine ray, or leave --resources out")


def test_a_plan_is_made_before_ray_is_connected(tiny_space: Path) -> None:
    search = prepare(tiny_space, Options(engine="ray", resources="cpu=2"), Observer())
    assert search.ray is not None
    assert search.ray.resources == Resources({"CPU": 2.0})
    assert search.placement == Placement(("cpu",), 2)
