"""The benchmark of known orderings says which hold, and says so truly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.orderings import Row, holds, report, rows_of
from gantune.config import DataConfig
from gantune.data import load_held_out

SOUND = {
    "none": (1.0, 0.9, 0.9),
    "noise 15": (2.0, 0.8, 0.9),
    "noise 30": (3.0, 0.7, 0.9),
    "noise 60": (4.0, 0.6, 0.9),
    "blur 3": (2.0, 0.8, 0.9),
    "blur 5": (3.0, 0.7, 0.9),
    "blur 9": (4.0, 0.6, 0.9),
    "without 1 class": (2.0, 0.9, 0.8),
    "without 3 classes": (3.0, 0.9, 0.7),
    "without 5 classes": (4.0, 0.9, 0.6),
}


def rows() -> dict[str, Row]:
    """Damage to a row with its distance, precision and recall."""
    return {
        damage: Row("digits", "random", damage, value, 0.1, precision, recall, 0.9, "abc")
        for damage, (value, precision, recall) in SOUND.items()
    }


def test_all_hold_where_all_hold() -> None:
    assert all(holds(list(rows().values())).values())
    assert "all orderings hold" in report(list(rows().values()), "A machine")


@pytest.mark.parametrize(
    ("damage", "field", "value", "broken"),
    [
        ("none", "value", 2.5, "untouched is smallest"),
        ("noise 60", "value", 2.5, "grows with noise"),
        ("blur 9", "value", 2.5, "grows with blur"),
        ("without 5 classes", "value", 2.5, "grows with dropped classes"),
        ("without 5 classes", "recall", 0.75, "recall falls with dropped classes"),
        ("without 3 classes", "precision", 0.5, "precision stays"),
    ],
)
def test_what_is_broken_is_named(damage: str, field: str, value: float, broken: str) -> None:
    changed = rows()
    changed[damage] = replace(changed[damage], **{field: value})
    assert not holds(list(changed.values()))[broken]
    assert broken in report(list(changed.values()), "A machine")


def test_every_damage_has_as_many_images_and_changes_them() -> None:
    images = load_held_out(DataConfig(source="digits", resolution=16, held_out=0.2))
    assert images is not None
    made = dict(rows_of(images))
    assert set(made) == set(SOUND)
    assert len({pixels.shape for pixels in made.values()}) == 1
    assert all((made[name] != made["none"]).any() for name in set(made) - {"none"})
