"""What goes on is scored as it began."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.stored_scores import read_protocol, read_rung_protocol, read_score
from gantune.scores.protocol import check_same_protocol
from tests.canned import PROTOCOL, make_score


def test_a_run_knows_its_protocol(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.info.write_text(json.dumps({"protocol": asdict(PROTOCOL)}))
    assert read_protocol(folder) == PROTOCOL
    folder.info.unlink()
    with pytest.raises(RunError, match="not a run of gantune"):
        read_protocol(folder)


def test_a_run_knows_its_rungs_protocol_once_it_has_begun(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_rung_protocol(folder) is None
    folder.info.write_text(json.dumps({"rung_protocol": asdict(PROTOCOL)}))
    assert read_rung_protocol(folder) == PROTOCOL
    folder.info.write_text("{}")
    assert read_rung_protocol(folder) is None
    folder.info.write_text(json.dumps({"rung_protocol": {"moon": "full"}}))
    with pytest.raises(RunError, match="another --out"):
        read_rung_protocol(folder)


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"protocol": "0123456789ab"},
        {"protocol": {"data": "d", "real": 9}},
        {"protocol": asdict(PROTOCOL) | {"moon": "full"}},
    ],
)
def test_a_run_of_another_version_is_one_clear_message(
    tmp_path: Path, info: dict[str, object]
) -> None:
    RunFolder(tmp_path).info.write_text(json.dumps(info))
    with pytest.raises(RunError, match=f"^{tmp_path}: .*another --out$"):
        read_protocol(RunFolder(tmp_path))


def test_a_line_of_scores_is_read_back() -> None:
    score = make_score(3.0, classes={"a": 1.0}, real_classes={"a": 1.0})
    line = {"kimg": 1.0, "rung": 0.5, "scoring_seconds": 2.0} | score.to_dict()
    assert read_score(Path("run"), json.loads(json.dumps(line))) == score


@pytest.mark.parametrize("changes", [{"protocol": "0123456789ab"}, {"moon": 1}])
def test_a_score_of_another_version_is_one_clear_message(changes: dict[str, object]) -> None:
    with pytest.raises(RunError, match=r"^run: its scores are not in the format of this version"):
        read_score(Path("run"), make_score(3.0).to_dict() | changes)
    with pytest.raises(RunError, match="version"):
        read_score(Path("run"), {"value": 3.0})


def test_another_protocol_is_refused_with_what_differs() -> None:
    check_same_protocol(Path("run"), PROTOCOL, replace(PROTOCOL))
    other = replace(PROTOCOL, held_out_data="b" * 64, generated=100)
    with pytest.raises(RunError) as caught:
        check_same_protocol(Path("run"), PROTOCOL, other)
    text = str(caught.value)
    assert text.startswith("run: its scores were taken under another protocol")
    assert "generated: 2000 against 100\n" in text
    assert f"held_out_data:  against {'b' * 64}\n" in text
    assert "--out" in text and "resolution" not in text
