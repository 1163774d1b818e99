"""Signals are found among the columns of a log."""

from __future__ import annotations

import pytest

from gantune.errors import LogError
from gantune.health.history import SIGNALS
from gantune.health.logs import Columns, read_columns


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Step", "D Loss", "g-loss"], {"step": (0,), "d_loss": (1,), "g_loss": (2,)}),
        (["Iteration", "errD", "errG"], {"step": (0,), "d_loss": (1,), "g_loss": (2,)}),
        (["loss_D", "d_loss", "step", "global_step"], {"d_loss": (1,), "step": (2,)}),
        (["kimg", "step", "fid", "x"], {"kimg": (0,), "step": (1,), "fid": (2,)}),
        (["kimg", *SIGNALS], {"kimg": (0,)} | {name: (k + 1,) for k, name in enumerate(SIGNALS)}),
        (["step", "Step", "d_loss"], {"step": (0,), "d_loss": (2,)}),
        # Losses on real and generated images apart are added up.
        (["D_real", "D_fake", "G_GAN", "G_L1"], {"d_loss": (0, 1), "g_loss": (2,)}),
        (["l_d_real", "out_d_real", "l_d_fake", "l_g_gan"], {"d_loss": (0, 2), "g_loss": (3,)}),
        (
            ["iter", "loss_disc_fake", "loss_disc_real", "loss_disc_fake_g"],
            {"step": (0,), "d_loss": (2, 1), "g_loss": (3,)},
        ),
        (["d_loss", "d_real", "d_fake"], {"d_loss": (0,), "d_real": (1,), "d_fake": (2,)}),
        (["G", "D", "GP"], {"d_loss": (1,), "g_loss": (0,)}),
        (["D", "D_loss_real", "D_loss_fake"], {"d_loss": (1, 2)}),
        # Lightning's, W&B's and TensorBoard's names.
        (
            ["epoch", "step", "d_loss_epoch", "d_loss_step"],
            {"epoch": (0,), "step": (1,), "d_loss": (3,)},
        ),
        (["Step", "red-7 - d_loss", "red-7 - d_loss__MIN"], {"step": (0,), "d_loss": (1,)}),
        (["losses/generator", "losses/critic"], {"g_loss": (0,), "d_loss": (1,)}),
        (["Gen Loss Total", "Mel-Spec. Error"], {"g_loss": (0,)}),
        (["iter", "D loss (avg)", "G loss (avg)"], {"step": (0,), "d_loss": (1,), "g_loss": (2,)}),
        (["d1", "d2", "g"], {"d_loss": (0, 1), "g_loss": (2,)}),
        (["val_d_loss", "best_fid", "lr_d", "loss", "time"], {}),
        (["D(x)", "D(G(z))"], {"d_real": (0,), "d_fake": (1,)}),
        (["G_GAN", "G_L1", "D_real+fake"], {"d_loss": (2,), "g_loss": (0,)}),
        (["discriminator loss", "adversarial loss"], {"d_loss": (0,), "g_loss": (1,)}),
        (["d_loss", "g_loss_u", "g_loss_s"], {"d_loss": (0,), "g_loss": (1,)}),
        (["metrics/fid50k_full"], {"fid": (0,)}),
    ],
)
def test_own_and_common_names(names: list[str], found: dict[str, tuple[int, ...]]) -> None:
    assert Columns().find(names).signals == found


def test_two_pairs_of_players() -> None:
    found = Columns().find(["D_A", "G_A", "cycle_A", "D_B", "G_B"])
    assert found.signals == {}
    assert found.groups == {
        "A": {"d_loss": (0,), "g_loss": (1,)},
        "B": {"d_loss": (3,), "g_loss": (4,)},
    }


def test_each_run_of_an_export_is_one_pair() -> None:
    names = ["Step", "red-7 - d_loss", "red-7 - g_loss", "blue-2 - d_loss", "blue-2 - d_loss__MIN"]
    found = Columns().find(names)
    assert found.signals == {"step": (0,)}
    assert found.groups == {"blue-2": {"d_loss": (3,)}, "red-7": {"d_loss": (1,), "g_loss": (2,)}}


def test_named_columns_come_before_all_others() -> None:
    columns = read_columns(["d_loss=Loss, all,g_loss=a=b", "step=epoch", "fid="])
    assert columns.named == {"d_loss": "Loss, all", "g_loss": "a=b", "step": "epoch", "fid": ""}
    names = ["d_loss", "g_loss", "Loss, all", "A=B", "epoch", "kimg", "fid"]
    assert columns.find(names).signals == {"d_loss": (2,), "g_loss": (3,), "step": (4,)}


def test_a_suggestion_can_be_typed() -> None:
    text = Columns().explain_missing(["d lsos (x)", "step"])
    assert "--columns 'd_loss=d lsos (x)'?" in text


def test_a_suggestion_names_one_column_for_one_signal() -> None:
    text = Columns().explain_missing(["d_lsos", "g_lsos"])
    assert "--columns d_loss=d_lsos,g_loss=g_lsos?" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [("d_loss", "write SIGNAL=COLUMN"), ("d_los=x", r"did you mean 'd_loss'"), ("zz=x", "known: ")],
)
def test_unknown_signal_is_reported(text: str, message: str) -> None:
    with pytest.raises(LogError, match=message):
        read_columns([text])
