"""Small logs in the style of many trainers, each read without an option."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gantune import diagnose
from gantune.errors import LogError
from gantune.health.logs import open_log, open_stream

D, G = 1.386, 0.7
"""Losses of a healthy run of the vanilla loss."""


def repeated(line: Callable[[int], str], count: int = 40) -> str:
    return "".join(f"{line(k)}\n" for k in range(count))


LOGS: dict[str, tuple[str, str, float, set[str]]] = {
    # name: text, unit, last place, signals
    "epochs.csv": (
        "epoch,d_loss,g_loss\n" + repeated(lambda k: f"{k},{D},{G}"),
        *("epoch", 39, {"d_loss", "g_loss"}),
    ),
    "pandas.csv": (
        ",loss_D,loss_G\n" + repeated(lambda k: f"{k},{D},{G}"),
        *("step", 39, {"d_loss", "g_loss"}),
    ),
    "lightning.csv": (
        "d_loss_epoch,d_loss_step,epoch,g_loss_epoch,g_loss_step,step\n"
        + repeated(lambda k: f",{D},{k // 10},,{G},{50 * k + 49}"),
        *("step", 1999, {"d_loss", "g_loss"}),
    ),
    "wandb.csv": (
        '"Step","red-7 - d_loss","red-7 - d_loss__MIN","red-7 - d_loss__MAX"\n'
        + repeated(lambda k: f'"{10 * k}","{D}","0.1","9"'),
        *("step", 390, {"d_loss"}),
    ),
    "loss_log.txt": (
        "================ Training Loss (Mon Jun  1 10:00:00 2026) ================\n"
        + repeated(
            lambda k: (
                f"(epoch: {1 + k // 10}, iters: {100 * (1 + k % 10)}, time: 0.125, data: 16.282) "
                f"G_GAN: {G} G_L1: 19.781 D_real: {D / 2} D_fake: {D / 2} "
            )
        ),
        *("step", 4000, {"d_loss", "g_loss"}),
    ),
    "cyclegan.txt": (
        repeated(
            lambda k: (
                f"(epoch: 1, iters: {100 + 100 * k}, time: 0.746, data: 0.1) D_A: 0.281 "
                "G_A: 0.593 cycle_A: 1.492 idt_A: 0.1 D_B: 0.118 G_B: 0.951 cycle_B: 2.123 "
            )
        ),
        *("step", 4000, {"d_loss", "g_loss"}),
    ),
    "bars.txt": (
        repeated(
            lambda k: (
                f"Epoch: {k // 4} | Batch: {100 * (k % 4)} | d_loss: {D} | g_loss: {G} | "
                "D(x): 0.2701 | D(G(z)): 0.0070"
            )
        ),
        *("step", 3900, {"d_loss", "g_loss", "d_real", "d_fake"}),
    ),
    "epochs.txt": (
        repeated(lambda k: f"Epoch [{k + 1}/40] Loss_G: {G}, Loss_D: {D}"),
        *("epoch", 40, {"d_loss", "g_loss"}),
    ),
    "dcgan.txt": (
        "Starting Training Loop...\n"
        + repeated(
            lambda k: (
                f"[{k // 8}/5][{50 * (k % 8)}/400]\tLoss_D: {D}\tLoss_G: {G}\tD(x): 0.5\t"
                "D(G(z)): 0.5 / 0.4"
            )
        ),
        *("step", 1950, {"d_loss", "g_loss", "d_real", "d_fake"}),
    ),
    "pytorch_gan.txt": (
        repeated(lambda k: f"[Epoch 0/200] [Batch {k}/938] [D loss: {D}] [G loss: {G}]"),
        *("step", 39, {"d_loss", "g_loss"}),
    ),
    "keras_gan.txt": (
        repeated(lambda k: f"{k} [D loss: {D}, acc.: 50.00%] [G loss: {G}]"),
        *("step", 39, {"d_loss", "g_loss"}),
    ),
    "keras.txt": (
        repeated(
            lambda k: (
                f"Epoch {k + 1}/40\n1094/1094 [=====] - 30s 20ms/step - d_loss: {D} - g_loss: {G}"
            )
        ),
        *("step", 40 * 1094, {"d_loss", "g_loss"}),
    ),
    "two_steps.txt": (
        "Generator             Parameters  Buffers\n---  ---  ---\nmapping.fc0  262656  -\n"
        + '{\n    "adv_loss":  "logistic",\n    "batch_size":  64\n}\n'
        + repeated(
            lambda k: (
                f"Epoch: 001/010 | Batch {100 * k:04}/4000 | Gen/Dis Loss: {G}/{D}\n"
                "    --- ETA: 0:10:02"
            )
        ),
        *("step", 3900, {"d_loss", "g_loss"}),
    ),
    "to_string.txt": (
        "    step  d_loss  g_loss\n" + repeated(lambda k: f"{k:<4}  {100 * k:>4}   {D}     {G}"),
        *("step", 3900, {"d_loss", "g_loss"}),
    ),
    "D_loss.txt": (repeated(lambda _: f"{D:e}"), *("record", 40, {"d_loss"})),
    "G_loss.log": (repeated(lambda k: f"{100 * k}: {G}"), *("step", 3900, {"g_loss"})),
    "stylegan.json": (
        json.dumps(
            [
                {"Progress/kimg": 4 * k, "Loss/D/loss": D, "Loss/G/loss": G, "Loss/D/reg": 0.1}
                for k in range(40)
            ]
        ),
        *("kimg", 156, {"d_loss", "g_loss"}),
    ),
    "hifigan.txt": (
        "checkpoints directory : cp_hifigan\nEpoch: 1\n"
        + repeated(
            lambda k: (
                f"Steps : {5 * k}, Gen Loss Total : {40 + k % 3}, Mel-Spec. Error : 0.821, "
                "s/b : 0.443"
            )
        ),
        *("step", 195, {"g_loss"}),
    ),
    "lightweight.txt": (
        repeated(lambda k: f"G: -0.1 | D: {1.9 + 0.1 * (k % 2)} | GP: 0.02 | SS: 0.01"),
        *("record", 40, {"d_loss", "g_loss"}),
    ),
    "progress.txt": (
        "\r".join(
            f" {k}%|##   | {k}/1000 [00:10<01:20, 9.99it/s, loss_d={D}, loss_g={G}]"
            for k in range(40)
        )
        + "\n",
        *("step", 39, {"d_loss", "g_loss"}),
    ),
    "biggan.txt": (
        repeated(
            lambda k: f"itr: {100 * k}, G_loss : +0.123, D_loss_real : +1.000, D_loss_fake : +1.010"
        ),
        *("step", 3900, {"d_loss", "g_loss"}),
    ),
    "basicsr.log": (
        repeated(
            lambda k: (
                f"2026-06-01 10:{k:02}:00,123 INFO: [train..][epoch:  0, iter:{100 * k:8,d}, "
                "lr:(1.000e-04,)] [eta: 1 day, 0:05:12, time (data): 0.4 (0.0)] l_g_pix: 1.2e-02 "
                f"l_g_gan: {G} l_d_real: {D / 2} out_d_real: 0.1 l_d_fake: {D / 2} out_d_fake: -0.2"
            )
        ),
        *("step", 3900, {"d_loss", "g_loss"}),
    ),
    "mmengine.log": (
        repeated(
            lambda k: (
                f"2026/06/01 10:{k:02}:00 - mmengine - INFO - Iter(train) [{100 * k:5}/300000]  "
                "lr: 2e-4 eta: 1 day, 2:03:04  time: 0.1 data_time: 0.01 "
                f"loss_disc_fake: {D / 2} loss_disc_real: {D / 2} loss_disc_fake_g: {G}"
            )
        ),
        *("step", 3900, {"d_loss", "g_loss"}),
    ),
    "mmengine.json": (
        repeated(
            lambda k: json.dumps(
                {"mode": "train", "epoch": 1, "iter": k, "loss_disc_fake": D / 2}
                | {"loss_disc_real": D / 2, "loss_disc_fake_g": G}
            )
        ),
        *("step", 39, {"d_loss", "g_loss"}),
    ),
    "chainer.json": (
        json.dumps(
            [
                {"epoch": k // 10, "iteration": 100 * k, "loss_gen": G, "loss_dis": D}
                for k in range(40)
            ],
            indent=1,
        ),
        *("step", 3900, {"d_loss", "g_loss"}),
    ),
    "keras.json": (
        json.dumps({"history": {"d_loss": [D] * 40, "g_loss": [G] * 40}}),
        *("record", 40, {"d_loss", "g_loss"}),
    ),
    "metric-fid50k_full.jsonl": (
        repeated(
            lambda k: json.dumps(
                {"results": {"fid50k_full": 300 / (k + 1)}, "metric": "fid50k_full"}
                | {"snapshot_pkl": f"network-snapshot-{200 * k:06}.pkl"}
            )
        ),
        *("kimg", 7800, {"fid"}),
    ),
    "log.txt": (
        repeated(
            lambda k: (
                f"tick {k}     kimg {4 * k:.1f}     time 5m 02s      sec/tick 28.9\n"
                f"network-snapshot-{4 * k:06}        time 5m 30s       fid50k {300 / (k + 1):.4f}"
            )
        ),
        *("kimg", 156, {"fid"}),
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_read_without_an_option(name: str, tmp_path: Path) -> None:
    text, unit, last, signals = LOGS[name]
    path = tmp_path / name
    path.write_text(text)
    found = diagnose(path)
    assert (found.unit, found.last, set(found.measured)) == (unit, last, signals)
    assert found.verdict is None
    assert found.records == 40


LINES: list[tuple[str, dict[str, float]]] = [
    ("Epoch 3: D loss: 1.2, G loss: 1.0", {"epoch": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("Epoch 3/100: D: 1.2 G: 1.0", {"epoch": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("step 3: d_loss=1.2, g_loss=1.0", {"step": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("iter 3 => D: 1.2 G: 1.0", {"step": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("Iter 3 -- D loss: 1.2 -- G loss: 1.0", {"step": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("12:00:01 Epoch 3: d_loss=1.2, g_loss=1.0", {"epoch": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("[GPU0] step 3: d_loss=1.2", {"step": 3, "d_loss": 1.2}),
    ("Rank 0: Epoch 3: Loss D: 1.2", {"epoch": 3, "d_loss": 1.2}),
    ("Epoch 3: discriminatorLoss=1.2", {"epoch": 3, "d_loss": 1.2}),
    ("train 3: d=1.2 g=1.0", {"d_loss": 1.2, "g_loss": 1.0}),
    ("INFO:root:d_loss=1.2 g_loss=1.0", {"d_loss": 1.2, "g_loss": 1.0}),
    ("INFO:gan:D loss: 1.2, G loss: 1.0", {"d_loss": 1.2, "g_loss": 1.0}),
    ("Step: 1000 Gen_loss: 0.5 Dis_loss: 1.2", {"step": 1000, "d_loss": 1.2, "g_loss": 0.5}),
    ("FID score (Step: 1000, Using train moments): 70.5", {"step": 1000, "fid": 70.5}),
    ("FID after 1000 steps: 70.5", {"step": 1000, "fid": 70.5}),
    ("Epoch 003 | Avg Losses >> G/D 1.0/1.2", {"epoch": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("Epoch 003 | D Loss >> -1.2", {"epoch": 3, "d_loss": -1.2}),
    ("iter 3: loss (D/G): 1.2/1.0", {"step": 3, "d_loss": 1.2, "g_loss": 1.0}),
    ("discriminator loss at step 30: 1.2", {"step": 30, "d_loss": 1.2}),
    (
        "Step: 10 temperature: no ada_p: No Dis_loss: 1.2 Gen_loss: 1.0",
        {"step": 10, "d_loss": 1.2, "g_loss": 1.0},
    ),
    (
        "Epoch: 1/9, Batch: 3/50, D_Loss=1.2, Gen_Loss=[array(1.0, dtype=float32), array(0.9)]",
        {"epoch": 1, "step": 3, "d_loss": 1.2, "g_loss": 1.0},
    ),
    ("step 10 FID (5000 samples): 20", {"step": 10, "fid": 20}),
    ("step 10 FID@5k: 20", {"step": 10, "fid": 20}),
    ("step 10: FID is 20", {"step": 10, "fid": 20}),
    ("step 10 Frechet Inception Distance: 20", {"step": 10, "fid": 20}),
    (
        "10/1000 (1.00%) (TE/ETA: 0:10 / 1:10) itr: 2010, G_loss : +1.0, D_loss_real : +0.5, "
        "D_loss_fake : +0.7",
        {"step": 2010, "d_loss": 1.2, "g_loss": 1.0},
    ),
    ("[11/28 10:11:12 d2.utils.events]: iter: 5  d_loss: 1.2", {"step": 5, "d_loss": 1.2}),
    ("[val] epoch 3 d_loss 0.001 fid 20", {"epoch": 3, "fid": 20}),
    ("\x1b[1mstep 3 d_loss\x1b[0m: \x1b[31m1.2\x1b[0m", {"step": 3, "d_loss": 1.2}),
    ("{'step': 3, 'd_loss': np.float32(1.2)}", {"step": 3, "d_loss": 1.2}),
    ("step 3 d_loss=tf.Tensor(1.2, shape=(), dtype=float32)", {"step": 3, "d_loss": 1.2}),
    (
        ">3, 10/100, d_loss1=0.5, d_loss2=0.7, g_loss=1.0",
        {"step": 10, "epoch": 3, "d_loss": 1.2, "g_loss": 1.0},
    ),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_printed_line(line: str, expected: dict[str, float], tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(f"{line}\n")
    with open_log(path) as log:
        (record,) = log
    places = {name: expected[name] for name in ("kimg", "step", "epoch") if name in expected}
    at = places.get("step", places.get("epoch", 1))
    assert record.at == at and record.unit == next(iter(places), "record")
    assert record.values == pytest.approx({k: v for k, v in expected.items() if k not in places})


@pytest.mark.parametrize(
    "line",
    [
        "step {k} d_loss: 1.2 g_loss: 0.5\nFID: {fid}",
        "step {k} d_loss: 1.2 g_loss: 0.5\nFID = {fid} (best 12)",
        "step {k} d_loss: 1.2 g_loss: 0.5\nFID score: {fid}",
        "step {k} d_loss: 1.2 g_loss: 0.5\nfid50k_full {fid}",
    ],
)
def test_a_score_below_the_losses_has_their_place(line: str, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(repeated(lambda k: line.format(k=k, fid=60 - k), 30))
    found = diagnose(path)
    assert found.best_score is not None
    assert (found.best_score.at, found.best_score.value, found.kind) == (29, 31, "healthy")
    assert not any("same place" in note for note in found.notes)


def test_only_the_score_of_this_place_is_one(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        repeated(
            lambda k: (
                f"> Step: {100 * k} Gen_loss: {G} Dis_loss: {D}\n"
                f"> F_1/8 score (Step: {100 * k}, Using train images): 0.{k:02}\n"
                f"> FID score (Step: {100 * k}, Using train moments): {60 + k}\n"
                "> Best FID score (Step: 0, Using train moments): 60"
            ),
            30,
        )
    )
    found = diagnose(path)
    assert (found.last, found.records, found.kind) == (2900, 60, "healthy")
    assert set(found.measured) == {"d_loss", "g_loss", "fid"}
    assert not any("goes back" in note for note in found.notes)


def test_losses_below_the_heading_of_a_validation_set_are_not_those_of_training(
    tmp_path: Path,
) -> None:
    path = tmp_path / "loss_log.txt"
    path.write_text(
        repeated(
            lambda k: (
                "================ Training Loss (Mon Jun  1 10:00:00 2026) ================\n"
                f"(epoch: {1 + k}, iters: 100, time: 0.1) G_GAN: {G} D: {D}\n"
                "================ Validation Loss (Mon Jun  1 10:01:00 2026) ================\n"
                "(epoch: 1, iters: 5, time: 0.1) G_GAN: 9 D: 0.001"
            )
        )
    )
    found = diagnose(path)
    assert (found.records, found.last, found.kind) == (40, 4000, "healthy")


def test_the_next_epoch_ends_a_validation(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        repeated(
            lambda k: (
                f"Epoch {1 + k}/40 D_loss: {D} G_loss: {G}\n"
                "==== Validation Loss ====\n"
                "D_loss: 0.001 G_loss: 9"
            )
        )
    )
    found = diagnose(path, loss="vanilla")
    assert (found.records, found.kind) == (40, "healthy")


def test_hinge_beside_outputs_in_the_unit_interval_is_not_vanilla(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = "".join(f"{100 * k},0.3,0.1,1.8,-0.1\n" for k in range(40))
    path.write_text("step,d_real,d_fake,d_loss,g_loss\n" + rows)
    assert "vanilla" not in " ".join(diagnose(path).notes)


def test_one_line_an_epoch_at_iteration_0_counts_epochs(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        repeated(
            lambda k: f"[{k}/60][0/38] Loss_D: {D if k < 15 else 1e-4} Loss_G: {G if k < 15 else 9}"
        )
    )
    found = diagnose(path, loss="vanilla")
    assert (found.records, found.last, found.kind) == (40, 39, "collapsed")


@pytest.mark.parametrize("rows", [1, 4])
def test_a_log_of_a_few_places_is_not_healthy(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    lines = "".join(f"{k},{D},{G}\n" for k in range(rows))
    path.write_text(f"step,d_loss,g_loss\n{lines}")
    found = diagnose(path, loss="vanilla")
    assert (found.kind, found.lacking) == ("not judged", "too few places in the log")


def test_files_of_one_scalar_beside_each_other_are_joined(tmp_path: Path) -> None:
    (tmp_path / "d_loss.txt").write_text(repeated(lambda _: f"{D}"))
    (tmp_path / "g_loss.txt").write_text(repeated(lambda _: f"{G}"))
    (tmp_path / "seconds.txt").write_text(repeated(lambda k: f"{k}"))
    found = diagnose(tmp_path / "g_loss.txt")
    assert (found.unit, found.measured) == ("record", ("d_loss", "g_loss"))
    assert found.notes[0] == "joined from d_loss.txt, g_loss.txt"


def test_the_worst_of_several_runs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wandb.csv"
    path.write_text(
        '"Step","red-7 - _step","red-7 - d_loss","red-7 - g_loss","blue-2 - d_loss",'
        '"blue-2 - g_loss"\n'
        + repeated(
            lambda k: f'"{k}","{k}","{D}","{G}","{D if k < 40 else 1e-5}","{G if k < 40 else 9}"',
            100,
        )
    )
    found = diagnose(path)
    assert found.verdict is not None and found.verdict.rule == "discriminator_won"
    assert any("several runs: blue-2, red-7" in note and "blue-2's" in note for note in found.notes)


def test_losses_of_a_validation_set_are_not_those_of_training(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(
        repeated(lambda k: f"[train] epoch {k} d_loss 1.2 g_loss 1\n[val] epoch {k} d_loss 0.001")
    )
    assert diagnose(path).kind == "healthy"


@pytest.mark.parametrize("ends", [("\r", ""), ("", "\r"), ("", "\r\n"), ("", "\n")])
def test_each_end_of_a_line_ends_one_on_a_pipe_too(ends: tuple[str, str]) -> None:
    text = "".join(f"{ends[0]}iter={k} D_loss={D} G_loss={G}{ends[1]}" for k in range(40))
    found = [record.at for record in open_stream(io.BytesIO(text.encode()))]
    assert found == [*range(40 if ends[1] else 39)], "a line without an end may be incomplete"


def test_tables_of_spaces_and_bars(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("epoch       d_loss      g_loss\n" + repeated(lambda k: f"{k}  {D}   {G}"))
    assert (diagnose(path).records, diagnose(path).unit) == (40, "epoch")
    path.write_text(
        "| step | d_loss | g_loss |\n|---|---|---|\n" + repeated(lambda k: f"| {k} | {D} | {G} |")
    )
    assert (diagnose(path).records, diagnose(path).unit) == (40, "step")


def test_losses_that_are_means_are_doubled(tmp_path: Path) -> None:
    def line(k: int) -> str:
        d, g = (D / 2, G) if k < 50 else (1e-6, 20)
        return f"[Epoch 0/20] [Batch {k}/200] [D loss: {d}] [G loss: {g}]"

    path = tmp_path / "log.txt"
    path.write_text(repeated(line, 200))
    found = diagnose(path)
    assert found.verdict is not None and found.verdict.rule == "discriminator_won"
    assert any("multiplied by 2" in note for note in found.notes)


def test_a_log_without_d_is_not_called_healthy(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,g_loss\n" + repeated(lambda k: f"{k},{1 + k}"))
    found = diagnose(path)
    assert (found.kind, found.lacking) == ("not judged", "D's loss was not found")


def test_printed_losses_are_those_of_the_line(tmp_path: Path) -> None:
    path = tmp_path / "loss_log.txt"
    path.write_text("(epoch: 1, iters: 100, time: 0.1) G_GAN: 3.394 D_real: 0.156 D_fake: 0.234\n")
    with open_log(path) as log:
        (record,) = log
    assert record.at == 100
    assert record.values == pytest.approx({"d_loss": 0.39, "g_loss": 3.394})


def test_of_two_discriminators_the_worse_is_told(tmp_path: Path) -> None:
    def line(k: int) -> str:
        dead = 1e-4 if k > 30 else 0.5
        return f"(epoch: 1, iters: {k}, time: 0.1) D_A: 0.25 G_A: 0.5 D_B: {dead} G_B: {9 * dead}"

    path = tmp_path / "loss_log.txt"
    path.write_text(repeated(line, 200))
    found = diagnose(path, loss="lsgan")
    assert found.verdict is not None and found.verdict.rule == "discriminator_won"
    assert any("discriminators: A, B" in note and "B's" in note for note in found.notes)
    path.write_text(repeated(line, 30))
    assert diagnose(path, loss="lsgan").verdict is None


def test_a_run_that_dies_after_a_stray_quote_is_found(tmp_path: Path) -> None:
    rows = repeated(lambda k: f"{k},{D},{G}", 100)
    dead = repeated(lambda k: f"{100 + k},0,6", 100)
    path = tmp_path / "log.csv"
    path.write_text(f'step,d_loss,g_loss\n{rows}"note: restarted\n{dead}')
    found = diagnose(path)
    assert (found.kind, found.records) == ("collapsed", 200)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_scores_that_were_not_taken_are_no_divergence(is_sparse: bool, tmp_path: Path) -> None:
    fids = ["nan", "nan", "30"]

    def line(k: int) -> str:
        g = "nan" if is_sparse and k % 5 else "0.5"
        return f"{k},1.4,{g},{fids[k // 20] if k % 20 == 19 else ''}"

    path = tmp_path / "log.csv"
    path.write_text("step,d_loss,g_loss,fid\n" + repeated(line, 60))
    found = diagnose(path)
    assert found.kind == "healthy"
    assert any("2 scores left out" in note for note in found.notes)


def test_impossible_scores_are_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fids = {19: "1.2e57", 39: "8.2e51", 59: "-3.1e68"}
    rows = repeated(lambda k: f"{k},{D},{G},{fids.get(k, '')}", 60)
    path.write_text(f"step,d_loss,g_loss,fid\n{rows}")
    found = diagnose(path)
    assert found.kind == "healthy" and found.best_score is None


def test_a_noisy_score_that_learns_has_not_worsened() -> None:
    scores = (0.72, 0.68, 0.63, 0.73, 0.85, 0.37, 0.23, 0.19, 0.30, 0.46, 0.14, 0.18, 0.79, 0.50)
    rows = [{"step": k, "d_loss": D, "g_loss": G, "score": v} for k, v in enumerate(scores)]
    assert diagnose(rows).kind == "healthy"
    steady = [300.0, 220.0, 170.0, 140.0, 118.0, 117.0, 116.0, 250.0, 260.0, 270.0]
    rows = [{"step": k, "d_loss": D, "g_loss": G, "score": v} for k, v in enumerate(steady)]
    found = diagnose(rows)
    assert found.verdict is not None and found.verdict.rule == "worsened"


@pytest.mark.parametrize(
    ("d", "g", "loss", "kind"),
    [
        ([1.45, 0.093, 0.0137, 0.0095, 0.0064], [0.7, 2.0, 4.0, 5.0, 6.0], "vanilla", "collapsed"),
        ([-0.5, -2.0, -3.0, -2.5, -2.0], [0.1, 1.0, 2.0, 1.5, 1.0], "wgan", "healthy"),
        ([2.0, 1.9, 1.8, 1.7, 1.8], [-0.1, 0.2, 0.1, 0.3, 0.2], "hinge", "healthy"),
        ([9.0, 8.0, 7.0, 8.0, 7.5], [1.0, 1.0, 1.0, 1.0, 1.0], None, "not judged"),
    ],
)
def test_the_loss_is_guessed_from_its_first_values(
    d: list[float], g: list[float], loss: str | None, kind: str
) -> None:
    last = 45
    rows = [
        {"step": k, "d_loss": d[min(k, 4)] * (1 + 0.02 * (k % 2)), "g_loss": g[min(k, 4)]}
        for k in range(last)
    ]
    if loss == "vanilla":  # three of the first are near where a D is that guesses
        rows[0:0] = [{"step": 0, "d_loss": 1.4, "g_loss": 0.7}] * 2
        rows = [row | {"step": k} for k, row in enumerate(rows)]
        for row in rows[8:]:
            row["d_loss"] = 2e-4
    found = diagnose(rows)
    assert (found.loss, found.kind) == (loss, kind)
    assert (loss is None) == (not any("judged as" in note for note in found.notes))


@pytest.mark.parametrize(
    ("outputs", "scale", "loss"),
    [
        ([(0.9, 0.1), (0.999, 0.0), (0.7, 0.4)], 1.1, "vanilla"),
        ([(0.9, 0.1), (0.8, 0.3), (0.7, 0.4)], 0.55, "vanilla"),
        ([(0.9, 0.1), (0.8, 0.3), (0.7, 0.4)], 3.0, None),
        ([(1.9, 0.2), (0.8, 0.3), (0.7, 0.4)], 1.1, None),
    ],
)
def test_the_loss_is_vanilla_where_it_is_the_cross_entropy_of_ds_outputs(
    outputs: list[tuple[float, float]], scale: float, loss: str | None
) -> None:
    rows = []
    for k in range(30):
        real, fake = outputs[k % 3]
        d_loss = scale * -math.log(max(min(real, 0.99) * (1 - fake), 1e-3))
        rows.append({"step": k, "d_loss": d_loss, "g_loss": 6.0, "D(x)": real, "D(G(z))": fake})
    assert diagnose(rows).loss == loss


PIPES = [
    "saving checkpoint, best so far, done",
    "FID, KID, IS",
    "-1,1.4,0.5",
    "NA,1.4,0.5",
    '50,"open,0.5',
]


@pytest.mark.parametrize("line", PIPES)
def test_an_unreadable_line_does_not_end_a_trainer(line: str, tmp_path: Path) -> None:
    rows = [f"{k},{D},{G}" for k in range(60)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["step,d_loss,g_loss", *rows[:30], line, *rows[30:], ""]))
    found = diagnose(path)
    assert (found.kind, found.records) == ("healthy", 60)


def downloads(folder: Path) -> Iterator[Path]:
    for tag, value in (("Loss_D", D), ("Loss_G", G)):
        path = folder / f"run-red-tag-{tag}.csv"
        rows = repeated(lambda k, value=value: f"17000{k},{10 * k},{value}")  # type: ignore[misc]
        path.write_text(f"Wall time,Step,Value\n{rows}")
        yield path


def test_tensorboards_downloads_of_one_run_are_joined(tmp_path: Path) -> None:
    first, _ = downloads(tmp_path)
    found = diagnose(first)
    assert (found.last, set(found.measured)) == (390, {"d_loss", "g_loss"})
    assert "joined from run-red-tag-Loss_D.csv, run-red-tag-Loss_G.csv" in found.notes


def test_a_folder_of_files_with_one_scalar_each(tmp_path: Path) -> None:
    """As BigGAN-PyTorch writes them."""
    for name, value in (("G_loss", G), ("D_loss_real", D / 2), ("D_loss_fake", D / 2)):
        lines = repeated(lambda k, value=value: f"{100 * k}: {value:10.4f}")  # type: ignore[misc]
        (tmp_path / f"{name}.log").write_text(lines)
    found = diagnose(tmp_path)
    assert (found.last, set(found.measured)) == (3900, {"d_loss", "g_loss"})
    assert found.loss == "vanilla", "D's losses are added up"


def test_a_folder_with_one_log(tmp_path: Path) -> None:
    (tmp_path / "stats.jsonl").write_text('{"step": 1, "d_loss": 1.4}\n')
    (tmp_path / "notes.txt").write_text("none")
    assert diagnose(tmp_path).records == 1
    (tmp_path / "other.csv").touch()
    with pytest.raises(
        LogError, match=r"a folder, not a log; there are: .*other.csv, .*stats.jsonl"
    ):
        diagnose(tmp_path)


def write_events(folder: Path, scalars: dict[str, Any], count: int = 40) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for step in range(count):
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        writer.add_event(Event(step=10 * step, wall_time=step, summary=Summary(value=values)))
    writer.close()


@pytest.mark.filterwarnings("ignore")  # of protobuf's own
def test_tensorboards_event_files(tmp_path: Path) -> None:
    write_events(tmp_path, {"train/d_loss": D, "train/g_loss": G, "lr": 1e-3})
    (file,) = tmp_path.iterdir()
    for path in (tmp_path, file):
        found = diagnose(path)
        assert (found.last, set(found.measured)) == (390, {"d_loss", "g_loss"})


@pytest.mark.filterwarnings("ignore")
def test_scalars_in_folders_of_their_own(tmp_path: Path) -> None:
    """As ``add_scalars`` of PyTorch writes them."""
    write_events(tmp_path / "losses_D", {"loss/d": D})
    write_events(tmp_path / "losses_G", {"loss/g": G})
    assert set(diagnose(tmp_path).measured) == {"d_loss", "g_loss"}
    write_events(tmp_path / "other", {"lr": math.nan})
    with pytest.raises(LogError, match="columns found"):
        diagnose(tmp_path / "other")
