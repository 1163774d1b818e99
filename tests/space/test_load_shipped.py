"""The shipped spaces: each is complete and part of the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from operator import attrgetter
from pathlib import Path

import optuna
import pytest

from gantune.config import TrialConfig, advice
from gantune.errors import SpaceError
from gantune.space import load_space, shipped_spaces, shipped_text
from gantune.space.distributions import Choices, Range

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "search_spaces").glob("*.yaml"))


def test_all_shipped_spaces_are_found() -> None:
    recipes = {"dcgan", "wgan", "wgan_gp", "sngan", "lsgan", "dragan", "r3gan", "few_shot"}
    assert recipes | {"dcgan28", "mixture2d", "gan_landscape"} <= set(NAMES)
    assert list(shipped_spaces()) == NAMES
    assert all(len(title) > 20 for title in shipped_spaces().values())


@pytest.mark.parametrize("name", NAMES)
def test_shipped_space_starts_from_a_known_recipe(name: str) -> None:
    space = load_space(name)
    assert (space.study, space.note) == (name, "")
    assert space.document.text == shipped_text(name)
    assert space.start_points()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for params in space.start_points():
        study.enqueue_trial(params)
    for _ in range(60):
        trial = study.ask()
        config = space.sample_config(trial)
        assert space.configs_of(trial.params) == config
        if isinstance(config, TrialConfig):
            assert list(advice(config)) == []


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("dcgan", {"loss": "vanilla", "network.name": "dcgan", "batch_size": 64}),
        (
            "wgan",
            {
                "loss": "wgan",
                "batch_size": 64,
                "generator.optimizer": "rmsprop",
                "discriminator.optimizer": "rmsprop",
                "generator.lr": 5e-5,
                "discriminator.lr": 5e-5,
                "discriminator.steps": 5,
                "penalties.weight_clip.limit": 0.01,
            },
        ),
        (
            "wgan_gp",
            {
                "loss": "wgan",
                "batch_size": 64,
                "discriminator.lr": 1e-4,
                "discriminator.beta1": 0.0,
                "discriminator.beta2": 0.9,
                "discriminator.steps": 5,
                "discriminator.norm": "layer",
                "penalties.gradient_penalty.weight": 10,
                "penalties.gradient_penalty.one_sided": False,
            },
        ),
        (
            "sngan",
            {
                "network.name": "resnet",
                "loss": "hinge",
                "discriminator.norm": "spectral",
                "discriminator.lr": 2e-4,
                "discriminator.beta1": 0.0,
                "discriminator.beta2": 0.9,
                "discriminator.steps": 5,
                "schedule.name": "linear",
                "schedule.lr_end": 0.0,
            },
        ),
        (
            "lsgan",
            {"loss": "lsgan", "generator.lr": 2e-4, "generator.beta1": 0.5, "batch_size": 64},
        ),
        (
            "dragan",
            {
                "loss": "vanilla",
                "penalties.dragan.weight": 10,
                "penalties.dragan.noise": 0.5,
                "discriminator.steps": 1,
            },
        ),
        (
            "r3gan",
            {
                "network.name": "r3gan",
                "loss": "relativistic",
                "generator.lr": 2e-4,
                "schedule.name": "cosine",
                "schedule.lr_end": 0.25,
                "generator.beta2": 0.9,
                "schedule.beta2_end": 0.99,
                "penalties.r1_r2.weight": 0.05,
                "penalties.r1_r2.interval": 1,
                "schedule.penalty_end": 0.1,
            },
        ),
        (
            "few_shot",
            {
                "loss": "hinge",
                "augment.colour": False,
                "augment.translation": True,
                "augment.cutout": True,
                "penalties.lecam.weight": 0.3,
                "discriminator.steps": 4,
            },
        ),
    ],
)
def test_the_first_start_entry_is_the_published_recipe(
    name: str, published: dict[str, object]
) -> None:
    config = load_space(name).first_config()
    for path, value in published.items():
        assert attrgetter(path)(config) == value, path


@pytest.mark.parametrize(
    ("name", "optimizer", "lr", "betas", "steps", "norm", "batch_size"),
    [
        ("dcgan", "adam", 2e-4, (0.5, 0.999), 1, "batch", 64),
        ("lsgan", "adam", 2e-4, (0.5, 0.999), 1, "batch", 64),
        ("wgan", "rmsprop", 5e-5, (0.5, 0.99), 5, "batch", 64),  # RMSprop has no beta1
        ("wgan_gp", "adam", 1e-4, (0.0, 0.9), 5, "layer", 64),
        ("dragan", "adam", 1e-4, (0.5, 0.999), 1, "none", 64),
        ("sngan", "adam", 2e-4, (0.0, 0.9), 5, "spectral", 64),
        ("r3gan", "adam", 2e-4, (0.0, 0.9), 1, "none", 64),
        ("few_shot", "adam", 2e-4, (0.0, 0.999), 4, "spectral", 50),
    ],
)
def test_both_players_are_the_published_ones(
    name: str,
    optimizer: str,
    lr: float,
    betas: tuple[float, float],
    steps: int,
    norm: str,
    batch_size: int,
) -> None:
    config = load_space(name).first_config()
    both = {"optimizer": optimizer, "lr": lr, "beta1": betas[0], "beta2": betas[1]}
    both |= {"weight_decay": 0.0, "clip_norm": None}
    assert config.generator.model_dump() == both | {"norm": "auto"}
    assert config.discriminator.model_dump() == both | {"steps": steps, "norm": norm}
    assert config.batch_size == batch_size


@pytest.mark.parametrize("loss", ["minimax", "vanilla"])
def test_landscape_starts_losses_as_the_study_does(loss: str) -> None:
    config = load_space("gan_landscape", [f"loss={loss}"]).first_config()
    assert config.loss == loss
    assert config.ema.half_life == 0
    for player in (config.generator, config.discriminator):
        assert (player.lr, player.beta1) == (5e-5, 0.0)
    assert (config.discriminator.norm, config.discriminator.steps) == ("batch", 1)


@pytest.mark.parametrize("loss", ["minimax", "vanilla", "lsgan", "wgan", "wgan_gp", "dragan"])
def test_the_landscape_has_the_wide_ranges_of_each_loss(loss: str) -> None:
    ranges = load_space("gan_landscape", [f"loss={loss}"]).parameters()
    assert ranges["generator.lr"] == Range(1e-5, 1e-2, log=True)
    assert ranges["generator.beta1"] == Range(0.0, 0.999)
    assert ranges["discriminator.steps"] == Choices((1, 5))
    if loss in ("wgan_gp", "dragan"):
        (weight,) = (own for name, own in ranges.items() if name.endswith(".weight"))
        assert weight == Range(0.1, 100, log=True)
    else:
        assert ranges["discriminator.norm"] == Choices(("none", "batch"))
    if loss == "wgan":
        assert ranges["penalties.weight_clip.limit"] == Range(1e-3, 1, log=True)


def test_the_landscape_has_one_rate_for_both_players() -> None:
    space = load_space("gan_landscape")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        config = space.sample_config(study.ask())
        assert config.generator.lr == config.discriminator.lr
        assert config.generator.beta1 == config.discriminator.beta1


def test_unknown_shipped_space() -> None:
    with pytest.raises(SpaceError, match="did you mean 'dcgan'"):
        shipped_text("dcgam")
    with pytest.raises(SpaceError, match="shipped spaces: dcgan, "):
        shipped_text("../search_spaces/dcgan")


@pytest.mark.integration
def test_wheel_contains_shipped_spaces(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("gantune", "search_spaces"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*build, "--outdir", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "gantune").rglob("*.py")}
    packages.add(Path("gantune/search_spaces"))  # with the trainer of one of them
    assert packages == {path.parent.relative_to(installed) for path in installed.rglob("*.py")}
    code = "import gantune.space as s; print(s.__file__, *s.shipped_spaces())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    file, *names = done.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert names == NAMES
