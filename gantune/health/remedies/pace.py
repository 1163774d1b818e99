"""Remedies for the pace of the two players, and for what the discriminator sees."""

from __future__ import annotations

from gantune.config import TrialConfig
from gantune.health.remedies.remedy import D_AHEAD, Changes, Remedy


def _one_d_step(config: TrialConfig) -> Changes:
    return {"discriminator.steps": 1}


def _more_d_steps(config: TrialConfig) -> Changes:
    return {"discriminator.steps": 5} if config.discriminator.steps < 5 else {}


def _larger_batch(config: TrialConfig) -> Changes:
    return {"batch_size": 4 * config.batch_size} if config.batch_size <= 128 else {}


def _noise(config: TrialConfig) -> Changes:
    return {"instance_noise.std": 0.1} if not config.instance_noise.std else {}


def _augment(config: TrialConfig) -> Changes:
    if config.augment.is_on or config.data.is_points:
        return {}
    return {f"augment.{name}": True for name in ("colour", "translation", "cutout")}


def _ema(config: TrialConfig) -> Changes:
    return {"ema.half_life": 10.0} if config.ema.half_life < 1 else {}


PACE = (
    Remedy(
        "one_d_step",
        "train the discriminator once for each step of the generator",
        "Fewer steps leave the discriminator less far ahead.",
        "Goodfellow et al. 2014; Radford et al. 2015",
        frozenset(D_AHEAD | {"stillborn", "critic_dead"}),
        _one_d_step,
    ),
    Remedy(
        "more_d_steps",
        "train the discriminator five times for each step of the generator",
        "A discriminator near its optimum gives the generator a direction that can be trusted.",
        "Gulrajani et al. 2017",
        frozenset({"exploding", "collapsed_spread", "cycling", "worsened", "critic_dead"}),
        _more_d_steps,
    ),
    Remedy(
        "larger_batch",
        "make the batch 4 times as large",
        "Gradients of larger batches are less noisy and cover more of the data.",
        "Brock et al. 2019",
        frozenset({"exploding", "collapsed_spread", "cycling", "worsened", "non_finite"}),
        _larger_batch,
    ),
    Remedy(
        "instance_noise",
        "add noise of standard deviation 0.1 to all images that D sees, fading out by half time",
        "Noise makes real and generated images overlap, so that D cannot be certain.",
        "Soenderby et al. 2017; Arjovsky and Bottou 2017",
        frozenset(D_AHEAD | {"critic_dead", "stillborn"}),
        _noise,
    ),
    Remedy(
        "augment",
        "augment real and generated images alike (DiffAugment)",
        "A discriminator that sees each image in many forms cannot learn few images by heart.",
        "Zhao et al. 2020",
        frozenset(D_AHEAD | {"worsened", "collapsed_spread"}),
        _augment,
    ),
    Remedy(
        "ema",
        "take samples from an average of the generator's weights, half-life 10 kimg",
        "The average does not follow the generator's swings.",
        "Yazici et al. 2019; Karras et al. 2020",
        frozenset({"cycling", "worsened"}),
        _ema,
    ),
)
