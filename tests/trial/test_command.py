"""A trainer that is started by its command line, as small programs that train nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gantune.config import Command, make_external_config
from gantune.data import ImageSet
from gantune.errors import TrainerError, TrainerExitError, TrustError
from gantune.io import trust
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Evaluator, Protocol
from gantune.trial import external
from gantune.trial.command import check_program, train_command
from gantune.trial.records import Assignment, Outcome, Report
from gantune.trial.run import run_trial
from gantune.trial.scoring import ScorePolicy
from gantune.trial.session import Session
from tests.trial.runs import CPU

SCORED = """
import json, sys, time
folder, kimg, resumed = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
at = 0
if resumed:
    at = json.load(open(resumed[-1]))["at"]
while at < kimg:
    at += 1
    time.sleep(0.1)
    json.dump({"at": at}, open(f"{folder}/state-{at:03}.pt", "w"))
    open(f"{folder}/torn.pt", "w").write("PK, but no end")
    row = {"kimg": at, "d_loss": 1.3, "g_loss": 0.8, "fid": 100 / at}
    print(json.dumps(row), file=open(f"{folder}/log.jsonl", "a"))
"""


class CommandRun:
    """One run of a program, which is a Python script. ``train`` may be called again."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, TrialFolder(path / "run")
        self.folder.path.mkdir(parents=True)
        self.fields: dict[str, Any] = {"score": {"column": "fid"}, "grace": 2.0}
        self.values: dict[str, Any] = {"kimg": 8.0}
        self.policy = ScorePolicy(Protocol.external("fid", "command"))
        self.rungs = (0.25, 0.5, 1.0)
        self.stopped_at = 2.0
        self.kimg: list[float] = []

    def script(self, text: str, *arguments: str) -> None:
        """Makes it the program that is run."""
        file = self.path / "train.py"
        file.write_text(textwrap.dedent(text))
        self.fields["command"] = [sys.executable, str(file), *arguments]

    @property
    def command(self) -> Command:
        return Command(**{"working_folder": str(self.path), **self.fields})

    def train(self, stability: Any = "default") -> Outcome:
        config = make_external_config(self.command, self.values)

        def answer(report: Report) -> bool:
            self.kimg.append(report.kimg)
            return report.kimg < self.stopped_at * config.kimg

        assignment = Assignment("trials/0000", config, self.rungs, stability)
        session = Session(assignment, self.folder, CPU, self.policy, answer)

        def trainer(settings: dict[str, Any], session: Session) -> None:
            train_command(settings, session, command=self.command)

        return run_trial(partial(external.train, trainer=trainer), session)

    @property
    def scores(self) -> list[float]:
        return [line["value"] for line in self.folder.scores()]


@pytest.fixture
def run(tmp_path: Path) -> CommandRun:
    return CommandRun(tmp_path)


def scored(run: CommandRun) -> CommandRun:
    run.script(SCORED, "{folder}", "{kimg}")
    run.fields |= {"log": "{folder}/log.jsonl", "resume": "--resume {checkpoint}"}
    return run


def test_a_command_is_scored_at_its_rungs(run: CommandRun) -> None:
    outcome = scored(run).train()
    assert outcome.ending == "completed" and outcome.kimg == 8
    assert outcome.score is not None and outcome.score.value == pytest.approx(12.5)
    assert run.kimg == [2, 4, 8]
    assert [tick["kimg"] for tick in run.folder.ticks()] == [*range(1, 9)]
    assert (run.folder.external_best / "state-008.pt").exists()


def test_it_resumes_from_its_newest_whole_checkpoint(run: CommandRun) -> None:
    scored(run).stopped_at = 0.3
    waits = (
        "    at += 1\n    while at == 5 and not resumed: time.sleep(0.1)  # until it is stopped\n"
    )
    run.script(SCORED.replace("    at += 1\n", waits), "{folder}", "{kimg}")
    assert run.train().ending == "pruned"
    resumed = run.folder.ticks()[-1]["kimg"]
    run.stopped_at = 2.0
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.score is not None
    assert outcome.score.value == pytest.approx(12.5)
    assert resumed == 4 and [tick["kimg"] for tick in run.folder.ticks()] == [*range(1, 9)]


def test_a_log_that_counts_from_zero_after_a_resume(run: CommandRun) -> None:
    """As StyleGAN's, which begins another folder and trains all of its length again."""
    run.script(
        """
        import os, sys, time
        folder = f"{sys.argv[1]}/{len(os.listdir(sys.argv[1]))}"
        os.mkdir(folder)
        open(f"{folder}/network.pkl", "w").write("weights")
        for at in range(1, int(sys.argv[-1]) + 1):
            row = f"kimg {at} d_loss: 1.4 g_loss: 0.7 fid: {50 - at}"
            print(row, file=open(f"{folder}/log.txt", "a"))
            time.sleep(0.1)
        """,
        "{folder}",
        "{kimg}",
    )
    run.fields |= {"log": "{folder}/*/log.txt", "resumes_at_zero": True}
    run.fields["resume"] = "--resume {checkpoint} --kimg {left_kimg}"
    run.stopped_at = 0.3
    run.train()
    run.stopped_at = 2.0
    assert run.train().ending == "completed"
    assert [tick["kimg"] for tick in run.folder.ticks()] == [*range(1, 9)]
    assert len([*run.folder.checkpoints.glob("*/log.txt")]) == 2


@pytest.mark.integration
def test_without_resume_arguments_it_starts_again(run: CommandRun) -> None:
    scored(run).stopped_at = 0.3
    del run.fields["resume"]
    run.train()
    run.stopped_at = 2.0
    assert run.train().ending == "completed"
    assert run.kimg == [2, 4, 2, 4, 8]


def test_a_verdict_ends_it_at_once(run: CommandRun) -> None:
    run.script(
        """
        import itertools, time
        for at in itertools.count(1):
            print(f"kimg {at} d_loss: nan g_loss: 0.5", flush=True)
            time.sleep(0.05)
        """
    )
    outcome = run.train()
    assert outcome.ending == "diverged" and outcome.kimg < 8


def test_what_it_prints_is_its_log(run: CommandRun) -> None:
    run.script(
        """
        print("loading the data, please wait")
        for epoch in range(1, 9):
            print(f"Epoch [{epoch}/8] Loss_G: 0.7116, Loss_D: 1.3978, FID: {20 / epoch:.3f}")
        """
    )
    run.fields["images_per_epoch"] = 1000
    outcome = run.train()
    assert outcome.ending == "completed"
    assert outcome.score is not None and outcome.score.value == 2.5


def test_steps_count_images_by_a_setting(run: CommandRun) -> None:
    run.script(
        """
        import sys
        for step in range(0, int(sys.argv[1]) + 1, 10):
            print(f"step {step} d_loss: 1.4 g_loss: 0.7 fid: 9.5")
        """,
        "{steps}",
    )
    run.values |= {"batch_size": 100}
    run.fields["images_per_step"] = "{batch_size}"
    assert run.train().ending == "completed"
    assert [tick["kimg"] for tick in run.folder.ticks()] == [*range(9)]


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ("step", "add images_per_step to the space, such as images_per_step: 64"),
        ("epoch", "add images_per_epoch to the space, such as images_per_epoch: 60000"),
    ],
)
def test_a_unit_that_is_not_kimg_needs_its_images(run: CommandRun, unit: str, told: str) -> None:
    run.script(f'print("{unit} 3 d_loss: 1.4 g_loss: 0.7 fid: 9")')
    with pytest.raises(TrainerError, match=told):
        run.train()


def test_the_end_counts_where_the_last_record_falls_short_of_it(run: CommandRun) -> None:
    run.script(
        'for at in range(8):\n    print(f"kimg {at} d_loss: 1.4 g_loss: 0.7 fid: {30 - at}")'
    )
    run.values["kimg"] = 7.5
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.kimg == 7.5
    assert outcome.score is not None and outcome.score.value == 23


def test_a_larger_number_may_be_better(run: CommandRun) -> None:
    run.fields["score"] = {"column": "is", "goal": "max"}
    run.script('for at in range(9):\n    print(f"kimg {at} d_loss: 1.4 g_loss: 0.7 is: {1 + at}")')
    outcome = run.train()
    assert outcome.score is not None and outcome.score.value == -9


def test_a_score_that_is_not_measured_decides_nothing(run: CommandRun) -> None:
    run.script(
        """
        print("kimg,d_loss,g_loss,fid")
        for at in range(9):
            print(f"{at},1.4,0.7,{'nan' if at < 8 else 5}")
        """
    )
    outcome = run.train()
    assert outcome.ending == "completed" and run.scores == [5.0]


def test_scores_of_a_file_of_their_own(run: CommandRun) -> None:
    """As StyleGAN writes them: a tick's metric comes before its statistics."""
    run.script(
        """
        import json, sys, time
        for at in range(1, 9):
            metric = {"results": {"fid50k": 40 / at}, "snapshot_pkl": f"snapshot-{at:06}.pkl"}
            with open(sys.argv[1] + "/metric-fid50k.jsonl", "a") as file:
                print(json.dumps(metric), file=file)
            time.sleep(0.1)
            row = {"Progress/kimg": {"mean": at + 0.3}, "Loss/D/loss": {"mean": 1.4}}
            with open(sys.argv[1] + "/stats.jsonl", "a") as file:
                print(json.dumps(row), file=file)
        """,
        "{folder}",
    )
    run.fields |= {"log": "{folder}/*.jsonl", "score": {"column": "fid50k"}}
    run.fields["log"] = "{folder}/stats.jsonl"
    outcome = run.train()
    assert outcome.ending == "completed"
    assert run.scores == [40 / at for at in range(1, 9)]


@pytest.mark.integration
def test_averages_of_a_log_with_a_row_for_each_step(run: CommandRun) -> None:
    run.script(
        """
        print("kimg,d_loss,g_loss,fid")
        for at in range(20_001):
            print(f"{at / 2500},{1 + at % 2},0.7,{4 if at % 5000 == 0 else ''}")
        """
    )
    assert run.train(stability="off").ending == "completed"
    ticks = [*run.folder.ticks()]
    assert 900 < len(ticks) < 1100
    assert np.mean([tick["d_loss"] for tick in ticks]) == pytest.approx(1.5, abs=0.01)


def test_each_of_two_discriminators_is_judged(run: CommandRun) -> None:
    run.script(
        """
        for at in range(1, 41):
            b = 0.25 if at < 20 else 1e9
            print(f"(epoch: 1, iters: {at}) D_A: 0.281 G_A: 0.593 D_B: {b} G_B: 0.951 fid: 3")
        """
    )
    run.fields["images_per_step"] = 200
    run.values["loss"] = "lsgan"
    outcome = run.train()
    assert outcome.ending == "diverged" and outcome.verdict is not None
    assert 4 <= outcome.verdict.at < 8


@pytest.mark.integration
def test_images_are_scored_by_gantune(
    run: CommandRun, evaluator: Evaluator, images: ImageSet
) -> None:
    np.save(run.path / "real.npy", images.array[:120])
    run.script(
        """
        import os, sys, time
        import numpy as np
        from PIL import Image
        images = np.load("real.npy")[:, 0]
        for at in range(1, 9):
            folder = f"{sys.argv[1]}/samples-{at}"
            os.makedirs(folder)
            for index, image in enumerate(images):
                Image.fromarray((image * at / 8).astype("uint8")).save(f"{folder}/{index}.png")
            print(f"kimg {at} d_loss: 1.4 g_loss: 0.7", flush=True)
            time.sleep(1.6 if at in (2, 4) else 0.01)
        """,
        "{folder}",
    )
    run.fields["score"] = {"images": "{folder}/samples-*"}
    run.policy = ScorePolicy(None, evaluator, images)
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.score is not None
    assert run.kimg == [2, 4, 8]
    assert run.scores[-1] < run.scores[0]


def test_too_few_images_say_how_many_are_needed(
    run: CommandRun, evaluator: Evaluator, images: ImageSet
) -> None:
    folder = run.path / "samples"
    folder.mkdir()
    for index, image in enumerate(images.array[:10, 0]):
        Image.fromarray(image).save(folder / f"{index}.png")
    run.script('for at in range(9):\n    print(f"kimg {at} d_loss: 1.4 g_loss: 0.7")')
    run.fields["score"] = {"images": "samples"}
    run.policy = ScorePolicy(None, evaluator, images)
    with pytest.raises(TrainerError, match=r"holds 10 images, and a score takes 100"):
        run.train()


# ---- Resume --------------------------------------------------------------------------------------

PRINTED = """
import sys, time
done = int(sys.argv[2]) if len(sys.argv) > 2 else 0
for epoch in range(done + 1, 9):
    for batch in range(1, 11):
        print({line}, flush=True)
    print(f"epoch {{epoch}} fid: {{50 - epoch}}", flush=True)
    time.sleep(0.15)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ('f"D: 1.4 | G: 0.7"', {"images_per_record": 100}),
        ('f"[{epoch}/8][{batch}/10] Loss_D: 1.4 Loss_G: 0.7"', {"images_per_step": 100}),
        ('f"(epoch: {epoch}, iters: {batch}) D_real: 0.7 D_fake: 0.7"', {"images_per_step": 100}),
    ],
)
def test_what_is_printed_after_a_resume_continues_what_was_before(
    run: CommandRun, line: str, unit: dict[str, float]
) -> None:
    """Also where the log counts its records, or iterations within an epoch."""
    text = PRINTED.replace("{line}", line).replace("{{", "{").replace("}}", "}")
    if "images_per_record" in unit:
        text = text.replace('print(f"epoch {epoch} fid: {50 - epoch}", flush=True)', "")
        text = text.replace('0.7", flush', '0.7 | fid: {50 - epoch}", flush')
    run.script(text)
    run.fields |= {**unit, "images_per_epoch": 1000, "resume": "{folder} {done_epochs}"}
    run.stopped_at = 0.3
    assert run.train().ending == "pruned"
    run.stopped_at = 2.0
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.kimg == pytest.approx(8)
    assert outcome.score is not None and outcome.score.value == 42


@pytest.mark.parametrize("counts", [{}, {"resumes_at_zero": True}])
def test_a_resume_that_fails_does_not_live_on_what_was_before(
    run: CommandRun, counts: dict[str, Any]
) -> None:
    scored(run).stopped_at = 0.3
    run.fields |= counts
    run.train()
    run.script('import sys\nsys.exit("cannot load")', "{folder}", "{kimg}")
    run.stopped_at = 2.0
    with pytest.raises(TrainerError, match="cannot load") as raised:
        run.train()
    assert not isinstance(raised.value, TrainerExitError)
    run.script("pass", "{folder}", "{kimg}")
    with pytest.raises(TrainerError, match="without a record after 4 kimg"):
        run.train()


def test_a_log_elsewhere_gives_only_what_this_run_writes(run: CommandRun) -> None:
    """Each trial appends to one file, whose first lines are of earlier trials."""
    (run.path / "log.csv").write_text("kimg,d_loss,fid\n" + "1,9e9,1\n8,9e9,1\n")
    run.script(
        """
        for at in range(1, 9):
            print(f"{at},1.4,{20 - at}", file=open("log.csv", "a"))
        """
    )
    run.fields["log"] = "log.csv"
    assert run.train().ending == "completed"
    assert run.scores == [20 - at for at in range(1, 9)]


# ---- Scores, places and ends ---------------------------------------------------------------------


@pytest.mark.integration
def test_a_score_is_read_once_its_line_is_whole(run: CommandRun) -> None:
    run.script(
        """
        import time
        for at in range(1, 9):
            for part in (f"{at},1", f"{at}.5\\n"):
                with open("scores.csv", "a") as file:
                    file.write(part if at > 1 or part[-1] != "1" else "kimg,fid\\n" + part)
                time.sleep(0.12)
            print(f"kimg {at} d_loss: 1.4", flush=True)
        """
    )
    run.fields["score"] = {"column": "fid", "file": "scores.csv"}
    outcome = run.train()
    assert outcome.ending == "completed"
    assert run.scores == [10 + at + 0.5 for at in range(1, 9)]


@pytest.mark.integration
def test_a_score_of_before_a_rung_does_not_decide_it(run: CommandRun) -> None:
    """The file of scores lags behind the log."""
    run.script(
        """
        import time
        print("kimg,fid", file=open("scores.csv", "w"))
        for at in range(1, 9):
            print(f"kimg {at} d_loss: 1.4", flush=True)
            time.sleep(0.12)
            print(f"{at},{100 - at if at < 8 else 5}", file=open("scores.csv", "a"))
            time.sleep(0.12)
        """
    )
    run.fields["score"] = {"column": "fid", "file": "scores.csv"}
    outcome = run.train()
    assert outcome.score is not None and outcome.score.value == 5


def test_a_record_far_past_the_end_counts_with_its_score(run: CommandRun) -> None:
    """Epochs are coarse: {epochs} is rounded up."""
    run.script('for at in (1, 2):\n    print(f"epoch {at} d_loss: 1.4 fid: {9 - at}", flush=True)')
    run.values["kimg"] = 90.0
    run.fields["images_per_epoch"] = 60_000
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.score is not None
    assert outcome.score.value == 7


def test_a_further_discriminator_is_judged_with_the_scores(run: CommandRun) -> None:
    """A tiny loss of D is no failure where the score gets better all the time."""
    run.script(
        """
        for at in range(1, 81):
            losses = "D_A: 1.3 G_A: 0.8 D_B: 0.001 G_B: 7.0"
            print(f"(epoch: 1, iters: {at}) {losses} fid: {200 - 2 * at}")
        """
    )
    run.fields["images_per_step"] = 100
    run.values["loss"] = "vanilla"
    assert run.train().ending == "completed"


def test_the_verdict_on_a_further_discriminator_names_it(run: CommandRun) -> None:
    run.script(
        """
        for at in range(1, 81):
            print(f"(epoch: 1, iters: {at}) D_A: 1.3 G_A: 0.8 D_B: nan G_B: 7.0 fid: 3")
        """
    )
    run.fields["images_per_step"] = 100
    outcome = run.train()
    assert outcome.verdict is not None and outcome.verdict.sentence.endswith("(players B)")


def test_the_last_checkpoint_is_in_the_last_copy(run: CommandRun) -> None:
    """A command that knows its length is given time to write it after its last line."""
    run.script(
        """
        import sys, time
        for at in range(1, int(sys.argv[2]) + 1):
            print(f"kimg {at} d_loss: 1.4 fid: {9 - at}", flush=True)
        time.sleep(0.5)
        print("noise " * 100_000)
        open(f"{sys.argv[1]}/final.pt", "w").write("weights")
        """,
        "{folder}",
        "{kimg}",
    )
    assert run.train().ending == "completed"
    assert (run.folder.external_best / "final.pt").exists()


def test_the_log_is_the_newest_that_can_be_judged(run: CommandRun) -> None:
    run.script(
        """
        import sys, time
        print("lr,batch\\n0.1,64", file=open(f"{sys.argv[1]}/hparams.csv", "w"))
        time.sleep(0.5)
        for at in range(9):
            row = "kimg,d_loss,fid\\n" * (at == 0) + f"{at},1.4,{9 - at}"
            print(row, file=open(f"{sys.argv[1]}/metrics.csv", "a"))
        """,
        "{folder}",
    )
    run.fields["log"] = "{folder}/*.csv"
    assert run.train().ending == "completed"


def test_names_with_special_characters_are_no_globs(run: CommandRun, tmp_path: Path) -> None:
    place = tmp_path / "a [1] * b"
    place.mkdir()
    run.script(
        'for at in range(9):\n    print(f"kimg {at} d_loss: 1.4 fid: 3", file=open("[x].txt", "a"))'
    )
    run.fields |= {"working_folder": str(place), "log": "{name}.txt"}
    run.values["name"] = "[x]"
    assert run.train().ending == "completed"


def test_a_file_without_anything_to_judge_ends_the_run_early(run: CommandRun) -> None:
    run.script(
        """
        import time
        print("kimg,dloss_x,lr", file=open("log.csv", "w"), flush=True)
        for at in range(600):
            print(f"{at},1.4,0.1", file=open("log.csv", "a"))
            time.sleep(0.05)
        """
    )
    run.fields["log"] = "log.csv"
    begun = time.monotonic()
    told = r"'dloss_x'.*name them in the space, such as columns: \{d_loss: NAME\}"
    with pytest.raises(TrainerError, match=told):
        run.train()
    assert time.monotonic() - begun < 20


SETTINGS_LINES = [
    "G: 3576704 parameters\\nD: 2765568 parameters",
    "lr:\\n  g: 0.0002\\n  d: 0.0001\\nepoch: 20",
    "{'epoch': 20, 'lr': {'g': 0.0002}}",
    "Epoch 20 lr_policy linear, FID every 1",
]


@pytest.mark.parametrize("settings", SETTINGS_LINES)
def test_settings_that_are_printed_first_are_no_records(run: CommandRun, settings: str) -> None:
    run.script(
        f"""
        print("{settings}")
        for epoch in range(1, 21):
            print(f"Epoch [{{epoch}}/20] D loss: 1.2 G loss: 0.9 FID: {{100 - epoch}}")
        """
    )
    run.values["kimg"] = 20.0
    run.fields |= {"images_per_epoch": 1000, "score": {"column": "FID"}}
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.score is not None
    assert outcome.score.value == 80
    assert [tick["kimg"] for tick in run.folder.ticks()] == [*range(1, 21)]


# ---- What goes wrong -----------------------------------------------------------------------------


def test_one_that_exits_at_once_shows_what_it_said(run: CommandRun) -> None:
    run.script('import sys\nprint("usage: train.py [--lr LR]")\nsys.exit("no such option: --lrr")')
    with pytest.raises(TrainerError, match=r"exit code 1: no such option: --lrr") as raised:
        run.train()
    assert not isinstance(raised.value, TrainerExitError)


def test_one_that_fails_after_it_has_trained_is_tried_again(run: CommandRun) -> None:
    run.script('print("kimg 1 d_loss: 1.4 g_loss: 0.7", flush=True)\nraise OSError("disk")')
    with pytest.raises(TrainerExitError, match="OSError: disk"):
        run.train()


def test_one_without_memory_is_out_of_memory(run: CommandRun) -> None:
    run.script('raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")')
    outcome = run.train()
    assert outcome.ending == "out_of_memory"
    assert outcome.error.startswith("out of memory in the command, on cpu")


def test_one_that_prints_nothing(run: CommandRun) -> None:
    run.script("pass")
    with pytest.raises(TrainerError, match="without a record: it printed nothing"):
        run.train()


def test_a_log_that_never_comes(run: CommandRun) -> None:
    run.script("pass")
    run.fields["log"] = "{folder}/stats.jsonl"
    with pytest.raises(TrainerError, match=r"stats\.jsonl: no such file"):
        run.train()


def test_a_log_without_known_signals_names_its_columns(run: CommandRun) -> None:
    run.script('print("kimg,dloss_x,lr")\nfor at in range(9):\n    print(f"{at},1.4,0.1")')
    with pytest.raises(TrainerError, match="columns found: 'kimg', 'dloss_x', 'lr'"):
        run.train()


def test_a_score_that_never_comes_names_the_nearest_columns(run: CommandRun) -> None:
    run.script('for at in range(9):\n    print(f"kimg {at} d_loss: 1.4 g_loss: 0.7 fid_5k: 3")')
    run.fields["score"] = {"column": "fid50k"}
    with pytest.raises(TrainerError, match=r"no column 'fid50k'.*'fid_5k'"):
        run.train()


def test_one_that_never_scores_is_stopped_past_its_length(run: CommandRun) -> None:
    run.script(
        """
        import itertools, time
        for at in itertools.count():
            print(f"kimg {at} d_loss: 1.4 g_loss: 0.7", flush=True)
            time.sleep(0.01)
        """
    )
    with pytest.raises(TrainerError, match="past the run's 8, without a score"):
        run.train()


def test_one_that_ignores_sigterm_is_killed_after_its_grace(run: CommandRun) -> None:
    run.script(
        """
        import signal, os, sys, time
        signal.signal(signal.SIGTERM, lambda *_: open("asked", "w").close())
        open("pid", "w").write(str(os.getpid()))
        print("kimg 1 d_loss: nan g_loss: 0.7", flush=True)
        while True:
            time.sleep(0.1)
        """
    )
    run.fields["grace"] = 0.5
    assert run.train().ending == "diverged"
    assert (run.path / "asked").exists() and is_gone(int((run.path / "pid").read_text()))


@pytest.mark.integration
def test_what_it_leaves_behind_ends_with_it(run: CommandRun) -> None:
    """Also a daemon in a session of its own, which holds the output open."""
    run.script(
        """
        import os, subprocess, sys, time
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        children = [
            subprocess.Popen(sleeper),
            subprocess.Popen(sleeper, start_new_session=True),
            subprocess.Popen(sleeper, start_new_session=True, **quiet),
        ]
        open("pids", "w").write(" ".join(str(child.pid) for child in children))
        for at in range(9):
            print(f"kimg {at} d_loss: 1.4 g_loss: 0.7 fid: {9 - at}", flush=True)
        os._exit(0)
        """
    )
    started = time.monotonic()
    assert run.train().ending == "completed"
    assert time.monotonic() - started < 60
    assert all(is_gone(int(pid)) for pid in (run.path / "pids").read_text().split())


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{process}/stat").read_text().split(")")[1][:3]


@pytest.mark.integration
def test_much_output_is_read_in_pieces(run: CommandRun) -> None:
    run.script(
        """
        import sys
        for at in range(9):
            for _ in range(8):
                sys.stdout.write("x" * 1_000_000 + "\\n")
            print(f"kimg {at} d_loss: 1.4 g_loss: 0.7 fid: {9 - at}", flush=True)
        """
    )
    with Path(os.devnull).open("wb") as nothing:
        saved = os.dup(1)
        os.dup2(nothing.fileno(), 1)
        try:
            outcome = run.train()
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    assert outcome.ending == "completed"


@pytest.mark.parametrize(
    "changes",
    [
        {"working_folder": "/tmp"},
        {"resume": "; echo another"},
        {"environment": {"PYTHONPATH": "elsewhere"}},
        {"shell": True},
        {"command": "python3 -W error"},
    ],
)
def test_only_the_command_that_was_used_is_trusted(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run folder from somebody else names a command that differs in anything at all."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(trust, "_allowed", set())
    used: dict[str, Any] = {
        **{"command": "python3 -V", "score": {"column": "fid"}},
        "working_folder": str(tmp_path),
    }
    code = external.trainer_code(Command.model_validate(used))
    trust.remember(code)
    monkeypatch.setattr(trust, "_allowed", set())
    assert trust.is_trusted(code)
    other = external.trainer_code(Command.model_validate({**used, **changes}))
    assert not trust.is_trusted(other)
    with pytest.raises(TrustError, match="would run code that you have not used before"):
        external.find_trainer(Command.model_validate({**used, **changes}))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"command": "no-such-program --lr 1"}, "'no-such-program' is no program on the PATH"),
        ({"command": "./train.sh"}, r"'\./train\.sh' is no program in"),
        ({"command": "python3 trian.py"}, r"trian\.py: no such file in .*set working_folder"),
        ({"command": "python3 -V", "working_folder": "/no/such"}, "working_folder: /no/such"),
    ],
)
def test_a_program_that_is_not_there_is_found_before_any_run(
    fields: dict[str, str], told: str, tmp_path: Path
) -> None:
    given = {"score": {"column": "fid"}, "working_folder": str(tmp_path), **fields}
    with pytest.raises(TrainerError, match=told):
        check_program(Command.model_validate(given))


def test_the_environment_and_the_working_folder(run: CommandRun) -> None:
    run.script(
        """
        import os
        open("seen", "w").write(f"{os.environ['RATE']} {os.environ['PYTHONUNBUFFERED']}")
        print("kimg 8 d_loss: 1.4 g_loss: 0.7 fid: 2")
        """
    )
    run.values["lr"] = 2e-4
    run.fields["environment"] = {"RATE": "{lr}"}
    run.train()
    assert (run.path / "seen").read_text() == "0.0002 1"


def test_a_killed_session_leaves_no_command(tmp_path: Path) -> None:
    """The command ends with the process that started it, however that ended."""
    starter = tmp_path / "starter.py"
    starter.write_text(
        textwrap.dedent(
            """
            import os, sys
            from gantune.io.commands import RunningCommand
            command = [sys.executable, "-c", "import time; time.sleep(600)"]
            process = RunningCommand(command, ".", os.environ)
            print(process.process_id, flush=True)
            os.kill(os.getpid(), 9)
            """
        )
    )
    done = subprocess.run([sys.executable, starter], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    end = time.monotonic() + 20
    while not is_gone(int(done.stdout)) and time.monotonic() < end:
        time.sleep(0.05)
    assert is_gone(int(done.stdout))
