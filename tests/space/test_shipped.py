"""The spaces that come with gantune: each is whole, and travels in the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import optuna
import pytest

from gantune.errors import SpaceError
from gantune.space import load_space, shipped_spaces, shipped_text

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "search_spaces").glob("*.yaml"))


def test_all_of_them_are_found() -> None:
    assert {"dcgan", "dcgan28", "mixture2d"} <= set(NAMES)
    assert list(shipped_spaces()) == NAMES
    assert all(len(title) > 20 for title in shipped_spaces().values())


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_space_that_starts_from_a_known_recipe(name: str) -> None:
    space = load_space(name)
    assert (space.study, space.note) == (name, "")
    assert space.text == shipped_text(name)
    assert space.start_points()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for params in space.start_points():
        study.enqueue_trial(params)
    for _ in range(60):
        trial = study.ask()
        config = space.suggest(trial)
        assert space.configs_of(trial.params) == config


def test_no_such_shipped_space() -> None:
    with pytest.raises(SpaceError, match="did you mean 'dcgan'"):
        shipped_text("dcgam")
    with pytest.raises(SpaceError, match="there are dcgan, "):
        shipped_text("../search_spaces/dcgan")


@pytest.mark.slow
def test_a_wheel_holds_them(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("gantune", "search_spaces"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*build, "--outdir", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "gantune").rglob("*.py")}
    assert packages == {path.parent.relative_to(installed) for path in installed.rglob("*.py")}
    code = "import gantune.space as s; print(s.__file__, *s.shipped_spaces())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    file, *names = done.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert names == NAMES
