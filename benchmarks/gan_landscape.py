"""Each loss searched over the wide ranges of Lucic et al. 2018, beside the paper's own figures.

    python -m benchmarks.gan_landscape --data PATH [--losses vanilla,wgan] [--trials 12]
        [--epochs 20 | --kimg 20] [--width 64] [--out runs/gan_landscape] [--workers 4]

Runs the shipped space ``gan_landscape`` once for each loss, with as many random settings as
``--trials`` says, and shows the best FID of each. A search that was stopped goes on where it was,
and ``--trials`` may grow. The paper's protocol is ``--epochs 20 --trials 100 --width 64``; what
stands here by default takes two CPU cores about ten minutes. Our FID is of another network's
features than the paper's: the two columns do not compare with each other, only within themselves.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.publish import PAGE, RESULTS, Report, describe_machine, table
from gantune.config import RESOLUTIONS
from gantune.data import load_images
from gantune.search.devices import find_devices
from gantune.search.prepare import Options, prepare
from gantune.search.run import run_search
from gantune.search.state import RunState, Watcher
from gantune.space import load_space

__all__ = ["PUBLISHED", "Budget", "Row", "main", "overrides", "report", "row_of"]

PUBLISHED = {"vanilla": 26.5, "wgan": 21.5, "wgan_gp": 24.5, "lsgan": 30.7, "dragan": 27.7}
"""FID on Fashion-MNIST (Lucic et al. 2018, table 2), by the names of the space; its NS GAN is
``vanilla``. The mean over seeds of the best of 100 settings, under TensorFlow's Inception."""
PUBLISHED_EXTRACTOR = "Inception, TensorFlow"


@dataclass(frozen=True)
class Budget:
    """How much each loss is given."""

    trials: int
    kimg: float
    epochs: float
    """The same length, in passes over the training images."""
    width: int
    """Of the networks; the paper's discriminator begins with 64 channels."""


@dataclass(frozen=True)
class Row:
    """One loss."""

    loss: str
    best: float | None
    """Best FID under the full protocol; ``None`` where no setting held to its end."""
    protocol: str
    extractor: str
    trials: int
    endings: dict[str, int]
    seconds: float
    config: dict[str, Any]
    """The best trial's parameters."""


class _Lines(Watcher):
    def __init__(self, loss: str) -> None:
        self._loss = loss

    def say(self, text: str) -> None:
        if not text.startswith("start["):  # of the losses that this search leaves out
            print(f"{self._loss}: {text}", flush=True)


def overrides(loss: str, budget: Budget) -> tuple[str, ...]:
    """What makes the shipped space the search of one loss."""
    return (f"loss={loss}", f"network.width={budget.width}", "finalists.top=0")


def search_loss(loss: str, budget: Budget, given: argparse.Namespace) -> Row:
    """One random search, or what is left of it; its best trial."""
    options = Options(
        trials=budget.trials,
        kimg=budget.kimg,
        workers=given.workers or "auto",
        device=given.device,
        data=str(given.data),
        out=given.out / loss,
        overrides=overrides(loss, budget),
    )
    watcher = _Lines(loss)
    state = run_search(prepare("gan_landscape", options, watcher), watcher)
    return row_of(loss, state, json.loads(state.folder.info.read_text(encoding="utf-8")))


def row_of(loss: str, state: RunState, info: dict[str, Any]) -> Row:
    """The row of a search that has ended; ``info`` is its ``run.json``."""
    best = state.survivors[0] if state.survivors else None
    return Row(
        loss=loss,
        best=None if best is None or best.value is None else round(best.value, 2),
        protocol=info["protocol_hash"],
        extractor=info["protocol"]["extractor"],
        trials=sum(state.endings.values()),
        endings=dict(state.endings),
        seconds=round(state.seconds, 1),
        config={} if best is None else dict(best.params),
    )


def report(rows: Sequence[Row], budget: Budget, data: str, machine: str) -> str:
    """The table and how it was made. Raises ``ValueError`` for scores that do not compare."""
    protocols = {row.protocol for row in rows}
    if len(protocols) > 1:
        raise ValueError(f"scores of {len(protocols)} protocols cannot stand in one column")
    columns = ("loss", ">published FID", "its extractor", ">our best FID", "our extractor")
    lines = [
        (
            row.loss,
            f"{PUBLISHED[row.loss]:.1f}" if row.loss in PUBLISHED else "none",
            PUBLISHED_EXTRACTOR if row.loss in PUBLISHED else "",
            "none" if row.best is None else f"{row.best:.1f}",
            row.extractor,
            f"{row.trials}",
            _endings(row),
            f"{row.seconds:.0f}",
        )
        for row in rows
    ]
    return (
        f"{table((*columns, '>settings tried', 'how they ended', '>seconds'), lines)}\n\n"
        f"Published: Lucic et al. 2018, table 2, Fashion-MNIST, 100 settings of 20 epochs. Ours: "
        f"{data}, {budget.kimg:g} kimg a setting ({budget.epochs:.2g} epochs), width "
        f"{budget.width}, batch 64, one seed; protocol `{rows[0].protocol}`. The two extractors' "
        f"figures do not compare: read each column by itself. {machine}; by `python -m "
        "benchmarks.gan_landscape`."
    )


def _endings(row: Row) -> str:
    return ", ".join(f"{count} {end}" for end, count in Counter(row.endings).most_common())


def main(arguments: Sequence[str] | None = None) -> None:
    """Searches every loss in turn; writes after each of them."""
    given = _parser().parse_args(arguments)
    device = torch.device(find_devices(given.device)[0])
    budget, name = _budget(given)
    machine = describe_machine(device, given.workers or len(os.sched_getaffinity(0)))
    place = Report("gan_landscape", device, given.results, given.page)
    rows: list[Row] = []
    for loss in given.losses.split(","):
        rows.append(search_loss(loss, budget, given))
        text = report(rows, budget, name, machine)
        tree = {"machine": machine, "data": name, "budget": asdict(budget)}
        place.write({**tree, "rows": [asdict(row) for row in rows]}, "GAN landscape", text)
    print(text)


def _budget(given: argparse.Namespace) -> tuple[Budget, str]:
    """The budget in kimg and epochs, and what the data are called in the table."""
    config = load_space(
        "gan_landscape", Options(data=str(given.data)).as_overrides()
    ).first_config()
    images = load_images(config.data, RESOLUTIONS[config.network.name])
    epoch = len(images) / 1000  # kimg
    kimg = given.kimg if given.epochs is None else given.epochs * epoch
    name = f"{Path(str(given.data)).name}, {len(images):,} images"
    return Budget(given.trials, kimg, kimg / epoch, given.width), name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="Fashion-MNIST's folder, or other images")
    parser.add_argument("--losses", default=",".join(PUBLISHED), help="of the space, by comma")
    parser.add_argument("--trials", type=int, default=12)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help="length of each training in epochs, or")
    length.add_argument("--kimg", type=float, default=20.0, help="in thousands of images")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, help="trainings at once; default: as a search has")
    parser.add_argument("--out", type=Path, default=Path("runs/gan_landscape"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser


if __name__ == "__main__":
    main()
