"""One run of training with real networks, tiny: files, health, rungs, checkpoints, going on."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from gantune.config import TrialConfig, make_config
from gantune.data import ImageSet, load_images
from gantune.errors import CheckpointError, ScoreError
from gantune.gan import trainer as trainer_module
from gantune.gan.checkpoint import load_generator, save_checkpoint
from gantune.gan.sampling import sample_images
from gantune.gan.trainer import Trainer
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Evaluator, RealImages, make_protocols, resolve_extractor
from gantune.scores.evaluator import Neighbours, Sample
from gantune.scores.score import Score
from gantune.trial import builtin
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.trial.scoring import ScorePolicy, load_real_images
from gantune.trial.session import Session, run_trial

CPU = torch.device("cpu")
CONFIG = {
    "data": {"source": "digits", "resolution": 16, "colour": "gray"},
    "network": {"name": "dcgan", "width": 4, "latent": 8},
    "kimg": 0.8,
    "tick_kimg": 0.1,
    "batch_size": 16,
    "precision": "fp32",
}
RUNGS = (0.25, 0.5, 1.0)

Answer = Callable[[RungReport], bool]


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return load_images(make_config(CONFIG).data)


@pytest.fixture(scope="module")
def evaluator(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    extractor = resolve_extractor("auto", images, tmp_path_factory.mktemp("extractor"), CPU)
    protocols = make_protocols(extractor, RealImages(images), rung_samples=64, samples=100)
    return Evaluator(extractor, RealImages(images), protocols, CPU)


class Run:
    """A trial's folder and all that a session needs; ``train`` may be called again to go on."""

    def __init__(self, path: Path, evaluator: Evaluator, images: ImageSet, **changes: object):
        self.folder = TrialFolder(path)
        path.mkdir(parents=True)
        self.config: TrialConfig = make_config(CONFIG | changes)
        self.evaluator, self.images = evaluator, images
        self.reports: list[RungReport] = []

    def train(self, answer: Answer = lambda report: True, stability: object = "off") -> Outcome:
        def noted(report: RungReport) -> bool:
            self.reports.append(report)
            return answer(report)

        assignment = Assignment("trials/0000", self.config, RUNGS, stability)  # type: ignore[arg-type]
        policy = ScorePolicy(None, self.evaluator, self.images)
        session = Session(assignment, self.folder, CPU, policy, noted)
        return run_trial(partial(builtin.train, real=RealImages(self.images)), session)


@pytest.fixture
def run(tmp_path: Path, evaluator: Evaluator, images: ImageSet) -> Run:
    return Run(tmp_path / "trials/0000", evaluator, images)


def test_a_whole_run_scores_at_its_rungs_and_once_in_full(run: Run) -> None:
    outcome = run.train()
    assert outcome.ending == "completed"
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]
    assert [line["rung"] for line in run.folder.scores()] == [0.0, 0.25, 0.5, 1.0, None]
    assert outcome.score is not None
    assert outcome.score.protocol == run.evaluator.protocols.full
    best = min(run.reports, key=lambda report: report.score.value)
    assert outcome.best_kimg == best.kimg
    assert [tick.kimg for tick in run.folder.ticks()][-1] == outcome.kimg == 0.8
    assert outcome.step == 50
    assert len(list(run.folder.path.glob("samples-*.png"))) >= 1
    assert outcome.seconds > 0
    assert outcome.scoring_seconds > 0


def test_the_picked_weights_samples_are_drawn_beside_training_images(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[float] = []
    real = Evaluator.nearest_training

    def nearest(self: Evaluator, images: torch.Tensor, most: int) -> Neighbours:
        time.sleep(0.3)
        scored.append(float(images.double().mean()))
        return real(self, images, most)

    monkeypatch.setattr(Evaluator, "nearest_training", nearest)
    outcome = run.train()
    assert outcome.scoring_seconds > 0.3  # it counts as scoring
    generator = load_generator(run.folder.best)
    drawn = sample_images(generator, 64, torch.Generator().manual_seed(0))
    assert scored == [float(drawn.double().mean())]
    assert run.folder.neighbours.read_bytes().startswith(b"\x89PNG")


def no_numbers(*_: object) -> None:
    raise ScoreError("not numbers")


@pytest.mark.parametrize("fault", [no_numbers, lambda *_: full_gpu(), lambda *_: full_python()])
def test_a_picture_that_cannot_be_drawn_costs_no_score(
    run: Run, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None]
) -> None:
    monkeypatch.setattr(Evaluator, "nearest_training", fault)
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.verdict is None
    assert outcome.score is not None
    assert run.folder.scores()[-1]["value"] == outcome.score.value
    assert not run.folder.neighbours.exists()


def test_a_picture_that_finds_no_room_is_an_error_and_the_score_is_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gantune.trial.pictures.draw_neighbours", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.train()
    assert run.folder.scores()[-1]["rung"] is None


def test_what_is_not_scored_in_full_has_no_such_picture(run: Run) -> None:
    run.train(lambda report: False)
    assert not run.folder.neighbours.exists()


def test_points_have_no_such_picture(tmp_path: Path) -> None:
    network = {"name": "mlp", "width": 8, "latent": 2}
    config = make_config(CONFIG | {"data": {"source": "gaussians:ring"}, "network": network})
    points = load_images(config.data)
    extractor = resolve_extractor("points", points, tmp_path / "extractor", CPU)
    protocols = make_protocols(extractor, RealImages(points), rung_samples=64, samples=100)
    judge = Evaluator(extractor, RealImages(points), protocols, CPU)
    run = Run(tmp_path / "points", judge, points, **config.model_dump(include={"data", "network"}))
    assert run.train().score is not None
    assert not run.folder.neighbours.exists()


def test_held_out_images_are_spoken_of_in_the_full_score_alone(
    tmp_path: Path, images: ImageSet
) -> None:
    real = load_real_images(make_config(CONFIG).data.model_copy(update={"held_out": 0.2}))
    extractor = resolve_extractor("auto", real.learned, tmp_path / "extractor", CPU)
    protocols = make_protocols(extractor, real, rung_samples=64, samples=100)
    judge = Evaluator(extractor, real, protocols, CPU)
    run = Run(tmp_path / "run", judge, real.learned)
    outcome = run.train()
    assert outcome.score is not None and outcome.score.held_out is not None
    assert outcome.score.held_out.count == 100
    assert [line["held_out"] is None for line in run.folder.scores()] == [True] * 4 + [False]
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def test_the_full_score_draws_other_latents_than_the_rungs(run: Run) -> None:
    protocols = run.evaluator.protocols
    assert protocols.rung.latent_seed != protocols.full.latent_seed
    outcome = run.train()
    assert outcome.score is not None
    assert outcome.score.value not in [report.score.value for report in run.reports]


@pytest.mark.parametrize("rung", RUNGS)
def test_a_run_killed_at_a_rung_goes_on_bit_for_bit(
    tmp_path: Path, evaluator: Evaluator, images: ImageSet, rung: float
) -> None:
    whole = Run(tmp_path / "whole", evaluator, images)
    broken = Run(tmp_path / "broken", evaluator, images)
    expected = whole.train()

    def kill(report: RungReport) -> bool:
        if report.rung == rung:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        broken.train(kill)
    later = replace(whole.folder.ticks()[-1], kimg=0.9)  # written after the last checkpoint
    broken.folder.add_tick(later)
    outcome = broken.train()
    assert outcome.score == expected.score
    assert outcome.best_kimg == expected.best_kimg
    losses = [[(t.kimg, t.d_loss, t.g_loss) for t in r.folder.ticks()] for r in (whole, broken)]
    assert losses[0] == losses[1]
    scores = [[{**s, "scoring_seconds": 0} for s in r.folder.scores()] for r in (whole, broken)]
    assert scores[0] == scores[1]


def killed_at(run: Run, rung: float) -> None:
    def kill(report: RungReport) -> bool:
        if report.rung == rung:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        run.train(kill)
    run.reports.clear()


def truncated(path: Path, run: Run) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def bit_flipped(path: Path, run: Run) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def of_another_network(path: Path, run: Run) -> None:
    save_checkpoint(path, wider(run))


def of_other_networks_under_this_config(path: Path, run: Run) -> None:
    """As a checkpoint of another version of an architecture would be."""
    trainer = wider(run)
    trainer.config = run.config
    save_checkpoint(path, trainer)


def wider(run: Run) -> Trainer:
    network = run.config.network.model_copy(update={"width": 8})
    return Trainer(run.config.model_copy(update={"network": network}), run.images, CPU)


def of_something_else(path: Path, run: Run) -> None:
    path.write_text("no checkpoint")


Damage = Callable[[Path, Run], None]

DAMAGES: dict[Damage, str] = {
    truncated: "damaged",
    bit_flipped: "damaged",
    of_something_else: "damaged, or not a checkpoint",
    of_another_network: "from a run with another network",
    of_other_networks_under_this_config: "does not fit network 'dcgan' for 16 pixels",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_costs_one_rung(
    tmp_path: Path,
    evaluator: Evaluator,
    images: ImageSet,
    damage: Damage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = Run(tmp_path / "whole", evaluator, images)
    run = Run(tmp_path / "broken", evaluator, images)
    expected = whole.train()
    killed_at(run, 0.5)
    damage(run.folder.last, run)
    outcome = run.train()
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]  # the first asked again
    assert (outcome.score, outcome.best_kimg) == (expected.score, expected.best_kimg)
    assert steady(run) == steady(whole)
    (refused, instead) = [record.getMessage() for record in caplog.records]
    assert refused.startswith(f"{run.folder.last}: ") and refused.endswith("; not used")
    assert DAMAGES[damage] in refused
    assert instead == f"{run.folder.path} resumes from the rung before"


def steady(run: Run) -> list[tuple[float, ...]]:
    """What a run wrote, but for the time that it took."""
    ticks = [(t.kimg, t.d_loss, t.g_loss) for t in run.folder.ticks()]
    return ticks + [(s["kimg"], s["rung"], s["value"]) for s in run.folder.scores()]


def test_two_damaged_checkpoints_mean_a_start_from_nothing(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    killed_at(run, 0.5)
    truncated(run.folder.last, run)
    bit_flipped(run.folder.last_backup, run)
    assert run.train().ending == "completed"
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]
    kimgs = [tick.kimg for tick in run.folder.ticks()]
    assert kimgs == sorted(set(kimgs))
    assert [record.getMessage().count("not used") for record in caplog.records] == [1, 1]


def test_killed_between_two_renamings_a_run_goes_on_from_the_rung_before(run: Run) -> None:
    killed_at(run, 0.5)
    run.folder.last.unlink()
    assert run.train().ending == "completed"
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]


def rung_scores(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Makes the scores at the start and at rungs these, in order, as often as they are asked."""
    real, left = Evaluator.score, list(values)

    def score(self: Evaluator, sample: Sample, full: bool = False) -> Score:
        found = real(self, sample, full=full)
        return found if full else replace(found, value=left.pop(0))

    monkeypatch.setattr(Evaluator, "score", score)


def full_score_at(run: Run, rung: float) -> Score | None:
    """What the weights at a rung score in full: of a run that ends there."""
    shorter = Run(run.folder.path / "shorter", run.evaluator, run.images)
    shorter.train(lambda report: report.rung < rung)
    generator = load_generator(shorter.folder.last)
    return run.evaluator.score(lambda n, rng: sample_images(generator, n, rng), full=True)


@pytest.mark.parametrize("damage", [truncated, bit_flipped, lambda path, run: path.unlink()])
def test_damaged_best_weights_are_had_from_a_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch, damage: Damage
) -> None:
    expected = full_score_at(run, 0.25)
    rung_scores(monkeypatch, 9.0, 1.0, 5.0, 4.0)
    killed_at(run, 0.5)
    damage(run.folder.best, run)
    outcome = run.train()
    assert [report.rung for report in run.reports] == [0.5, 1.0]
    assert (outcome.best_kimg, outcome.score) == (0.208, expected)


def test_best_weights_of_a_rung_that_is_lost_give_way_to_those_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = full_score_at(run, 0.25)
    rung_scores(monkeypatch, 9.0, 3.0, 1.0, 7.0, 8.0)  # the rung at 0.5 is scored twice
    killed_at(run, 0.5)
    truncated(run.folder.last, run)
    outcome = run.train()
    assert (outcome.best_kimg, outcome.score) == (0.208, expected)


def test_lost_best_weights_mean_a_start_from_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rung_scores(monkeypatch, 9.0, 1.0, 5.0, 4.0, 9.0, 1.0, 5.0, 4.0)
    killed_at(run, 1.0)
    truncated(run.folder.best, run)
    outcome = run.train()
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]
    assert (outcome.ending, outcome.best_kimg) == ("completed", 0.208)
    assert f"{run.folder.best}: the weights of 0.208 kimg are lost" in caplog.text


def test_best_weights_damaged_before_the_end_break_a_run_off_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung_scores(monkeypatch, 9.0, 1.0, 5.0, 4.0, 9.0, 1.0, 5.0, 4.0)

    def damage(report: RungReport) -> bool:
        if report.rung == 1.0:
            truncated(run.folder.best, run)
        return True

    with pytest.raises(CheckpointError, match=r"best.pt: damaged or missing.* 0.208 kimg"):
        run.train(damage)
    assert run.train().ending == "completed"  # as the engine does it


def test_a_collapse_after_a_rung_keeps_the_best_checkpoint_and_its_score(run: Run) -> None:
    always = {"spread": 1.0, "warm_up": 0.5, "shortest": 0.1, "patience": 0.1}
    outcome = run.train(stability={"preset": "off", "collapsed_spread": always})
    assert outcome.ending == "collapsed"
    assert outcome.verdict is not None
    assert outcome.verdict.rule == "collapsed_spread"
    assert outcome.score is not None
    assert outcome.best_kimg in [line["kimg"] for line in run.folder.scores()]
    assert outcome.kimg < 0.8
    assert run.folder.best.exists()


def test_divergence_is_judged_and_not_scored(
    tmp_path: Path, evaluator: Evaluator, images: ImageSet
) -> None:
    wild = {"lr": 10.0}
    run = Run(tmp_path / "wild", evaluator, images, loss="wgan", generator=wild, discriminator=wild)
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


@pytest.mark.parametrize("full", [full_gpu, full_cpu, full_python])
@pytest.mark.parametrize(
    "place",
    [
        (trainer_module.Trainer, "__init__"),
        (trainer_module.Trainer, "_train_to"),
        (Evaluator, "score"),
    ],
)
def test_running_out_of_memory_is_an_outcome_wherever_it_happens(
    run: Run, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str], full: Callable[..., None]
) -> None:
    monkeypatch.setattr(*place, full)
    outcome = run.train()
    assert outcome.ending == "out_of_memory"
    told = re.match(
        r"out of memory on cpu at batch size 16: peak (.*?) GiB of this process; ", outcome.error
    )
    assert told is not None and float(told[1]) > 0.05  # of this process
    assert "smaller batch_size" in outcome.error and "accumulation" in outcome.error


def test_running_out_of_memory_in_parts_names_the_part(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module.Trainer, "_train_to", full_gpu)
    run.config = run.config.model_copy(update={"accumulation": 4})
    assert "batch size 16 in 4 parts of 4 images: peak" in run.train().error


def test_an_error_of_the_code_is_not_taken_for_lack_of_memory(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(trainer_module.Trainer, "_train_to", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        run.train()


def test_other_errors_are_raised(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(trainer_module.Trainer, "_train_to", broken)
    with pytest.raises(ZeroDivisionError):
        run.train()


def test_rungs_of_a_lengthened_run_are_those_still_ahead(run: Run) -> None:
    run.train()
    run.config = run.config.model_copy(update={"kimg": 1.6})
    run.reports.clear()
    outcome = run.train()
    assert outcome.kimg == 1.6
    assert [report.kimg for report in run.reports] == [0.8, 1.6]  # the last one again, and the end


def test_a_budget_between_two_images_is_scored_at_its_end(run: Run) -> None:
    run.config = run.config.model_copy(update={"kimg": 0.3204})
    outcome = run.train()
    assert outcome.ending == "completed"
    assert outcome.score is not None
    assert run.reports[-1].rung == 1.0


def test_a_checkpoint_of_another_config_is_not_gone_on_from(run: Run) -> None:
    def kill(report: RungReport) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train(kill)
    run.reports.clear()
    wider = run.config.network.model_copy(update={"width": 8})
    run.config = run.config.model_copy(update={"network": wider})
    assert run.train().ending == "completed"
    assert [report.rung for report in run.reports] == [0.25, 0.5, 1.0]


def test_a_generator_that_gives_no_numbers_has_diverged(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Evaluator.score

    def score(self: Evaluator, sample: Sample, *, full: bool = False) -> Score:
        if run.reports:
            raise ScoreError("not numbers")
        return real(self, sample, full=full)

    monkeypatch.setattr(Evaluator, "score", score)
    outcome = run.train()
    assert outcome.ending == "diverged"
    assert outcome.verdict is not None
    assert outcome.verdict.sentence == "not numbers"
