"""``train``: one config outside any search, with the same trainer, health, scores and files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import torch

from gantune.config import RESOLUTIONS, TrialConfig, dump_config
from gantune.data import load_images, settled
from gantune.errors import RunError
from gantune.files import write_text
from gantune.gan.checkpoint import load_checkpoint
from gantune.gan.tick import Tick
from gantune.scores import Evaluator, load_extractor, make_protocols, resolve_extractor
from gantune.search.devices import find_devices
from gantune.search.folder import TrialFolder
from gantune.search.records import Assignment, Outcome, RungReport
from gantune.search.results import describe_outcome
from gantune.search.session import Session
from gantune.search.state import Told, Watcher
from gantune.search.trial import run_trial

__all__ = ["train"]

_RUNGS = tuple(step / 10 for step in range(1, 11))
_RUNG_SAMPLES = 1000
_SAMPLES = 2000


def train(
    config: TrialConfig,
    *,
    out: Path | str = "runs/train",
    resume: bool = False,
    device: str = "auto",
    watcher: Watcher | None = None,
) -> Outcome:
    """Trains one config to its end, or to a verdict of health, and scores its best checkpoint.

    ``out`` gets ``config.yaml``, ``ticks.jsonl``, ``scores.jsonl``, sample grids at every tenth of
    the budget, ``best.pt`` and ``last.pt``. ``resume`` goes on from ``last.pt``, with a longer
    ``kimg`` if the config has one. Scores use the extractor of the run folder that ``out`` lies in,
    where there is one, so that they compare with the search's. Raises ``RunError`` if ``out`` holds
    a training already and ``resume`` is not set, or has none to go on from.
    """
    watcher = watcher or Watcher()
    folder, place = TrialFolder(Path(out)), torch.device(find_devices(device)[0])
    _check(folder, resume)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with Told(watcher, "gantune.data"):
        show = partial(watcher.progress, "reading images")
        images = load_images(config.data, RESOLUTIONS[config.network.name], show)
    config = settled(config, images)
    write_text(folder.config, dump_config(config))
    shared = folder.path.parent / "extractor"
    if shared.exists():
        extractor = load_extractor(shared, place)
    else:
        extractor = resolve_extractor("auto", images, folder.path / "extractor", place)
    protocols = make_protocols(extractor, images, rung_samples=_RUNG_SAMPLES, samples=_SAMPLES)
    evaluator = Evaluator(extractor, images, protocols, place)

    def tell(report: RungReport) -> bool:
        watcher.say(f"{report.kimg:g} kimg: {report.score.name} {report.score.value:.4g}")
        return True

    session = _Training(Assignment("training", config, _RUNGS), folder, evaluator, tell)
    session.watcher = watcher
    outcome = run_trial(session, images, place)
    watcher.say(describe_outcome(str(out), outcome))
    return outcome


class _Training(Session):
    """A session that shows its ticks."""

    watcher: Watcher

    def report(self, tick: Tick) -> None:
        super().report(tick)
        self.watcher.progress("training, kimg", round(tick.kimg), round(self.config.kimg))


def _check(folder: TrialFolder, resume: bool) -> None:
    if resume:
        load_checkpoint(folder.last)  # a damaged one is an error here, not a new beginning
    if folder.last.exists() and not resume:
        raise RunError(
            f"{folder.path}: holds a training; go on with --resume, or choose another with --out"
        )
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder.path}: cannot be written ({error.strerror})") from None
