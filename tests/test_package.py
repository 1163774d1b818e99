"""What ``import gantune`` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gantune


def test_every_exported_name_can_be_imported() -> None:
    assert gantune.__all__ == [
        "Ema",
        "GantuneError",
        "HealthMonitor",
        "Options",
        "Run",
        "TrialConfig",
        "TrialStopped",
        "build_networks",
        "diagnose",
        "evaluate",
        "load_config",
        "load_generator",
        "load_networks",
        "load_run",
        "load_space",
        "losses",
        "penalties",
        "search",
        "train",
    ]
    assert all(callable(getattr(gantune, name)) for name in gantune.__all__ if name != "losses")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="serch"):
        gantune.serch  # noqa: B018


def test_tab_completion_shows_the_api_alone() -> None:
    assert dir(gantune) == gantune.__all__


def test_search_is_a_function() -> None:
    from gantune.tuner.options import Options

    assert Options is gantune.Options
    with pytest.raises(gantune.GantuneError, match="did you mean 'dcgan'"):
        gantune.search("dcgam")


def test_importing_gantune_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'optuna', 'numpy', 'pydantic', 'rich', 'sklearn'}"
    script = f"import sys, gantune; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == "set()"
