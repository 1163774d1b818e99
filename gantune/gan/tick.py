"""``Tick``: the numbers of one interval of training. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tick:
    """Means over the steps since the previous tick; one line of ``ticks.jsonl``.

    Means run over all steps, so a single non-finite one shows as NaN or infinity.
    """

    kimg: float
    """Thousands of real images shown to the discriminator so far."""
    step: int
    """Generator steps so far."""
    d_loss: float
    """The discriminator's adversarial loss alone, real plus generated, without penalties."""
    g_loss: float
    """The generator's adversarial loss."""
    d_real: float
    """Mean of D's logits on real images."""
    d_fake: float
    """Mean of D's logits on generated images."""
    d_real_std: float
    """Standard deviation of D's logits on the real images of a batch."""
    d_fake_std: float
    """Standard deviation of D's logits on the generated images of a batch."""
    d_real_sign: float
    """Mean sign of D's logits on real images, in [-1, 1] (Karras et al. 2020b, eq. 1: r_t)."""
    d_fake_sign: float
    """Mean sign of D's logits on generated images, in [-1, 1]."""
    d_grad: float
    """Norm of the discriminator's whole gradient."""
    g_grad: float
    """Norm of the generator's whole gradient."""
    non_finite: float
    """Share of a player's optimizer steps skipped because its gradient was not finite; the larger
    of the two players' shares, so that 1.0 means that one of them no longer learns."""
    spread: float
    """Variety of generated images relative to real ones: the root of the mean variance over a
    batch, per pixel, generated over real."""
    d_update: float
    """Change of the discriminator's weights in the tick's first step: norm of the change over norm
    of the weights. 0 for a step that was skipped."""
    g_update: float
    """The same of the generator."""
    images_per_second: float
    """Real images shown per second of training."""
    seconds: float
    """Seconds of training so far, without scoring."""
    augment_probability: float = 0.0
    """Probability with which each transformation is applied to an image, at the tick's end."""
    d_sigma: float | None = None
    """The largest singular value of D's layers that spectral norm divides by, at the tick's end
    (Brock et al. 2019, section 4.1); ``None`` without spectral norm."""
    g_sigma: float | None = None
    """The same of the generator's layers."""
    d_held_out: float | None = None
    """Mean of D's logits, in evaluation mode, on a batch of held-out real images, at the tick's
    end; ``None`` where none are held out."""
    d_held_out_std: float | None = None
    """Standard deviation of these logits."""
    d_held_out_sign: float | None = None
    """Mean sign of these logits, in [-1, 1]."""
    penalties: Mapping[str, float] = field(default_factory=dict)
    """Mean of each penalty as it enters the loss, over the steps at which it is due."""

    def signals(self) -> dict[str, Any]:
        """All measured numbers except penalties, by name: the input of health."""
        return {k: v for k, v in asdict(self).items() if k != "penalties" and v is not None}
