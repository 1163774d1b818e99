"""The lease: a study has one driver, whichever others start, sleep or die."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import create_engine

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.recovery import open_study
from gantune.tuner.storage.lease import (
    Lease,
    LeaseOwner,
    LeaseTiming,
    StudyAttribute,
    exclusive_driver,
)
from gantune.tuner.storage.retry import TransientError
from tests.tuner.factory import dump_sqlite, open_url, score, toy_space

TIMING = LeaseTiming(interval=0.05, limit=0.5, trust=0.2)


ELSEWHERE = LeaseOwner("gpu-3", 4242, "/data/runs/tiny", token="elsewhere")


class InMemory(StudyAttribute):
    """A compare-and-swap text in memory; the next swap fails before or after it is done."""

    def __init__(self, text: str | None = None) -> None:
        self.text, self.fault = text, ""
        self._lock = threading.Lock()

    def read(self) -> str | None:
        return self.text

    def compare_and_swap(self, old: str | None, new: str | None) -> bool:
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
    stored: StudyAttribute, owner: LeaseOwner | None = None, timing: LeaseTiming = TIMING
) -> Lease:
    return Lease(stored, owner or LeaseOwner.this_process(Path("run")), "study 'tiny'", timing)


def silent(text: str) -> None:
    pass


def test_a_free_lease_is_claimed_and_released() -> None:
    stored = InMemory()
    lease = make(stored)
    lease.claim(silent)
    assert (
        stored.text is not None
        and f'"process": {LeaseOwner.this_process(Path()).process}' in stored.text
    )
    lease.release()
    assert stored.text is None


def test_a_lease_is_taken_over_however_its_text_is_formatted() -> None:
    stored = InMemory()
    stored.text = '{"process": 1,"host":"x",  "folder":"/a"}'
    lease = make(stored, timing=LeaseTiming(interval=0.02, limit=0.1, trust=0.05))
    lease.claim(silent)
    lease.renew()
    lease.release()
    assert stored.text is None


def test_a_claim_is_refused_with_the_owner_while_it_sends_heartbeats() -> None:
    stored = InMemory()
    owner = make(stored, ELSEWHERE)
    owner.claim(silent)
    lines: list[str] = []
    with (
        owner.heartbeats(),
        pytest.raises(RunError, match=r"'tiny' is being searched.*process 4242 on gpu-3.*/data/ru"),
    ):
        make(stored).claim(lines.append)
    assert "waiting up to 0.5 s for its heartbeat" in lines[0]
    assert stored.text is None


def test_a_silent_owner_loses_the_lease_and_is_told_when_it_wakes() -> None:
    stored = InMemory()
    sleeper = make(stored, ELSEWHERE)
    sleeper.claim(silent)
    lines: list[str] = []
    begun = time.monotonic()
    make(stored).claim(lines.append)
    assert time.monotonic() - begun >= TIMING.limit
    assert "process 4242 on gpu-3" in lines[-1] and "taking over" in lines[-1]
    taken = stored.text
    with pytest.raises(RunError, match=r"taken over by process \d+ on .*writes nothing more"):
        sleeper.check(writes=True)
    with pytest.raises(RunError, match="taken over"):
        sleeper.check(writes=False)
    sleeper.release()
    assert stored.text == taken


def test_a_write_shortly_after_a_heartbeat_sends_none() -> None:
    stored = InMemory()
    lease = make(stored, timing=replace(TIMING, trust=60))
    lease.claim(silent)
    stored.fault = "before"
    lease.check(writes=True)
    assert stored.fault


def test_a_dead_process_of_this_machine_loses_the_lease_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid = process.pid
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    gone = replace(LeaseOwner.this_process(Path("run")), process=pid, started=start, token="gone")
    assert not gone.is_gone
    assert replace(gone, started="1").is_gone  # its number was reused
    assert not replace(gone, machine="another", started="1").is_gone
    process.kill()
    while not gone.is_gone:  # a zombie at first
        time.sleep(0.01)
    process.communicate()
    stored = InMemory()
    make(stored, gone).claim(silent)
    begun = time.monotonic()
    make(stored, timing=replace(TIMING, limit=60)).claim(silent)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_lost_answer_loses_no_lease(fault: str) -> None:
    stored = InMemory()
    lease = make(stored)
    stored.fault = fault
    with pytest.raises(TransientError):
        lease.claim(silent)
    lease.claim(silent)
    stored.fault = fault
    with pytest.raises(TransientError):
        lease.renew()
    lease.renew()
    assert stored.text is not None and '"beat": 2' in stored.text.replace(": 1}", ": 2}")
    lease.release()
    assert stored.text is None


def test_a_lease_of_another_version_is_left_as_it_is() -> None:
    stored = InMemory('{"who": "knows"}')
    with pytest.raises(RunError, match="one version"):
        make(stored).claim(silent)
    assert stored.text == '{"who": "knows"}'


@pytest.mark.parametrize("is_owned", [False, True])
def test_of_many_claims_at_one_moment_one_wins(tmp_path: Path, is_owned: bool) -> None:
    """In a database: of all that claim a free lease, or that of a silent owner."""
    url = f"sqlite:///{tmp_path}/studies.db"
    study = RDBStorage(url).create_new_study([], "tiny")
    if is_owned:
        make(StudyAttribute(create_engine(url), study, "driver"), ELSEWHERE).claim(silent)
    start = threading.Barrier(4)

    def claim(number: int) -> str:
        engine = create_engine(url, connect_args={"timeout": 60})
        owner = replace(ELSEWHERE, token=str(number), process=number)
        lease = make(StudyAttribute(engine, study, "driver"), owner)
        start.wait()
        try:
            lease.claim(silent)
        except RunError:
            return "refused"
        with lease.heartbeats():
            over.wait(60)
        engine.dispose()
        return "held"

    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(claim, number) for number in range(4)]
        end = time.monotonic() + 60
        while sum(future.done() for future in futures) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        over.set()
        assert sorted(future.result() for future in futures) == ["held", *["refused"] * 3]


def test_a_study_attribute_is_swapped_only_from_its_current_value(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path}/studies.db")
    study = storage.create_new_study([], "tiny")
    storage.set_study_user_attr(study, "another", "value")
    attribute, other = (StudyAttribute(storage.engine, study, "driver") for _ in range(2))
    assert attribute.read() is None
    assert attribute.compare_and_swap(None, '"mine"')
    assert other.read() == '"mine"'
    assert not other.compare_and_swap(None, '"other"')
    assert not other.compare_and_swap('"older"', '"other"')
    assert not other.compare_and_swap('"older"', None)
    assert attribute.read() == '"mine"'
    assert attribute.compare_and_swap('"mine"', '"mine, later"')
    assert storage.get_study_user_attrs(study) == {"another": "value", "driver": "mine, later"}
    assert other.compare_and_swap('"mine, later"', None)
    assert attribute.read() is None
    assert storage.get_study_user_attrs(study) == {"another": "value"}
    storage.engine.dispose()


def test_one_driver_holds_a_study_until_it_ends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    space = toy_space(tmp_path)
    said: list[str] = []
    timing = LeaseTiming(interval=0.1, limit=60)
    first, second = open_url(url), open_url(url)
    open_study(first, space, RunFolder(tmp_path / "a"))
    with exclusive_driver(first, "toy", tmp_path / "a", said.append, timing):
        (holder,) = [s.user_attrs["driver"] for s in first.get_all_studies()]
        assert holder["folder"] == str(tmp_path / "a")
        with (
            pytest.raises(RunError, match=f"being searched already.*run folder {tmp_path}/a"),
            exclusive_driver(second, "toy", tmp_path / "b", said.append, timing),
        ):
            raise AssertionError
    with exclusive_driver(second, "toy", tmp_path / "b", said.append, timing):
        assert len(said) == 1


def test_a_driver_that_lost_its_lease_writes_nothing_more(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    space, folder = toy_space(tmp_path), RunFolder(tmp_path / "run")
    first, second = open_url(url), open_url(url)
    open_study(first, space, folder)
    asleep = LeaseTiming(interval=600, trust=0.0)  # as after a suspension
    awake = LeaseTiming(interval=0.05, limit=0.2)
    with exclusive_driver(first, "toy", tmp_path / "a", lambda text: None, asleep):
        driver = Driver(space, folder, first, SearchContext(lambda config: config, "abc"))
        assignment = driver.next_assignment()
        assert isinstance(assignment, Assignment)
        with exclusive_driver(second, "toy", tmp_path / "b", lambda text: None, awake):
            before = [line for line in dump_sqlite(tmp_path / "studies.db") if "driver" not in line]
            with pytest.raises(RunError, match=f"was taken over by .*run folder {tmp_path}/b"):
                driver.finish(assignment.name, Outcome("completed", 10, score=score(1.0)))
            for operation in (driver.next_assignment, driver.state, driver.close):
                with pytest.raises(RunError, match="taken over"):
                    operation()
            after = [line for line in dump_sqlite(tmp_path / "studies.db") if "driver" not in line]
            assert before == after
            assert [t.state for t in second.get_all_trials(1)] == [TrialState.RUNNING]


def test_a_journal_needs_no_lease(tmp_path: Path) -> None:
    with exclusive_driver(optuna.storages.InMemoryStorage(), "toy", tmp_path, lambda text: None):
        pass
