"""A run's dashboard, from its folder to the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gantune.report.dashboard.figures import Figures
from gantune.report.dashboard.server import Server, reading_only
from gantune.report.dashboard.storage import ShownStorage
from gantune.run_folder.run import RunFolder
from gantune.tuner.state import RunReader

__all__ = ["served"]


@contextmanager
def served(folder: RunFolder, host: str, port: int) -> Iterator[tuple[Server, str]]:
    """A server that is bound and has yet to serve, and the address of the study's page.

    Raises ``RunError`` where there is no run, or nothing to listen at.
    """
    from optuna.artifacts import FileSystemArtifactStore
    from optuna_dashboard import wsgi

    with RunReader(folder) as reader:
        name = reader.space.study
        figures = Figures(reader)
        storage = ShownStorage(reader.storage, (name, f"{name}.finalists"), figures.attributes)
        pictures = FileSystemArtifactStore(folder.artifacts)
        app = reading_only(wsgi(storage, artifact_store=pictures))
        with Server(app, host, port) as server, figures:
            study_id = storage.get_study_id_from_name(name)
            yield server, f"{server.url}/dashboard/studies/{study_id}"
