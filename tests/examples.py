"""How many examples a property is tried on, and which values only in the integration tier."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

FULL = 100
"""Examples of the profile ``full``, where hypothesis's default is not changed."""


def examples(count: int) -> settings:
    """``count`` examples in ``make test-integration``, a share of them in ``make test``.

    Fixtures of a test are shared by its examples.
    """
    return settings(
        max_examples=max(5, count * settings.default.max_examples // FULL),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def in_integration(*values: Any) -> list[Any]:
    """Further values of a parameter, which take seconds and are tried in the integration tier."""
    return [pytest.param(value, marks=pytest.mark.integration) for value in values]
