"""CPU cores: how many a training may use, and what it does where others use them too."""

import math
import os
import time
from pathlib import Path
from typing import NamedTuple

from gantune.errors import DeviceError
from gantune.events import Observer
from gantune.io.formatting import count

_THREADS = "OMP_NUM_THREADS"
_PERIOD = 1.0  # seconds between two looks
_WAITING = 0.2  # cores that threads wait for, from which on one thread less is used
_IDLE = 0.9  # a core is free for one more thread from this share of idle time on


def available_cores() -> int:
    """How many CPU cores this process may use, by its affinity and by a container's limit."""
    import joblib  # it takes a while, and not every command counts cores

    return int(joblib.cpu_count())


def thread_count(wanted: int | None, cores: int, devices: int = 1) -> int:
    """How many CPU threads one training takes, on each of ``devices``, which share the cores;
    ``None``: what ``OMP_NUM_THREADS`` says, else one for each core.

    Raises ``DeviceError`` for fewer than one, and for more than there are cores.
    """
    most = max(1, cores // devices)
    if wanted is not None and not 1 <= wanted <= most:
        limits = f"1 to {most}" if most > 1 else "1"
        share = "this process may use" if devices == 1 else f"{devices} devices share"
        raise DeviceError(f"--threads {wanted}: give {limits}, as {share} {count(cores, 'core')}")
    return wanted or min(_user_threads() or most, most)


def may_change_threads(wanted: int | None) -> bool:
    """Whether the number of threads may change along a training: the user has named none."""
    return wanted is None and _user_threads() is None


def _user_threads() -> int | None:
    """What ``OMP_NUM_THREADS`` says: of several nested levels the outer one."""
    first = os.environ.get(_THREADS, "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


class _Spent(NamedTuple):
    """Seconds since some time in the past."""

    now: float
    waiting: float
    """Of this process's threads, together, for a core."""
    idle: float
    """Of the cores that this process may use, together."""

    @classmethod
    def so_far(cls) -> "_Spent | None":
        """``None`` where the system does not tell."""
        try:
            return cls(time.monotonic(), _seconds_waiting(), _seconds_idle())
        except (OSError, IndexError, ValueError):
            return None


def _seconds_waiting() -> float:
    spent = 0
    for thread in Path("/proc/self/task").iterdir():
        try:
            spent += int((thread / "schedstat").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
    return spent / 1e9


def _seconds_idle() -> float:
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    lines = Path("/proc/stat").read_text().splitlines()
    fields = [line.split() for line in lines if line.partition(" ")[0] in mine]
    ticks = sum(int(field[4]) + int(field[5]) for field in fields)  # idle, and waiting for a disk
    return ticks / os.sysconf("SC_CLK_TCK")


class SharedCores:
    """Uses fewer threads while other processes use the cores, and all of them again afterwards.

    The operations of a training are short, and all its threads wait for the last one. Where one of
    them shares its core with another process, each operation takes as long as that is left
    running: milliseconds instead of microseconds. With one thread less nothing waits.
    """

    def __init__(self, threads: int, observer: Observer) -> None:
        """``threads``: how many to use where the cores are free."""
        self._most, self._observer = threads, observer
        self._before = _Spent.so_far() if threads > 1 else None
        self._is_told = False

    def look(self) -> None:
        """Sets torch's number of threads by how the last second went; to be called often."""
        before = self._before
        if before is None or time.monotonic() - before.now < _PERIOD:
            return
        import torch  # not where a search only counts cores

        self._before = spent = _Spent.so_far()
        if spent is None:
            return
        seconds, threads = spent.now - before.now, torch.get_num_threads()
        waiting = (spent.waiting - before.waiting) / seconds
        idle = (spent.idle - before.idle) / seconds
        if threads > 1 and waiting > _WAITING:
            torch.set_num_threads(max(1, threads - math.ceil(waiting)))
            self._tell(torch.get_num_threads())
        elif threads < self._most and idle >= _IDLE:
            torch.set_num_threads(min(self._most, threads + round(idle)))

    def _tell(self, threads: int) -> None:
        if not self._is_told:
            self._observer.message(
                f"other processes use the cores: training goes on with {threads} of "
                f"{count(self._most, 'thread')} while they do, as all would wait for the last one"
            )
        self._is_told = True
