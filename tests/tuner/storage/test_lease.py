"""The lease: one driver of a study, whoever comes, sleeps or dies."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine

from gantune.errors import RunError
from gantune.tuner.storage.database import StudyAttribute
from gantune.tuner.storage.lease import Lease, LeaseOwner, LeaseTiming, beating, this_process
from gantune.tuner.storage.retry import TransientError

PACE = LeaseTiming(beat=0.05, limit=0.5, trust=0.2)
ELSEWHERE = LeaseOwner("gpu-3", 4242, "/data/runs/tiny", token="elsewhere")


class Note:
    """A cell in memory; ``fault`` is raised before or after the next swap."""

    def __init__(self, text: str | None = None) -> None:
        self.text, self.fault = text, ""
        self._lock = threading.Lock()

    def read(self) -> str | None:
        return self.text

    def swap(self, old: str | None, new: str | None) -> bool:
        fault, self.fault = self.fault, ""
        if fault == "before":
            raise TransientError("refused")
        with self._lock:
            if self.text != old:
                return False
            self.text = new
        if fault == "after":
            raise TransientError("its answer was lost")
        return True


def make(
    cell: Note | StudyAttribute, holder: LeaseOwner | None = None, pace: LeaseTiming = PACE
) -> Lease:
    return Lease(cell, holder or this_process(Path("run")), "study 'tiny'", pace)


def silent(text: str) -> None:
    pass


def test_a_free_lease_is_taken_and_given_back() -> None:
    note = Note()
    lease = make(note)
    lease.claim(silent)
    assert note.text is not None and f'"process": {this_process(Path()).process}' in note.text
    lease.release()
    assert note.text is None


def test_who_comes_while_the_holder_beats_is_told_who_it_is() -> None:
    note = Note()
    holder = make(note, ELSEWHERE)
    holder.claim(silent)
    lines: list[str] = []
    with (
        beating(holder, PACE.beat),
        pytest.raises(RunError, match=r"'tiny' is being searched.*process 4242 on gpu-3.*/data/ru"),
    ):
        make(note).claim(lines.append)
    assert "looking for up to 0.5 s" in lines[0]
    assert note.text is None


def test_a_silent_holder_is_succeeded_and_told_when_it_wakes() -> None:
    note = Note()
    sleeper = make(note, ELSEWHERE)
    sleeper.claim(silent)
    lines: list[str] = []
    begun = time.monotonic()
    make(note).claim(lines.append)
    assert time.monotonic() - begun >= PACE.limit
    assert "process 4242 on gpu-3" in lines[-1] and "going on in its place" in lines[-1]
    taken = note.text
    with pytest.raises(RunError, match=r"taken over by process \d+ on .*writes nothing more"):
        sleeper.check(writes=True)
    with pytest.raises(RunError, match="taken over"):
        sleeper.check(writes=False)
    sleeper.release()
    assert note.text == taken


def test_a_write_shortly_after_a_beat_asks_nobody() -> None:
    note = Note()
    lease = make(note, pace=replace(PACE, trust=60))
    lease.claim(silent)
    note.fault = "before"
    lease.check(writes=True)
    assert note.fault


def test_a_process_of_this_machine_that_is_gone_is_succeeded_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid = process.pid
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    gone = replace(this_process(Path("run")), process=pid, started=start, token="gone")
    assert not gone.is_gone
    assert replace(gone, started="1").is_gone  # its number was used again
    assert not replace(gone, machine="another", started="1").is_gone
    process.kill()
    while not gone.is_gone:  # a zombie at first
        time.sleep(0.01)
    process.communicate()
    note = Note()
    make(note, gone).claim(silent)
    begun = time.monotonic()
    make(note, pace=replace(PACE, limit=60)).claim(silent)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_lost_answer_loses_no_lease(fault: str) -> None:
    note = Note()
    lease = make(note)
    note.fault = fault
    with pytest.raises(TransientError):
        lease.claim(silent)
    lease.claim(silent)
    note.fault = fault
    with pytest.raises(TransientError):
        lease.renew()
    lease.renew()
    assert note.text is not None and '"beat": 2' in note.text.replace(": 1}", ": 2}")
    lease.release()
    assert note.text is None


def test_a_form_of_another_version_is_left_alone() -> None:
    note = Note('{"who": "knows"}')
    with pytest.raises(RunError, match="one version"):
        make(note).claim(silent)
    assert note.text == '{"who": "knows"}'


@pytest.mark.parametrize("standing", [False, True])
def test_of_many_at_one_moment_one_wins(tmp_path: Path, standing: bool) -> None:
    """In a database: of all who come, or who take over from one that is silent."""
    url = f"sqlite:///{tmp_path}/studies.db"
    study = RDBStorage(url).create_new_study([], "tiny")
    if standing:
        make(StudyAttribute(create_engine(url), study, "driver"), ELSEWHERE).claim(silent)
    start = threading.Barrier(4)

    def come(number: int) -> str:
        engine = create_engine(url, connect_args={"timeout": 60})
        holder = replace(ELSEWHERE, token=str(number), process=number)
        lease = make(StudyAttribute(engine, study, "driver"), holder)
        start.wait()
        try:
            lease.claim(silent)
        except RunError:
            return "refused"
        with beating(lease, PACE.beat):
            over.wait(60)
        engine.dispose()
        return "held"

    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(come, number) for number in range(4)]
        end = time.monotonic() + 60
        while sum(future.done() for future in futures) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        over.set()
        assert sorted(future.result() for future in futures) == ["held", *["refused"] * 3]
