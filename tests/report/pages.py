"""Canned searches with files on disk, for pages and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gantune.gan.sampling import save_grid
from gantune.report.run import Run
from gantune.run_folder.run import RunFolder
from gantune.scores import Score
from gantune.trial.records import TrialRecord
from tests.canned import run_info
from tests.report.factory import begun, finals, score, search, state, tick

SIDE = 32  # pixels of an image


def canned_run(path: Path, **changes: Any) -> Run:
    """Every outcome of a trial, finals, and the files of all of them."""
    return make_run(path, search(), finals(), **changes)


def make_run(
    path: Path, trials: Sequence[TrialRecord], finalists: Sequence[TrialRecord] = (), **changes: Any
) -> Run:
    """A run of these records, each with ticks, scores, a config and sample grids."""
    begun(path)
    timed = [_timed(record) for record in trials]
    made = state(timed, [_timed(record) for record in finalists], path, **changes)
    for record in (*made.trials, *made.finalists):
        fill(made.folder, record)
    return Run(made)


def fill(folder: RunFolder, record: TrialRecord) -> None:
    """Writes the files of one run."""
    home = folder.trial(record.name)
    home.path.mkdir(parents=True, exist_ok=True)
    home.config.write_text(f"# of {record.name}\nseed: {record.number}\n")
    reached = record.outcome.kimg if record.outcome else 4.0
    for kimg in np.linspace(reached / 8, reached, 8):
        home.add_tick(asdict(tick(float(kimg), d_loss=1.2 + 0.01 * record.number)))
    for percent, value in record.rungs.items():
        at = percent / 100 * record.budget_kimg
        home.add_score(_line(at, percent / 100, score(value)))
        write_grid(record.number, home.grid(at))
    if record.score is not None:
        home.add_score(_line(record.budget_kimg, None, record.score))
        write_grid(record.number, home.grid(record.budget_kimg))


_grids: dict[int, bytes] = {}


def write_grid(seed: int, path: Path) -> None:
    """Writes a sample grid. Each is encoded once, as that takes longer than all other files."""
    if seed not in _grids:
        save_grid(pictures(seed), path)
        _grids[seed] = path.read_bytes()
    path.write_bytes(_grids[seed])


def pictures(seed: int, count: int = 64) -> torch.Tensor:
    """Smooth gray images, uint8 [count, 1, 32, 32]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = [np.sin(rows * a + columns * b) for a, b in rng.uniform(1, 9, (count, 2))]
    return torch.from_numpy(((np.array(waves) + 1) * 127).astype(np.uint8))[:, None]


def write_info(folder: RunFolder, **fields: Any) -> None:
    """Adds to ``run.json``."""
    known = json.loads(folder.info.read_text()) if folder.info.exists() else run_info()
    folder.info.write_text(json.dumps(known | fields))


def spread(records: Iterable[TrialRecord], **params: Sequence[Any]) -> list[TrialRecord]:
    """The records with these parameters, one value for each record."""
    return [
        replace(record, params={name: values[k] for name, values in params.items()})
        for k, record in enumerate(records)
    ]


def _timed(record: TrialRecord) -> TrialRecord:
    begin = 1_000_000.0 + 30 * record.number + (600 if record.origin is not None else 0)
    ended = None if record.outcome is None else begin + 25
    return replace(record, begun=begin, ended=ended)


def _line(kimg: float, rung: float | None, value: Score) -> dict[str, Any]:
    return {"kimg": kimg, "rung": rung, "scoring_seconds": 1.0} | value.to_dict()
