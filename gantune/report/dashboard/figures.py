"""``Figures``: gantune's figures of a run as optuna-dashboard's custom plots."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gantune.errors import GantuneError
from gantune.report.figures.curves import learning_curves, loss_curves
from gantune.report.figures.hyperparameters import importance_figure
from gantune.report.figures.leaderboard import leaderboard
from gantune.report.figures.spending import budget_figure
from gantune.report.figures.stability import mapped_losses, stability_map
from gantune.report.figures.style import label
from gantune.report.run_data import RunData
from gantune.tuner.state import RunReader

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_NOT_ALLOWED = re.compile(r"[^a-z0-9]+")  # in a figure's name
_PREFIX = "dashboard:plot_data:"
_INTERVAL = 5.0  # seconds between two checks of the run
_GRACE = 3.0  # seconds to finish a figure at the end
_PAUSE = 10  # times the duration of making the figures, until the next check


class Figures:
    """The study attributes in which the dashboard finds a run's figures.

    A context manager: within it a thread makes the figures again whenever another training has
    ended. For a thousand trials this takes seconds, and no page waits for it.
    """

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._attributes: Mapping[str, str] = {}
        self._drawn: int | None = None  # trainings that had ended when the figures were made
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_making, daemon=True)

    def __enter__(self) -> Figures:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_GRACE)

    def attributes(self) -> Mapping[str, str]:
        """The latest figures; empty before the first ones are made."""
        return self._attributes

    def names(self) -> list[str]:
        """Their names, in order."""
        return [key.removeprefix(_PREFIX).rpartition(":")[0] for key in self._attributes]

    def make(self) -> None:
        """Makes the figures if a training has ended since then. Raises ``GantuneError``."""
        state = self._reader.state()
        ended = sum(r.outcome is not None for r in (*state.trials, *state.finalists))
        if ended != self._drawn:
            made = {}
            for name, figure in plotted(RunData(state)):
                if self._over.is_set():
                    return
                made[f"{_PREFIX}{name}:0"] = figure.to_json()
            self._attributes, self._drawn = made, ended

    def _keep_making(self) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            with suppress(GantuneError):  # an unreachable database, or two protocols
                self.make()
            self._over.wait(max(_INTERVAL, _PAUSE * (time.monotonic() - started)))


def plotted(run: RunData) -> Iterator[tuple[str, Figure]]:
    """The figures that optuna-dashboard lacks, by name, in the order of our page."""
    if not run.state.outcome_counts:
        return
    maps = {
        f"Stability map{'' if loss is None else f': {loss}'}": partial(stability_map, run, loss)
        for loss in mapped_losses(run)
    }
    drawn: dict[str, Callable[[], Figure]] = {
        "Leaderboard": partial(leaderboard, run),
        **maps,
        "Learning curves": partial(learning_curves, run),
        "Loss of D": partial(loss_curves, run, "d_loss"),
        "Loss of G": partial(loss_curves, run, "g_loss"),
    }
    if run.importances:  # empty where too few trials ended
        drawn["Importance, with its uncertainty"] = partial(importance_figure, run)
    drawn["Budget spent and saved"] = partial(budget_figure, run)
    for title, draw in drawn.items():
        figure = draw()
        if not figure.data:
            continue
        figure.update_layout(  # the dashboard needs it as high as its box, the legend below
            title={"text": label(title), "x": 0.02, "y": 0.97, "yanchor": "top"},
            height=None,
            autosize=True,
            margin={"t": 50, "b": 60},
            legend={"y": -0.22, "yanchor": "top"},
        )
        yield _NOT_ALLOWED.sub("-", title.lower()), figure
