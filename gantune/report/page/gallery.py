"""All trials' samples on one wall, the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gantune.report.analysis.outcomes import ending_of, in_order
from gantune.report.page.grids import layout_of
from gantune.report.page.html import Html, join, tag
from gantune.report.page.pictures import SIDE, Picture
from gantune.report.page.section import Section, notes
from gantune.report.words import fixed
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    from gantune.report.run import Run

__all__ = ["gallery"]

_SHOWN_COLUMNS = 4  # of a grid, so that its images can be seen
_AT_FIRST = 24  # the others are unfolded on request


def gallery(run: Run, pictures: Mapping[str, Sequence[Picture]]) -> Section | None:
    """``None`` where no trial has a picture. The pictures themselves come with the details."""
    trials = run.state.trials
    ordered = in_order(trials)
    ordered += [record for record in trials if record not in ordered]
    shown = [record for record in ordered if pictures.get(record.name)]
    if not shown:
        return None
    layout = layout_of(run)
    zoom = f"--zoom:{layout.columns(SIDE) / _SHOWN_COLUMNS:.3f}" if layout else None
    first = tag("div", *map(_tile, shown[:_AT_FIRST]), class_="wall", style=zoom)
    rest = None
    if len(shown) > _AT_FIRST:
        more = tag("div", *map(_tile, shown[_AT_FIRST:]), class_="wall", style=zoom)
        rest = tag("details", tag("summary", f"{len(shown) - _AT_FIRST} more"), more)
    hint = "The last samples of each trial, the best first. Click one to see it along its training."
    return Section("samples", "Samples of all trials", join([notes([hint]), first, rest]))


def _tile(record: TrialRecord) -> Html:
    ending = ending_of(record)
    words = fixed(record.value) if record.value is not None else ending.replace("_", " ")
    image = tag("img", data_picture=record.name, alt=f"samples of trial {record.number}")
    image = tag("span", image, class_="window")
    caption = tag("span", f"{record.number}", tag("b", words), class_="caption")
    return tag(
        "button", image, caption, type="button", data_trial=record.name, class_=f"tile {ending}"
    )
