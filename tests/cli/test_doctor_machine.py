"""``doctor``."""

from __future__ import annotations

import pytest

from gantune.cli.doctor import Finding
from tests.cli.conftest import Run


def test_doctor_fails_where_something_is_broken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("torch", "ok", "2.13")]
    monkeypatch.setattr("gantune.cli.doctor.examine", lambda: findings)
    assert run("doctor")[0] == 0
    findings.append(Finding("runs", "broken", "read-only", "give --out"))
    code, text, _ = run("doctor")
    assert code == 1 and "runs: give --out" in text
