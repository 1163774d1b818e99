"""Searches of the trainers in ``examples/``, each started by its command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import gantune
from gantune.trial.checkpoint_files import holds_files
from gantune.tuner.options import Options
from gantune.tuner.state import RunState

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def search(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunState:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    kimg = "kimg=9" if name == "pix2pix_like" else "kimg=20"
    options = Options(trials=3, workers=1, out=folder, overrides=(kimg, "finalists.top=0"))
    return gantune.search(EXAMPLES / f"{name}.yaml", options)


@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_searched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = search(name, tmp_path / "run", monkeypatch)
    ended = [(record.name, record.outcome) for record in state.trials if record.outcome is not None]
    assert len(ended) == 3
    assert {outcome.ending for _, outcome in ended} <= {"completed", "pruned", "collapsed"}
    scored = [name for name, outcome in ended if outcome.score is not None]
    assert scored
    trial = state.folder.trial(scored[0])
    said = trial.output.read_text()
    assert said.startswith("$ python ") and f"{name}.py" in said
    assert holds_files(trial.external_best) == (name != "printing")
    outputs = [state.folder.trial(name).output.read_text() for name, _ in ended]
    if name == "stylegan_like":
        assert any("Resuming from" in text for text in outputs)
