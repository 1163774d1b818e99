"""The number in a cell of a log, in the ways in which trainers write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import SupportsFloat

from gantune.health.history import as_float

_NOTHING = {"", "na", "n/a", "#n/a", "none", "null", "-", "--", "<na>"}
_TENSOR = re.compile(r"<?[A-Za-z_][\w.]*\(\s*\[?\s*([^],\s)]+)\s*\]?[^)]*\)")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_BOTH = re.compile(r"[+-]?\d{1,3}(?:([.,])\d{3})+(?!\1)[.,]\d+(?:[eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


def number(cell: object, *, is_place: bool = False) -> float | None:
    """The number in a cell; ``None`` where nothing was measured, as in an empty cell, ``NA``,
    ``None`` or ``-``. Raises ``ValueError`` for anything else.

    A comma is read as that of a decimal fraction, ``0,5``. In a place (``is_place``), and beside a
    point, it separates thousands: ``12,000`` steps. ``tensor(0.5)`` and ``np.float32(0.5)`` are
    0.5. A mapping with a ``mean``, as StyleGAN writes it, gives that mean, or ``None`` where
    ``num`` is 0.
    """
    if cell is None or isinstance(cell, float):
        return cell
    if isinstance(cell, str):
        return _in_text(cell.strip(), is_place)
    if isinstance(cell, Mapping) and "mean" in cell:
        return None if cell.get("num") == 0 else number(cell["mean"])
    if isinstance(cell, bool) or not isinstance(cell, SupportsFloat):
        raise ValueError(cell)
    try:
        return as_float(cell)  # an integer, a NumPy number or a tensor
    except TypeError:
        raise ValueError(cell) from None


def _in_text(text: str, is_place: bool) -> float | None:
    if text.lower() in _NOTHING:
        return None
    if found := _TENSOR.fullmatch(text):
        text = found[1]
    if is_place and _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif _BOTH.fullmatch(text):
        mark = max(",", ".", key=text.rfind)
        text = text.replace("." if mark == "," else ",", "").replace(mark, ".")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return float(text)
