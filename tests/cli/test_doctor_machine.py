"""``doctor``."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run


def test_doctor_fails_where_something_is_broken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantune.cli import doctor

    findings = [doctor.Finding("torch", "ok", "2.13")]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert run("doctor")[0] == 0
    findings.append(doctor.Finding("runs", "broken", "read-only", "give --out"))
    code, text, _ = run("doctor")
    assert code == 1 and "runs: give --out" in text
