"""Run folders: names and files of a search, its lock, and the scores that its files hold."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gantune.errors import RunError
from gantune.run_folder.run import (
    RunFolder,
    find_run,
    find_trial,
    read_protocol,
    read_rung_protocol,
    read_score,
)
from gantune.run_folder.trial import TrialFolder
from gantune.scores.score import check_same_protocol
from tests.canned import PROTOCOL, make_score, run_info


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of ``dcgan`` with overrides, the second one newer, and one of another study."""
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(("dcgan-bbbbbb", "dcgan-aaaaaa", "mixture2d")):
        info = tmp_path / "runs" / name / "run.json"
        info.parent.mkdir(parents=True)
        info.write_text("{}")
        os.utime(info, (age, age))
    return tmp_path / "runs"


def test_a_run_is_found_by_folder_and_by_study(runs: Path) -> None:
    assert find_run("mixture2d").path == Path("runs/mixture2d")
    assert find_run(str(runs / "mixture2d")).path == runs / "mixture2d"


def test_a_study_with_overrides_is_found_by_its_newest_run(runs: Path) -> None:
    assert find_run("dcgan").path == Path("runs/dcgan-aaaaaa")
    (runs / "dcgan").mkdir()
    (runs / "dcgan/run.json").write_text("{}")
    assert find_run("dcgan").path == Path("runs/dcgan")


def test_a_near_miss_is_named(runs: Path) -> None:
    with pytest.raises(RunError, match="did you mean 'mixture2d'"):
        find_run("mixture2")
    with pytest.raises(RunError, match="no such run"):
        find_run("/nowhere/dcgan")
    with pytest.raises(RunError, match="there are: dcgan-aaaaaa, dcgan-bbbbbb, mixture2d"):
        find_run("xyz")


def test_a_space_that_was_not_searched_yet_is_no_run(runs: Path) -> None:
    with pytest.raises(RunError, match=r"^wgan: .* a space: `gantune search wgan` runs it$"):
        find_run("wgan")


def test_a_folder_with_runs_inside_names_them(runs: Path) -> None:
    (runs / "stable/as_it_is").mkdir(parents=True)
    (runs / "stable/as_it_is/run.json").write_text("{}")
    for name in ("stable", "runs/stable"):
        with pytest.raises(RunError, match=r"^runs/stable: not a run .* runs/stable/as_it_is$"):
            find_run(name)
    (runs.parent / "mine").mkdir()
    (runs.parent / "mine/ticks.jsonl").touch()
    with pytest.raises(RunError, match=r"mine: not a run .* `gantune diagnose mine` tells"):
        find_run("mine")


def test_a_file_is_no_run(runs: Path) -> None:
    Path("slow.yaml").write_text("loss: vanilla\n")
    with pytest.raises(RunError, match="a file, and not a run"):
        find_trial("slow.yaml#3")


def test_a_trial_is_named_by_run_and_number(runs: Path) -> None:
    assert find_trial("mixture2d#7") == (RunFolder(Path("runs/mixture2d")), 7)
    with pytest.raises(RunError, match="RUN#NUMBER"):
        find_trial("mixture2d#x")


def test_a_run_is_running_while_it_is_locked(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert not folder.is_running
    with folder.locked():
        assert folder.is_running
    assert not folder.is_running


def test_grids_are_named_by_kimg_in_order(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    names = [folder.grid(kimg).name for kimg in (0.25, 1.5, 2.25, 10.048, 200)]
    assert names[3] == "samples-0010kimg.png"
    assert names == sorted(names)
    assert len(set(names)) == 5


def test_what_is_beyond_the_moment_that_a_run_goes_on_from_is_dropped(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    for kimg in (1.0, 2.06, 3.0):
        folder.add_tick({"kimg": kimg})
        folder.grid(kimg).touch()  # the second one's name says 2.1
    folder.truncate_after(2.06)
    assert [line["kimg"] for line in folder.ticks()] == [1.0, 2.06]
    assert list(folder.grids()) == [1.0, 2.1]
    folder.neighbours.touch()
    folder.truncate_after(1.0)
    assert folder.neighbours.exists()
    folder.truncate_after(-math.inf)
    assert not folder.neighbours.exists() and not folder.grids()


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    folder.add_score({"kimg": 1.0, "rung": 0.5})
    with (tmp_path / "scores.jsonl").open("a") as file:
        file.write('{"kimg": 2')
    assert folder.scores() == [{"kimg": 1.0, "rung": 0.5}]


TORN = [
    b'{"kimg": 1',
    b"\x00" * 40 + b"\n",
    b'{"kimg": 2\n',
    b"\xff\xfe\n",
    b"[1]\n",
    "é".encode()[:1],
]


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_line_is_left_out_and_cut_off(tmp_path: Path, torn: bytes) -> None:
    folder = TrialFolder(tmp_path)
    folder.add_tick({"kimg": 1.0})
    folder.add_score({"kimg": 1.0, "rung": 0.5})
    for name in ("ticks.jsonl", "scores.jsonl"):
        with (tmp_path / name).open("ab") as file:
            file.write(torn)
    assert folder.ticks() == [{"kimg": 1.0}] == [folder.last_tick()]
    folder.truncate_after(1.0)
    folder.add_tick({"kimg": 2.0})
    assert [line["kimg"] for line in folder.ticks()] == [1.0, 2.0]
    assert folder.scores() == [{"kimg": 1.0, "rung": 0.5}]


def test_a_run_knows_its_protocol(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.info.write_text(json.dumps(run_info()))
    assert read_protocol(folder) == PROTOCOL
    folder.info.unlink()
    with pytest.raises(RunError, match="not a run of gantune"):
        read_protocol(folder)


def test_the_runs_in_a_folder_that_is_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "as_it_is").mkdir()
    (tmp_path / "as_it_is" / "run.json").touch()
    with pytest.raises(RunError, match=r"no run.json\); inside it are: .*as_it_is"):
        find_run(str(tmp_path))


def test_a_run_knows_its_rungs_protocol_once_it_has_begun(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_rung_protocol(folder) is None
    folder.info.write_text(json.dumps(run_info()))
    assert read_rung_protocol(folder) == PROTOCOL
    folder.info.write_text(json.dumps(run_info(rung_protocol=None)))
    assert read_rung_protocol(folder) is None
    folder.info.write_text(json.dumps(run_info(rung_protocol={"moon": "full"})))
    with pytest.raises(RunError, match="another --out"):
        read_rung_protocol(folder)


@pytest.mark.parametrize(
    "info",
    [
        {"protocol": None},
        {"protocol": "0123456789ab"},
        {"protocol": asdict(PROTOCOL) | {"real": "9"}},
        {"protocol": {"data": "d", "real": 9}},
        {"protocol": asdict(PROTOCOL) | {"moon": "full"}},
    ],
)
def test_a_run_of_another_version_is_one_clear_message(
    tmp_path: Path, info: dict[str, object]
) -> None:
    RunFolder(tmp_path).info.write_text(json.dumps(run_info(**info)))
    with pytest.raises(RunError, match=f"^{tmp_path}: .*another --out$"):
        read_protocol(RunFolder(tmp_path))


def test_a_line_of_scores_is_read_back() -> None:
    score = make_score(3.0, classes={"a": 1.0}, real_classes={"a": 1.0})
    line = {"kimg": 1.0, "rung": 0.5, "scoring_seconds": 2.0} | score.to_dict()
    assert read_score(Path("run"), json.loads(json.dumps(line))) == score


@pytest.mark.parametrize("changes", [{"protocol": "0123456789ab"}, {"moon": 1}, {"kid": "low"}])
def test_a_score_of_another_version_is_one_clear_message(changes: dict[str, object]) -> None:
    with pytest.raises(RunError, match=r"^run: its scores are not in the format of this version"):
        read_score(Path("run"), make_score(3.0).to_dict() | changes)
    with pytest.raises(RunError, match="version"):
        read_score(Path("run"), {"value": 3.0})


def test_another_protocol_is_refused_with_what_differs() -> None:
    check_same_protocol(Path("run"), PROTOCOL, replace(PROTOCOL))
    other = replace(PROTOCOL, held_out_data="b" * 64, generated=100)
    with pytest.raises(RunError) as caught:
        check_same_protocol(Path("run"), PROTOCOL, other)
    text = str(caught.value)
    assert text.startswith("run: its scores were taken under another protocol")
    assert "generated: 2000 against 100\n" in text
    assert f"held_out_data:  against {'b' * 12}...\n" in text
    assert "--out" in text and "resolution" not in text


def test_a_name_that_fits_several_runs_says_which_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("dcgan", "dcgan-aaaaaa"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    assert find_run("dcgan").path == Path("runs/dcgan")
    assert "dcgan: taken from runs/dcgan; there is also runs/dcgan-aaaaaa" in caplog.text
    caplog.clear()
    assert find_run("runs/dcgan").path == Path("runs/dcgan")
    assert find_run("runs/dcgan-aaaaaa").path == Path("runs/dcgan-aaaaaa")
    assert not caplog.text
