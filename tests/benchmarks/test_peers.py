"""The line protocol between a replay and the searches of other libraries."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import host, measured
from benchmarks.peers.host import PEERS, PeerError, Table, play, task
from benchmarks.publish import ROOT
from benchmarks.replay import Recorded, Replay
from tests.benchmarks import test_replay
from tests.docs.blocks import blocks

VALUES = {
    "loss": "wgan",
    "discriminator.norm": "none",
    "discriminator.steps": 1,
    "generator.beta1": 0.5,
    "generator.lr": 3e-4,
    "penalties.weight_clip.limit": 0.01,
}


@cache
def table_of_three() -> Recorded:
    return test_replay.replay().table


def replay() -> Replay:
    return Replay(table_of_three())


def request(number: int, percent: float, **changes: Any) -> str:
    values = {**VALUES, **{key.replace("__", "."): value for key, value in changes.items()}}
    return json.dumps({"number": number, "values": values, "percent": percent})


def test_the_task_names_ranges_choices_and_conditions() -> None:
    found = task(replay().table, 7)
    assert (found["seed"], found["settings"]) == (7, 3)
    assert found["percents"] == list(range(5, 101, 5))
    by = {one["name"]: one for one in found["parameters"]}
    rate = {"low": 1e-5, "high": 0.01, "log": True, "whole": False}
    assert by["generator.lr"] == {"name": "generator.lr", "when": {}, **rate}
    assert by["discriminator.steps"]["choices"] == [1, 5]
    assert by["penalties.weight_clip.limit"]["when"] == {"loss": ["wgan"]}
    assert set(by["discriminator.norm"]["when"]["loss"]) == {
        *("hinge", "lsgan", "minimax", "vanilla", "wgan")
    }
    assert json.loads(json.dumps(found)) == found


def test_a_setting_goes_on_from_where_it_was_and_only_that_counts() -> None:
    one = replay()
    table = Table(one)
    assert table.answer(request(4, 25)) == {"score": 16.0, "error": 0.5, "percent": 25}
    assert one.spent == pytest.approx(2.5)
    assert table.answer(request(4, 10))["score"] == 19.0
    assert one.spent == pytest.approx(2.5)
    assert table.answer(request(4, 50))["percent"] == 50
    assert one.spent == pytest.approx(5)
    table.answer(request(9, 5))
    assert one.spent == pytest.approx(5.5)


@pytest.mark.parametrize(
    ("asked", "percent"), [(0, 5), (1, 5), (11.1, 10), (33.3, 35), (98, 100), (400, 100)]
)
def test_a_percentage_is_rounded_to_a_recorded_one(asked: float, percent: int) -> None:
    assert Table(replay()).answer(request(0, asked)).get("percent", 100) == percent


def test_it_stops_with_the_best_or_with_no_setting_left_or_after_all_that_can_be_asked() -> None:
    found = replay()
    assert Table(found).answer(request(0, 100)) == {"stop": True}
    assert found.has_best
    table = Table(replay())
    assert [set(table.answer(request(k, 5))) for k in range(4)][-1] == {"stop"}
    table = Table(replay())
    answers = [table.answer(request(0, 5)) for _ in range(3 * 20 + 1)]
    assert ["stop" in answer for answer in answers] == [False] * 60 + [True]


def test_values_that_do_not_matter_are_ignored_and_ends_of_ranges_are_kept() -> None:
    table = Table(replay())
    found = table.active({**VALUES, "generator.lr": 0.0100000001, "penalties.dragan.weight": 7})
    assert found == {**VALUES, "generator.lr": 0.01}
    assert "discriminator.norm" not in table.active({**VALUES, "loss": "dragan"} | DRAGAN)
    assert type(table.active({**VALUES, "discriminator.steps": 5.0})["discriminator.steps"]) is int


DRAGAN = {"penalties.dragan.weight": 1.0}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello\n", "'hello' is no request; a request is a line such as"),
        ("[1]", "is no request"),
        ('{"number": 0, "values": [], "percent": 5}', "is no request"),
        ('{"number": 0, "values": {}}', "is no request"),
        ('{"number": 0, "values": {}, "percent": 5}', "has no value of loss"),
        (request(0, 5, loss="gan"), "loss is 'gan' in a request; it is one of dragan, hinge"),
        (request(0, 5, generator__lr="x"), "generator.lr is 'x' in a request; it is a number"),
        (request(0, 5, generator__lr=None), "generator.lr is None in a request"),
        (request(0, math.nan), "is no request"),
    ],
)
def test_what_is_no_request_is_said(line: str, message: str) -> None:
    with pytest.raises(PeerError) as raised:
        Table(replay()).answer(line)
    assert message in str(raised.value)


def by(program: str, one: Replay) -> Replay:
    """Plays a program on a replay, in an interpreter that starts fast."""
    play(one, [sys.executable, "-I", "-S", "-c", program], seed=3)
    return one


READ = "import json; task = json.loads(input())\n"
ASK = "print(json.dumps({'number': %s, 'values': %s, 'percent': %s}), flush=True)\n"


def test_a_search_in_another_process_is_played_to_its_stop() -> None:
    values = repr(VALUES)
    program = READ + "for number in range(3):\n"
    program += (
        "    " + ASK % ("number", values, 5) + "    assert json.loads(input())['score'] > 3\n"
    )
    program += ASK % (0, values, 100) + "assert json.loads(input()) == {'stop': True}\n"
    one = by(program, replay())
    assert one.has_best
    assert one.spent == pytest.approx(3 * 0.5 + 9.5)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (READ + "raise SystemExit('no idea')", "ends with code 1: no idea"),
        (READ + "1 / 0", "ZeroDivisionError"),
        (READ + "print('hello'); input()", "'hello' is no request"),
        ("raise SystemExit('at once')", "at once"),
    ],
)
def test_a_search_that_fails_is_named_with_what_it_said(program: str, message: str) -> None:
    with pytest.raises(PeerError) as raised:
        by(program, replay())
    assert message in str(raised.value)
    assert sys.executable in str(raised.value)


def test_a_search_that_ends_by_itself_has_missed() -> None:
    assert not by(READ, replay()).has_best


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(PeerError, match="no-such-program does not start"):
        play(replay(), ["no-such-program"], 0)


def test_the_client_keeps_what_a_library_prints_out_of_the_protocol() -> None:
    program = (
        "from benchmarks.peers.client import Search\n"
        "search = Search()\nprint('a library says hello')\n"
        "assert search.seed == 3 and search.parameters[0].choices\n"
        f"score = search.train(0, {VALUES!r}, 50)\nassert score == 11.0, score\n"
        f"search.train(0, {VALUES!r}, 100)\nraise SystemExit('the search is over')\n"
    )
    one = replay()
    play(one, [sys.executable, "-S", "-c", program], seed=3)
    assert one.has_best


def test_the_example_of_the_page_is_a_search(tmp_path: Path) -> None:
    page = blocks(ROOT / "docs" / "benchmark.md", "python")
    (text,) = [block.text for block in page if block.file == "mine.py"]
    (tmp_path / "mine.py").write_text(text)
    one = replay()
    play(one, [sys.executable, "-I", "-S", str(tmp_path / "mine.py")], 0)
    assert one.spent > 0


@pytest.mark.integration
def test_the_table_is_read_as_the_page_reads_it() -> None:
    page = blocks(ROOT / "docs" / "benchmark.md", "python")
    (text,) = [block.text for block in page if block.file == "read.py"]
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "generator.lr" in done.stdout


def test_every_peer_has_its_program_and_pinned_requirements() -> None:
    folder = Path(host.__file__).parent
    for peer in PEERS.values():
        assert (folder / f"{peer.package}_search.py").exists()
        lines = (folder / f"{peer.package}.txt").read_text(encoding="utf-8").splitlines()
        assert lines
        assert all("==" in line for line in lines)


def test_what_was_measured_is_kept_and_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def search(table: str, peer: str, seed: int) -> dict[str, Any]:
        done.append((peer, seed))
        return {"kimg": None if seed else 40.0, "progress": [[40.0, 3]]}

    class Pool:
        def __init__(self, processes: int) -> None: ...

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, function: Any, *given: Any) -> Future:
            return Future(function(*given))

    monkeypatch.setattr(measured, "_search", search)
    monkeypatch.setattr(measured, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(measured, "as_completed", list)
    assert measured.measured("digits", tmp_path) == {}
    measured.measure("digits", ["DEHB"], 1, 1, tmp_path)
    measured.measure("digits", ["DEHB", "Syne Tune: ASHA"], 2, 1, tmp_path)
    assert done == [("DEHB", 0), ("Syne Tune: ASHA", 0), ("DEHB", 1), ("Syne Tune: ASHA", 1)]
    found = measured.measured("digits", tmp_path)
    assert list(found) == ["Syne Tune: ASHA", "DEHB"]
    assert [one.kimg for one in found["DEHB"]] == [40.0, math.inf]
    assert found["DEHB"][0].progress == ((40.0, 3),)
    (path,) = tmp_path.iterdir()
    assert '   "0": {"kimg": 40.0, "progress": [[40.0, 3]]},\n' in path.read_text()
    monkeypatch.setattr(measured, "_digest", lambda table: "another table")
    assert measured.measured("digits", tmp_path) == {}


class Future:
    def __init__(self, value: Any) -> None:
        self.value = value

    def result(self) -> Any:
        return self.value
