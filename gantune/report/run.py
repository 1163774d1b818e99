"""``Run``: a search as Python users look at it; ``load_run`` opens one."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantune.errors import GantuneError
from gantune.report.analysis.importance import read_traits
from gantune.report.page.html import Node, tag
from gantune.report.selection import find_record
from gantune.report.terminal.leaderboard import endings_line
from gantune.report.terminal.live import best_line
from gantune.run_folder.run import RunFolder, find_run
from gantune.run_folder.trial import TrialFolder
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image
    from plotly.graph_objects import Figure

    from gantune.config import AnyConfig
    from gantune.report.analysis.curves import RunCurves
    from gantune.report.analysis.importance import Importance
    from gantune.report.analysis.stability import Stability
    from gantune.space import SearchSpace


_FEW = 300  # trials; of more, fewer points of each curve are drawn


_POINTS, _POINTS_OF_MANY = 80, 30


def load_run(path: str | Path) -> Run:
    """A search as it stands now, running or ended; writes nothing.

    ``path``: a run folder, or a study's name under ``runs/``. Raises ``RunError`` where there is
    none, and ``ScoreError`` where its trials were scored under two protocols.
    """
    from gantune.tuner.state import read_run

    return Run(read_run(find_run(str(path))))


class Run:
    """A search at one moment: its tables, its samples, and figures that are plotly's own.

    A trial is named by its number, a finalist's training by its folder, ``"finalists/0002"``.
    Methods raise ``RunError`` for a trial that is not there.
    """

    def __init__(self, state: RunState) -> None:
        self.state = state
        """All that the studies hold; what ``gantune.search`` returns."""

    @property
    def folder(self) -> RunFolder:
        """Its files."""
        return self.state.folder

    @cached_property
    def space(self) -> SearchSpace | None:
        """The space that was searched; ``None`` where its file cannot be read."""
        from gantune.space import load_space

        try:
            return load_space(self.folder.space)
        except GantuneError:
            return None

    @cached_property
    def info(self) -> dict[str, Any]:
        """What it was started with: command, devices, versions; empty where that is not written."""
        try:
            return self.folder.read_info()
        except GantuneError:
            return {}

    @cached_property
    def trials(self) -> DataFrame:
        """A row a trial, by number: how it ended, its scores, why it was stopped, and each of its
        parameters as a column."""
        from gantune.report.frames import trials_table

        return trials_table(self.state.trials)

    @cached_property
    def finals(self) -> DataFrame:
        """The same of the finalists' trainings, with ``trial`` and ``seed``."""
        from gantune.report.frames import finals_table

        return finals_table(self.state.finalists)

    @cached_property
    def traits(self) -> dict[int, dict[str, Any]]:
        """What each trial trained with, by number: its config's values by dotted path."""
        return {record.number: read_traits(record, self.space) for record in self.state.trials}

    @cached_property
    def curves(self) -> dict[str, RunCurves]:
        """What figures draw of each run, by its folder's name; thinned."""
        from gantune.report.analysis.curves import read_curves

        most = _POINTS if len(self.state.trials) <= _FEW else _POINTS_OF_MANY
        records = (*self.state.trials, *self.state.finalists)
        return {r.name: read_curves(self.folder.trial(r.name), most) for r in records}

    @cached_property
    def stability(self) -> Stability:
        """Where runs come apart, as far as the data support it."""
        from gantune.report.analysis.stability import find_regions

        return find_regions(self.state.trials, self.traits)

    @cached_property
    def importances(self) -> list[Importance]:
        """What each setting explains of the differences in rank, with its uncertainty."""
        from gantune.report.analysis.importance import hyperparameter_importance

        return hyperparameter_importance(self.state.trials)

    def ticks(self, trial: int | str) -> DataFrame:
        """Training signals of one run, a row a tick: losses without penalties, D's outputs
        (logits), gradient norms, images a second."""
        from gantune.report.frames import ticks_table

        return ticks_table(self._home(trial))

    def scores(self, trial: int | str) -> DataFrame:
        """All scores of one run in order: at rungs of the cheap protocol, then the full one."""
        from gantune.report.frames import scores_table

        return scores_table(self._home(trial))

    def samples(self, trial: int | str) -> Samples:
        """Sample grids of one run by kimg, PIL images."""
        return Samples(self._home(trial).path)

    def config(self, trial: int | str) -> AnyConfig:
        """The whole config of one run. Raises ``ConfigError`` where its file is damaged."""
        from gantune.config.loading import load_any_config

        return load_any_config(self._home(trial).config)

    def record(self, trial: int | str) -> TrialRecord:
        """One run as the study holds it."""
        if isinstance(trial, int):
            return find_record(self.state, trial)
        for record in (*self.state.trials, *self.state.finalists):
            if record.name == trial:
                return record
        number = trial.rpartition("/")[2]
        return find_record(self.state, int(number) if number.isdigit() else -1)

    def leaderboard(self) -> Figure:
        """Survivors by score, finalists as mean, standard deviation and each seed."""
        from gantune.report.figures.leaderboard import leaderboard

        return leaderboard(self)

    def stability_map(self, loss: str | None = None) -> Figure:
        """Where runs live and die: learning rates of D and G, coloured by outcome; a panel a loss,
        or one ``loss`` alone."""
        from gantune.report.figures.stability import stability_map

        return stability_map(self, loss)

    def learning_curves(self) -> Figure:
        """Scores at rungs over kimg of all trials, by outcome."""
        from gantune.report.figures.curves import learning_curves

        return learning_curves(self)

    def loss_curves(self, signal: str = "d_loss") -> Figure:
        """One signal of training over kimg of all trials, by outcome, every stop marked."""
        from gantune.report.figures.curves import loss_curves

        return loss_curves(self, signal)

    def importance(self) -> Figure:
        """How much each setting explains of the differences in rank, with intervals and what chance
        alone gives."""
        from gantune.report.figures.hyperparameters import importance_figure

        return importance_figure(self)

    def parallel_coordinates(self) -> Figure:
        """All trials through all settings that were searched, coloured by their rank."""
        from gantune.report.figures.hyperparameters import parallel_coordinates

        return parallel_coordinates(self)

    def budget(self) -> Figure:
        """Training spent, and saved by each rule and rung, kimg."""
        from gantune.report.figures.spending import budget_figure

        return budget_figure(self)

    def timeline(self) -> Figure:
        """When each run trained, one lane for each run at a time."""
        from gantune.report.figures.spending import timeline

        return timeline(self)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the page, by default ``report.html`` in the run folder; its path.

        Raises ``RunError`` where it cannot be written.
        """
        from gantune.report.page import write_page

        target = self.folder.report if path is None else Path(path)
        write_page(self, target)
        return target

    def __repr__(self) -> str:
        state = self.state
        trials, finals = len(state.trials), len(state.finalists)
        return f"Run({str(self.folder.path)!r}, trials={trials}, finals={finals})"

    def _repr_html_(self) -> str:

        return card(self)

    def _home(self, trial: int | str) -> TrialFolder:
        return self.folder.trial(self.record(trial).name)


# ``Samples``: the pictures of samples that one run of training left along its way.


_SHOWN = 6  # pictures in a notebook, from the first to the last


_SIDE = 260  # pixels of each there


class Samples(Mapping[float, "Image"]):
    """Sample grids of one run by kimg, as PIL images that are read when they are asked for.

    In a notebook it shows them side by side. Empty for points without pictures, for a trainer of
    one's own, and before the first rung.
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
        if not self.paths:
            return "<p>no sample grids</p>"
        return (
            '<div style="display:flex;gap:8px;flex-wrap:wrap">'
            + "".join(
                f'<figure style="margin:0"><img width="{_SIDE}" alt="samples at {kimg:g} kimg" '
                f'src="{_inline(self[kimg])}"><figcaption>{kimg:g} kimg</figcaption></figure>'
                for kimg in _spread(list(self.paths), _SHOWN)
            )
            + "</div>"
        )


def _spread(places: list[float], most: int) -> list[float]:
    """At most so many of them, the first and the last included."""
    if len(places) <= most:
        return places
    step = (len(places) - 1) / (most - 1)
    return [places[round(k * step)] for k in range(most)]


def _inline(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


# A search in a notebook: what won, in a few lines.


def card(run: Run) -> str:
    """A few lines of HTML."""
    state = run.state
    stand = "ended" if state.is_over else "running" if state.folder.is_running else "stopped"
    lines: list[Node] = [
        tag("b", state.study),
        f" ({stand}): {endings_line(state).plain}",
        tag("br"),
        best_line(state).plain,
        tag("br"),
        tag("code", str(state.folder.path)),
    ]
    return tag("div", *lines)
