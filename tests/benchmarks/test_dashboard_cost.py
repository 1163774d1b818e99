"""The benchmark of the dashboard's listing, on a study of a few trials."""

from __future__ import annotations

import pytest

from benchmarks.dashboard_cost import listing_seconds, make_study
from tests.tuner.factory import get_note


@pytest.mark.integration
def test_a_small_study_is_listed() -> None:
    study = make_study(5, 3)
    assert listing_seconds(study) > 0
    assert get_note(study) == ""
    assert len([k for k in study._storage.get_study_system_attrs(0) if "note_ver" in k]) == 3
