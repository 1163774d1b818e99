"""Run folders, configs and checkpoints of somebody else: their code runs only once it is known."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

import gantune
from gantune.config import DataConfig, load_any_config, make_config
from gantune.data import load_images
from gantune.errors import TrustError
from gantune.gan.checkpoint import save_weights
from gantune.gan.trainer import Trainer
from gantune.io import trust
from gantune.run_folder.run import RunFolder
from gantune.scores import resolve_extractor
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.state import SearchObserver
from gantune.tuner.storage import choose_storage
from tests.canned import run_info
from tests.cli.conftest import Run
from tests.played import played_run
from tests.trial.runs import CONFIG

NETWORK = """
from pathlib import Path
from torch import nn

Path({mark!r}).touch()

class Net(nn.Module):
    def forward(self, images):
        return images.float().flatten(1)[:, :8]
"""

TRAINER = """
from pathlib import Path

Path({mark!r}).touch()

def train(config, session):
    session.report(kimg=config["kimg"], d_loss=1.0, g_loss=1.0)
    session.score(1.0)
"""


@pytest.fixture(autouse=True)
def _nothing_agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    forget(monkeypatch)
    monkeypatch.chdir(tmp_path)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process."""
    monkeypatch.setattr(trust, "_allowed", set())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = make_config(CONFIG | {"kimg": 0.02})
    trainer = Trainer(config, load_images(config.data), "cpu")
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    save_weights(path, trainer.weights)
    return path


@pytest.fixture
def received(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder whose extractor is code that lies in it, packed by somebody else."""
    run = tmp_path / "received"
    (run / "trials/0001").mkdir(parents=True)
    mark = str(tmp_path / "ran")
    (run / "stranger_net.py").write_text(NETWORK.format(mark=mark))
    (run / "space.yaml").write_text("objective: {samples: 64, rung_samples: 32}\ntrial: {}\n")
    (run / "run.json").write_text(json.dumps(run_info()))
    with monkeypatch.context() as patch:
        patch.setattr(trust, "_allowed", {"anything"})
        patch.delitem(sys.modules, "stranger_net", raising=False)
        patch.chdir(run)
        images = load_images(DataConfig(**CONFIG["data"]))
        resolve_extractor("stranger_net:Net", images, run / "extractor")
    Path(mark).unlink()
    del sys.modules["stranger_net"]
    for place in (run / "trials/0001", run):
        shutil.copy(weights, place / "best.pt")
    shutil.copy(weights.with_name("best.pt"), tmp_path / "alone.pt")
    text = json.dumps(CONFIG | {"kimg": 0.02})
    (run / "best.yaml").write_text(text)
    (run / "trials/0001/config.yaml").write_text(text)
    return run


COMMANDS = [
    ("evaluate", "received/trials/0001/best.pt", "--samples", "64"),
    ("evaluate", "received#1", "--samples", "64", "--data", "digits"),
    ("train", "received/best.yaml"),
    ("train", "received#1"),
    ("train", "--from", "received#1", "--kimg", "0.02"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_extractor_that_a_run_brings_is_refused_and_told(
    received: Path, run: Run, command: tuple[str, ...], tmp_path: Path
) -> None:
    code, _, error = run(*command)
    assert code == 2 and not (tmp_path / "ran").exists()
    assert "extractor.json: would run code that you have not used before" in error
    assert f"stranger_net:Net in {received}" in error and "--trust" in error


@pytest.mark.parametrize("command", COMMANDS[1:3], ids=" ".join)
def test_trust_allows_it_for_one_command(
    received: Path,
    run: Run,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(*command, "--trust")[0] == 0 and (tmp_path / "ran").exists()
    forget(monkeypatch)
    assert run(*command, *(["--out", "again"] if command[0] == "train" else []))[0] == 2
    assert not (tmp_path / "state").exists()


@pytest.mark.integration
def test_processes_of_several_devices_run_only_what_the_command_may(
    received: Path, run: Run, tmp_path: Path
) -> None:
    command = ("train", "received/best.yaml", "--device", "cpu:0,1")
    code, _, error = run(*command)
    assert code == 2 and "stranger_net:Net" in error and not (tmp_path / "ran").exists()
    assert run(*command, "--trust")[0] == 0 and (tmp_path / "ran").exists()


def test_a_network_that_the_user_names_runs_and_is_known_from_then_on(
    received: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(received)
    evaluate = ("evaluate", "best.pt", "--data", "digits", "--samples", "64")
    assert run(*evaluate, "--extractor", "stranger_net:Net")[0] == 0
    assert (tmp_path / "ran").exists()
    forget(monkeypatch)
    assert run("evaluate", "../received#1", "--samples", "64", "--data", "digits")[0] == 0
    (received / "stranger_net.py").write_text("import os")
    forget(monkeypatch)
    assert run("evaluate", "../received#1", "--samples", "64", "--data", "digits")[0] == 2


def test_a_network_of_the_runs_space_is_no_choice_of_the_users(
    received: Path, run: Run, tmp_path: Path
) -> None:
    shutil.rmtree(received / "extractor")
    (received / "space.yaml").write_text("objective: {extractor: stranger_net:Net}\ntrial: {}\n")
    code, _, error = run("train", "received/best.yaml")
    assert code == 2 and "stranger_net:Net" in error and not (tmp_path / "ran").exists()


@pytest.fixture
def trainer(tmp_path: Path) -> Path:
    """A folder with a trainer, a space, and what a run of it has left."""
    home = tmp_path / "theirs"
    (home / "run/trials/0001").mkdir(parents=True)
    (home / "own.py").write_text(TRAINER.format(mark=str(tmp_path / "ran")))
    text = f"trainer: {home}/own.py:train\n"
    for name in ("run/best.yaml", "run/trials/0001/config.yaml", "mine.yaml"):
        (home / name).write_text(f"{text}kimg: 1\n")
    (home / "run/run.json").write_text("{}")
    (home / "space.yaml").write_text(f"{text}trial: {{kimg: 1}}\nobjective: {{score: mine}}\n")
    return home


@pytest.mark.parametrize(
    "named", ["theirs/run", "theirs/run/best.yaml", "theirs/run#1", "linked.yaml"]
)
def test_a_trainer_that_a_run_names_is_refused(
    trainer: Path, run: Run, tmp_path: Path, named: str
) -> None:
    Path("linked.yaml").symlink_to(trainer / "run/best.yaml")
    code, _, error = run("train", named)
    assert code == 2 and not (tmp_path / "ran").exists()
    assert f"own.py:train in {trainer}" in error and "--trust" in error
    assert run("train", named, "--trust")[0] == 0 and (tmp_path / "ran").exists()


def test_the_trainer_of_a_config_that_is_named_itself_runs(
    trainer: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("train", "theirs/mine.yaml")[0] == 0 and (tmp_path / "ran").exists()
    forget(monkeypatch)
    assert run("train", "theirs/run/best.yaml")[0] == 0


def test_from_python_the_trainer_of_a_config_object_runs(trainer: Path, tmp_path: Path) -> None:
    gantune.train(load_any_config(trainer / "run/best.yaml"), out=tmp_path / "out")
    assert (tmp_path / "ran").exists()


def test_who_names_a_space_trusts_its_trainer(
    trainer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(trainer / "space.yaml", Options(out=tmp_path / "out"), SearchObserver())
    forget(monkeypatch)
    trust.check_code(trust.UserCode(f"{trainer}/own.py:train", tmp_path), "here")


READING = ["status", "report", "best", "watch", "dashboard", "sample"]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return played_run(tmp_path_factory.mktemp("played"))


@pytest.fixture
def searched(played: RunFolder, tmp_path: Path) -> RunFolder:
    """A finished search, for one test."""
    return RunFolder(Path(shutil.copytree(played.path, tmp_path / "searched")))


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_reading_does_not_reach_for_a_database_that_a_run_names(
    run: Run, searched: RunFolder, tmp_path: Path, command: str, kind: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        address = {
            "sqlite": f"sqlite:///{tmp_path}/new.db",
            "postgresql": f"postgresql+psycopg://me@127.0.0.1:{server.getsockname()[1]}/x",
        }[kind]
        info = json.loads(searched.info.read_text())
        searched.info.write_text(json.dumps(info | {"storage": address}))
        code, _, error = run(command, str(searched.path))
        assert code == 2 and f"{searched.info}: names a database" in error and address in error
        with pytest.raises(TimeoutError):
            server.accept()
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(TrustError):
        gantune.load_run(searched.path)
    with pytest.raises(TrustError):
        choose_storage(searched, None)


@pytest.mark.parametrize("command", READING)
def test_reading_creates_no_file_even_where_it_is_trusted(
    run: Run, searched: RunFolder, tmp_path: Path, command: str
) -> None:
    info = json.loads(searched.info.read_text())
    searched.info.write_text(json.dumps(info | {"storage": f"sqlite:///{tmp_path}/new.db"}))
    code, _, error = run(command, str(searched.path), "--trust")
    assert code == 2 and "new.db" in error and "no such file" in error
    assert not (tmp_path / "new.db").exists()


@pytest.mark.integration
def test_a_database_that_the_user_named_is_read_and_not_changed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "studies.db"
    folder = played_run(tmp_path, storage=f"sqlite:///{file}")
    forget(monkeypatch)
    before = file.read_bytes()
    assert run("status", str(folder.path))[0] == 0
    assert choose_storage(folder, None) == f"sqlite:///{file}"
    assert file.read_bytes() == before
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("studies.db-")]
