"""The shipped spaces, as tests go through them."""

from __future__ import annotations

import pytest

from gantune.space import shipped_spaces

every_shipped_space = pytest.mark.parametrize(
    "name",
    [
        # Its thousands of combinations take a second.
        pytest.param(name, marks=pytest.mark.integration) if name == "mixture2d" else name
        for name in sorted(shipped_spaces())
    ],
)
