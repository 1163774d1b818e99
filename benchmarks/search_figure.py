"""A figure of how fast searches come to good settings, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from benchmarks.searches import DEFAULT

__all__ = ["SHOWN", "draw"]

SHOWN = {
    "random": "#8a8f98",
    "Optuna: TPE, median pruner": "#d1862b",
    "Optuna: TPE, Hyperband pruner": "#9a5cb4",
    "gantune: TPE, median": "#4f9d69",
    DEFAULT: "#1f5fbf",
}
"""The strategies in the figure, with their colours."""
_WIDTH, _PANEL = 390, 218
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 24, 38  # of a panel
_LINE = 17  # of the legend
_TEXT, _GRID = "#30343b", "#e4e6ea"


def draw(tree: Mapping[str, Any], shares: Sequence[float]) -> str:
    """One panel for each table: the rank of the best setting trained to its end so far, against
    the training as a share of that of all settings; medians over searches."""
    legend = _LINE * len(SHOWN) + 10
    height = legend + _PANEL * len(tree)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="12" '
        f'fill="{_TEXT}" role="img">',
        "<title>Rank of the best setting trained to its end, against training</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        *_legend(),
    ]
    for place, (name, figures) in enumerate(tree.items()):
        parts.append(f'<g transform="translate(0 {legend + place * _PANEL})">')
        parts += [*_panel(name, figures, shares), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> list[str]:
    return [
        part
        for place, (strategy, colour) in enumerate(SHOWN.items())
        for part in (
            _path(f"M{_LEFT} {_LINE * (place + 1) - 4}h22", colour),
            _text(_LEFT + 30, _LINE * (place + 1), strategy, "start"),
        )
    ]


def _panel(name: str, figures: Mapping[str, Any], shares: Sequence[float]) -> list[str]:
    width, height = _WIDTH - _LEFT - _RIGHT, _PANEL - _TOP - _BOTTOM
    first, last = math.log(shares[0]), math.log(shares[-1])
    worst = math.log(figures["settings"])

    def across(share: float) -> float:
        return _LEFT + width * (math.log(share) - first) / (last - first)

    def down(rank: float) -> float:
        return _TOP + height * (1 - math.log(rank) / worst)

    settings = f"{name}: rank among {figures['settings']} settings"
    parts = [_text(_LEFT, 14, settings, "start", "font-weight='600'")]
    for share in (0.001, 0.01, 0.1, 1.0):
        x = across(share)
        anchor = "end" if share == 1 else "middle"
        parts.append(_path(f"M{x:.1f} {_TOP}v{height}", _GRID, 1))
        parts.append(_text(x, _TOP + height + 15, f"{100 * share:g}%", anchor))
    for rank in (1, 3, 10, 30, 100):
        if rank < figures["settings"]:
            y = down(rank)
            parts.append(_path(f"M{_LEFT} {y:.1f}h{width}", _GRID, 1))
            parts.append(_text(_LEFT - 6, y + 4, f"{rank}", "end"))
    label = "training, of that of all settings"
    parts.append(_text(_LEFT + width / 2, _TOP + height + 31, label, "middle"))
    for strategy, colour in SHOWN.items():
        found = figures["strategies"].get(strategy)
        if found is not None:
            known = [(s, r) for s, r in zip(shares, found["curve"], strict=True) if r is not None]
            parts.append(_path(_steps([(across(s), down(r)) for s, r in known]), colour))
    return parts


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """A line that stays level and then drops."""
    if not points:
        return "M0 0"
    drops = [f"H{x:.1f}V{y:.1f}" for (_, level), (x, y) in pairwise(points) if y != level]
    return f"M{points[0][0]:.1f} {points[0][1]:.1f}{''.join(drops)}H{points[-1][0]:.1f}"


def _path(line: str, colour: str, width: float = 2) -> str:
    return f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'


def _text(x: float, y: float, text: str, anchor: str, extra: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place} {extra}>{escape(text)}</text>"
