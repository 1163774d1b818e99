"""What a search spent and what stopping saved, by reason."""

from __future__ import annotations

import pytest

from gantune.report.analysis.spending import saved_by, spending
from tests.report.factory import finals, search, state


def test_each_rule_and_rung_has_its_own_line() -> None:
    found = {one.reason: one for one in spending(state(search(), finals()))}
    assert found["completed"].runs == 2 and found["completed"].saved == 0
    assert (found["pruned at 50%"].spent, found["pruned at 50%"].saved) == (20, 20)
    assert (found["pruned at 25%"].spent, found["pruned at 25%"].saved) == (10, 30)
    assert (found["discriminator_won"].runs, found["discriminator_won"].saved) == (2, 16 + 34)
    assert found["crashed"].saved == 0 and found["out of memory"].saved == 0
    assert found["the finals"].runs == 9


def test_the_sums_are_those_of_the_summary() -> None:
    canned = state(search())
    found = spending(canned)
    assert sum(one.saved for one in found) == pytest.approx(saved_by(canned).kimg)
    assert sum(one.spent for one in found) == sum(r.outcome.kimg for r in search() if r.outcome)
