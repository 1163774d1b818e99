"""gantune's search beside a plain script with Optuna's defaults: equal seconds on the same cores.

    python -m benchmarks.search_peers --data fashion=PATH --data cifar=PATH --seconds 480 --seeds 3

Real trainings, not a replay. For each set of images and each seed ``gantune search`` gets
``--seconds``; then the plain script gets as long as that search has really taken, on the same
cores. Both search the space of the table of the same name (``benchmarks/sweep.py``) from its start
points, with the same trainer, length of a run and score.

The script: Optuna's ``TPESampler`` and ``MedianPruner`` with their defaults, a score at each
quarter of a run, one process for each core on a study in a journal. Its winner is the checkpoint of
the study's best trial. gantune's is the one that the end of the search names: of the winner's
trial and finals, the one with the best score.

Both checkpoints are judged by a network that neither search has seen: a classifier of the
same images with another architecture, trained here. The figure is the Fréchet distance of 5,000
samples in its features. Each search is written to ``--work`` when it ends, so an interrupted
comparison resumes. Images that are not compared now keep their earlier figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.publish import RESULTS, Report, describe_machine, table
from benchmarks.sweep import TABLES, Table, scoring
from gantune import load_generator, load_run
from gantune.config import RESOLUTIONS, TrialConfig
from gantune.data import ImageSet, resolved
from gantune.errors import ScoreError
from gantune.gan.checkpoint import save_checkpoint, take_checkpoint
from gantune.gan.sampling import sample_images
from gantune.gan.trainer import Trainer
from gantune.io.files import write_text
from gantune.scores.distances import Gaussian, frechet_distance
from gantune.scores.feature_statistics import BATCH, Features
from gantune.trial.scoring import load_real_images

__all__ = ["main", "report"]

_QUARTERS = (25, 50, 75, 100)
_SAMPLES = 5_000
_JUDGED = 10_000
"""Images that the judge is trained on, and that samples are compared with; at most."""
_ENDS = 0.05
"""Share of the seconds after which a script's worker that is still there is stopped."""


# ---- The searches --------------------------------------------------------------------------------


def search(place: Table, data: str, seed: int, seconds: float, folder: Path) -> Path | None:
    """``gantune search``: the checkpoint that its end names."""
    command = [sys.executable, "-m", "gantune", "search", place.shipped, "--data", data]
    command += ["--seed", str(seed), "--time", f"{seconds:g}s", "--trials", "100000"]
    command += ["--workers", str(_cores()), "--device", "cpu", "--out", str(folder)]
    for change in place.overrides:
        command += ["--set", change]
    with (folder.parent / f"{folder.name}.log").open("w", encoding="utf-8") as log:
        subprocess.run(command, stdout=log, stderr=log, check=True)
    state = load_run(folder).state
    best = state.best_training
    return None if best is None else state.folder.trial(best.name).best


def script(place: Table, data: str, seed: int, seconds: float, folder: Path) -> Path | None:
    """The plain script: the checkpoint of its best trial."""
    folder.mkdir(parents=True, exist_ok=True)
    storage = _storage(folder)
    study = optuna.create_study(storage=storage, study_name="plain")
    for point in place.space().start_points():
        study.enqueue_trial(point)
    until = time.time() + seconds
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(place.name, data, seed * 100 + k, until, folder))
        for k in range(_cores())
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(until - time.time(), 0) + _ENDS * seconds + 1)
        if worker.exitcode:
            raise RuntimeError(f"a process of the plain script ended with code {worker.exitcode}")
        worker.kill()
    done = [t for t in study.get_trials() if t.state == optuna.trial.TrialState.COMPLETE]
    done = [trial for trial in done if _checkpoint(folder, trial.number).exists()]
    if not done:
        return None
    return _checkpoint(folder, min(done, key=lambda trial: trial.value or 0.0).number)


def _work(name: str, data: str, seed: int, until: float, folder: Path) -> None:
    """One process of the plain script."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    place = TABLES[name]
    space, scored = place.space(f"data.source={data}"), scoring(place, data)
    study = optuna.load_study(
        storage=_storage(folder),
        study_name="plain",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    )

    def objective(trial: optuna.Trial) -> float:
        drawn = space.sample_config(trial)
        assert isinstance(drawn, TrialConfig)
        trainer = Trainer(
            resolved(drawn, scored.real.learned), scored.real.learned, "cpu", scored.real.held_out
        )
        due = list(_QUARTERS)
        value = float("nan")
        for _ in trainer:
            if time.time() > until:
                study.stop()
                raise optuna.TrialPruned
            if trainer.kimg < due[0] / 100 * drawn.kimg:
                continue
            value = scored.evaluator.score(trainer.sample, full=due[0] == 100).value
            trial.report(value, due.pop(0))
            if due and trial.should_prune():
                raise optuna.TrialPruned
        save_checkpoint(_checkpoint(folder, trial.number), take_checkpoint(trainer))
        return value

    study.optimize(objective, timeout=max(until - time.time(), 0.001), catch=(ScoreError,))


def _storage(folder: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(folder / "journal.log")))


def _checkpoint(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.pt"


def _cores() -> int:
    return os.cpu_count() or 1


# ---- The judge -----------------------------------------------------------------------------------


class Judge(nn.Module):
    """A classifier whose last hidden layer gives features: pairs of 3x3 convolutions with GELU and
    average pooling. gantune's own has strided convolutions, ReLU and half the features."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (16, 32, 64):
            for _ in range(2):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
                layers += [nn.GELU()]
                channels = width
            layers.append(nn.AvgPool2d(2))
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.hidden, self.head = nn.Linear(4 * channels, 128), nn.Linear(128, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Features of uint8 images [N, C, H, W]."""
        return F.gelu(self.hidden(self.body(images.float() / 127.5 - 1)))


def make_judge(images: ImageSet, path: Path, passes: int = 3) -> Judge:
    """A judge that is trained on labelled images, or read from its file."""
    assert images.labels is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20_260_101)
        judge = Judge(images.array.shape[1], len(images.classes))
        if path.exists():
            judge.load_state_dict(torch.load(path, weights_only=True))
            return judge.eval()
        pixels = torch.tensor(images.array[:_JUDGED])
        labels = torch.tensor(images.labels[:_JUDGED])
        optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)
        for _ in range(passes):
            for batch in torch.randperm(len(pixels)).split(128):
                loss = F.cross_entropy(judge.head(judge(pixels[batch])), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(judge.state_dict(), path)
    return judge.eval()


def distance(judge: Judge, images: ImageSet, checkpoint: Path) -> float:
    """The Fréchet distance of a checkpoint's samples in the judge's features."""
    generator, rng = load_generator(checkpoint), torch.Generator().manual_seed(0)
    real = torch.tensor(images.array[:_JUDGED])
    made = (
        sample_images(generator, min(BATCH, _SAMPLES - at), rng) for at in range(0, _SAMPLES, BATCH)
    )
    return frechet_distance(
        Gaussian.of(_features(judge, real.split(BATCH))), _features(judge, made)
    )


def _features(judge: Judge, batches: Iterable[Tensor]) -> Features:
    with torch.inference_mode():
        rows = torch.cat([judge(batch) for batch in batches])
    return Features(rows, len(rows))


# ---- What is written -----------------------------------------------------------------------------


def compare(name: str, data: str, seconds: float, seeds: int, work: Path) -> dict[str, Any]:
    """Both searches of a table's space on images, by turns; those that are written stay."""
    place = TABLES[name]
    config = place.space(f"data.source={data}").first_config()
    assert isinstance(config, TrialConfig)
    images = load_real_images(config.data, RESOLUTIONS[config.network.name]).learned
    judge = make_judge(images, work / f"judge_{name}.pt")
    scoring(place, data)  # prepared before the clock runs
    found: dict[str, Any] = {one: {"distance": [], "seconds": []} for one in SIDES}
    for seed in range(seeds):
        given = seconds
        for side, run in SIDES.items():
            path = work / f"{name}_{side}_{seed}.json"
            if not path.exists():
                folder = work / f"{name}_{side}_{seed}"
                shutil.rmtree(folder, ignore_errors=True)
                began = time.time()
                best = run(place, data, seed, given, folder)
                taken = time.time() - began
                judged = None if best is None else distance(judge, images, best)
                write_text(path, json.dumps({"distance": judged, "seconds": taken}) + "\n")
            result = json.loads(path.read_text(encoding="utf-8"))
            given = max(given, result["seconds"])
            for key in found[side]:
                found[side][key].append(result[key])
    machine = describe_machine(torch.device("cpu"), _cores())
    return found | {"given": seconds, "machine": machine}


SIDES = {"gantune": search, "script": script}
"""Both ways of searching, in the order of their turns."""


def report(tree: dict[str, Any]) -> str:
    """The figures of all images as Markdown."""
    parts = [
        f"Fréchet distance of {_SAMPLES:,} samples of each winner in the features of a network "
        "that neither search has seen; lower is better. By `python -m benchmarks.search_peers`."
    ]
    for name, sides in tree.items():
        pairs = list(zip(*(sides[side]["distance"] for side in SIDES), strict=True))
        ratios = [None if None in pair else pair[0] / pair[1] for pair in pairs]
        rows = [
            (str(seed), _shown(own), _shown(plain), "-" if ratio is None else f"{ratio:.2f}")
            for seed, ((own, plain), ratio) in enumerate(zip(pairs, ratios, strict=True))
        ]
        known = [ratio for ratio in ratios if ratio is not None]
        mean = f" Geometric mean of the ratios: {geometric_mean(known):.2f}." if known else ""
        parts.append(f"**`{name}`**, {sides['given']:g} seconds each.{mean} {sides['machine']}.")
        parts.append(table([">seed", ">gantune", ">plain script", ">ratio"], rows))
    return "\n\n".join(parts)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"


def main(arguments: Sequence[str] | None = None, folder: Path = RESULTS) -> None:
    """Compares, prints and writes the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", action="append", required=True, type=_source, metavar="TABLE=PATH"
    )
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs") / "search_peers")
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # for the judge; threads that wait for each other take longer
    file = Report("search_peers", torch.device("cpu"), folder)
    tree = file.read()
    for name, data in given.data:
        tree[name] = compare(name, data, given.seconds, given.seeds, given.work)
        text = report(tree)
        file.write(tree, "gantune beside a plain script", text)
    print(text)


def _source(text: str) -> tuple[str, str]:
    name, found, path = text.partition("=")
    if name not in TABLES or not found or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not TABLE=PATH; tables: {', '.join(TABLES)}")
    return name, path


if __name__ == "__main__":
    main()
