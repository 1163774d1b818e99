"""Choices of an extractor, and which are refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config.extractor import CHOICES, ExtractorChoice, wrong_name
from gantune.errors import ScoreError


def test_published_fids_are_the_default() -> None:
    assert ExtractorChoice() == ExtractorChoice("auto", None, "legacy")


@pytest.mark.parametrize("name", [*CHOICES, "net:make", "my.own_net2:Nets.make"])
def test_names(name: str) -> None:
    choice = ExtractorChoice(name)
    assert choice.is_user_network == (":" in name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("incepton", r"'incepton' is unknown \(did you mean 'inception'\?\)"),
        ("", r"'' is unknown; it is one of auto, inception, .*, or package.module:factory"),
        ("net:", r"'net:' is no network of one's own; write package\.module:factory"),
        (":make", r"is no network of one's own"),
        ("my net:make", r"is no network of one's own"),
        ("../net.py:make", r"is no network of one's own"),
        ("net:make:more", r"is no network of one's own"),
        ("net:make\n", r"is no network of one's own"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    with pytest.raises(ScoreError, match=rf"^extractor: .*{message}"):
        ExtractorChoice(name)


@given(st.text(max_size=20))
def test_any_other_text_is_not_a_name(text: str) -> None:
    if not wrong_name(text):
        module, _, factory = text.partition(":")
        assert text in CHOICES or all(
            part.isidentifier() for part in (*module.split("."), *factory.split("."))
        )


@pytest.mark.parametrize("name", ["classifier", "random", "points", "net:make"])
def test_settings_of_inception_alone(name: str) -> None:
    with pytest.raises(ScoreError, match=rf"weights: is for the Inception .* is '{name}'; leave"):
        ExtractorChoice(name, "w.pth")
    with pytest.raises(ScoreError, match=r"^resize: is for the Inception network alone"):
        ExtractorChoice(name, None, "antialias")


@pytest.mark.parametrize("name", ["auto", "inception"])
def test_inception_may_have_both(name: str) -> None:
    assert ExtractorChoice(name, "w.pth", "antialias").weights == "w.pth"


def test_choosing_an_extractor_does_not_import_torch() -> None:
    code = (
        "import sys; from gantune.space.settings import Objective; Objective().choice();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
