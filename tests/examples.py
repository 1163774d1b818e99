"""How many examples a property is tried on."""

from __future__ import annotations

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
