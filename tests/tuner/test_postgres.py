"""Searches in a real PostgreSQL server: killed drivers, a restart, no password in any output."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gantune.errors import RunError
from gantune.io.files import write_text
from gantune.tuner import search
from gantune.tuner.options import Options
from gantune.tuner.storage import database as database_module
from gantune.tuner.storage.retry import Retrier
from tests.forked import Forked, run_forked
from tests.tuner.own_trainers import write_own
from tests.tuner.postgres import PASSWORD, QUOTED, Server, needs_postgres
from tests.tuner.searches import Listener

pytestmark = [
    pytest.mark.integration,
    needs_postgres,
    pytest.mark.usefixtures("forked_workers"),
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("postgres"),  # one server for all tests
]
pytest.importorskip("psycopg")

WORD = "kittens"
assert WORD in PASSWORD and WORD in QUOTED

SPACE = """
study: own
trainer: mine.py:train
budget: {trials: 20, max_failed: 0}
trial:
  kimg: 1
  lr: {low: 0.01, high: 1, log: true}
start: [{lr: 0.1}]
pruning: {rule: none, rungs: [50%]}
finalists: {top: 0}
"""

GATED = """
import time
from pathlib import Path


def train(config, session):
    kimg, name = session.kimg, session.checkpoint_dir.parent.name
    while int(name) >= int(Path(MARKS + ".gate").read_text()):
        time.sleep(0.1)
    while not session.should_stop:
        time.sleep(0.05)
        kimg += 0.125
        session.report(kimg=kimg, d_loss=1.0, g_loss=0.7)
        if session.should_score:
            session.score(config["lr"] + 1 - kimg)
    with open(MARKS, "a") as file:
        print(name, file=file)
"""
"""Trains for half a second once the gate is open for its number, and marks its end."""

CRASHING = """
import os


def train(config, session):
    print(dict(os.environ))
    raise RuntimeError(f"boom {os.environ}")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.end()


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database for one test."""
    name = f"d{abs(hash(request.node.name)) % 10**9}"
    server.sql(f"CREATE DATABASE {name} OWNER gan")
    return server.url(name)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gantune", *arguments]


def gantune(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_forked([*arguments], cwd=folder, env={**os.environ, **environment})


def wait_for(condition: Callable[[], object], driver: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 200
    while not condition():
        assert driver.poll() is None, "the driver has ended"
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)


def finished(server: Server, url: str) -> dict[str, str]:
    """Scores of the finished trials by number, as the database has them."""
    found = server.sql(
        "SELECT number, value FROM trials JOIN trial_values USING (trial_id) "
        "WHERE state = 'COMPLETE' ORDER BY number",
        url.rpartition("/")[2],
    )
    return dict(line.split("|") for line in found.splitlines())


def test_killed_drivers_and_a_restarted_server_lose_and_double_nothing(
    server: Server, database: str, tmp_path: Path
) -> None:
    write_gated(tmp_path, SPACE)
    search = ["search", "own.yaml", "--workers", "2", "--storage", database, "--out"]
    output = (tmp_path / "output.txt").open("ab")

    def start(out: str) -> subprocess.Popen[bytes]:
        return Forked(command(*search, out), cwd=tmp_path, stdout=output, stderr=output)

    def kill(driver: subprocess.Popen[bytes]) -> dict[str, str]:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        return finished(server, database)

    driver = start("a")
    try:
        wait_for(lambda: has_scores(server, database, 2), driver)
        second = gantune(tmp_path, *search, "b")
        assert second.returncode == 2
        assert f"being searched already, by process {driver.pid} on " in second.stderr
        assert f"run folder {tmp_path}/a" in second.stderr
        assert not (tmp_path / "b").exists()
        open_gate(tmp_path, 5)
        wait_for(lambda: has_scores(server, database, 4), driver)
        first_kill = kill(driver)

        driver = start("b")
        wait_for(lambda: has_scores(server, database, 5), driver)
        server.stop()
        open_gate(tmp_path, 12)
        time.sleep(3)
        server.start()
        wait_for(lambda: has_scores(server, database, 11), driver)
        second_kill = kill(driver)
        log = (tmp_path / "b/log.txt").read_text()
        assert "its last driver is gone" in log
        assert "cannot be reached" in log and "trying again for up to 5 minutes" in log
        assert "database reached again after" in log

        open_gate(tmp_path, 20)
        driver = start("a")
        assert driver.wait(400) == 0
    finally:
        driver.kill()
        driver.wait()
        output.close()
    last = finished(server, database)
    assert sorted(map(int, last)) == list(range(20))
    assert server.sql("SELECT count(*) FROM trials", database.rpartition("/")[2]) == "20"
    for before in (first_kill, second_kill):
        assert before.items() <= last.items()
    trained = (tmp_path / "marks").read_text().split()
    for number in second_kill:
        assert trained.count(f"{int(number):04d}") == 1
    assert "driver" not in notes(server, database)  # the lease was given back
    assert_nowhere(tmp_path)


def has_scores(server: Server, url: str, count: int) -> bool:
    name = url.rpartition("/")[2]
    is_made = server.sql("SELECT to_regclass('trial_values') IS NOT NULL", name) == "t"
    return is_made and len(finished(server, url)) >= count


def notes(server: Server, url: str) -> list[str]:
    return server.sql("SELECT key FROM study_user_attributes", url.rpartition("/")[2]).splitlines()


def assert_nowhere(folder: Path) -> None:
    """No file below ``folder`` contains the password. Messages are checked separately."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert WORD.encode() not in path.read_bytes(), path


def write_gated(path: Path, space: str, gate: int = 2) -> None:
    """A space whose trials from number ``gate`` on wait for ``open_gate``."""
    write_own(path, f"MARKS = {str(path / 'marks')!r}\n{GATED}", space)
    open_gate(path, gate)


def open_gate(path: Path, gate: int) -> None:
    write_text(path / "marks.gate", str(gate))


FEW = SPACE.replace("20,", "2,")


def test_a_run_keeps_no_password_and_is_read_with_pgpass(
    server: Server, database: str, tmp_path: Path
) -> None:
    write_gated(tmp_path, FEW)
    done = gantune(tmp_path, "search", "own.yaml", "--out", "run", f"--storage={database}")
    assert done.returncode == 0, done.stderr
    assert WORD not in done.stdout + done.stderr
    assert_nowhere(tmp_path)
    info = json.loads((tmp_path / "run/run.json").read_text())
    shown = database.replace("postgresql://", "postgresql+psycopg://").replace(f":{QUOTED}", "")
    assert info["storage"] == shown
    assert f"--storage={shown}" in (tmp_path / "run/best.yaml").read_text()

    without = gantune(tmp_path, "status", "run", PGPASSFILE="/nowhere")
    assert without.returncode == 2
    assert "~/.pgpass" in without.stderr and "PGPASSWORD" in without.stderr
    entry = f"127.0.0.1:{server.port}:*:gan:{PASSWORD.replace(':', chr(92) + ':')}\n"
    (tmp_path / "pgpass").write_text(entry)
    (tmp_path / "pgpass").chmod(0o600)
    for way in ({"PGPASSFILE": str(tmp_path / "pgpass")}, {"PGPASSWORD": PASSWORD}):
        read = gantune(tmp_path, "status", "run", "--json", **way)
        assert read.returncode == 0, read.stderr
        assert len(json.loads(read.stdout)["trials"]["list"]) == 2
        assert WORD not in read.stdout + read.stderr
    again = gantune(tmp_path, "search", "own.yaml", "--out", "run", PGPASSWORD=PASSWORD)
    assert again.returncode == 0, again.stderr
    (tmp_path / "pgpass").unlink()
    assert_nowhere(tmp_path)


def test_no_refusal_tells_the_password(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sql("CREATE DATABASE closed")  # owned by another user: gan may not create tables in it
    opening = partial(Retrier, seconds=1.0, remedy="check host and port")
    monkeypatch.setattr(database_module, "_OPENING", opening)
    nobody = f"postgresql://gan:{QUOTED}@127.0.0.1:{server.port}"
    in_query = f"postgresql://gan@127.0.0.1:{server.port}/none?password={QUOTED}"
    cases = {
        server.url(password=f"{QUOTED}x"): "authentication failed.*check user and password",
        f"{nobody}/none": 'database "none" does not exist; create it first.*CREATE DATABASE none',
        in_query: 'database "none" does not exist',
        f"{nobody}/closed": "GRANT CREATE ON SCHEMA public TO gan",
        f"postgresql://nobody:{QUOTED}@127.0.0.1:{server.port}/closed": "check user and password",
        f"postgresql://gan:{QUOTED}@127.0.0.1:1/closed": "tried for 1 s.*refused; check host",
        f"postgresql://gan:{QUOTED}@no.such.host.invalid/closed": "check host and port",
        f"postgresql://gan:{WORD}@x@127.0.0.1/closed": "%40",
        f"postgresql://gan:{WORD}/closed": "%40",
        f"{nobody}/closed?sslmode=perhaps": "invalid sslmode value.*behind the question mark",
        f"{nobody}/closed?kitten=1": "invalid.*option.*behind the question mark",
        f"mysql+nosuch://gan:{QUOTED}@127.0.0.1/x": "no such kind of database",
    }
    space = write_own(tmp_path, CRASHING, FEW)
    for url, words in cases.items():
        observer = Listener()
        command = f"gantune search own.yaml --storage {shlex.quote(url)}"
        options = Options(out=tmp_path / "run", storage=url, command=command)
        with pytest.raises(RunError, match=words) as caught:
            search(space, options, observer)
        assert WORD not in f"{caught.value} {observer.lines}"
        assert not (tmp_path / "run").exists()


def test_a_trial_that_prints_and_raises_its_environment_tells_no_password(
    database: str, tmp_path: Path
) -> None:
    write_own(tmp_path, CRASHING, FEW)
    search = ["search", "own.yaml", "--out", "run", "--storage", database]
    done = gantune(tmp_path, *search, PGPASSWORD=PASSWORD)
    assert done.returncode == 1 and "boom" in done.stderr, done.stderr
    assert "HOME" in (tmp_path / "run/trials/0000/output.txt").read_text()
    assert WORD not in done.stdout + done.stderr
    assert_nowhere(tmp_path)
    other = gantune(tmp_path, "search", "own.yaml", "--storage", database, "--kimg", "2")
    assert other.returncode == 2 and "of another space" in other.stderr
    assert WORD not in other.stderr


def test_a_guest_who_may_only_read_can_look(server: Server, database: str, tmp_path: Path) -> None:
    write_gated(tmp_path, FEW)
    done = gantune(tmp_path, "search", "own.yaml", "--out", "run", "--storage", database)
    assert done.returncode == 0, done.stderr
    name = database.rpartition("/")[2]
    server.sql("CREATE ROLE guest LOGIN PASSWORD 'look'")
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest", name)
    path = tmp_path / "run/run.json"
    path.write_text(path.read_text().replace("//gan@", "//guest@"))
    asked = gantune(tmp_path, "status", "run", "--json", PGPASSWORD="look")
    assert asked.returncode == 2 and "have not used before" in asked.stderr
    read = gantune(tmp_path, "status", "run", "--json", "--trust", PGPASSWORD="look")
    assert read.returncode == 0, read.stderr
    assert len(json.loads(read.stdout)["trials"]["list"]) == 2


def test_ctrl_c_ends_with_the_summary(server: Server, database: str, tmp_path: Path) -> None:
    write_gated(tmp_path, SPACE)
    driver = Forked(
        command("search", "own.yaml", "--out", "run", "--storage", database),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(lambda: has_scores(server, database, 1), driver)
        driver.send_signal(signal.SIGINT)
        said = driver.communicate(timeout=60)[0].decode()
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == 130, said
    assert "Leaderboard" in said and WORD not in said
    assert "driver" not in notes(server, database)
