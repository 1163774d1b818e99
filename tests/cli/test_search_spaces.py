"""``init``."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run


def test_init_writes_a_shipped_space_and_never_over_a_file(run: Run, tmp_path: Path) -> None:
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


def test_a_space_of_another_trainer_comes_with_it(run: Run, tmp_path: Path) -> None:
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
