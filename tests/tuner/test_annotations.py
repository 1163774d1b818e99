"""Notes and pictures for dashboards."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta

from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.annotations import as_code, as_text, link_pictures
from gantune.tuner.driver import Driver
from gantune.tuner.storage import open_storage
from tests.played import Drawing, curve, played_run
from tests.tuner.factory import get_note, make_driver, play, score, toy_space


def studies(folder: RunFolder) -> list[optuna.Study]:
    storage = open_storage(folder, None)
    return [optuna.load_study(study_name=n, storage=storage) for n in ("toy", "toy.finalists")]


def test_every_ended_trial_has_its_pictures_and_a_note(tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    for study in studies(folder):
        for trial in study.trials:
            metas = get_all_artifact_meta(trial, storage=study._storage)
            note = get_note(optuna.trial.Trial(study, trial._trial_id))
            assert [m.filename for m in metas] == [
                f"samples-00{kimg:02}kimg.png" for kimg in (5, 10)[: len(trial.intermediate_values)]
            ]
            assert all((folder.artifacts / meta.artifact_id).exists() for meta in metas)
            if metas:
                url = f"/artifacts/{study._study_id}/{trial._trial_id}/{metas[-1].artifact_id}"
                assert f"]({url})" in note
            assert "gantune train" in note
    trials, _ = studies(folder)
    assert f"gantune train {folder.path}#0" in get_note(_trial(trials, 0))


def test_the_note_of_a_trial_that_failed_says_what_to_try(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=1"))
    play(driver, lambda config: "diverged")
    trials, _ = studies(driver.folder)
    note = get_note(_trial(trials, 0))
    assert "Try: discriminator.norm none → spectral" in note and "; or " in note
    assert f"gantune stabilize {driver.folder.path}#0" in note


def _trial(study: optuna.Study, number: int) -> optuna.trial.Trial:
    return optuna.trial.Trial(study, study.trials[number]._trial_id)


def test_run_read_from_its_folder_has_pictures_and_a_note(tmp_path: Path) -> None:
    """The journal has lost the lines of the outcome and of its note."""
    folder = played_run(tmp_path)
    folder.journal.unlink()
    play(make_driver(tmp_path, toy_space(tmp_path)), curve)
    trials, _ = studies(folder)
    assert f"gantune train {folder.path}#0" in get_note(_trial(trials, 0))
    assert get_all_artifact_meta(trials.trials[0], storage=trials._storage)


def test_the_notes_of_the_studies_name_the_winner_and_explain_the_finals(tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    trials, finals = map(get_note, studies(folder))
    assert (
        trials.startswith("## toy\n\n**")
        and "\n\nTrial " in trials
        and f"gantune train {folder.best}" in trials
    )
    assert "made by a test" in trials and "![samples of trial" in trials
    assert "The finals of toy" in finals


def test_without_a_score_the_note_of_the_study_says_so(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    driver.write()
    assert "No trial has started yet" in get_note(studies_of(driver))


def studies_of(driver: Driver | Drawing) -> optuna.Study:
    return driver._trials._study


def test_a_running_trial_has_its_pictures_so_far(tmp_path: Path) -> None:
    driver = Drawing(make_driver(tmp_path, toy_space(tmp_path)))
    work = driver.next_assignment()
    driver.report(work.name, RungReport(0.5, 5.0, score(9.0)))
    study = studies_of(driver)
    (meta,) = get_all_artifact_meta(study.trials[0], storage=study._storage)
    assert meta.filename == "samples-0005kimg.png" and meta.mimetype == "image/png"


def test_the_error_of_a_crash_is_a_block_of_code(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    error = "Traceback\n" + "x" * 500 + "\n```\n<script>alert(1)</script>\n"
    driver.finish(work.name, Outcome("crashed", 1.0, error=error))
    note = get_note(_trial(studies_of(driver), 0))
    assert note.startswith("**Crashed** at 1 of 10 kimg.")
    assert "````\nTraceback\n" in note and "<script>alert(1)</script>\n````" in note
    assert len(note) < 2045


def test_a_large_study_has_notes_on_its_first_and_best_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantune.tuner.annotations._MANY_TRIALS", 2)
    monkeypatch.setattr("gantune.tuner.annotations._BEST", 1)
    driver = make_driver(tmp_path, toy_space(tmp_path))
    values = iter([5.0, 6.0, 7.0, 4.0])
    for _ in range(4):
        work = driver.next_assignment()
        assert isinstance(work, Assignment)
        value = next(values)
        driver.finish(work.name, Outcome("completed", 10.0, score=score(value)))
    study = studies_of(driver)
    assert [bool(get_note(_trial(study, n))) for n in range(4)] == [True, True, False, True]


def test_pictures_are_hard_links_and_follow_a_later_attempt(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    path = folder.trial("trials/0003").grid(2.5)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one")
    (first,) = link_pictures(folder, "trials/0003")
    linked = folder.artifacts / first.identity
    assert linked.samefile(path) and first.kimg == 2.5
    path.unlink()
    path.write_bytes(b"two")
    assert link_pictures(folder, "trials/0003") == [first]
    assert linked.read_bytes() == b"two"


def test_pictures_are_copied_where_hard_links_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    folder = RunFolder(tmp_path)
    home = folder.trial("trials/0000")
    home.path.mkdir(parents=True)
    home.neighbours.write_bytes(b"picture")
    (picture,) = link_pictures(folder, "trials/0000")
    assert (folder.artifacts / picture.identity).read_bytes() == b"picture"


def test_a_resumed_search_adds_no_artifact_twice(tmp_path: Path) -> None:
    play(Drawing(make_driver(tmp_path, toy_space(tmp_path))), curve, stop_after=3)  # type: ignore[arg-type]
    driver = Drawing(make_driver(tmp_path, toy_space(tmp_path)))
    play(driver, curve)  # type: ignore[arg-type]
    study = studies_of(driver)
    for trial in study.trials:
        names = [m.filename for m in get_all_artifact_meta(trial, storage=study._storage)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "![x](http://a.b/c.png)", "a\n# b", "`c`", "https://a.b", "&lt;"],
)
def test_text_becomes_no_markup(text: str) -> None:

    shown = as_text(text)
    assert "\n" not in shown
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(text.split())
    assert not re.search(r"(?<!\\)[<>&`#!\[\]:]", shown)


def test_code_cannot_end_its_block() -> None:
    shown = as_code("a\n```\n````\n<script>")
    assert shown.startswith("`````\n") and shown.endswith("\n`````")
