"""Whether scores put images in an order that is known, on real images.

    python -m benchmarks.orderings [--data digits path/to/fashion_mnist]

Only the named data sets are measured; earlier figures of others stay in the tables.

Real images that were never trained on replace a generator's samples: unchanged, with noise,
blurred, and without some classes. All rows of one data set have the same number of images. A score
is credible if the unchanged images have the smallest distance, if the distance grows with the
damage, and if missing classes lower recall but not precision.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.publish import RESULTS, ROOT, Report, describe_machine, table
from gantune.config import DataConfig
from gantune.data import ImageSet, load_held_out, load_images
from gantune.scores import (
    Evaluator,
    RealImages,
    Score,
    make_protocols,
    resolve_extractor,
)
from gantune.scores.evaluator import Sample
from gantune.scores.feature_statistics import BATCH

__all__ = ["Row", "blurred", "earlier_rows", "holds", "main", "measure", "rows_of"]

EXTRACTORS = ("classifier", "random")
NOISE = (15, 30, 60)
"""Standard deviations, levels of 255."""
BLUR = (3, 5, 9)
"""Widths of a box, pixels."""
DROPPED = (1, 3, 5)
"""Numbers of classes that are left out."""
_MOST = 4000  # images a row
_PAGE = ROOT / "docs" / "scores.md"


@dataclass(frozen=True)
class Row:
    """One kind of damage."""

    data: str
    extractor: str
    damage: str
    value: float
    error: float
    precision: float
    recall: float
    coverage: float
    protocol: str
    machine: str = ""


def rows_of(images: ImageSet) -> Iterator[tuple[str, Tensor]]:
    """The held-out images with each damage, uint8 [n, C, H, W]; all of one length."""
    assert images.labels is not None
    pixels, labels = torch.tensor(images.array), torch.tensor(images.labels)
    count = min(int((labels >= DROPPED[-1]).sum()), _MOST)

    def subset(chosen: Tensor) -> Tensor:
        return chosen[torch.arange(count) * len(chosen) // count]

    whole = subset(pixels)
    yield "none", whole
    for amount in NOISE:
        noise = torch.randn(whole.shape, generator=torch.Generator().manual_seed(0))
        yield f"noise {amount}", (whole + amount * noise).clamp(0, 255).byte()
    for width in BLUR:
        yield f"blur {width}", blurred(whole, width)
    for dropped in DROPPED:
        yield _without(dropped), subset(pixels[labels >= dropped])


def blurred(images: Tensor, width: int) -> Tensor:
    """Images uint8 [n, C, H, W], blurred with a box of ``width`` pixels; edges are repeated."""
    padded = F.pad(images.float(), (width // 2,) * 4, mode="replicate")
    return F.avg_pool2d(padded, width, stride=1).round().byte()


def measure(name: str, extractor: str, real: RealImages) -> list[Row]:
    """All rows of one data set with one extractor."""
    assert real.held_out is not None
    damaged = list(rows_of(real.held_out))
    count = len(damaged[0][1])
    with tempfile.TemporaryDirectory() as folder:
        network = resolve_extractor(extractor, real.learned, Path(folder))
    protocols = make_protocols(network, RealImages(real.learned), rung_samples=count, samples=count)
    evaluator = Evaluator(network, RealImages(real.learned), protocols)
    return [
        _row(name, network.name, damage, evaluator.score(_as_sample(images)))
        for damage, images in damaged
    ]


def holds(rows: Sequence[Row]) -> dict[str, bool]:
    """Which of the orderings hold for the rows of one data set and extractor."""
    by = {row.damage: row for row in rows}

    def of(*damages: str) -> list[Row]:
        return [by[damage] for damage in ("none", *damages)]

    noise = of(*(f"noise {amount}" for amount in NOISE))
    blur = of(*(f"blur {width}" for width in BLUR))
    dropped = of(*map(_without, DROPPED))
    return {
        "unchanged is smallest": min(rows, key=lambda row: row.value).damage == "none",
        "grows with noise": _grows([row.value for row in noise]),
        "grows with blur": _grows([row.value for row in blur]),
        "grows with dropped classes": _grows([row.value for row in dropped]),
        "recall falls with dropped classes": _grows([-row.recall for row in dropped]),
        "precision stays": min(row.precision for row in dropped) > by["none"].precision - 0.05,
    }


def _without(dropped: int) -> str:
    return f"without {dropped} class{'es' if dropped > 1 else ''}"


def _grows(values: Sequence[float]) -> bool:
    return all(earlier < later for earlier, later in pairwise(values))


def _as_sample(images: Tensor) -> Sample:
    parts = iter(torch.split(images, BATCH))
    return lambda count, generator: next(parts)


def _row(data: str, extractor: str, damage: str, score: Score) -> Row:
    return Row(
        data=data,
        extractor=extractor,
        damage=damage,
        value=score.value,
        error=score.error,
        precision=score.precision,
        recall=score.recall,
        coverage=score.coverage,
        protocol=score.protocol.hash,
    )


def _real(source: str) -> RealImages:
    """A data set with held-out images: its own test part, else half of it."""
    config = DataConfig(source=source, resolution=32)
    held_out = load_held_out(config)
    if held_out is None:
        config = config.model_copy(update={"held_out": 0.5})
        held_out = load_held_out(config)
    return RealImages(load_images(config), held_out)


def report(rows: Sequence[Row]) -> str:
    """The figures as Markdown, a table for each data set and extractor."""
    machines = "; ".join(dict.fromkeys(row.machine for row in rows))
    names = dict.fromkeys(row.data for row in rows)
    sources = " ".join(name if name == "digits" else f"path/to/{name}" for name in names)
    parts = [f"{machines}. By `python -m benchmarks.orderings --data {sources}`."]
    for data, extractor in dict.fromkeys((row.data, row.extractor) for row in rows):
        own = [row for row in rows if (row.data, row.extractor) == (data, extractor)]
        found = holds(own)
        broken = [name for name, is_so in found.items() if not is_so]
        verdict = f"broken: {', '.join(broken)}" if broken else "all orderings hold"
        cells = [
            (
                row.damage,
                f"{row.value:.4g} ± {row.error:.2g}",
                f"{row.precision:.2f}",
                f"{row.recall:.2f}",
                f"{row.coverage:.2f}",
            )
            for row in own
        ]
        columns = ["damage", f">fid[{extractor}]", ">precision", ">recall", ">coverage"]
        parts.append(f"**{data}, {extractor}** (protocol `{own[0].protocol}`): {verdict}.")
        parts.append(table(columns, cells))
    return "\n\n".join(parts)


def earlier_rows(tree: dict[str, Any]) -> list[Row]:
    """The rows of an earlier run; older files have one machine for all of them."""
    given = {"machine": tree.get("machine", "")}
    return [Row(**{**given, **row}) for row in tree.get("rows", ())]


def main(
    arguments: Sequence[str] | None = None, folder: Path = RESULTS, page: Path = _PAGE
) -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", default=["digits"], metavar="SOURCE")
    chosen = parser.parse_args(arguments)
    device = torch.device("cpu")
    machine = describe_machine(device, 1, torch.get_num_threads())
    place = Report("orderings", device, folder, page)
    rows = earlier_rows(place.read())
    names = [*(row.data for row in rows), *(Path(source).name for source in chosen.data)]
    for source in chosen.data:
        name, real = Path(source).name, _real(source)
        rows = [row for row in rows if row.data != name]
        for extractor in EXTRACTORS:
            made = measure(name, extractor, real)
            rows += [replace(row, machine=machine) for row in made]
    rows.sort(key=lambda row: names.index(row.data))
    text = report(rows)
    print(text)
    tree = {"rows": [asdict(row) for row in rows]}
    place.write(tree, "Known orderings of scores", text)


if __name__ == "__main__":
    main()
