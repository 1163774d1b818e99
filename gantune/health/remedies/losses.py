"""Remedies for the loss and its targets."""

from __future__ import annotations

from gantune.config import TrialConfig
from gantune.config.trial import SMOOTHED
from gantune.health.remedies.remedy import D_AHEAD, Changes, Remedy


def _non_saturating(config: TrialConfig) -> Changes:
    return {"loss": "vanilla"} if config.loss == "minimax" else {}


def _hinge(config: TrialConfig) -> Changes:
    changes: dict[str, object] = {"loss": "hinge"}
    if config.label_smoothing:
        changes["label_smoothing"] = 0.0
    return changes if config.loss != "hinge" else {}


def _smoothed(config: TrialConfig) -> Changes:
    can_smooth = config.loss in SMOOTHED and not config.label_smoothing
    return {"label_smoothing": 0.1} if can_smooth else {}


LOSS_CHANGES = (
    Remedy(
        "non_saturating",
        "use the non-saturating loss in place of the minimax loss",
        "The minimax loss gives the generator no gradient once the discriminator is right.",
        "Goodfellow et al. 2014, section 3",
        frozenset(D_AHEAD | {"collapsed_spread", "stillborn"}),
        _non_saturating,
    ),
    Remedy(
        "hinge",
        "use the hinge loss",
        "A discriminator that separates all images by the margin stops growing.",
        "Lim and Ye 2017; Miyato et al. 2018",
        frozenset(
            D_AHEAD | {"exploding", "critic_dead", "cycling", "collapsed_spread", "stillborn"}
        ),
        _hinge,
    ),
    Remedy(
        "smooth_labels",
        "smooth the labels of real images to 0.9",
        "The discriminator is no longer rewarded for being certain.",
        "Salimans et al. 2016",
        frozenset({"discriminator_won", "generator_vanished"}),
        _smoothed,
    ),
)
