"""A search's shared files, and a trial's files on their way between machines."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.trial.checkpoint_files import keep_copy, make_empty, read_copy
from gantune.tuner.engines.ray.files import SharedFiles, export_files, import_files


def test_two_searches_of_one_study_share_no_folder_of_a_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def name(run: str, host: str, place: str | None = "s3://x") -> str:
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        return SharedFiles(place, RunFolder(Path(run)), "tiny").experiment

    assert SharedFiles(None, RunFolder(Path("/runs/a")), "tiny").place == "/runs/a/ray"
    assert name("/a", "one") != name("/b", "one")
    assert name("/a", "one") != name("/a", "two")  # in containers all paths are the same
    assert name("/a", "one") == name("/a", "one")
    assert name("/a", "one", None) == name("/a", "two", None)  # nobody else uses the run folder


@pytest.mark.parametrize("is_named", [False, True])
def test_only_a_folder_that_the_user_named_stays(tmp_path: Path, is_named: bool) -> None:
    place = tmp_path / "run/ray"
    storage = SharedFiles(str(place) if is_named else None, RunFolder(tmp_path / "run"), "tiny")
    storage.create()
    assert storage.holds("begun")
    storage.remove()
    assert place.exists() == is_named


class LocalCheckpoint:
    """A checkpoint with the part of Tune's interface that is used."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def to_directory(self, path: str) -> str:
        shutil.copytree(self.path, path)
        return path


def import_from(path: Path, folder: TrialFolder) -> None:
    checkpoint: Any = LocalCheckpoint(path)
    import_files(checkpoint, folder)


def test_all_files_of_a_trial_are_exported_and_imported(tmp_path: Path) -> None:
    there, here = TrialFolder(tmp_path / "there/0001"), TrialFolder(tmp_path / "here/0001")
    for path in (
        there.checkpoints / "a",
        there.external_last / "b",
        there.external_best / ".gantune.json",
    ):
        path.parent.mkdir(parents=True)
        path.write_text("new")
    there.last.write_text("new")
    there.add_tick({"kimg": 1.0})
    (here.external_last / "old").mkdir(parents=True)
    here.config.write_text("kept")
    there.grid(1.0).write_text("new")
    for picture in (here.grid(2.0), here.neighbours):  # of a failed try
        picture.write_text("old")
    with export_files(there, has_ended=False) as exported:
        import_from(exported, here)
    assert not list(tmp_path.glob("*/.*"))
    assert list(here.grids()) == [1.0] and not here.neighbours.exists()
    assert here.config.read_text() == "kept"
    assert here.ticks() == [{"kimg": 1.0}]
    assert [path.name for path in here.external_last.iterdir()] == ["b"]
    assert here.last.exists() and not here.checkpoints.exists()
    assert (here.external_best / ".gantune.json").exists()
    with export_files(there, has_ended=True) as exported:
        names = {path.name for path in exported.iterdir()}
    assert names == {"best", "ticks.jsonl", "samples-0001kimg.png"}


def test_backups_of_an_external_trainers_files_are_imported_too(tmp_path: Path) -> None:
    """If the newer copy is damaged, its backup is read instead."""
    there, here = TrialFolder(tmp_path / "there/0001"), TrialFolder(tmp_path / "here/0001")
    for rung in (1, 2):
        make_empty(there.checkpoints)
        (there.checkpoints / "step").write_text(f"{rung}")
        keep_copy(there.checkpoints, there.external_last, {"kimg": rung})
        keep_copy(there.external_last, there.external_best, {"kimg": rung}, linked=True)
        for _ in range(2):  # also over an earlier import
            with export_files(there, has_ended=False) as exported:
                import_from(exported, here)
    for copy in (here.external_last, here.external_best):
        (copy / "step").write_text("?")
        assert read_copy(copy) == {"kimg": 1}
        assert (copy / "step").read_text() == "1"
    assert not list(here.path.glob("..*"))


def test_a_kill_during_an_import_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = TrialFolder(tmp_path / "there/0001"), TrialFolder(tmp_path / "here/0001")
    for folder, text in ((there, "new"), (here, "old")):
        folder.path.mkdir(parents=True)
        for name in ("last.pt", "scores.jsonl", "ticks.jsonl"):
            (folder.path / name).write_text(text)
    moved: list[str] = []
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        import_from(there.path, here)
    assert moved == ["scores.jsonl", "ticks.jsonl"]
    assert here.last.read_text() == "old"
