"""The rules, one file each, in the order in which they are asked."""

from __future__ import annotations

from gantune.health.rules.collapsed_spread import CollapsedSpread
from gantune.health.rules.discriminator_won import DiscriminatorWon
from gantune.health.rules.exploding import Exploding
from gantune.health.rules.generator_vanished import GeneratorVanished
from gantune.health.rules.non_finite import NonFinite
from gantune.health.rules.rule import Rule
from gantune.health.rules.stillborn import Stillborn

__all__ = [
    "RULES",
    "CollapsedSpread",
    "DiscriminatorWon",
    "Exploding",
    "GeneratorVanished",
    "NonFinite",
    "Rule",
    "Stillborn",
]

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        NonFinite,
        Exploding,
        CollapsedSpread,
        DiscriminatorWon,
        GeneratorVanished,
        Stillborn,
    )
}
"""All rules by name."""
