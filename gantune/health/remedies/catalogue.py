"""All remedies, by kind and by name."""

from gantune.config import TrialConfig
from gantune.health.remedies.losses import LOSS_CHANGES
from gantune.health.remedies.pace import PACE
from gantune.health.remedies.penalties import SLOPES
from gantune.health.remedies.rates import OPTIMIZERS, RATES
from gantune.health.remedies.record import promise
from gantune.health.remedies.remedy import Remedy

KINDS: dict[str, tuple[Remedy, ...]] = {
    "rates": RATES,
    "optimizer": OPTIMIZERS,
    "loss": LOSS_CHANGES,
    "slope": SLOPES,
    "pace": PACE,
}
"""The remedies by kind: two of one kind do much the same."""

REMEDIES: dict[str, Remedy] = {
    remedy.name: remedy for remedies in KINDS.values() for remedy in remedies
}
"""All remedies by name."""


def remedy_named(name: str) -> Remedy | None:
    """gantune's remedy of a name; ``lower_d_lr:2``, which a space declares, has that of
    ``lower_d_lr``."""
    return REMEDIES.get(name.partition(":")[0])


def kind_of(remedy: Remedy) -> str:
    """The kind of a remedy. One that a user has declared is of the kind of gantune's remedy of that
    name, or else a kind of its own."""
    own = remedy_named(remedy.name)
    kinds = (kind for kind, remedies in KINDS.items() if own in remedies)
    return next(kinds, f"declared {remedy.name.partition(':')[0]}")


def remedies_for(rule: str, config: TrialConfig | None = None) -> list[Remedy]:
    """Those that answer a rule's verdict, the most promising first; of equals in their order.

    First come those that bound a critic which nothing bounds in ``config``.
    """
    answering = [remedy for remedy in REMEDIES.values() if rule in remedy.answers]

    def bounds(remedy: Remedy) -> bool:
        if config is None or not config.has_unbounded_critic:
            return False
        after = remedy.applied(config)
        return after is not None and not after.has_unbounded_critic

    return sorted(answering, key=lambda remedy: (not bounds(remedy), -promise(remedy, rule)))
