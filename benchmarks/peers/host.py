"""Searches of other libraries on a recorded table, each in a process and an environment of its own.

A search speaks a line protocol: JSON, a line for each message, over standard input and output
(``docs/benchmark.md``). The process here owns the table, counts what a search trains, and says when
it is over.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.publish import ROOT
from benchmarks.replay import Recorded, Replay, Strategy
from benchmarks.sweep import SCORES
from gantune.space import SearchSpace
from gantune.space.distributions import Choices

__all__ = ["ENVIRONMENTS", "PEERS", "Peer", "PeerError", "Table", "by_command", "play", "task"]

ENVIRONMENTS = ROOT / ".venv-peers"
"""One environment for each library; ``python -m benchmarks.peers`` makes them."""
STEP = 100 // SCORES
"""Percent of a run between two recorded scores."""


class PeerError(Exception):
    """A search that does not keep to the protocol, or fails."""


# ---- Searches ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """A search of another library."""

    package: str
    """Names its program and its requirements in this folder, and its environment."""
    method: str

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return ENVIRONMENTS / self.package / "bin" / "python"

    @property
    def is_installed(self) -> bool:
        """Whether its environment was made."""
        return self.python.exists()

    def __call__(self, replay: Replay, seed: int) -> None:
        """One search of a table."""
        program = f"benchmarks.peers.{self.package}_search"
        play(replay, [str(self.python), "-m", program, self.method], seed)


PEERS: dict[str, Peer] = {
    "Syne Tune: ASHA": Peer("synetune", "ASHA"),
    "Syne Tune: ASHA-CQR (recommended)": Peer("synetune", "ASHACQR"),
    "Syne Tune: ASHA-BORE": Peer("synetune", "ASHABORE"),
    "Syne Tune: BOHB": Peer("synetune", "BOHB"),
    "NePS: Hyperband (default)": Peer("neps", "hyperband"),
    "NePS: PriorBand, no prior": Peer("neps", "priorband"),
    "SMAC3: multi-fidelity": Peer("smac", "MultiFidelityFacade"),
    "DEHB": Peer("dehb", "DEHB"),
}
"""The searches of other libraries by name."""


def by_command(command: str) -> Strategy:
    """A search by any program that speaks the protocol, such as ``python mine.py``."""
    return lambda replay, seed: play(replay, shlex.split(command), seed)


def play(replay: Replay, command: Sequence[str], seed: int) -> None:
    """Runs a search until it has trained one of the best, or ends."""
    added = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **added},
            )
        except OSError as error:
            raise PeerError(f"{shlex.join(command)} does not start: {error}") from error
        with process:
            assert process.stdin is not None and process.stdout is not None
            try:
                _serve(Table(replay), task(replay.table, seed), process.stdout, process.stdin)
            except PeerError as error:
                process.kill()
                raise PeerError(f"{shlex.join(command)}: {error}") from error
        if process.returncode:
            errors.seek(0)
            last = "".join(errors.read().strip().splitlines()[-1:])
            raise PeerError(f"{shlex.join(command)} ends with code {process.returncode}: {last}")


def _serve(table: Table, first: dict[str, Any], requests: IO[str], answers: IO[str]) -> None:
    answer = first
    try:
        print(json.dumps(first), file=answers, flush=True)
        for line in requests:
            answer = table.answer(line)
            print(json.dumps(answer), file=answers, flush=True)
            if "stop" in answer:
                return
    except BrokenPipeError:
        return  # the search has ended; its exit code says how


# ---- The protocol --------------------------------------------------------------------------------


def task(table: Recorded, seed: int) -> dict[str, Any]:
    """The first message to a search."""
    return {
        "seed": seed,
        "settings": len(table.runs),
        "percents": list(range(STEP, 101, STEP)),
        "parameters": _parameters(table.space),
    }


class Table:
    """Answers the requests of one search from a replay."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._space = {one["name"]: one for one in _parameters(replay.table.space)}
        self._trained: dict[int, tuple[int, int]] = {}
        """By the search's number: the setting, and how far it was trained in percent."""
        self._left = SCORES * len(replay.table.runs)

    def answer(self, line: str) -> dict[str, Any]:
        """The answer to a request, which is charged for what it trains further."""
        number, values, asked = _request(line)
        percent = min(max(STEP * round(asked / STEP), STEP), 100)
        self._left -= 1
        if number not in self._trained:
            found = self._replay.nearest(self.active(values))
            if found is None:
                return {"stop": True}
            self._trained[number] = found, 0
        setting, before = self._trained[number]
        reached = max(before, percent)
        self._replay.train(setting, before, reached)
        self._trained[number] = setting, reached
        if self._replay.has_best or self._left < 0:
            return {"stop": True}
        score, error = self._replay.score(setting, percent)
        return {"score": score, "error": error, "percent": percent}

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values that matter, inside their ranges."""
        found = {}
        for name, parameter in self._space.items():
            when = parameter.get("when", {})
            if any(values.get(other) not in choices for other, choices in when.items()):
                continue
            if name not in values:
                raise PeerError(f"the request has no value of {name}: {dict(values)}")
            value = values[name]
            if "choices" not in parameter:
                if not isinstance(value, int | float):
                    raise PeerError(f"{name} is {value!r} in a request; it is a number")
                found[name] = min(max(value, parameter["low"]), parameter["high"])
                continue
            same = [choice for choice in parameter["choices"] if choice == value]
            if not same:
                allowed = ", ".join(map(str, parameter["choices"]))
                raise PeerError(f"{name} is {value!r} in a request; it is one of {allowed}")
            found[name] = same[0]
        return found


def _request(line: str) -> tuple[int, Mapping[str, Any], float]:
    try:
        request = json.loads(line)
        values = request["values"]
        if not isinstance(values, Mapping):
            raise TypeError
        percent = float(request["percent"])
        if not math.isfinite(percent):
            raise ValueError
        return int(request["number"]), values, percent
    except (ValueError, KeyError, TypeError) as error:
        raise PeerError(
            f"{line.strip()!r} is no request; a request is a line such as "
            '{"number": 0, "values": {"generator.lr": 0.001}, "percent": 25}'
        ) from error


def _parameters(space: SearchSpace) -> list[dict[str, Any]]:
    """What is searched, as plain values."""
    names = {decision.path: decision.name for decision in space.tree.decisions}
    found: dict[str, dict[str, Any]] = {}
    for item in space.tree.open:
        distribution = item.distribution
        if item.name not in found:
            found[item.name] = {"name": item.name, "when": {}}
            if isinstance(distribution, Choices):
                found[item.name]["choices"] = list(distribution.values)
            else:
                ends = {"low": distribution.low, "high": distribution.high}
                whole = {"log": distribution.log, "whole": distribution.is_whole}
                found[item.name] |= ends | whole
        for path, alternative in item.when:
            found[item.name]["when"].setdefault(names[path], []).append(alternative)
    return list(found.values())
