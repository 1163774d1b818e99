"""Canned searches for the tests of what people see."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from gantune.gan.tick import Tick
from gantune.health import Verdict
from gantune.run_folder.run import RunFolder
from gantune.scores import Protocol, Score
from gantune.space.settings import Finalists
from gantune.trial.records import Ending, Outcome, TrialRecord
from gantune.tuner.finals.finalists import rank_finalists
from gantune.tuner.state import RunState, Timing
from tests.canned import PROTOCOL as _PROTOCOL
from tests.canned import make_score, run_info

NAME = _PROTOCOL.score_name
PROTOCOL = _PROTOCOL.hash
BUDGET = 40.0

_RULES = {"diverged": "exploding", "collapsed": "discriminator_won", "stalled": "stillborn"}


def score(value: float, *, spread: float = 0.8) -> Score:
    return make_score(value, spread=spread)


def begun(folder: Path) -> Protocol:
    """Writes of ``run.json`` what the rungs are scored under, and returns it."""
    protocol = replace(_PROTOCOL, generated=500, latent_seed=1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run_info(rung_protocol=asdict(protocol))))
    return protocol


def outcome(ending: Ending, kimg: float = BUDGET, value: float | None = None) -> Outcome:
    verdict = None
    if ending in _RULES:
        verdict = Verdict(ending, _RULES[ending], kimg, f"it {ending}")  # type: ignore[arg-type]
    return Outcome(
        ending=ending,
        kimg=kimg,
        step=int(kimg * 1000 / 32),
        score=score(value) if value is not None else None,
        best_kimg=min(kimg, 20.0) if value is not None else None,
        verdict=verdict,
        seconds=kimg / 2,
        scoring_seconds=kimg / 20,
    )


def trial(number: int, ended: Outcome | None = None, **changes: Any) -> TrialRecord:
    params = {
        "loss": ["vanilla", "hinge", "wgan"][number % 3],
        "generator.lr": 2.1234e-4 * (number + 1),
        "discriminator.lr": 1e-3 / (number + 1),
        "batch_size": [16, 32, 64][number % 3],
    }
    if params["loss"] == "wgan":
        params |= {"lipschitz": "gp", "penalties.gradient_penalty.weight": 12.3456}
    record = TrialRecord(
        name=f"trials/{number:04d}",
        number=number,
        params=params,
        budget_kimg=BUDGET,
        outcome=ended,
        is_start=number == 0,
    )
    return replace(record, **changes)


def finalist(number: int, origin: int, seed: int, ended: Outcome | None) -> TrialRecord:
    record = trial(origin, ended, name=f"finalists/{number:04d}", origin=origin, seed=seed)
    return replace(record, number=number, is_start=False)


def state(
    trials: Sequence[TrialRecord],
    finalists: Sequence[TrialRecord] = (),
    folder: Path = Path("runs/dcgan"),
    seconds: float = 180.0,
    **changes: Any,
) -> RunState:
    ranking = tuple(rank_finalists(finalists, list(trials), Finalists()))
    made = RunState(
        study="dcgan",
        folder=RunFolder(folder),
        trials=tuple(trials),
        finalists=tuple(finalists),
        ranking=ranking,
        winner=ranking[0] if ranking else None,
        planned_trials=24,
        planned_finalists=9,
        timing=Timing(seconds, preparing_seconds=6.0),
        is_over=True,
    )
    return replace(made, **changes)


def search() -> list[TrialRecord]:
    """Every way a trial may end, and two that have not."""
    return [
        trial(0, outcome("completed", value=12.06), rungs={25: 20.0, 50: 15.5, 75: 13.0}),
        trial(1, outcome("diverged", 8.0)),
        trial(2, outcome("pruned", 20.0), rungs={25: 33.0, 50: 31.25}),
        trial(3, outcome("completed", value=8.1), rungs={25: 14.0, 50: 11.0, 75: 9.01}),
        trial(4, outcome("collapsed", 24.0, value=10.5), rungs={25: 13.0, 50: 11.0}),
        trial(5, outcome("pruned", 10.0), rungs={25: 41.0}),
        trial(6, outcome("out_of_memory", 0.0)),
        trial(7, outcome("stalled", 22.0), rungs={25: 240.0, 50: 239.0}),
        trial(8, outcome("collapsed", 6.0)),
        trial(9, outcome("crashed", 3.0)),
        trial(10, None, rungs={25: 19.0}),
        trial(11, None),
    ]


def finals() -> list[TrialRecord]:
    """Trial 3 and the start recipe on seeds 1 to 3, and trial 4, one of whose seeds diverged."""
    values = {3: (8.0, 8.5, 9.0), 0: (12.0, 12.5, 13.0), 4: (7.0, None, 7.5)}
    runs = [(origin, seed) for seed in (1, 2, 3) for origin in values]
    return [
        finalist(number, origin, seed, _final(values[origin][seed - 1]))
        for number, (origin, seed) in enumerate(runs)
    ]


def tick(kimg: float, **changes: Any) -> Tick:
    calm = Tick(
        kimg=kimg,
        step=int(kimg * 31),
        d_loss=1.21,
        g_loss=0.934,
        d_real=0.0,
        d_fake=0.0,
        d_real_std=1.0,
        d_fake_std=1.0,
        d_real_sign=0.0,
        d_fake_sign=0.0,
        d_grad=1.0,
        g_grad=1.0,
        d_update=1e-3,
        g_update=1e-3,
        non_finite=0.0,
        spread=0.8,
        images_per_second=1730.0,
        seconds=kimg / 1.73,
    )
    return replace(calm, **changes)


def add_ticks(folder: RunFolder, name: str, *kimg: float) -> None:
    home = folder.trial(name)
    home.path.mkdir(parents=True, exist_ok=True)
    for at in kimg:
        home.add_tick(asdict(tick(at)))


def console(width: int = 100) -> Console:
    """A console that keeps its text and is no terminal."""
    return Console(file=io.StringIO(), width=width, height=40, color_system=None)


def shown(what: RenderableType, width: int = 100) -> str:
    """The text that a console of this width shows."""
    made = console(width)
    made.print(what)
    return written(made)


def row(text: str, start: str) -> str:
    """The one line that starts so, its blanks made single."""
    (line,) = [" ".join(line.split()) for line in text.splitlines() if line.startswith(start)]
    return line


def written(made: Console) -> str:
    """What a console has written so far."""
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def _final(value: float | None) -> Outcome:
    return outcome("diverged", 9.0) if value is None else outcome("completed", value=value)
