"""MLflow: one run for each training, in an experiment for each study."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from gantune.tracking.tracker import TrackedRun, Tracker

_FOLDER_TAG, _NAME_TAG = "gantune.folder", "gantune.run"
_LONGEST = 500  # characters of a setting
_MOST = 100  # settings or metrics in one request


class MlflowTracker(Tracker):
    """The server is what ``MLFLOW_TRACKING_URI`` says, else the folder ``mlruns/`` in the run
    folder. Steps are real images, so that a kimg is 1,000 steps."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        address = os.environ.get("MLFLOW_TRACKING_URI")
        if address is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._address = address or (folder / "mlruns").resolve().as_uri()
        self._client = MlflowClient(self._address)
        self._runs: dict[str, str] = {}

    @property
    def place(self) -> str:
        return f"mlflow ui --backend-store-uri {self._address}"

    def open(self, run: TrackedRun) -> None:
        if run.name in self._runs:
            return
        client, tags = self._client, {_FOLDER_TAG: str(run.folder.resolve()), _NAME_TAG: run.name}
        experiment = client.get_experiment_by_name(run.study)
        number = experiment.experiment_id if experiment else client.create_experiment(run.study)
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = client.search_runs([number], wanted, max_results=1)
        if found:
            self._runs[run.name] = found[0].info.run_id
            return
        made = client.create_run(number, tags=tags, run_name=run.name)
        self._runs[run.name] = made.info.run_id
        params = [Param(name, str(value)[:_LONGEST]) for name, value in run.config.items()]
        for begin in range(0, len(params), _MOST):
            client.log_batch(made.info.run_id, params=params[begin : begin + _MOST])

    def log(self, run: TrackedRun, kimg: float, numbers: Mapping[str, float]) -> None:
        now, step = round(1000 * time.time()), round(1000 * kimg)
        metrics = [Metric(_name(name), value, now, step) for name, value in numbers.items()]
        for begin in range(0, len(metrics), _MOST):
            self._client.log_batch(self._runs[run.name], metrics[begin : begin + _MOST])

    def log_image(self, run: TrackedRun, kimg: float, name: str, picture: Path) -> None:
        self._client.log_artifact(self._runs[run.name], str(picture), name)

    def end(self, run: TrackedRun, ending: str, numbers: Mapping[str, float], remark: str) -> None:
        final = {f"final/{name}": value for name, value in numbers.items()}
        self.log(run, numbers.get("kimg", 0.0), final)
        number = self._runs.pop(run.name)
        tags = [RunTag("ending", ending), *([RunTag("remark", remark)] if remark else [])]
        self._client.log_batch(number, tags=tags)
        is_right = ending in ("completed", "pruned")
        self._client.set_terminated(number, "FINISHED" if is_right else "FAILED")

    def close(self) -> None:
        """Everything was sent at once; runs that have not ended are open on the server."""


def _name(name: str) -> str:
    """A name with the characters that MLflow allows."""
    return "".join(one if one.isalnum() or one in "_-. /" else "_" for one in name)


make = MlflowTracker
