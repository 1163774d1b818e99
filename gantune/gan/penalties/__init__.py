"""The regularisers of the discriminator, by kin: of gradients, of outputs, of weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from gantune.gan.penalties.base import PenaltyInputs
from gantune.gan.penalties.gradients import auto_weight, dragan, gradient_penalty, r1, r1_r2, r2
from gantune.gan.penalties.outputs import consistency, lecam, update_anchors
from gantune.gan.penalties.weights import orthogonal, orthogonality, weight_clip

__all__ = [
    "PENALTIES",
    "Penalty",
    "PenaltyInputs",
    "auto_weight",
    "consistency",
    "dragan",
    "gradient_penalty",
    "lecam",
    "orthogonal",
    "orthogonality",
    "r1",
    "r1_r2",
    "r2",
    "update_anchors",
    "weight_clip",
]

Penalty = Callable[[PenaltyInputs, Any], Tensor]
"""``(step, config)`` to the penalty, a scalar, before its weight and interval are multiplied in."""

PENALTIES: dict[str, Penalty] = {
    "gradient_penalty": gradient_penalty,
    "dragan": dragan,
    "r1": r1,
    "r2": r2,
    "r1_r2": r1_r2,
    "lecam": lecam,
    "consistency": consistency,
    "orthogonal": orthogonal,
}
"""The penalties that are added to D's loss, by their name in a config."""
