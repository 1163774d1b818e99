"""Each loss searched over the wide ranges of Lucic et al. 2018, next to the paper's figures.

    python -m benchmarks.gan_landscape --data PATH [--losses vanilla,wgan] [--trials 12]
        [--epochs 20 | --kimg 20] [--width 64] [--out runs/gan_landscape] [--workers 4]

Runs the shipped space ``gan_landscape`` once for each loss with ``--trials`` random settings, and
shows the best score of each. An interrupted search resumes, and ``--trials`` may grow. Existing
rows of other losses are kept where budget, data and protocol are the same. The paper's protocol is
``--epochs 20 --trials 100 --width 64``; the defaults take about a quarter of an hour on two CPU
cores. Our score uses features of another network than the paper's: compare figures within a
column, not between them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.publish import PAGE, RESULTS, Report, describe_machine, score_name, table
from gantune.config import RESOLUTIONS, TrialConfig
from gantune.data import ImageSet, load_images
from gantune.run_folder.run import read_protocol
from gantune.scores import Protocol, make_protocols, resolve_extractor
from gantune.scores.evaluator import Protocols
from gantune.space import load_space
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search, prepare
from gantune.tuner.run import run_search
from gantune.tuner.state import RunState, SearchObserver

__all__ = [
    *(
        "PUBLISHED",
        "Budget",
        "Data",
        "Row",
        "earlier_rows",
        "main",
        "overrides",
        "report",
        "row_of",
    ),
    "settle_protocol",
]

PUBLISHED = {
    "minimax": 29.6,
    "vanilla": 26.5,
    "lsgan": 30.7,
    "wgan": 21.5,
    "wgan_gp": 24.5,
    "dragan": 27.7,
}
"""FID on Fashion-MNIST (Lucic et al. 2018, table 2), by the names of the space; its NS GAN is
``vanilla``, its MM GAN ``minimax``. The mean over seeds of the best of 100 settings, under
TensorFlow's Inception."""
PUBLISHED_EXTRACTOR = "Inception, TensorFlow"


@dataclass(frozen=True)
class Budget:
    """The budget of each loss."""

    trials: int
    kimg: float
    epochs: float
    """The same length, in passes over the training images."""
    width: int
    """Width of the networks; the paper's discriminator starts with 64 channels."""


@dataclass(frozen=True)
class Data:
    """The images of all searches."""

    name: str
    images: int
    is_fashion: bool
    """Whether it is Fashion-MNIST's training set, as in the published figures."""

    @classmethod
    def of(cls, images: ImageSet) -> Data:
        """MNIST has the same shape, so the folder's name decides."""
        name = Path(images.source).name
        is_whole = images.array.shape == (60_000, 1, 28, 28) and images.split == "train"
        return cls(name, len(images), is_whole and "fashion" in name.lower())


@dataclass(frozen=True)
class Row:
    """The result of one loss."""

    loss: str
    best: float | None
    """Best FID under the full protocol; ``None`` if no setting reached the end."""
    protocol: str
    extractor: str
    trials: int
    endings: dict[str, int]
    seconds: float
    config: dict[str, Any]
    """The best trial's parameters."""
    machine: str


class _Lines(SearchObserver):
    def __init__(self, loss: str) -> None:
        self._loss = loss

    def message(self, text: str) -> None:
        if not text.startswith("start["):  # of the losses that this search leaves out
            print(f"{self._loss}: {text}", flush=True)


def overrides(loss: str, budget: Budget) -> tuple[str, ...]:
    """The changes that turn the shipped space into the search of one loss."""
    return (f"loss={loss}", f"network.width={budget.width}", "finalists.top=0")


def prepare_loss(loss: str, budget: Budget, given: argparse.Namespace) -> Search:
    """One random search, or the rest of it."""
    options = Options(
        trials=budget.trials,
        kimg=budget.kimg,
        workers=given.workers or "auto",
        device=given.device,
        data=str(given.data),
        out=given.out / loss,
        overrides=overrides(loss, budget),
    )
    return prepare("gan_landscape", options, _Lines(loss))


def settle_protocol(searches: Sequence[Search]) -> str:
    """Hash of the protocol that all searches use.

    Raises ``ValueError``, before any training, if an earlier search has another protocol.
    """
    first = searches[0]
    objective, device = first.space.objective, first.placement.devices[0]
    with tempfile.TemporaryDirectory() as folder:
        extractor = resolve_extractor(objective.choice(), first.real.learned, Path(folder), device)
    made: Protocols = make_protocols(
        extractor,
        first.real,
        rung_samples=objective.rung_samples,
        samples=objective.samples,
    )
    for search in searches:
        run = search.folder
        if run.info.exists() and read_protocol(run).hash != made.full.hash:
            raise ValueError(
                f"{run.path}: this search has another protocol, so its scores cannot be compared "
                "with the others; choose another folder with --out"
            )
    return made.full.hash


def row_of(loss: str, state: RunState, protocol: Protocol, machine: str) -> Row:
    """The row of a search that has ended; ``protocol`` is that of its scores."""
    best = state.survivors[0] if state.survivors else None
    return Row(
        loss=loss,
        best=None if best is None or best.value is None else round(best.value, 2),
        protocol=protocol.hash,
        extractor=protocol.extractor,
        trials=sum(state.outcome_counts.values()),
        endings=dict(state.outcome_counts),
        seconds=round(state.seconds, 1),
        config={} if best is None else dict(best.params),
        machine=machine,
    )


def earlier_rows(tree: dict[str, Any], budget: Budget, data: Data, protocol: str) -> list[Row]:
    """Rows of an earlier run with the same budget, data and protocol."""
    if (tree.get("budget"), tree.get("data")) != (asdict(budget), asdict(data)):
        return []
    return [row for row in (Row(**old) for old in tree["rows"]) if row.protocol == protocol]


def report(rows: Sequence[Row], budget: Budget, data: Data) -> str:
    """The table and how it was made. Raises ``ValueError`` if the scores are not comparable."""
    protocols = {row.protocol for row in rows}
    if len(protocols) > 1:
        raise ValueError(f"scores of {len(protocols)} protocols cannot be compared in one column")
    ours = score_name(rows[0].extractor)
    columns = ("loss", ">published FID", "its extractor", f">our best {ours}", "our extractor")
    lines = [_line(row, PUBLISHED.get(row.loss) if data.is_fashion else None) for row in rows]
    published = (
        "Published: Lucic et al. 2018, table 2, Fashion-MNIST, 100 settings of 20 epochs. "
        "The two extractors' figures are not comparable: read each column by itself. "
    )
    machines = "; ".join(dict.fromkeys(row.machine for row in rows))
    return (
        f"{table((*columns, '>settings', 'outcomes', '>seconds'), lines)}\n\n"
        f"{published if data.is_fashion else ''}Ours: {data.name}, {data.images:,} images, "
        f"{budget.kimg:g} kimg a setting ({budget.epochs:.2g} epochs), width {budget.width}, "
        f"batch 64, one seed; protocol `{rows[0].protocol}`. {machines}; by `python -m "
        "benchmarks.gan_landscape`."
    )


def _line(row: Row, published: float | None) -> tuple[str, ...]:
    return (
        row.loss,
        "none" if published is None else f"{published:.1f}",
        "" if published is None else PUBLISHED_EXTRACTOR,
        "none" if row.best is None else f"{row.best:.1f}",
        row.extractor,
        f"{row.trials}",
        _endings(row),
        f"{row.seconds:.0f}",
    )


def _endings(row: Row) -> str:
    return ", ".join(f"{count} {end}" for end, count in Counter(row.endings).most_common())


def main(arguments: Sequence[str] | None = None) -> None:
    """Searches one loss after the other, and writes the results after each."""
    given = _parser().parse_args(arguments)
    losses = given.losses.split(",")
    data = _data(given)
    budget = _budget(given, data)
    searches = {loss: prepare_loss(loss, budget, given) for loss in losses}
    protocol = settle_protocol(list(searches.values()))
    placement = searches[losses[0]].placement
    device = torch.device(placement.devices[0])
    machine = describe_machine(device, len(placement.devices), placement.threads)
    place = Report("gan_landscape", device, given.results, given.page)
    rows = earlier_rows(place.read(), budget, data, protocol)
    for loss, search in searches.items():
        state = run_search(search, _Lines(loss))
        row = row_of(loss, state, read_protocol(state.folder), machine)
        rows = sorted([*(old for old in rows if old.loss != loss), row], key=_order)
        tree = {"data": asdict(data), "budget": asdict(budget)}
        text = report(rows, budget, data)
        place.write({**tree, "rows": [asdict(row) for row in rows]}, "GAN landscape", text)
    print(report(rows, budget, data))


def _order(row: Row) -> tuple[int, str]:
    names = list(PUBLISHED)
    return (names.index(row.loss) if row.loss in names else len(names)), row.loss


def _data(given: argparse.Namespace) -> Data:
    shipped = load_space("gan_landscape", Options(data=str(given.data)).as_overrides())
    config = shipped.first_config()
    assert isinstance(config, TrialConfig)
    return Data.of(load_images(config.data, RESOLUTIONS[config.network.name]))


def _budget(given: argparse.Namespace, data: Data) -> Budget:
    """The budget in kimg and epochs."""
    epoch = data.images / 1000  # kimg
    kimg = given.kimg if given.epochs is None else given.epochs * epoch
    return Budget(given.trials, kimg, kimg / epoch, given.width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="Fashion-MNIST's folder, or other images")
    parser.add_argument(
        "--losses", default=",".join(PUBLISHED), help="of the space, separated by commas"
    )
    parser.add_argument("--trials", type=int, default=12)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help="length of each training in epochs, or")
    length.add_argument("--kimg", type=float, default=20.0, help="in thousands of images")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, help="trials at once; default: as in a search")
    parser.add_argument("--out", type=Path, default=Path("runs/gan_landscape"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser


if __name__ == "__main__":
    main()
