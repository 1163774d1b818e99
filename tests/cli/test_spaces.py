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
