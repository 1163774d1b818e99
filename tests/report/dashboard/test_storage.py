"""A run's storage for the dashboard, and the application on it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.trial import TrialState

from gantune.errors import RunError
from gantune.report.dashboard.figures import Figures
from gantune.report.dashboard.server import in_order
from gantune.report.dashboard.storage import ReadOnlyStorage, _in_words
from gantune.tuner.state import RunReader
from tests.played import played_run


def get(app: Any, path: str) -> Any:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = path
    return json.loads(b"".join(app(environ, lambda *_: None)))


@pytest.mark.integration
def test_the_dashboards_api_has_studies_notes_pictures_and_figures(
    tmp_path: Path,
) -> None:
    from optuna_dashboard import wsgi

    folder = played_run(tmp_path)
    other = optuna.create_study(study_name="another", storage=_journal(folder.journal))
    assert other.study_name == "another"
    with RunReader(folder) as reader:
        figures = Figures(reader)
        app = wsgi(
            ReadOnlyStorage(reader.storage, ("toy", "toy.finalists"), figures.attributes),
            artifact_store=optuna.artifacts.FileSystemArtifactStore(folder.artifacts),
        )
        names = [s["study_name"] for s in get(app, "/api/studies")["study_summaries"]]
        assert names == ["toy", "toy.finalists"]
        assert get(app, "/api/studies/0")["plotly_graph_objects"] == []
        figures.make()
        detail = get(in_order(app, figures.names), "/api/studies/0")
    drawn = [plot["id"] for plot in detail["plotly_graph_objects"]]
    assert drawn == ["leaderboard", "stability-map-vanilla", "budget-spent-and-saved"]
    assert not any("importance" in each for each in drawn)  # eight trials are too few for it
    assert "loss-of-d" not in drawn  # nothing was trained
    assert all(json.loads(p["graph_object"])["data"] for p in detail["plotly_graph_objects"])
    assert len(detail["trials"]) == 8
    assert detail["note"]["body"].startswith("## toy\n\n**Trial ")
    first = detail["trials"][0]
    assert len(first["artifacts"]) == 2 and "gantune train" in first["note"]["body"]
    attributes = {each["key"]: each["value"] for each in first["user_attrs"]}
    assert attributes["ending"] == "completed" and "outcome" not in attributes


def _journal(path: Path) -> optuna.storages.BaseStorage:
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.storages.JournalStorage(backend)


def test_it_refuses_every_write(tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    before = folder.journal.read_bytes()
    with RunReader(folder) as reader:
        shown = ReadOnlyStorage(reader.storage, ("toy",), dict)
        study = optuna.load_study(study_name="toy", storage=shown)
        for write in (
            study.ask,
            lambda: study.set_user_attr("a", 1),
            lambda: optuna.delete_study(study_name="toy", storage=shown),
            lambda: shown.set_study_system_attr(0, "a", 1),
            lambda: shown.set_trial_system_attr(0, "a", 1),
            lambda: shown.set_trial_state_values(0, TrialState.FAIL),
            lambda: shown.set_trial_intermediate_value(0, 1, 1.0),
            lambda: optuna.create_study(storage=shown),
        ):
            with pytest.raises(RunError, match="writes nothing"):
                write()
        assert len(study.trials) == 8 and study.best_trial.number == study.best_trials[0].number
    assert folder.journal.read_bytes() == before


def test_figures_are_updated_when_a_trial_has_ended(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=2)
    with RunReader(folder) as reader:
        figures = Figures(reader)
        figures.make()
        first = figures.attributes()
        figures.make()
        assert figures.attributes() is first
        played_run(tmp_path, stop_after=1)
        figures.make()
        assert figures.attributes() != first


def test_its_thread_stops_at_the_end(tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    before = set(threading.enumerate())
    with RunReader(folder) as reader, Figures(reader):
        (own,) = set(threading.enumerate()) - before
    assert not own.is_alive()


@pytest.mark.integration
def test_a_run_in_a_database_is_shown(tmp_path: Path) -> None:
    from optuna_dashboard import wsgi

    folder = played_run(tmp_path, stop_after=2, storage=f"sqlite:///{tmp_path}/studies.db")
    with RunReader(folder) as reader:
        app = wsgi(ReadOnlyStorage(reader.storage, ("toy", "toy.finalists"), dict))
        summaries = get(app, "/api/studies")["study_summaries"]
        assert [study["study_name"] for study in summaries] == ["toy", "toy.finalists"]
        detail = get(app, f"/api/studies/{summaries[0]['study_id']}")
    assert "is the best so far" in detail["note"]["body"]
    assert detail["trials"][0]["artifacts"] and detail["trials"][0]["note"]["body"]


def test_numbers_are_rounded_and_choices_stay_what_they_are(tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    with RunReader(folder) as reader:
        shown = ReadOnlyStorage(reader.storage, ("toy",), dict)
        exact, rounded = (
            optuna.load_study(study_name="toy", storage=storage).trials
            for storage in (reader.storage, shown)
        )
    for before, after in zip(exact, rounded, strict=True):
        for name, value in before.params.items():
            assert after.params[name] == pytest.approx(value, rel=1e-3)
            assert before.distributions[name].to_internal_repr(after.params[name]) is not None
        numbers = [*after.params.values(), *after.intermediate_values.values()]
        numbers += [v for v in after.user_attrs.values() if isinstance(v, float)]
        numbers += after.values or []
        assert all(v == float(f"{v:.4g}") for v in numbers if isinstance(v, float))


def test_choices_that_are_fractions_are_not_rounded() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.123456, "y": 0.123456})
    trial = study.ask()
    trial.suggest_categorical("x", [0.123456, 0.5])
    trial.suggest_float("y", 0, 1)
    trial.set_user_attr("rung_errors", {"5": 3.0986139})
    study.tell(trial, 0.987654321)
    shown = _in_words(study.trials[0])
    assert shown.user_attrs == {"rung_errors": {"5": 3.099}}
    assert shown.params == {"x": 0.123456, "y": 0.1235} and shown.value == 0.9877
