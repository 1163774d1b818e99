"""What ten rungs cost a training: where it waits for them, and where they are taken beside it.

    python -m benchmarks.rung_cost [--rounds 5]

A DCGAN is trained on scikit-learn's digits and scored by random features at each tick. The ways
take turns, and each round has its own ratio. On a CPU no step is recorded, so that only the files
of a rung can be written beside training; ``make bench-gpu`` measures all of it on a GPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch

from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from gantune.config import TrialConfig, make_config
from gantune.data import load_images
from gantune.run_folder.trial import TrialFolder
from gantune.scores import RealImages, make_protocols, resolve_extractor
from gantune.trial import builtin
from gantune.trial.records import Assignment
from gantune.trial.run import run_trial
from gantune.trial.scorer import Scorer
from gantune.trial.scoring import RUNGS, ScorePolicy, make_evaluator
from gantune.trial.session import Session

WAITS, FILES, ALL = WAYS = ("rungs waited for", "files beside", "scores and files beside")
_PAGE = ROOT / "docs" / "performance.md"
_SAMPLES = 500
_STEPS = 8  # of a tick, at whose end a rung is


class Training:
    """A training with ten rungs, which each call does from the start.

    Raises ``RuntimeError`` where scores cannot be taken beside it.
    """

    def __init__(self, way: str, side: int, width: int, device: torch.device, batch: int = 64):
        if way == ALL and device.type != "cuda":
            raise RuntimeError("not recorded: the device has no CUDA graphs")
        self._way, self._device = way, device
        tick = _STEPS * batch / 1000
        self._config = make_config(
            {
                "data": {"source": "digits", "resolution": side, "colour": "gray"},
                "network": {"name": "dcgan", "width": width},
                **{"batch_size": batch, "precision": "fp32"},
                **{"kimg": len(RUNGS) * tick, "tick_kimg": tick},
            }
        )
        assert isinstance(self._config, TrialConfig)
        images = load_images(self._config.data)
        self._real = RealImages(images)
        with tempfile.TemporaryDirectory() as folder:
            extractor = resolve_extractor("random", images, Path(folder) / "extractor", device)
        protocols = make_protocols(extractor, self._real, rung_samples=_SAMPLES, samples=_SAMPLES)
        evaluator = make_evaluator(extractor, self._real, protocols, device)
        self._policy = ScorePolicy(None, evaluator, images)

    def __call__(self) -> int:
        """Trains; the number of images."""
        can_begin = Scorer.can_begin if self._way == ALL else False
        with tempfile.TemporaryDirectory() as folder, patch.object(Scorer, "can_begin", can_begin):
            # A run that sends its files waits for them.
            session = Session(
                Assignment("training", self._config, RUNGS, "off"),
                *(TrialFolder(Path(folder)), self._device, self._policy, lambda report: True),
                sends_files=self._way == WAITS,
            )
            outcome = run_trial(partial(builtin.train, real=self._real), session)
        if self._way == ALL and not session.scorer.rungs_beside:
            raise RuntimeError("not recorded: no rung was scored beside training")
        if outcome.ending != "completed":
            raise ValueError(f"the training has {outcome.ending}")
        return round(1000 * outcome.kimg)


def seconds(train: Callable[[], int]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    train()
    return time.perf_counter() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--cases", type=int, nargs="+", default=[32, 16, 32, 64, 64, 32])
    given = parser.parse_args(arguments)
    device, rows = torch.device("cpu"), []
    torch.set_num_threads(1)
    for side, width in zip(given.cases[::2], given.cases[1::2], strict=True):
        waits, files = (Training(way, side, width, device) for way in (WAITS, FILES))
        waits(), files()
        found = [(seconds(waits), seconds(files)) for _ in range(given.rounds)]
        rows.append(
            {
                **{"pixels": side, "width": width},
                WAITS: median(one for one, _ in found),
                FILES: median(other for _, other in found),
                "ratios": sorted(one / other for one, other in found),
            }
        )
        print(rows[-1], flush=True)
    report = Report("rung_cost", device, given.out, _PAGE)
    machine = describe_machine(device, 1)
    head = ["pixels", ">width", f">{WAITS}, s", f">{FILES}, s", ">ratio", ">from", ">to"]
    cells = [
        [
            *(str(row["pixels"]), str(row["width"]), f"{row[WAITS]:.2f}", f"{row[FILES]:.2f}"),
            *(f"{pick(row['ratios']):.3f}" for pick in (median, min, max)),
        ]
        for row in rows
    ]
    text = (
        f"{machine}. By `python -m benchmarks.rung_cost`. A training of {len(RUNGS)} ticks of "
        f"{_STEPS} steps, with a rung at each; the ratio is the first time divided by the second "
        f"one, the median of {given.rounds} rounds.\n\n{table(head, cells)}"
    )
    report.write({"machine": machine, "rows": rows}, "What rungs cost", text)


if __name__ == "__main__":
    main()
