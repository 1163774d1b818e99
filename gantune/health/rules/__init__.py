"""The health rules, one file each, in the order in which they are checked."""

from gantune.health.rules.collapsed_spread import CollapsedSpread
from gantune.health.rules.critic_dead import CriticDead
from gantune.health.rules.cycling import Cycling
from gantune.health.rules.discriminator_won import DiscriminatorWon
from gantune.health.rules.exploding import Exploding
from gantune.health.rules.generator_idle import GeneratorIdle
from gantune.health.rules.generator_vanished import GeneratorVanished
from gantune.health.rules.non_finite import NonFinite
from gantune.health.rules.rule import Rule, Verdict
from gantune.health.rules.stillborn import Stillborn
from gantune.health.rules.worsened import Worsened

__all__ = ["RULES", "Rule", "Verdict"]

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        NonFinite,
        Exploding,
        CollapsedSpread,
        DiscriminatorWon,
        CriticDead,
        GeneratorVanished,
        GeneratorIdle,
        Cycling,
        Worsened,
        Stillborn,
    )
}
"""All rules by name."""
