"""``Publisher``: sends what is new in a run folder to trackers, each thing once.

It reads files only, so it needs no access to the study. What was sent is noted in ``tracked.json``
in the run folder, so that a resumed search, or a later ``gantune track``, goes on there.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gantune.errors import ConfigError, first_line
from gantune.io.files import write_text
from gantune.io.validation import dotted_values
from gantune.io.yaml_document import read_document
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.space.settings import TrackerName
from gantune.tracking.tracker import TRACKERS, TrackedRun, Tracker, check_library, make_tracker

_log = logging.getLogger(__name__)

_INTERVAL = 5.0  # seconds between two looks at the run folder
_NOTE = "tracked.json"
_FINAL = ("kid", "precision", "recall", "density", "coverage")


class Publisher:
    """Publishes one run folder. A tracker that fails is left out from then on."""

    def __init__(self, folder: RunFolder, study: str, names: Sequence[TrackerName]) -> None:
        """Raises ``RunError`` where the library of a tracker is missing."""
        self._folder, self._study = folder, study
        self._trackers: dict[str, Tracker] = {}
        self._sent = self._read_note()
        self.problems: dict[str, str] = {}
        """Why a tracker was left out, by its name."""
        for name in names:
            check_library(name)
            try:
                self._trackers[name] = make_tracker(name, folder.path)
            except Exception as error:  # of any kind: a library's own
                self._leave_out(name, error)

    @property
    def places(self) -> dict[str, str]:
        """Where each tracker shows the runs."""
        return {name: tracker.place for name, tracker in self._trackers.items()}

    @property
    def has_sent(self) -> bool:
        """Whether any run was opened."""
        return any(self._sent.values())

    def publish(self) -> None:
        """Sends what is new."""
        for trial in self._trials():
            for name in [*self._trackers]:
                self._guarded(name, trial)
        self._write_note()

    def close(self) -> None:
        """Sends what the trackers have not sent yet."""
        for name in [*self._trackers]:
            try:
                self._trackers[name].close()
            except Exception as error:  # of any kind: a library's own
                self._leave_out(name, error)

    def _guarded(self, name: str, trial: TrialFolder) -> None:
        try:
            self._publish(name, trial)
        except Exception as error:  # of any kind: a library's own
            self._leave_out(name, error)

    def _leave_out(self, name: str, error: Exception) -> None:
        self._trackers.pop(name, None)
        self.problems[name] = f"{type(error).__name__}: {first_line(error)}"
        _log.info("%s: %s", name, self.problems[name], exc_info=error)

    def _publish(self, name: str, trial: TrialFolder) -> None:
        label = _label(trial)
        sent = self._sent.setdefault(name, {}).setdefault(label, {"tick": -1.0, "score": -1.0})
        if sent.get("ended"):
            return
        tracker = self._trackers[name]
        run = TrackedRun(self._study, label, _config(trial), self._folder.path)
        tracker.open(run)
        for kimg, numbers in _ticks(trial, sent["tick"]):
            tracker.log(run, kimg, numbers)
            sent["tick"] = kimg
        for kimg, numbers in _scores(trial, sent["score"]):
            tracker.log(run, kimg, numbers)
            sent["score"] = kimg
        for kimg, picture in trial.grids().items():
            if kimg > sent.get("picture", -1.0):
                tracker.log_image(run, kimg, "samples", picture)
                sent["picture"] = kimg
        if trial.has_verdict:
            ending, numbers, remark = _outcome(trial)
            tracker.end(run, ending, numbers, remark)
            sent["ended"] = True

    def _trials(self) -> Iterator[TrialFolder]:
        for kind in ("trials", "finalists"):
            for path in sorted((self._folder.path / kind).glob("[0-9]*")):
                if (path / "config.yaml").exists():
                    yield TrialFolder(path)

    def _read_note(self) -> dict[str, dict[str, dict[str, Any]]]:
        try:
            found = json.loads((self._folder.path / _NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_note(self) -> None:
        if self._folder.path.exists():
            write_text(self._folder.path / _NOTE, json.dumps(self._sent), sync=False)


def _label(trial: TrialFolder) -> str:
    return f"{trial.path.parent.name}/{trial.path.name}"


def _config(trial: TrialFolder) -> dict[str, Any]:
    try:
        tree = read_document(trial.config).tree
    except ConfigError:  # it is being written
        return {}
    return dict(dotted_values(tree)) if isinstance(tree, Mapping) else {}


def _ticks(trial: TrialFolder, after: float) -> Iterator[tuple[float, dict[str, float]]]:
    for tick in trial.ticks():
        if tick["kimg"] > after:
            yield tick["kimg"], _numbers(tick)


def _scores(trial: TrialFolder, after: float) -> Iterator[tuple[float, dict[str, float]]]:
    """The scores at rungs, and those that an own trainer gives between them."""
    for line in trial.scores():
        is_full = line["rung"] is None and line["protocol"]["generated"] > 0
        if line["kimg"] > after and not is_full:
            named = {line["name"]: line["value"], **{name: line[name] for name in _FINAL}}
            yield line["kimg"], _numbers(named)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among some values, without their place."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and name != "kimg"
    }


def _outcome(trial: TrialFolder) -> tuple[str, dict[str, float], str]:
    """How a run ended, its final numbers, and why it ended so."""
    tree = json.loads(trial.verdict.read_text(encoding="utf-8"))
    score = tree.get("score") or {}
    named = {"score": score.get("value"), **{name: score.get(name) for name in _FINAL}}
    numbers = _numbers({**named, "seconds": tree.get("seconds")}) | {"kimg": tree["kimg"]}
    verdict = tree.get("verdict") or {}
    remark = verdict.get("sentence") or tree.get("remark") or tree.get("error") or ""
    return tree["ending"], numbers, str(remark)[:2000]


def main() -> None:
    """Publishes the run folder that is named until its starter ends; what fails is printed."""
    folder, study, *asked = sys.argv[1:]
    names = [name for name in TRACKERS if name in asked]
    is_over = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()  # until the search closes its end, or is gone
        is_over.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("gantune").setLevel(logging.INFO)
    publisher = Publisher(RunFolder(Path(folder)), study, names)
    told: set[str] = set()
    while True:
        is_last = is_over.wait(_INTERVAL)
        publisher.publish()
        places = publisher.places
        if is_last:
            publisher.close()
        for name, why in publisher.problems.items():
            _tell(f"failed: {name}: {why}", told)
        for name, place in places.items() if publisher.has_sent else ():
            _tell(f"{name}: {place}", told)
        if is_last:
            return


def _tell(line: str, told: set[str]) -> None:
    """Prints a line for the search, once."""
    if line not in told:
        told.add(line)
        print(line, flush=True)


if __name__ == "__main__":
    main()
