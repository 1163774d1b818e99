"""The commands search and init."""

from __future__ import annotations

import errno
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gantune.cli import main
from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.tuner.state import RunState
from tests.canned import run_info
from tests.cli.conftest import Run
from tests.report.factory import finals, search, state


def prepared(tmp_path: Path) -> Any:
    return SimpleNamespace(folder=RunFolder(tmp_path / "runs/dcgan"), storage=None)


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any], list[Any]]:
    """Makes a search end in the given way; collects its options."""

    def let(ending: Any) -> list[Any]:
        from gantune.tuner import prepare
        from gantune.tuner import state as reading
        from gantune.tuner.variants import margins as running

        given: list[Any] = []

        def begin(space: str, options: Any, observer: Any) -> Any:
            given.append((space, options))
            return prepared(tmp_path)

        def go(search: Any, options: Any, observer: Any) -> Any:
            observer.message("begun")
            if isinstance(ending, BaseException):
                raise ending
            return ending

        monkeypatch.setattr(prepare, "prepare", begin)
        monkeypatch.setattr(running, "search_with_margins", go)
        monkeypatch.setattr(reading, "read_run", lambda folder, storage: state(search()))
        return given

    return let


def test_search_passes_its_options_on_and_ends_with_the_summary(run: Run, searching: Any) -> None:
    given = searching(state(search(), finals()))
    code, text, _ = run(
        *shlex.split("search my.yaml --trials 4 --kimg 2.5 --time 1h --workers 3 --device cpu"),
        *shlex.split("--data d.npz --storage sqlite:///x --out o --seed 7 --set a=1 --set b=2"),
    )
    assert code == 0
    assert (
        text.startswith("begun\n") and "Trial 3 is 1.5 times better than the start recipe" in text
    )
    ((space, options),) = given
    assert space == "my.yaml"
    assert (options.trials, options.kimg, options.time, options.workers) == (4, 2.5, "1h", 3)
    assert (options.device, options.data, options.storage) == ("cpu", "d.npz", "sqlite:///x")
    assert (options.out, options.seed, options.overrides) == (Path("o"), 7, ("a=1", "b=2"))


def test_omitted_options_are_left_to_the_space(run: Run, searching: Any) -> None:
    from gantune.tuner.options import Options

    given = searching(state(search()))
    run("search", "dcgan")
    assert given == [("dcgan", Options(command="gantune search dcgan"))]


def test_the_page_is_written_when_the_search_ends_and_the_summary_names_it(
    run: Run, searching: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantune.report.page import background as page_writer
    from gantune.tuner.variants import margins as running

    ended = state(search(), finals(), tmp_path / "runs/dcgan")
    searching(ended)
    real = running.search_with_margins

    def go(search: Any, options: Any, observer: Any) -> Any:
        observer.refresh(state([], (), ended.folder.path))
        return real(search, options, observer)

    def write(seen: RunState) -> None:
        seen.folder.path.mkdir(parents=True)
        seen.folder.report.write_text("the page")

    monkeypatch.setattr(running, "search_with_margins", go)
    monkeypatch.setattr(page_writer, "_write", write)
    code, text, _ = run("search", "dcgan")
    assert code == 0 and f"report     {ended.folder.report}" in text


def test_ctrl_c_ends_with_the_summary_and_130(run: Run, searching: Any, tmp_path: Path) -> None:
    searching(KeyboardInterrupt())
    assert run("search", "dcgan")[::2] == (130, "")  # before the run has begun
    info = prepared(tmp_path).folder.info
    info.parent.mkdir(parents=True)
    info.write_text(json.dumps(run_info()))
    code, text, _ = run("search", "dcgan")
    assert code == 130
    assert "Trial 3 is the best" in text and "run the same command again" in text


def test_a_full_disk_is_one_clear_message(run: Run, searching: Any) -> None:
    searching(OSError(errno.ENOSPC, "No space left on device", "runs/dcgan/trials.csv"))
    code, _, error = run("search", "dcgan")
    assert code == 2
    assert error.startswith("disk full: runs/dcgan/trials.csv") and "same command again" in error


def test_an_error_of_the_code_keeps_its_traceback(
    searching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching(ZeroDivisionError("a bug"))
    monkeypatch.setattr(sys, "argv", ["gantune", "search", "dcgan"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main()


def test_a_refused_run_has_its_whole_message(run: Run, searching: Any) -> None:
    searching(RunError("runs/dcgan: holds another space:\n  trial.kimg: 40 -> 50"))
    code, _, error = run("search", "dcgan")
    assert (code, error) == (2, "runs/dcgan: holds another space:\n  trial.kimg: 40 -> 50\n")


def test_init_writes_a_shipped_space_and_overwrites_no_file(run: Run, tmp_path: Path) -> None:
    from gantune.space import load_space, shipped_text

    path = tmp_path / "spaces/dcgan.yaml"
    code, text, _ = run("init")
    assert code == 0 and "gantune search spaces/dcgan.yaml" in text
    assert path.read_text() == shipped_text("dcgan")
    assert load_space(path).study == "dcgan"
    path.write_text("mine")
    code, _, error = run("init")
    assert code == 2 and "--force" in error and path.read_text() == "mine"
    assert run("init", "--force")[0] == 0 and path.read_text() == shipped_text("dcgan")


def test_init_elsewhere_and_the_list(run: Run, tmp_path: Path) -> None:
    from gantune.space import shipped_spaces

    assert run("init", "mixture2d", "-o", "deep/my.yaml")[0] == 0
    assert (tmp_path / "deep/my.yaml").exists()
    (tmp_path / "file").write_text("")
    code, _, error = run("init", "-o", "file/my.yaml")
    assert code == 2 and "cannot be written" in error
    code, text, _ = run("init", "--list")
    assert [line.split()[0] for line in text.splitlines()] == list(shipped_spaces())


def test_a_space_of_an_external_trainer_comes_with_the_trainer(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("init", "own_trainer", "-o", "spaces/mine.yaml")
    assert code == 0
    assert "wrote spaces/own_trainer.py, its trainer" in out
    code, out, _ = run("search", "spaces/mine.yaml", "--dry-run")
    assert code == 0
    assert f"trainer: {tmp_path}/spaces/own_trainer.py:train\n" in out
    assert "cost: unknown, as the trainer is your own" in out
    (tmp_path / "spaces/own_trainer.py").write_text("def other(): pass")
    code, _, error = run("search", "spaces/mine.yaml", "--dry-run")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("spaces/mine.yaml:12:1: trainer: ")
    code, _, error = run("init", "own_trainer", "-o", "spaces/new.yaml")
    assert code == 2
    assert "own_trainer.py: exists already" in error
