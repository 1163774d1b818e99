"""Configs in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config import TrialConfig, absolute_source, dump_config, load_config, make_config
from gantune.config.loss_families import LOSSES
from gantune.config.sections import PenaltiesConfig, R1Config
from gantune.errors import ConfigError
from gantune.io.yaml_document import format_document, parse_document
from tests.examples import examples


@examples(25)
@given(
    st.builds(
        TrialConfig,
        loss=st.sampled_from(sorted(LOSSES)),
        kimg=st.floats(1e-3, 1e6),
        batch_size=st.integers(2, 65_536),
        penalties=st.builds(PenaltiesConfig, r1=st.none() | st.builds(R1Config)),
    )
)
def test_dump_and_load_round_trip(config: TrialConfig) -> None:
    text = dump_config(config)
    assert make_config(parse_document(text).tree) == config
    assert format_document(parse_document(text).tree) == text


def test_a_relative_data_path_starts_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "best.yaml"
    path.parent.mkdir()
    path.write_text("data: {source: ../images}\n")
    assert load_config(path).data.source == str(tmp_path / "images")


def test_folder_does_not_hide_a_built_in_source(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "best.yaml").write_text("data: {source: digits}\n")
    assert load_config(tmp_path / "best.yaml").data.source == "digits"


@pytest.mark.parametrize("source", ["", "digits", "gaussians", "gaussians:ring"])
def test_built_in_sources_are_not_paths(source: str, tmp_path: Path) -> None:
    assert absolute_source(source, tmp_path) == source


@pytest.mark.parametrize("source", ["a\0b", "~nobody-of-this-name/x", "x" * 5000])
def test_an_impossible_file_name_is_left_to_the_reader(source: str, tmp_path: Path) -> None:
    assert source in absolute_source(source, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "not a training configuration"),
        ("trial: {}\n", "this is a space, not one training configuration"),
        ("loss: 3\n", r"best.yaml:1:1: loss: input should be"),
    ],
)
def test_file_that_is_not_a_config(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "best.yaml")
