"""What a user's trainer hands to its session, checked and converted: numbers and samples."""

import inspect
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantune.data import ImageSet
from gantune.errors import ScoreError, TrainerError
from gantune.trial.process_state import ProcessState

Draw = Callable[..., Any]
"""``draw(n)`` or ``draw(n, generator)``: n images, an array or tensor."""

ValueRange = tuple[float, float]
"""The values of black and white in images of floats."""

OVERRUN = 1.25
"""Times the budget: the report after its end may come a little late."""

_UNIT, _SYMMETRIC = (0.0, 1.0), (-1.0, 1.0)
_ROUNDING = 1e-3  # how far floats may lie outside their range, as in ``gantune.data.samples``
_REAL_DTYPE = re.compile(r"u?int|b?float|half|double", re.IGNORECASE)
_NOT_REAL = (bool, complex, str, bytes, date, time, timedelta)  # pandas' NaT is a date and a float
_CALL = "session.score(images=...)"


def plain_number(method: str, name: str, value: Any) -> float:
    """A plain float of a number, a 0-d tensor or array of any library.

    Raises ``TrainerError``, which names the session's method and the argument, for anything that
    is no real number by its type: truth values, text, dates, complex numbers, larger arrays.
    """
    shape = getattr(value, "shape", ())
    if isinstance(value, torch.Tensor):
        value = value.detach()
    try:
        if len(shape) or not _is_real(value):
            raise TypeError
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, ArithmeticError):
        what = f"an array of shape {list(shape)}" if len(shape) else repr(value)[:60]
        raise TrainerError(f"session.{method}: {name} is {what}; a number is needed") from None


def _is_real(value: Any) -> bool:
    """Whether the type is that of real numbers: by the dtype's name, which all array libraries have
    in common, or by ``__float__``, as of ``Decimal``."""
    if (dtype := getattr(value, "dtype", None)) is not None:
        name = str(getattr(dtype, "name", dtype)).rpartition(".")[2]
        return _REAL_DTYPE.match(name) is not None
    return hasattr(type(value), "__float__") and not isinstance(value, _NOT_REAL)


def checked_report(
    kimg: Any, signals: Mapping[str, Any], *, last: float, budget: float
) -> tuple[float, dict[str, float]]:
    """What a trainer reported, as plain numbers: kimg, and the signals that are not ``None``.

    ``last``: the kimg that was reported before. Raises ``TrainerError``, also far past a budget
    whose end was not scored.
    """
    at = plain_number("report", "kimg", kimg)
    if not 0 <= at < math.inf:
        raise TrainerError(f"session.report: kimg={at:g}: a finite number from 0 up is needed")
    if at < last:
        raise TrainerError(
            f"session.report: kimg={at:g} lies before {last:g}, which was reported already; kimg "
            "counts all real images of the run, and session.kimg is where it stands"
        )
    given = {name: value for name, value in signals.items() if value is not None}
    numbers = {name: plain_number("report", name, value) for name, value in given.items()}
    if last > OVERRUN * budget:
        raise TrainerError(
            f"session.report: kimg={at:g} is far past the run's {budget:g}, and no score was given "
            "at its end; call session.score(value) or session.score(images=...) where "
            "session.should_score, and return where session.should_stop"
        )
    return at, numbers


def check_callable(draw: object) -> None:
    """Raises ``TrainerError`` for samples that were given instead of a function that draws them."""
    if not callable(draw):
        raise TrainerError(
            f"session.score: images is a {type(draw).__name__}; a function is needed that gives n "
            "images, as in images=lambda n: generator(torch.randn(n, 64))"
        )


def check_value_range(given: Any) -> None:
    """Raises ``TrainerError`` for anything but ``None`` or two rising numbers."""
    if given is None:
        return
    ends = given if isinstance(given, tuple | list) else ()
    numbers = [plain_number("score", "value_range", end) for end in ends]
    if len(numbers) != 2 or not -math.inf < numbers[0] < numbers[1] < math.inf:
        raise TrainerError(
            f"session.score: value_range is {given!r}; black and white are needed, such as (-1, 1) "
            "or (0, 1)"
        )


class UserSamples:
    """Samples that a trainer draws: uint8 [n, C, H, W] (points: float32 [n, 2]) on the device.

    uint8 is taken as it is. Floats lie in ``value_range``, or if that is ``None`` in [-1, 1] where
    any of the first ones is below -0.001, else in [0, 1], as for ``load_samples``. Calls raise
    ``TrainerError`` where ``draw`` returns anything but images in the form of the real ones, and
    ``ScoreError`` where values are not finite.
    """

    def __init__(
        self,
        draw: Draw,
        real: ImageSet,
        device: torch.device,
        trainers_state: ProcessState | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        """``trainers_state``: what holds in the process while ``draw`` runs."""
        self._draw, self._real, self._device = draw, real, device
        self._state = trainers_state or ProcessState({})
        self._takes_generator = _takes_generator(draw)
        self._is_told, self.value_range = value_range is not None, value_range

    def __call__(self, count: int, rng: torch.Generator) -> Tensor:
        real = self._real
        with self._state.applied(), torch.no_grad():
            drawn = self._draw(count, rng) if self._takes_generator else self._draw(count)
        images, shape = _tensor(drawn), [2] if real.is_points else list(real.array.shape[1:])
        if list(images.shape) != [count, *shape]:
            raise TrainerError(
                f"{_CALL}: asked for {count} images, got the shape {list(images.shape)}; "
                f"[{count}, {', '.join(map(str, shape))}] is needed, the form of the real images "
                f"of {real.source} (data.resolution and data.colour change it)"
            )
        return self._converted(images.to(self._device))

    @property
    def doubt(self) -> str:
        """A question where floats are taken as [0, 1] without having been told; else empty."""
        if self._is_told or self.value_range != _UNIT:
            return ""
        return (
            f"the samples of {_CALL} are floats without negative ones, and are scored as [0, 1], "
            "where 0 is black; are they meant so? Then say value_range=(0, 1), else (-1, 1)"
        )

    def _converted(self, images: Tensor) -> Tensor:
        is_points = self._real.is_points
        if images.dtype == torch.uint8 and not is_points:
            return images
        if not images.is_floating_point():
            raise TrainerError(
                f"{_CALL}: got {str(images.dtype).removeprefix('torch.')}; uint8 from 0 to 255 or "
                "floats from -1 to 1 are needed"
            )
        images = images.float()
        if not images.isfinite().all():
            raise ScoreError("the trainer's samples hold values that are not finite")
        if is_points:
            return images
        low, high = float(images.min()), float(images.max())
        if self.value_range is None:
            self.value_range = _SYMMETRIC if low < -_ROUNDING else _UNIT
        black, white = self.value_range
        rounding = _ROUNDING * max(1, (white - black) / 2)
        if low < black - rounding or high > white + rounding:
            raise TrainerError(
                f"{_CALL}: got floats from {low:.4g} to {high:.4g}, which are read as "
                f"[{black:g}, {white:g}]; say what is black and white, such as "
                "value_range=(-1, 1), or return uint8"
            )
        scale = 255 / (white - black)
        return images.sub(black).mul_(scale).round_().clamp_(0, 255).to(torch.uint8)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the global random numbers of torch, NumPy and Python, and restores them at the end."""
    accelerators = [device] if device.type == "cuda" else []
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(accelerators):
        seed_all(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def seed_all(seed: int) -> None:
    """Seeds the global random numbers of torch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _takes_generator(draw: Draw) -> bool:
    """Whether the second argument is required, or has a generator's name."""
    try:
        parameters = list(inspect.signature(draw).parameters.values())
    except (TypeError, ValueError):  # a built-in function has no signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return any(p.default is p.empty or p.name in ("generator", "rng") for p in positional[1:2])


def _tensor(images: Any) -> Tensor:
    if isinstance(images, Tensor):
        return images.detach()
    try:
        array = np.ascontiguousarray(images)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(images).__name__
        raise TrainerError(f"{_CALL}: got a {kind}, not an array or tensor of images") from error
