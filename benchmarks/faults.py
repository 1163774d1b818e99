"""Kills the driver and the workers of a search again and again: is anything lost or done twice?

``python -m benchmarks.faults`` kills 20 drivers and 20 workers of one search with SIGKILL at random
moments, runs the same command again each time, and writes the outcome to
``results/faults_cpu.md``.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.publish import Report, describe_machine, table
from gantune.run_folder.run import RunFolder
from gantune.tuner.state import read_run

__all__ = ["SPACE", "Faults", "Found"]

SPACE = """
study: faults
budget: {{trials: {trials}, max_failed: 1000}}
objective: {{samples: 64, rung_samples: 32}}
trial:
  data: {{source: digits, resolution: 16}}
  network: {{name: dcgan, width: 4, latent: 8}}
  kimg: {kimg}
  tick_kimg: 0.05
  batch_size: {{choices: [8, 16]}}
  precision: fp32
  generator: {{lr: {{low: 1e-4, high: 1e-3, log: true}}}}
start: [{{batch_size: 16, generator.lr: 2e-4}}]
stability: off
pruning: {{rule: none, rungs: [25%, 50%, 75%]}}
finalists: {{top: 0}}
"""
MARK = "GANTUNE_FAULTS"
"""An environment variable that only the processes of one search have."""

_LONGEST = 2.5  # seconds from the event that a kill waits for to the kill, at most
_IN_TRAINING = 0.75  # share of the kills that wait until training has begun
_TIMEOUT = 300.0  # seconds to wait for an event


@dataclass
class Found:
    """What happened."""

    killed: dict[str, list[float]] = field(default_factory=lambda: {"driver": [], "worker": []})
    """When each was killed, in seconds after the start."""
    back: list[float] = field(default_factory=list)
    """Seconds from each kill of a worker until it was replaced."""
    gone: list[float] = field(default_factory=list)
    """Seconds from each kill of a driver until none of its processes was left."""
    changed: list[str] = field(default_factory=list)
    """Trials whose files changed after they had ended."""
    left: list[str] = field(default_factory=list)
    """Processes that were left after the end."""
    shared: list[str] = field(default_factory=list)
    """New files in shared memory that were left after the end, from any process."""
    twice: list[str] = field(default_factory=list)
    """Trials that ended more than once according to the log."""
    endings: dict[str, int] = field(default_factory=dict)
    ended: int = 0
    """Trials that had ended at the last kill."""
    seconds: float = 0.0


class Faults:
    """One search in a folder, killed at moments that a seed decides."""

    def __init__(self, home: Path, *, trials: int, kimg: float, seed: int) -> None:
        self.home, self._random = home, random.Random(seed)
        self._space, self.run = home / "faults.yaml", RunFolder(home / "run")
        self._space.write_text(SPACE.format(trials=trials, kimg=kimg))
        self._mark = f"{os.getpid()}-{seed}-{time.monotonic_ns()}"
        self._seen: dict[str, str] = {}
        self._before = 0  # bytes of ticks at the last kill
        self._begun, self.found = time.monotonic(), Found()

    def play(self, drivers: int, workers: int) -> Found:
        """Kills ``drivers`` and ``workers`` in random order, then lets the search finish."""
        kinds = ["driver"] * drivers + ["worker"] * workers
        self._random.shuffle(kinds)
        shared = _shared_memory()
        driver = self._start()
        try:
            for kind in kinds:
                self._kill(kind, driver)
                if kind == "driver":
                    driver = self._start()
            if driver.wait(_TIMEOUT) != 0:
                raise RuntimeError(f"the search ended with {driver.returncode}: {self._output()}")
        finally:
            driver.kill()
            driver.wait()
        self._check(shared)
        return self.found

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gantune", "search", str(self._space), "--workers", "2"]
        with (self.home / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [*command, "--out", str(self.run.path), "--device", "cpu"],
                env={**os.environ, MARK: self._mark},
                stdout=output,
                stderr=output,
            )

    def _kill(self, kind: str, driver: subprocess.Popen[bytes]) -> None:
        self._wait(lambda: len(self._workers()) == 2, driver)
        if self._random.random() < _IN_TRAINING:
            self._wait(lambda: self._written() != self._before, driver)
        time.sleep(self._random.uniform(0.0, _LONGEST))
        self._record_ended()
        victim = driver.pid if kind == "driver" else self._random.choice(self._workers())
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        now, self._before = time.monotonic(), self._written()
        self.found.killed[kind].append(now - self._begun)
        if kind == "driver":
            driver.wait()
            self._wait(lambda: not list(self._processes()))
            self.found.gone.append(time.monotonic() - now)
        else:
            self._wait(lambda: len(set(self._workers()) - {victim}) == 2, driver)
            self.found.back.append(time.monotonic() - now)

    def _wait(
        self, condition: Callable[[], bool], driver: subprocess.Popen[bytes] | None = None
    ) -> None:
        end = time.monotonic() + _TIMEOUT
        while not condition():
            if time.monotonic() > end or (driver is not None and driver.poll() is not None):
                raise RuntimeError(f"nothing happened in time: {self._output()}")
            time.sleep(0.05)

    def _output(self) -> str:
        return (self.home / "output.txt").read_text()[-3000:]

    def _processes(self) -> Iterator[tuple[int, str]]:
        """All live processes of this search, with their commands."""
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self._mark}".encode() not in (place / "environ").read_bytes():
                    continue
                if (place / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    command = (place / "cmdline").read_text().replace("\0", " ")
                    yield int(place.name), command
            except OSError:
                continue

    def _workers(self) -> list[int]:
        return sorted(pid for pid, command in self._processes() if "engines.worker" in command)

    def _written(self) -> int:
        """Bytes of all ticks: they change as soon as something is trained."""
        return sum(path.stat().st_size for path in self.run.path.glob("trials/*/ticks.jsonl"))

    def _record_ended(self) -> None:
        """Records the trials that have ended: from now on their files may not change."""
        for verdict in self.run.path.glob("trials/*/verdict.json"):
            name = verdict.parent.name
            now = _identity(verdict.parent)
            if self._seen.setdefault(name, now) != now and name not in self.found.changed:
                self.found.changed.append(name)

    def _check(self, shared: set[str]) -> None:
        found = self.found
        found.ended = len(self._seen)
        self._record_ended()
        found.left = [command for _, command in self._processes()]
        found.shared = sorted(_shared_memory() - shared)
        found.endings = dict(read_run(self.run).outcome_counts)
        lines = self.run.log.read_text().splitlines()
        for record in read_run(self.run).trials:
            assert record.outcome is not None
            words = f" {record.name} {record.outcome.ending.replace('_', ' ')} at "
            if sum(words in line for line in lines) > 1:
                found.twice.append(record.name)
        found.seconds = time.monotonic() - self._begun


def _shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


def _identity(folder: Path) -> str:
    """A hash of an ended trial's records."""
    digest = hashlib.sha256()
    for name in ("verdict.json", "ticks.jsonl", "scores.jsonl", "config.yaml"):
        digest.update((folder / name).read_bytes() if (folder / name).exists() else b"-")
    return digest.hexdigest()


def _text(found: Found, planned: int, seed: int) -> str:
    def seconds(values: list[float]) -> str:
        return f"{max(values):.1f} s at most, {sum(values) / len(values):.1f} s on average"

    killed = {kind: len(moments) for kind, moments in found.killed.items()}
    rows = [
        ("drivers killed", f"{killed['driver']}"),
        ("workers killed", f"{killed['worker']}"),
        ("planned trials, without crashed ones", f"{planned}"),
        ("outcomes of trials", ", ".join(f"{n} {ending}" for ending, n in found.endings.items())),
        ("trials that had ended at the last kill", f"{found.ended}"),
        ("of these, changed later", f"{len(found.changed)}"),
        ("trials that ended twice", f"{len(found.twice)}"),
        ("a killed driver's processes were gone after", seconds(found.gone)),
        ("a killed worker was replaced after", seconds(found.back)),
        ("processes and files in shared memory left", f"{len(found.left) + len(found.shared)}"),
        ("duration", f"{found.seconds / 60:.1f} min"),
    ]
    machine = describe_machine(torch.device("cpu"), processes=2)
    note = f"Killed with SIGKILL at random moments, seed {seed}. {machine}; `python -m "
    return f"{table(('what', '>found'), rows)}\n\n{note}benchmarks.faults`."


def main(drivers: int = 20, workers: int = 20, trials: int = 60, seed: int = 0) -> None:
    """Runs the search and writes the table."""
    with tempfile.TemporaryDirectory(prefix="faults-") as home:
        faults = Faults(Path(home), trials=trials, kimg=6, seed=seed)  # longer than the kills take
        found = faults.play(drivers, workers)
    text = _text(found, trials, seed)
    Report("faults", torch.device("cpu")).write(vars(found), "Killed again and again", text)
    print(text)


if __name__ == "__main__":
    main()
