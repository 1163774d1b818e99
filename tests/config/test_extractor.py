"""Choices of an extractor, and which are refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config.extractor import (
    CHOICES,
    NO_FURTHER,
    ExtractorChoice,
    FurtherScores,
    wrong_name,
)
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
def test_settings_of_published_networks_alone(name: str) -> None:
    with pytest.raises(ScoreError, match=rf"weights: is for inception and .* is '{name}'; leave"):
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


def test_scores_beside_the_first_by_their_names() -> None:
    found = FurtherScores.of(["fd_dinov2", "fid", "dinov2-b14=a/b=c.pth", "my:net", "fd_inf"])
    assert found.extrapolates
    assert [(one.name, one.weights) for one in found.extractors] == [
        ("dinov2", None),
        ("inception", None),
        ("dinov2-b14", "a/b=c.pth"),
        ("my:net", None),
    ]
    assert FurtherScores.of("fd_inf") == FurtherScores.of(["fd_inf"])
    assert found and not FurtherScores.of([]) and FurtherScores.of([]) == NO_FURTHER


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fd_dino"], r"'fd_dino' is unknown \(did you mean 'fd_dinov2'\?\)"),
        (
            ["fd_inf=weights.pth"],
            "fd_inf is of the first score, and takes no file",
        ),
        (["auto"], "'auto' is unknown; it is one of fd_inf, "),
        (["random=weights.pth"], "weights: is for inception and dinov2 alone"),
        (["fid", "inception"], "'inception' is named twice"),
    ],
)
def test_wrong_scores_beside_the_first(names: list[str], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        FurtherScores.of(names)
