"""Signals are found among the columns of a log."""

from __future__ import annotations

import pytest

from gantune.errors import LogError
from gantune.health.history import SIGNALS
from gantune.health.logs import Columns, read_columns


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Step", "D Loss", "g-loss"], {"step": 0, "d_loss": 1, "g_loss": 2}),
        (["Iteration", "errD", "errG"], {"step": 0, "d_loss": 1, "g_loss": 2}),
        (["loss_D", "d_loss", "step", "global_step"], {"d_loss": 1, "step": 2}),
        (["kimg", "step", "fid", "x"], {"kimg": 0, "step": 1, "fid": 2}),
        (["kimg", *SIGNALS], {"kimg": 0} | {name: k + 1 for k, name in enumerate(SIGNALS)}),
        (["step", "Step", "d_loss"], {"step": 0, "d_loss": 2}),
    ],
)
def test_own_and_common_names(names: list[str], found: dict[str, int]) -> None:
    assert Columns().find(names) == found


def test_named_columns_come_before_all_others() -> None:
    columns = read_columns(["d_loss=Loss, all,g_loss=a=b", "step=epoch", "fid="])
    assert columns.named == {"d_loss": "Loss, all", "g_loss": "a=b", "step": "epoch", "fid": ""}
    names = ["d_loss", "g_loss", "Loss, all", "A=B", "epoch", "kimg", "fid"]
    assert columns.find(names) == {"d_loss": 2, "g_loss": 3, "step": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [("d_loss", "write SIGNAL=COLUMN"), ("d_los=x", r"did you mean 'd_loss'"), ("zz=x", "known: ")],
)
def test_unknown_signal_is_reported(text: str, message: str) -> None:
    with pytest.raises(LogError, match=message):
        read_columns([text])
