"""Remedies for learning rates and optimizers."""

from __future__ import annotations

from functools import partial

from gantune.config import TrialConfig
from gantune.health.remedies.remedy import D_AHEAD, Changes, Remedy

_USUAL = 2e-4  # Radford et al. 2015: the rate of both players
_FAST = 1e-3  # Kingma and Ba 2015: the default of Adam
_FASTEST = 2.5e-3  # Karras et al. 2020, StyleGAN2-ADA at 32 pixels, whose layers scale weights
_FACTOR = 4.0  # between two rates that are tried
_RATIO = 4.0  # Zhang et al. 2019, SAGAN: 4e-4 for D and 1e-4 for G


def _times(config: TrialConfig, *, g: float = 1.0, d: float = 1.0) -> Changes:
    rates = {
        "generator.lr": config.generator.lr * g,
        "discriminator.lr": config.discriminator.lr * d,
    }
    return {path: float(f"{rate:.3g}") for path, rate in rates.items() if 0 < rate <= 10}


def _lower_d(config: TrialConfig) -> Changes:
    return {"discriminator.lr": _times(config, d=1 / _FACTOR)["discriminator.lr"]}


def _lower_g(config: TrialConfig) -> Changes:
    return {"generator.lr": _times(config, g=1 / _FACTOR)["generator.lr"]}


def _lower_both(config: TrialConfig) -> Changes:
    return _times(config, g=1 / _FACTOR, d=1 / _FACTOR)


def _rates(config: TrialConfig) -> dict[str, float]:
    """The rates of players whose optimizer scales each step: to SGD usual rates mean nothing."""
    players = {"generator.lr": config.generator, "discriminator.lr": config.discriminator}
    return {path: player.lr for path, player in players.items() if player.optimizer != "sgd"}


def _beta1(config: TrialConfig) -> dict[str, float]:
    """The beta1 of players that Adam trains."""
    players = {"generator.beta1": config.generator, "discriminator.beta1": config.discriminator}
    return {
        path: player.beta1
        for path, player in players.items()
        if player.optimizer.startswith("adam")
    }


def _usual(config: TrialConfig) -> Changes:
    return {path: _USUAL for path, rate in _rates(config).items() if rate != _USUAL}


def _raised(config: TrialConfig, to: float) -> Changes:
    return {path: to for path, rate in _rates(config).items() if rate < to}


def _capped(config: TrialConfig) -> Changes:
    return {path: _FAST for path, rate in _rates(config).items() if rate > _FAST}


def _capped_adam(config: TrialConfig) -> Changes:
    beta1, rates = _beta1(config), _capped(config)
    high = sorted((path for path in beta1 if beta1[path] > 0.5), key=lambda path: -beta1[path])
    lowered = high[: 3 - len(rates)]  # three changes in all
    return {**rates, **dict.fromkeys(lowered, 0.5)} if rates and high else {}


def _fast_g(config: TrialConfig) -> Changes:
    rate = _rates(config).get("generator.lr")
    return {"generator.lr": _FAST} if rate is not None and rate < _FAST else {}


def _two_time_scales(config: TrialConfig) -> Changes:
    if config.discriminator.lr >= _RATIO * config.generator.lr:
        return {}
    return {"generator.lr": float(f"{config.discriminator.lr / _RATIO:.3g}")}


def _lower_beta1(config: TrialConfig) -> Changes:
    return {path: 0.5 if beta1 > 0.5 else 0.0 for path, beta1 in _beta1(config).items()}


def _warm_up(config: TrialConfig) -> Changes:
    return (
        {"schedule.warmup": float(f"{config.kimg / 10:.3g}")} if not config.schedule.warmup else {}
    )


def _decay(config: TrialConfig) -> Changes:
    return {"schedule.name": "linear"} if config.schedule.name == "constant" else {}


def _clip(config: TrialConfig) -> Changes:
    return {"generator.clip_norm": 1.0, "discriminator.clip_norm": 1.0}


def _adam(config: TrialConfig) -> Changes:
    players = {"generator": config.generator, "discriminator": config.discriminator}
    return {
        f"{name}.optimizer": "adam"
        for name, player in players.items()
        if not player.optimizer.startswith("adam")
    }


_UNSTABLE = {"non_finite", "exploding", "cycling", "worsened", "collapsed_spread"}
_BREAKS = _UNSTABLE | {"discriminator_won", "generator_vanished", "critic_dead"}
_D_FAR_AHEAD = D_AHEAD | {"critic_dead"}
_SLOW = {"stillborn", "generator_idle", "generator_vanished"}

RATES = (
    Remedy(
        "capped_rates",
        "lower each learning rate above 1e-3 to 1e-3",
        "Far above Adam's default each step overshoots, and a penalty often does not make up for "
        "it.",
        "Kingma and Ba 2015: Adam's default",
        frozenset(_BREAKS),
        _capped,
    ),
    Remedy(
        "capped_adam",
        "lower each learning rate above 1e-3 to 1e-3, and Adam's beta1 above 0.5 to 0.5 (if all "
        "four are too high, the higher beta1)",
        "Momentum repeats a step that is too large.",
        "Kingma and Ba 2015: 1e-3; Radford et al. 2015: 0.5",
        frozenset(_BREAKS),
        _capped_adam,
    ),
    Remedy(
        "usual_rates",
        "set both learning rates to 2e-4",
        "Most published GANs train at or near 2e-4: far above it both players overshoot, far below "
        "it they learn nothing in time.",
        "Radford et al. 2015",
        frozenset(_UNSTABLE | _D_FAR_AHEAD | {"stillborn"}),
        _usual,
    ),
    Remedy(
        "lower_rates",
        "divide both learning rates by 4",
        "Smaller steps keep both players near each other.",
        "Mescheder et al. 2018: convergence needs small rates",
        frozenset(_UNSTABLE | _D_FAR_AHEAD | {"stillborn"}),
        _lower_both,
    ),
    Remedy(
        "lower_d_lr",
        "divide the discriminator's learning rate by 4",
        "A slower discriminator leaves the generator a gradient to follow.",
        "Heusel et al. 2017: the players may have rates of their own",
        frozenset(_UNSTABLE | _D_FAR_AHEAD),
        _lower_d,
    ),
    Remedy(
        "lower_g_lr",
        "divide the generator's learning rate by 4",
        "A slower generator cannot run away to the few images that fool the discriminator.",
        "Heusel et al. 2017: the players may have rates of their own",
        frozenset(_UNSTABLE | {"generator_idle", "stillborn"}),
        _lower_g,
    ),
    Remedy(
        "two_time_scales",
        "let the discriminator's learning rate be 4 times the generator's",
        "The discriminator stays close to its optimum while the generator moves slowly.",
        "Heusel et al. 2017; Zhang et al. 2019: 4e-4 and 1e-4",
        frozenset(_UNSTABLE | {"stillborn"}),
        _two_time_scales,
    ),
    Remedy(
        "fast_rates",
        "raise both learning rates to 1e-3",
        "A run that learns nothing in its length may only be too slow.",
        "Kingma and Ba 2015: Adam's default",
        frozenset(_SLOW),
        partial(_raised, to=_FAST),
    ),
    Remedy(
        "fastest_rates",
        "raise both learning rates to 2.5e-3",
        "In a short run only large steps get far.",
        "Karras et al. 2020: StyleGAN2-ADA at 32 pixels, with weights scaled in each layer",
        frozenset(_SLOW),
        partial(_raised, to=_FASTEST),
    ),
    Remedy(
        "fast_g_lr",
        "raise the generator's learning rate to 1e-3",
        "A generator that hardly moves needs larger steps, whether or not D is far ahead.",
        "Heusel et al. 2017: the players may have rates of their own",
        frozenset(_SLOW | {"discriminator_won"}),
        _fast_g,
    ),
    Remedy(
        "warm_up",
        "let both learning rates rise from 0 during the first tenth of the run",
        "Adam's first steps are large, as it does not know the gradients' sizes yet.",
        "Goyal et al. 2017; Liu et al. 2020, RAdam",
        frozenset({"non_finite", "exploding", "collapsed_spread", "discriminator_won"}),
        _warm_up,
    ),
    Remedy(
        "decay",
        "let both learning rates fall linearly to 0",
        "Small steps at the end keep what was learned.",
        "Miyato et al. 2018",
        frozenset({"worsened", "cycling", "exploding"}),
        _decay,
    ),
)
"""In the order in which they are proposed before anything was measured."""

OPTIMIZERS = (
    Remedy(
        "lower_beta1",
        "lower Adam's beta1 of both players: to 0.5, or from there to 0",
        "Momentum carries a player past the point where the other one has turned.",
        "Radford et al. 2015: 0.5; Gulrajani et al. 2017 and Brock et al. 2019: 0",
        frozenset(_UNSTABLE | {"discriminator_won", "stillborn", "generator_idle"}),
        _lower_beta1,
    ),
    Remedy(
        "clip_gradients",
        "clip the norm of both players' gradients to 1",
        "One bad batch can no longer throw a player out of its course.",
        "Pascanu et al. 2013",
        frozenset(_UNSTABLE),
        _clip,
    ),
    Remedy(
        "adam",
        "use Adam for both players",
        "Adam scales each weight's step, so that no layer is left behind.",
        "Kingma and Ba 2015; Radford et al. 2015",
        frozenset(_UNSTABLE | _D_FAR_AHEAD | {"stillborn"}),
        _adam,
    ),
)
