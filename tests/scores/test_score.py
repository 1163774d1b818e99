"""A score carries its protocol, and comes back from JSON as it went."""

from __future__ import annotations

import json

import pytest

from gantune.scores import HeldOut, Score
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
