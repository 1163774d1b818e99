"""A score carries its protocol, and comes back from JSON as it went."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gantune.scores import HeldOut, Score, missing_classes, warnings
from tests.canned import PROTOCOL, make_score


def test_comes_back_from_json_as_it_went() -> None:
    held_out = HeldOut(
        count=9, value=1.0, training=2.0, between=0.5, nearer_training=0.5, copying=0.4
    )
    for score in (
        make_score(3.0),
        make_score(3.0, classes={"a": 0.5, "b": 0.5}, real_classes={"a": 0.1, "b": 0.9}),
        make_score(3.0, held_out=held_out),
    ):
        tree = json.loads(json.dumps(score.to_dict()))
        assert Score.from_dict(tree) == score
        assert (tree["name"], tree["protocol"]["hash"]) == (score.name, PROTOCOL.hash)


def test_balance_is_what_the_shares_have_in_common() -> None:
    def balance(**shares: float) -> float | None:
        return make_score(1.0, classes=shares, real_classes={"a": 0.5, "b": 0.5}).balance

    assert balance(a=0.5, b=0.5) == 1
    assert balance(a=1.0, b=0.0) == 0.5
    assert balance(a=0.7, b=0.3) == pytest.approx(0.8)
    assert make_score(1.0).balance is None


def score(classes: dict[str, float] | None, spread: float = 1.0, generated: int = 1000) -> Score:
    real = {name: 1 / len(classes) for name in classes} if classes else None
    return make_score(1.0, generated=generated, spread=spread, classes=classes, real_classes=real)


def test_a_class_below_a_tenth_of_its_share_is_missing() -> None:
    assert missing_classes(score({"a": 0.04, "b": 0.96})) == ["a"]
    assert missing_classes(score({"a": 0.06, "b": 0.94})) == []


def test_a_class_that_chance_could_hide_is_not_missing() -> None:
    assert missing_classes(score({"a": 0.0, "b": 1.0}, generated=39)) == []
    assert missing_classes(score({"a": 0.0, "b": 1.0}, generated=40)) == ["a"]


def test_without_classes_none_is_missing() -> None:
    assert missing_classes(score(None)) == []
    assert warnings(score(None)) == []


def test_warnings_say_what_is_lost() -> None:
    (lost,) = warnings(score({"cat": 0.0, "dog": 1.0}))
    assert lost == "lost 1 of 2 classes: cat"
    (narrow,) = warnings(score({"cat": 0.5, "dog": 0.5}, spread=0.1))
    assert "0.10 times" in narrow
    assert len(warnings(score({"cat": 0.0, "dog": 1.0}, spread=0.1))) == 2


def test_many_lost_classes_are_cut_short() -> None:
    (lost,) = warnings(score({str(i): float(i == 0) for i in range(20)}))
    assert lost == "lost 19 of 20 classes: 1, 2, 3, 4, 5, 6, 7, 8, ..."


def test_records_and_flags_need_no_torch() -> None:
    code = (
        "import sys; from gantune.scores import Score, Protocol, warnings; "
        "import gantune.scores.score; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    import gantune.scores

    for name in gantune.scores.__all__:
        assert getattr(gantune.scores, name).__name__ == name
