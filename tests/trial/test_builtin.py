"""A run of gantune's own trainer, with real networks: what its store and its device add to the
contract of sessions."""

import errno
import gc
import re
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gantune.config import TrialConfig, make_config
from gantune.data import ImageSet, load_images
from gantune.errors import CheckpointError
from gantune.gan.checkpoint import load_generator, save_checkpoint, take_checkpoint
from gantune.gan.sampling import sample_images
from gantune.gan.trainer import Trainer
from gantune.scores import Evaluator, make_protocols, resolve_extractor
from gantune.scores.evaluator import Neighbours, Sample
from gantune.scores.score import Score
from gantune.trial.records import Outcome, RungReport
from gantune.trial.scoring import ScorePolicy, load_real_images
from tests.trial.runs import CONFIG, CPU, AnyRun, make_evaluator


@pytest.fixture(scope="module")
def evaluator(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    return make_evaluator(images, tmp_path_factory.mktemp("extractor"))


@pytest.fixture
def run(tmp_path: Path, evaluator: Evaluator, images: ImageSet) -> AnyRun:
    return AnyRun("builtin", tmp_path / "trials/0000", evaluator, images)


@pytest.fixture(scope="module")
def whole(
    evaluator: Evaluator, images: ImageSet, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AnyRun, Outcome]:
    """An uninterrupted run and its outcome."""
    run = AnyRun("builtin", tmp_path_factory.mktemp("whole") / "run", evaluator, images)
    return run, run.train()


def config_of(run: AnyRun) -> TrialConfig:
    assert isinstance(run.config, TrialConfig)
    return run.config


def change(run: AnyRun, **changes: object) -> None:
    run.config = make_config(CONFIG | changes)


def test_a_run_says_what_it_was_computed_in(
    whole: tuple[AnyRun, Outcome], run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whole[1].computed_in == "fp32"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    change(run, precision="auto")
    reports: list[RungReport] = []

    def stop(report: Any) -> bool:
        reports.append(report)
        return False

    assert run.train(stop).computed_in == reports[0].pruned().computed_in == "bf16"


def test_a_whole_run_is_scored_at_the_start_at_rungs_and_once_in_full(
    whole: tuple[AnyRun, Outcome],
) -> None:
    run, outcome = whole
    assert [line["rung"] for line in run.folder.scores()] == [0.0, 0.25, 0.5, 1.0, None]
    assert outcome.score is not None
    assert outcome.score.protocol == run.evaluator.protocols.full
    assert outcome.step == 25


def test_trials_that_begin_with_the_same_weights_share_the_score_of_the_start(
    evaluator: Evaluator, images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[bool] = []
    score = Evaluator.score

    def noted(self: Evaluator, sample: Sample, **values: bool) -> Score:
        scored.append(True)
        return score(self, sample, **values)

    monkeypatch.setattr(Evaluator, "score", noted)
    policy = ScorePolicy(None, evaluator, images)

    def start(name: str, **changes: object) -> tuple[int, float]:
        run, before = AnyRun("builtin", tmp_path / name, evaluator, images), len(scored)
        change(run, **changes)
        run.policy = replace(policy, further=None)  # as a worker does for each trial
        run.train(lambda report: False)  # it ends at its first rung
        return len(scored) - before, run.folder.scores()[0]["value"]

    first = start("0")
    assert first[0] == 2
    assert start("1", generator={"lr": 0.001}, batch_size=16) == (1, first[1])
    other = start("2", seed=9)
    assert other[0] == 2 and other[1] != first[1]
    assert start("3", seed=9) == (1, other[1])


def test_the_full_score_draws_other_latents_than_the_rungs(whole: tuple[AnyRun, Outcome]) -> None:
    run, outcome = whole
    protocols = run.evaluator.protocols
    assert protocols.rung.latent_seed != protocols.full.latent_seed
    assert outcome.score is not None
    assert outcome.score.value not in [report.score.value for report in run.reports]


def test_neighbour_picture_of_the_best_weights_is_drawn_and_its_time_counts_as_scoring(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[float] = []
    nearest_training = Evaluator.nearest_training

    def slowly(self: Evaluator, images: torch.Tensor, most: int) -> Neighbours:
        time.sleep(0.3)
        compared.append(float(images.double().mean()))
        return nearest_training(self, images, most)

    monkeypatch.setattr(Evaluator, "nearest_training", slowly)
    outcome = run.train()
    assert outcome.scoring_seconds > 0.3
    generator = load_generator(run.folder.best)
    drawn = sample_images(generator, 64, torch.Generator().manual_seed(0))
    assert compared == [float(drawn.double().mean())]
    assert run.folder.neighbours.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("fault", [lambda *_: full_gpu(), lambda *_: full_python()])
def test_score_is_kept_without_memory_for_the_neighbour_picture(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None]
) -> None:
    monkeypatch.setattr(Evaluator, "nearest_training", fault)
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.verdict is None
    assert outcome.score is not None
    assert run.folder.scores()[-1]["value"] == outcome.score.value
    assert not run.folder.neighbours.exists()


def test_full_disk_for_the_neighbour_picture_is_an_error_and_the_score_is_kept(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gantune.trial.pictures.draw_neighbours", full_disk)
        with pytest.raises(OSError, match="No space left"):
            run.train()
    scores = run.folder.scores()
    assert scores[-1]["rung"] is None
    outcome = run.train()  # as after a kill: the score is not taken twice, the picture is drawn
    assert outcome.score is not None and outcome.score.value == scores[-1]["value"]
    assert run.folder.scores() == scores and run.folder.neighbours.exists()


def test_run_without_a_full_score_has_no_neighbour_picture(run: AnyRun) -> None:
    run.train(lambda report: False)
    assert not run.folder.neighbours.exists()


def test_points_have_no_neighbour_picture(tmp_path: Path) -> None:
    network = {"name": "mlp", "width": 8, "latent": 2}
    config = make_config(CONFIG | {"data": {"source": "gaussians:ring"}, "network": network})
    points = load_images(config.data)
    run = AnyRun(
        "builtin", tmp_path / "run", make_evaluator(points, tmp_path / "extractor"), points
    )
    run.config = config
    assert run.train().score is not None
    assert not run.folder.neighbours.exists()


def test_held_out_images_are_compared_in_the_full_score_only(
    tmp_path: Path, images: ImageSet
) -> None:
    real = load_real_images(make_config(CONFIG).data.model_copy(update={"held_out": 0.2}))
    extractor = resolve_extractor("auto", real.learned, tmp_path / "extractor", CPU)
    protocols = make_protocols(extractor, real, rung_samples=64, samples=100)
    evaluator = Evaluator(extractor, real, protocols, CPU)
    run = AnyRun("builtin", tmp_path / "run", evaluator, real.learned)
    outcome = run.train()
    assert outcome.score is not None and outcome.score.held_out is not None
    assert outcome.score.held_out.count == 100
    assert [line["held_out"] is None for line in run.folder.scores()] == [True] * 4 + [False]
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def truncated(path: Path, run: AnyRun) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def bit_flipped(path: Path, run: AnyRun) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def of_another_network(path: Path, run: AnyRun) -> None:
    save_checkpoint(path, take_checkpoint(wider(run)))


def of_other_networks_under_this_config(path: Path, run: AnyRun) -> None:
    """Like a checkpoint of another version of an architecture."""
    trainer = wider(run)
    trainer.config = config_of(run)
    save_checkpoint(path, take_checkpoint(trainer))


def wider(run: AnyRun) -> Trainer:
    config = config_of(run)
    network = config.network.model_copy(update={"width": 8})
    return Trainer(config.model_copy(update={"network": network}), run.images, CPU)


def of_something_else(path: Path, run: AnyRun) -> None:
    path.write_text("no checkpoint")


Damage = Callable[[Path, AnyRun], None]

UNUSABLE: dict[Damage, str] = {
    of_something_else: "damaged, or not a checkpoint",
    of_another_network: "from a run with another network",
    of_other_networks_under_this_config: "does not fit network 'dcgan' for 16 pixels",
}


@pytest.mark.parametrize("damage", UNUSABLE)
def test_a_checkpoint_that_does_not_fit_costs_one_rung(
    whole: tuple[AnyRun, Outcome],
    run: AnyRun,
    damage: Damage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run.killed_at(0.5)
    damage(run.folder.last, run)
    outcome, expected = run.train(), whole[1]
    assert [report.rung for report in run.reports] == [
        0.25,
        0.5,
        1.0,
    ]  # the first one is reported again
    assert (outcome.score, outcome.best_kimg) == (expected.score, expected.best_kimg)
    assert run.content() == whole[0].content()
    (refused, instead) = [record.getMessage() for record in caplog.records]
    assert refused.startswith(f"{run.folder.last}: ") and refused.endswith("; not used")
    assert UNUSABLE[damage] in refused
    assert instead == f"{run.folder.path} resumes from the rung before"


def test_two_damaged_checkpoints_mean_a_fresh_start(
    run: AnyRun, caplog: pytest.LogCaptureFixture
) -> None:
    run.killed_at(0.5)
    truncated(run.folder.last, run)
    bit_flipped(run.folder.last_backup, run)
    assert run.train().ending == "completed"
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]
    kimgs = [line["kimg"] for line in run.folder.ticks()]
    assert kimgs == sorted(set(kimgs))
    assert [record.getMessage().count("not used") for record in caplog.records] == [1, 1]


def rung_scores(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Replaces the scores at the start and at rungs, in the order in which they are taken."""
    real, left = Evaluator.score, list(values)

    def score(self: Evaluator, sample: Sample, full: bool = False, **further: bool) -> Score:
        found = real(self, sample, full=full)
        return found if full else replace(found, value=left.pop(0))

    monkeypatch.setattr(Evaluator, "score", score)


@pytest.fixture(scope="module")
def first_rung_in_full(
    evaluator: Evaluator, images: ImageSet, tmp_path_factory: pytest.TempPathFactory
) -> Score:
    """The full score of the weights at 0.25, from a run that ends there."""
    run = AnyRun("builtin", tmp_path_factory.mktemp("shorter") / "run", evaluator, images)
    run.train(lambda report: False)
    generator = load_generator(run.folder.last)
    return evaluator.score(lambda n, rng: sample_images(generator, n, rng), full=True)


@pytest.mark.parametrize("damage", [truncated, bit_flipped, lambda path, run: path.unlink()])
def test_damaged_best_weights_are_restored_from_another_file(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, first_rung_in_full: Score, damage: Damage
) -> None:
    rung_scores(monkeypatch, 9.0, 1.0, 5.0, 4.0)
    run.killed_at(0.5)
    damage(run.folder.best, run)
    outcome = run.train()
    assert [report.rung for report in run.reports] == [0.5, 1.0]
    assert (outcome.best_kimg, outcome.score) == (0.224, first_rung_in_full)


def test_best_weights_of_a_lost_rung_are_replaced_by_those_of_the_best_before(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, first_rung_in_full: Score
) -> None:
    rung_scores(monkeypatch, 9.0, 3.0, 1.0, 7.0, 8.0)  # the rung at 0.5 is scored twice
    run.killed_at(0.5)
    truncated(run.folder.last, run)
    outcome = run.train()
    assert (outcome.best_kimg, outcome.score) == (0.224, first_rung_in_full)


def test_lost_best_weights_mean_a_fresh_start(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rung_scores(monkeypatch, 9.0, 1.0, 5.0, 4.0, 9.0, 1.0, 5.0, 4.0)
    run.killed_at(1.0)
    truncated(run.folder.best, run)
    outcome = run.train()
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]
    assert (outcome.ending, outcome.best_kimg) == ("completed", 0.224)
    assert f"{run.folder.best}: the weights of 0.224 kimg are lost" in caplog.text


def test_best_weights_damaged_before_the_end_fail_the_run_once(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung_scores(monkeypatch, 9.0, 1.0, 5.0, 4.0, 9.0, 1.0, 5.0, 4.0)

    def damage(report: RungReport) -> bool:
        if report.rung == 1.0:
            truncated(run.folder.best, run)
        return True

    with pytest.raises(CheckpointError, match=r"best.pt: damaged or missing.* 0.224 kimg"):
        run.train(damage)
    assert run.train().ending == "completed"  # as the engine does it


def test_a_collapse_after_a_rung_keeps_the_best_checkpoint_and_its_score(run: AnyRun) -> None:
    always = {"spread": 1.0, "warm_up": 0.5, "shortest": 0.1, "patience": 0.1}
    outcome = run.train(stability={"preset": "off", "collapsed_spread": always})
    assert outcome.ending == "collapsed"
    assert outcome.verdict is not None
    assert outcome.verdict.rule == "collapsed_spread"
    assert outcome.score is not None
    assert outcome.best_kimg in [line["kimg"] for line in run.folder.scores()]
    assert outcome.kimg < 0.8
    assert run.folder.best.exists()


def test_divergence_is_judged_and_not_scored(run: AnyRun) -> None:
    wild = {"lr": 10.0}
    change(run, loss="wgan", generator=wild, discriminator=wild)
    touchy = {"critic_loss": 1.0, "growth": 2.0}
    outcome = run.train(stability={"preset": "off", "exploding": touchy})
    assert outcome.ending == "diverged"
    assert outcome.score is None
    assert outcome.kimg < 0.8
    assert outcome.verdict is not None
    assert "kimg" in outcome.verdict.sentence


def full_gpu(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def full_cpu(*_: object, **__: object) -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def full_python(*_: object, **__: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("place", "full"),
    [
        ("__init__", full_gpu),
        ("_train_to", full_gpu),
        ("_train_to", full_cpu),
        ("_train_to", full_python),
    ],
)
def test_running_out_of_memory_is_an_outcome_that_says_how_much_was_used(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, place: str, full: Callable[..., None]
) -> None:
    monkeypatch.setattr(Trainer, place, full)
    outcome = run.train()
    assert outcome.ending == "out_of_memory"
    told = re.match(
        r"out of memory on cpu at batch size 32: peak (.*?) GiB of this process; ", outcome.error
    )
    assert told is not None and float(told[1]) > 0.05  # of this process
    assert "smaller batch_size" in outcome.error and "accumulation" in outcome.error


def test_the_trainer_is_gone_before_memory_is_released(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its networks stay in the memory that another worker needs."""
    made: list[weakref.ref[Trainer]] = []
    alive: list[bool] = []
    init = Trainer.__init__

    def noted(self: Trainer, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        made.append(weakref.ref(self))

    def released(device: torch.device) -> None:
        gc.collect()
        alive.append(made[0]() is not None)

    monkeypatch.setattr(Trainer, "__init__", noted)
    monkeypatch.setattr(Trainer, "_train_to", full_gpu)
    monkeypatch.setattr("gantune.trial.run.release_memory", released)
    assert run.train().ending == "out_of_memory"
    assert alive == [False]


def test_running_out_of_memory_in_parts_names_the_part(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "_train_to", full_gpu)
    change(run, accumulation=4)
    assert "batch size 32 in 4 parts of 8 images: peak" in run.train().error


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ZeroDivisionError("boom")]
)
def test_an_error_of_the_code_is_raised(
    run: AnyRun, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(Trainer, "_train_to", broken)
    with pytest.raises(type(error), match=str(error)):
        run.train()


def test_a_lengthened_run_has_only_the_rungs_that_are_still_ahead(run: AnyRun) -> None:
    run.train()
    change(run, kimg=1.6)
    run.reports.clear()
    outcome = run.train()
    assert outcome.kimg == 1.6
    assert [report.kimg for report in run.reports] == [0.8, 1.6]  # the last rung again, and the end


def test_a_budget_that_is_no_whole_number_of_images_is_scored_at_its_end(run: AnyRun) -> None:
    change(run, kimg=0.3204)
    outcome = run.train()
    assert outcome.ending == "completed"
    assert outcome.score is not None
    assert run.reports[-1].rung == 1.0
