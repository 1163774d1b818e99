"""``Run``: a search as Python users look at it; ``load_run`` opens one."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gantune.report.analysis.curves import thinned
from gantune.report.figures import curves, hyperparameters, leaderboard, spending, stability
from gantune.report.page.html import render
from gantune.report.run_data import RunData
from gantune.report.terminal.live import best_line
from gantune.report.terminal.tables import outcome_counts_line
from gantune.run_folder.run import find_run
from gantune.run_folder.trial import TrialFolder
from gantune.tuner.state import read_run

if TYPE_CHECKING:
    from PIL.Image import Image
    from plotly.graph_objects import Figure

_SHOWN = 6  # sample grids in a notebook, from the first to the last
_SIDE = 260  # pixels of each of them


def load_run(path: str | Path) -> Run:
    """The current state of a search, running or ended; writes nothing.

    ``path``: a run folder, or a study's name under ``runs/``. Raises ``RunError`` where there is
    none, and ``ScoreError`` where its trials were scored under two protocols.
    """
    return Run(read_run(find_run(str(path))))


class Run(RunData):
    """A search at one moment: its tables, its samples, and its figures as plotly figures.

    A trial is named by its number, a finalist's training by its folder, ``"finalists/0002"``.
    Methods raise ``RunError`` for a trial that does not exist.
    """

    def samples(self, trial: int | str) -> Samples:
        """Sample grids of one run by kimg, as PIL images."""
        return Samples(self._trial_folder(trial).path)

    def leaderboard(self) -> Figure:
        """Survivors by score; finalists as mean, standard deviation and each seed."""
        return leaderboard.leaderboard(self)

    def stability_map(self, loss: str | None = None) -> Figure:
        """Which learning rates of D and G are stable: trials coloured by outcome, a panel for each
        loss, or for one ``loss`` only."""
        return stability.stability_map(self, loss)

    def learning_curves(self) -> Figure:
        """Rung scores over kimg of all trials, by outcome."""
        return curves.learning_curves(self)

    def loss_curves(self, signal: str = "d_loss") -> Figure:
        """One training signal over kimg of all trials, by outcome, every stop marked."""
        return curves.loss_curves(self, signal)

    def importance(self) -> Figure:
        """How much of the differences in rank each setting explains, with intervals, and what
        chance alone gives."""
        return hyperparameters.importance_figure(self)

    def parallel_coordinates(self) -> Figure:
        """All trials through all searched settings, coloured by rank."""
        return hyperparameters.parallel_coordinates(self)

    def budget(self) -> Figure:
        """Training spent, and saved by each rule and rung, kimg."""
        return spending.budget_figure(self)

    def timeline(self) -> Figure:
        """When each run trained; runs that overlap in time have lanes of their own."""
        return spending.timeline(self)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the page, by default to ``report.html`` in the run folder, and returns its path.

        Raises ``RunError`` where it cannot be written.
        """
        from gantune.report.page.page import write_page  # imports torch

        target = self.folder.report if path is None else Path(path)
        write_page(self, target)
        return target

    def __repr__(self) -> str:
        trials, finals = len(self.state.trials), len(self.state.finalists)
        return f"Run({str(self.folder.path)!r}, trials={trials}, finals={finals})"

    def _repr_html_(self) -> str:
        return render(
            "notebook_run.html",
            study=self.state.study,
            status=self.status,
            endings=outcome_counts_line(self.state).plain,
            best=best_line(self.state).plain,
            folder=self.folder.path,
        )


class Samples(Mapping[float, "Image"]):
    """Sample grids of one run by kimg, as PIL images that are read on access.

    A notebook shows them side by side. Empty before the first rung, for a trainer that draws no
    samples, and for points without pictures.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = TrialFolder(folder).grids()
        """The files by kimg, in order."""

    def __getitem__(self, kimg: float) -> Image:
        from PIL import Image

        with Image.open(self.paths[kimg]) as file:
            return file.copy()

    def __iter__(self) -> Iterator[float]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        places = ", ".join(f"{kimg:g}" for kimg in self.paths)
        return f"Samples(kimg: {places})" if self.paths else "Samples(none)"

    def _repr_html_(self) -> str:
        pictures = []
        for kimg in thinned(list(self.paths), _SHOWN):
            self[kimg].save(buffer := io.BytesIO(), format="PNG")
            encoded = base64.b64encode(buffer.getvalue()).decode()
            pictures.append((f"{kimg:g}", f"data:image/png;base64,{encoded}"))
        return render("notebook_samples.html", pictures=pictures, width=_SIDE)
