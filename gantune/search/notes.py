"""Notes in the form in which optuna-dashboard keeps them: attributes of the study.

Its own ``save_note`` is not called here: importing that package takes seconds, and a driver has no
other use for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["note_attributes"]

_PIECE = 2045  # characters; what MySQL takes
_OURS = 1  # version; each change by a person counts one up


def note_attributes(
    text: str, trial_id: int | None, known: Mapping[str, Any]
) -> Mapping[str, str | int]:
    """The study's attributes that make ``text`` the note of the study, or of one of its trials.

    ``known``: the attributes that it has. None where a person has changed the note.
    """
    home = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    if known.get(f"{home}note_ver", _OURS) > _OURS:
        return {}
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    wanted: dict[str, str | int] = {f"{home}note_str:{k}": part for k, part in enumerate(pieces)}
    wanted |= {f"{home}note_ver": _OURS}
    left = len(pieces)
    while known.get(f"{home}note_str:{left}"):  # of a longer note before it
        wanted[f"{home}note_str:{left}"] = ""
        left += 1
    return {key: value for key, value in wanted.items() if known.get(key) != value}
