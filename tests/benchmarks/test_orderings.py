"""The benchmark of known orderings says which hold, and says so truly."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import orderings
from benchmarks.orderings import Row, earlier_rows, holds, main, report, rows_of
from gantune.config import DataConfig
from gantune.data import load_held_out
from gantune.scores import RealImages

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


def test_orderings_that_hold() -> None:
    assert all(holds(list(rows().values())).values())
    assert "all orderings hold" in report(list(rows().values()))


@pytest.mark.parametrize(
    ("damage", "field", "value", "broken"),
    [
        ("none", "value", 2.5, "unchanged is smallest"),
        ("noise 60", "value", 2.5, "grows with noise"),
        ("blur 9", "value", 2.5, "grows with blur"),
        ("without 5 classes", "value", 2.5, "grows with dropped classes"),
        ("without 5 classes", "recall", 0.75, "recall falls with dropped classes"),
        ("without 3 classes", "precision", 0.5, "precision stays"),
    ],
)
def test_broken_orderings_are_named(damage: str, field: str, value: float, broken: str) -> None:
    changed = rows()
    changed[damage] = replace(changed[damage], **{field: value})  # type: ignore[arg-type]
    assert not holds(list(changed.values()))[broken]
    assert broken in report(list(changed.values()))


def test_rows_of_other_data_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- orderings_cpu -->\n<!-- end -->\n")
    old = [
        asdict(replace(row, data=data, protocol="old", machine=""))
        for data in ("digits", "fashion_mnist")
        for row in rows().values()
    ]
    for row in old:
        del row["machine"]  # as an older file has it
    tree = {"machine": "An older machine", "rows": old}
    (tmp_path / "orderings_cpu.json").write_text(json.dumps(tree))

    def measured(data: str, extractor: str, real: RealImages) -> list[Row]:
        return [
            replace(row, data=data, extractor=extractor, protocol="new") for row in rows().values()
        ]

    monkeypatch.setattr(orderings, "measure", measured)
    main(["--data", "digits"], tmp_path, page)
    text = page.read_text()
    assert "**digits, classifier** (protocol `new`)" in text
    assert "**fashion_mnist, random** (protocol `old`)" in text
    assert text.count("(protocol `old`)") == 1 and text.count("(protocol `new`)") == 2
    assert text.index("**digits") < text.index("**fashion_mnist")
    assert "`python -m benchmarks.orderings --data digits path/to/fashion_mnist`" in text
    made = earlier_rows(json.loads((tmp_path / "orderings_cpu.json").read_text()))
    assert {row.machine for row in made if row.data == "fashion_mnist"} == {"An older machine"}
    assert "An older machine" in text and len({row.machine for row in made}) == 2


def test_every_damage_has_as_many_images_and_changes_them() -> None:
    images = load_held_out(DataConfig(source="digits", resolution=16, held_out=0.2))
    assert images is not None
    made = dict(rows_of(images))
    assert set(made) == set(SOUND)
    assert len({pixels.shape for pixels in made.values()}) == 1
    assert all((made[name] != made["none"]).any() for name in set(made) - {"none"})
