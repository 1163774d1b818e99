"""Penalties on D's logits: consistency under small changes of the image, and LeCam."""

import torch
from torch import Tensor

from gantune.config.sections import ConsistencyConfig, LecamConfig
from gantune.gan.augment import shift
from gantune.gan.penalties import PenaltyInputs


def consistency(inputs: PenaltyInputs, config: ConsistencyConfig) -> Tensor:
    """mean |D(x) - D(T(x))|^2 on real images (Zhang et al. 2020, eq. 3).

    T mirrors half of the images left to right, then shifts each by up to ``config.shift`` of its
    side along both axes; the mirror image comes in over the edge.
    """
    images, number = inputs.real, len(inputs.real)
    is_flipped = inputs.random.uniform(number, 1, 1, 1) < 0.5
    changed = torch.where(is_flipped, images.flip(3), images)
    limit = int(config.shift * images.shape[3])
    down, right = inputs.random.integers(-limit, limit, 2, number, dim=1)
    changed = shift(changed, down, right, "mirror")
    # In one batch and one precision, so that an image that stays as it is has no difference.
    original, other = inputs.discriminate(torch.cat([images, changed])).view(2, -1)
    difference: Tensor = original - other
    return difference.square().mean()


def lecam(inputs: PenaltyInputs, config: LecamConfig) -> Tensor:
    """mean |D(real) - a|^2 + mean |D(fake) - b|^2, with ``a`` the running mean of D on generated
    images and ``b`` that on real ones (Tseng et al. 2021, eq. 4).

    The means are those before the step. 0 at the first step, which has none, and before
    ``config.start`` kimg.
    """
    if inputs.kimg < config.start:
        return inputs.logits.new_zeros(())
    others = inputs.anchors.flip(0).unsqueeze(1)  # [2, 1]
    others = torch.where(others.isfinite(), others, inputs.logits.detach())
    return (inputs.logits - others).square().mean(dim=1).sum()


@torch.no_grad()
def update_anchors(anchors: Tensor, logits: Tensor, decay: float) -> None:
    """Moves running means [2], in place, towards the means of D's logits [2, N].

    NaN or infinite running means, as at the start and after a step with logits that are not
    finite, are replaced by the new means.
    """
    means = logits.mean(dim=1)
    anchors.copy_(torch.where(anchors.isfinite(), torch.lerp(means, anchors, decay), means))
