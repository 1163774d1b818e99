"""A log is followed while its trainer writes it, in every way in which trainers write logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gantune.errors import LogError
from gantune.health.logs import Columns, Record
from gantune.health.logs.following import FollowedLog


class Trainer:
    """Writes one part of its log whenever the log is waited for."""

    def __init__(self, *parts: Callable[[], object]) -> None:
        self._parts = list(parts)

    def wait(self) -> bool:
        if self._parts:
            self._parts.pop(0)()
        return bool(self._parts)


def follow(pattern: Path, *parts: Callable[[], object]) -> Iterator[Record]:
    return iter(FollowedLog(str(pattern), Columns(), Trainer(*parts).wait))


def append(path: Path, text: str) -> Callable[[], object]:
    def write() -> None:
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(text)

    return write


def write(path: Path, text: str) -> Callable[[], object]:
    return lambda: path.write_text(text)


def places(records: Iterator[Record]) -> list[float]:
    return [record.at for record in records]


def test_records_come_as_they_are_written(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    seen: list[str] = []
    parts = [
        lambda: seen.append("nothing yet"),
        append(log, "step,d_loss\n1,1.4\n2,1."),
        append(log, "5\n"),
        lambda: seen.append("end"),
        append(log, "3,1.6\n"),
    ]
    records = follow(log, *parts)
    assert next(records).at == 1 and seen == ["nothing yet"]
    assert next(records).values == {"d_loss": 1.5}
    assert next(records).at == 3 and seen == ["nothing yet", "end"]
    assert not [*records]


def test_a_log_that_is_written_anew_goes_on_where_it_was(tmp_path: Path) -> None:
    """As Lightning writes ``metrics.csv`` when a column is added."""
    log = tmp_path / "metrics.csv"
    longer = "epoch,step,d_loss,fid\n0,1,1.4,\n0,2,1.4,\n0,3,1.4,30\n"
    parts = [write(log, "epoch,step,d_loss\n0,1,1.4\n"), append(log, "0,2,1.4\n")]
    records = [*follow(log, *parts, write(log, longer), append(log, "1,4,1.4,20\n"))]
    assert [record.at for record in records] == [1, 2, 3, 4]
    assert records[-1].values == {"d_loss": 1.4, "fid": 20}


def test_a_json_array_is_read_again_whenever_it_changes(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    rows = [{"step": step, "d_loss": 1.4} for step in range(1, 5)]
    parts = [write(log, json.dumps(rows[:end])) for end in (1, 3, 4)]
    torn = write(log, json.dumps(rows)[:30])
    assert places(follow(log, parts[0], parts[1], torn, parts[2])) == [1, 2, 3, 4]


def test_event_files_of_tensorboard(tmp_path: Path) -> None:
    writing = pytest.importorskip("torch.utils.tensorboard")
    writer = writing.SummaryWriter(str(tmp_path / "tb"))

    def add(step: int) -> Callable[[], object]:
        def write_scalars() -> None:
            writer.add_scalar("loss/D", 1.4, step)
            writer.flush()
            writer.add_scalar("loss/G", 0.7, step)
            writer.flush()

        return write_scalars

    records = [*follow(tmp_path / "tb", add(1), add(2), add(3), writer.close)]
    assert [record.at for record in records] == [1, 2, 3]
    assert all(record.values == pytest.approx({"d_loss": 1.4, "g_loss": 0.7}) for record in records)


def test_of_several_logs_the_one_that_is_being_written_counts(tmp_path: Path) -> None:
    """A trainer that resumes may begin a new folder, as StyleGAN does."""
    append(tmp_path / "0" / "log.csv", "step,d_loss\n1,1.4\n")()
    new = append(tmp_path / "1" / "log.csv", "step,d_loss\n7,1.4\n")
    assert places(follow(tmp_path / "*" / "log.csv", lambda: None, new)) == [7]


def test_what_was_there_before_gives_no_records(tmp_path: Path) -> None:
    """Its header counts, and so do its epochs, where iterations start again in each."""
    log = tmp_path / "log.csv"
    append(log, "epoch,step,d_loss\n1,1,1.4\n1,2,1.4\n")()
    assert places(follow(log, append(log, "2,1,1.4\n"))) == [3]
    with pytest.raises(LogError, match="nothing new was written there"):
        places(follow(log, lambda: None))


def test_a_log_that_never_comes(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"log\.csv: no such file"):
        next(follow(tmp_path / "log.csv", lambda: None))


def test_a_line_of_megabytes_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    long = "x" * 3_000_000
    text = f"step 1 d_loss: 1.4\n{long}\nstep 2 d_loss: 1.4\n"
    assert places(follow(log, append(log, text))) == [1, 2]
