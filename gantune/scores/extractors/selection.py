"""Selects the extractor: the requested one, or the first that works for ``auto``."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gantune.config.extractor import DINOV2, ExtractorChoice
from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.scores.distances import Gaussian, frechet_distance
from gantune.scores.extractors.classifier import train_own_classifier
from gantune.scores.extractors.digits import load_digits_classifier
from gantune.scores.extractors.dinov2 import DinoV2, load_dinov2
from gantune.scores.extractors.inception import Inception, load_inception
from gantune.scores.extractors.random_features import PointFeatures, RandomFeatures
from gantune.scores.extractors.user_network import UserNetwork, load_user_network
from gantune.scores.feature_statistics import BATCH, Features, gather
from gantune.scores.features import Extractor

LEAST_IMAGES = 200
"""The least number of images for the sanity check: with fewer, chance hides the differences."""

_LARGE = (Inception.kind, DinoV2.kind, UserNetwork.kind)
_TOO_SLOW = "on a CPU it takes 0.1 s an image, so it must be named, or the file of its weights"
_MOST_IMAGES = 500  # two halves of 250: under a second for the small networks
_BLUR = 4  # pixels; side of the blocks that are averaged
_NOISE = 0.25  # standard deviation of the added noise, as a share of the range of levels
_SEED = 0


def select(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    """Selects the extractor; ``device`` is where it will be used.

    ``auto``: points have their own extractor; for images Inception (not on a CPU), then a
    classifier, then random convolutions. The reason says why earlier ones were rejected. With
    ``auto``, a weights file selects Inception. Raises ``ScoreError`` where a named extractor is
    not available.
    """
    name = choice.name
    if choice.weights is not None and name == "auto":
        name = "inception"
    if (name == "points") != images.is_points and name != "auto":
        held = "points" if images.is_points else "images"
        others = "points" if images.is_points else "inception, dinov2, classifier or random"
        raise ScoreError(
            f"extractor: {name!r} does not suit {images.source!r}, which holds {held}; "
            f"take 'auto', {others}"
        )
    if images.is_points or name == "auto":
        extractor = _points(images) if images.is_points else _first_sane(choice, images, device)
        if choice.resize != ExtractorChoice.resize and extractor.module.kind != Inception.kind:
            idle = f"resize {choice.resize!r} has no effect, as it is for inception alone"
            extractor = replace(extractor, reason=f"{extractor.reason}; {idle}")
        return extractor
    extractor = _named(name, choice, images, device)
    reason = f"{extractor.reason}, as requested"
    if fault := _fault(extractor, images, device):
        reason += f"; warning: {fault}"
    return replace(extractor, reason=reason)


def _named(name: str, choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    if name == "inception":
        return load_inception(choice)
    if name in DINOV2:
        return load_dinov2(choice)
    if choice.is_user_network:
        return load_user_network(name, images, device)
    if name == "random":
        return _random(images)
    try:
        return _classifier(images)
    except ScoreError as error:
        raise ScoreError(
            f"extractor: 'classifier' is not available for {images.source!r}: {error}; "
            "take 'random' or 'inception', or add labelled images, one subfolder per class (found: "
            f"{images.found})"
        ) from None


def _first_sane(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    def inception() -> Extractor:
        if device.type == "cpu":
            raise ScoreError(_TOO_SLOW)
        return load_inception(choice)

    candidates: dict[str, Callable[[], Extractor]] = {
        "inception": inception,
        "classifier": lambda: _classifier(images),
        "random": lambda: _random(images),
    }
    rejected: list[str] = []
    for name, make in candidates.items():
        try:
            extractor = make()
        except ScoreError as error:
            rejected.append(f"{name}: {error}")
            continue
        fault = _fault(extractor, images, device)
        if not fault:
            break
        rejected.append(f"{name}: {fault}")
    warning = f"; warning: {fault}" if fault else ""
    over = [one for one in rejected if not one.startswith(f"{extractor.name}: ")]
    listed = f"; rejected: {'; '.join(over)}" if over else ""
    return replace(extractor, reason=f"{extractor.reason}{warning}{listed}")


def _fault(extractor: Extractor, images: ImageSet, device: torch.device) -> str:
    """Why an extractor fails the sanity check; empty if it passes or would take minutes."""
    if device.type == "cpu" and extractor.module.kind in _LARGE:
        return ""
    fault = sanity_fault(extractor, images, device)
    return f"it rates {fault} as nearer to the data than other real images" if fault else ""


def _classifier(images: ImageSet) -> Extractor:
    if images.source == "digits" and images.labels is not None:
        return load_digits_classifier("the data are the embedded digits, which it was trained on")
    return train_own_classifier(images)


def _random(images: ImageSet) -> Extractor:
    module = RandomFeatures(images.array.shape[1], images.resolution).eval()
    return Extractor("random", module, "random convolutions of a fixed seed")


def _points(images: ImageSet) -> Extractor:
    module = PointFeatures(images.class_count)
    for mode in range(images.class_count):
        centre = images.array[images.labels == mode].mean(axis=0)
        module.centres[mode] = torch.from_numpy(centre)
    reason = "the data are points, compared by waves of many lengths"
    classes = images.classes if images.labels is not None else ()
    return Extractor(module.kind, module.eval(), reason, classes)


def sanity_fault(extractor: Extractor, images: ImageSet, device: torch.device) -> str:
    """Checks that an extractor, moved to ``device``, rates real images as nearer than damaged ones.

    Up to 500 images are split at random into two halves. By Frechet distance the second half must
    be nearer to the first half than three alternatives: the second half at a quarter of its size,
    the second half with noise of a quarter of the range, and white noise with the mean and the
    spread of each channel. Smaller faults could hide in the noise of a distance between so few
    images. Returns the alternatives that are nearer as text; an empty string if there are none, or
    for fewer than 200 images. Raises ``ScoreError`` where features are not finite.
    """
    count = min(len(images), _MOST_IMAGES) // 2
    if 2 * count < LEAST_IMAGES:
        return ""
    order = np.random.default_rng(_SEED).permutation(len(images))[: 2 * count]
    chosen = torch.from_numpy(images.array[order])
    first, second = chosen[:count], chosen[count:]
    extractor.module.to(device)

    def features(images: Tensor) -> Features:
        levels = images.round().clamp(0, 255).byte()
        batches = (part.to(device) for part in torch.split(levels, BATCH))
        return gather(extractor, batches, count, count, "images to try the extractor on")

    real = Gaussian.of(features(first))
    least = frechet_distance(real, features(second))
    generator = torch.Generator().manual_seed(_SEED)
    size = second.shape[2:]
    small = F.avg_pool2d(second.float(), _BLUR)
    spread, mean = torch.std_mean(second.float(), dim=(0, 2, 3), keepdim=True)
    noise, white = (torch.randn(second.shape, generator=generator) for _ in range(2))
    worse = {
        "the same images blurred": F.interpolate(small, size, mode="bilinear", align_corners=False),
        "the same images under noise": second + 255 * _NOISE * noise,
        "white noise": mean + spread * white,
    }
    nearer = [n for n, shown in worse.items() if frechet_distance(real, features(shown)) <= least]
    return " and ".join(nearer)
