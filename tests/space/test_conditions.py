"""Whether some, and whether all trials meet a condition."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.io.yaml_document import KeyPath
from gantune.space.conditions import Condition, can_meet, is_always_met

A: KeyPath = ("a",)
B: KeyPath = ("b",)
C: KeyPath = ("c",)
ALTERNATIVES = {A: ("1", "2"), B: ("1", "2", "3"), C: ("1", "2")}
CONDITIONS = st.dictionaries(st.sampled_from([A, B, C]), st.sampled_from(["1", "2"])).map(
    lambda chosen: tuple(chosen.items())
)


@pytest.mark.parametrize(
    ("conditions", "when", "always"),
    [
        ([], (), False),
        ([()], (), True),
        ([((A, "1"),)], (), False),
        ([((A, "1"),), ((A, "2"),)], (), True),
        ([((B, "1"),), ((B, "2"),)], (), False),
        ([((A, "1"),)], ((A, "1"),), True),
        ([((A, "1"),)], ((A, "2"),), False),
        ([((A, "1"), (C, "1")), ((A, "1"), (C, "2")), ((A, "2"),)], (), True),
        ([((A, "1"), (C, "1")), ((A, "2"),)], (), False),
    ],
)
def test_cases(conditions: list[Condition], when: Condition, always: bool) -> None:
    assert is_always_met(conditions, ALTERNATIVES, when) is always


@given(st.lists(CONDITIONS, max_size=6), CONDITIONS)
def test_as_counted_over_all_trials(conditions: list[Condition], when: Condition) -> None:
    words = product(*ALTERNATIVES.values())
    trials = [tuple(zip(ALTERNATIVES, each, strict=True)) for each in words]
    inside = [trial for trial in trials if can_meet(when, trial)]
    met = [any(can_meet(each, trial) for each in conditions) for trial in inside]
    assert is_always_met(conditions, ALTERNATIVES, when) is all(met)
