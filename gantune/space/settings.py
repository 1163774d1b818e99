"""The settings beside ``trial`` in a space file: budget, objective, pruning, finalists, sampler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gantune.config.command import Command, CommandFields
from gantune.config.external import explain_wrong_trainer
from gantune.config.extractor import (
    ExtractorChoice,
    FurtherScores,
    ScoreDtype,
    out_of_place,
    wrong_name,
)
from gantune.config.sections import ConfigModel
from gantune.errors import ScoreError
from gantune.io.validation import did_you_mean, validation_error, validation_errors

TrackerName = Literal["tensorboard", "wandb", "mlflow"]
"""Where runs can be shown besides the report."""

_PRESETS = ("default", "strict", "lenient", "off")
_DURATION = re.compile(r"(?=\d)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SCORE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_LONGEST = 366 * 24 * 3600.0  # seconds
_Seconds = Annotated[float, Field(gt=0, le=_LONGEST)]


def _study(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise validation_error(
            f"{value!r} cannot name a study; letters, digits, '.', '_' and '-' can"
        )
    return value


def _seconds(value: Any) -> Any:
    """``1h30m``, ``90m`` or ``45s`` as seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.replace(" ", ""))
    if match is None:
        raise validation_error(f"{value!r} is not a duration; write 2h, 90m, 45s or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _patience(value: Any) -> Any:
    """A number of trials, without a unit."""
    if isinstance(value, str):
        number = re.match(r"\s*(\d{1,7})\s*(?:trials?|settings?)?\s*$", value)
        remedy = f"write {number[1]}" if number else "write 30; for a limit of time write time: 2h"
        raise validation_error(f"{value!r} is not a number of trials begun; {remedy}")
    return value


def _numbers(value: Any) -> Any:
    """``[0, 1]`` as numbers of trials."""
    if not isinstance(value, list | tuple):
        raise validation_error(f"a list of trials such as [0, 1] belongs here, not {value!r}")
    for item in value:
        if not isinstance(item, int) or isinstance(item, bool) or item < 0:
            raise validation_error(f"{item!r} is no number of a trial: 0, 1, 2 and so on")
    return tuple(value)


def _shares(value: Any) -> Any:
    """``[25%, 0.5]`` as rising shares."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise validation_error(f"a list such as [25%, 50%, 75%] belongs here, not {value!r}")
    shares = tuple(_share(item) for item in value)
    if any(later <= earlier for earlier, later in pairwise(shares)):
        raise validation_error("each rung must be larger than the one before")
    for earlier, later in pairwise(shares):
        if round(100 * earlier) == round(100 * later):
            both = f"{percent_text(earlier)} and {percent_text(later)}"
            raise validation_error(f"{both} are the same whole percent; remove one of them")
    return shares


def _share(item: Any) -> float:
    number = item
    if isinstance(item, str) and re.fullmatch(r"\d{1,3}(\.\d+)?%", item):
        number = float(item[:-1]) / 100
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1:
        raise validation_error(
            f"{item!r} is not a share of the budget between 0% and 100%; write 25%"
        )
    if not 0 < round(100 * number) < 100:  # rungs are identified by whole percents
        raise validation_error(
            f"{item!r} is {number:.0%} in whole percents; rungs go from 1% to 99%"
        )
    return float(number)


def percent_text(share: float) -> str:
    """A share of the budget as it is written in a space: ``2.5%``."""
    return f"{100 * share:.6g}%"


def _stability(value: Any) -> Any:
    if isinstance(value, Mapping) or value in _PRESETS:
        return value
    near = did_you_mean(value, _PRESETS) if isinstance(value, str) else ""
    raise validation_error(f"one of {', '.join(_PRESETS)} or rules by name belong here{near}")


def _kimg(value: Any) -> Any:
    if value is None or (isinstance(value, str) and re.fullmatch(r"\d{1,4}(\.\d+)?x", value)):
        is_right = value is None or float(value[:-1]) > 0
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_right = is_number and 0 < value <= 1_000_000
    if not is_right:
        raise validation_error(
            f"{value!r} is not a length; write 160 (kimg), or 4x for four times that of the trial"
        )
    return float(value) if isinstance(value, int) else value


def _extractor(value: str) -> str:
    if wrong := wrong_name(value):
        raise validation_error(wrong)
    return value


def _names(value: Any) -> Any:
    """One name, or a list of them."""
    names = [value] if isinstance(value, str) else value
    return tuple(dict.fromkeys(names)) if isinstance(names, list) else names


def _also(names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        FurtherScores.of(names)
    except ScoreError as error:
        raise validation_error(str(error)) from None
    return names


def _score(value: str) -> str:
    if not _SCORE.fullmatch(value):
        raise validation_error(f"{value!r} cannot name a score; letters, digits, '_' and '-' can")
    return value


def _trainer(value: str) -> str:
    if wrong := explain_wrong_trainer(value):
        raise validation_error(wrong)
    return value


_RUNGS = {"halving": (0.05, 0.25), "hyperband": (0.05, 0.15, 0.45)}
_FACTORS = {"halving": 6.0, "hyperband": 3.0}


class Budget(ConfigModel):
    """When the search ends: by trials, training, time or patience, whichever comes first."""

    trials: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of trials begun, with any outcome; crashed trials do not count."""
    kimg: float | None = Field(default=None, gt=0, le=1e12)
    """Thousands of images trained by all trials and finals together. Nothing begins that would
    leave too little for the finals, and no trial that could not reach its end."""
    time: Annotated[_Seconds | None, BeforeValidator(_seconds)] = None
    """Seconds for trials and finals together; in the file also ``2h``, ``90m``, ``1h30m``. Nothing
    begins that would, at the pace so far, leave too little for the finals, and no trial that could
    not reach its end."""
    patience: Annotated[int | None, BeforeValidator(_patience)] = Field(
        default=None, ge=1, le=1_000_000
    )
    """Number of trials begun without a better score: one that is better than all before, at its
    rung or in full, by more than the standard error of the difference."""
    max_failed: int = Field(default=3, ge=0, le=1_000_000)
    """Number of crashed trials that the search tolerates; the next one ends it with an error."""
    heartbeat: Annotated[_Seconds, BeforeValidator(_seconds)] = 600.0
    """Seconds without a heartbeat after which a trial counts as hanging and is stopped."""

    @model_validator(mode="after")
    def _ends(self) -> Budget:
        if (self.trials, self.kimg, self.time, self.patience) == (None,) * 4:
            raise validation_error(
                "the search would never end; set trials: 24, time: 2h, kimg: 5000 or patience: 30, "
                "or several of them"
            )
        return self


_RUNG_DTYPES: dict[str, ScoreDtype] = {"fp32": "float32", "tf32": "tf32", "bf16": "bfloat16"}


class Objective(ConfigModel):
    """The score that trials are ranked by."""

    score: Annotated[str, AfterValidator(_score)] = "fid"
    """``fid``: Frechet distance of features (Heusel et al. 2017); lower is better. If your own
    trainer computes a score itself (lower is better): the name of that score."""
    samples: int = Field(default=2000, ge=16, le=1_000_000)
    """Number of generated images for the final score."""
    rung_samples: int = Field(default=1000, ge=16, le=1_000_000)
    """Number of generated images for the scores at rungs."""
    rung_precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """What the extractor computes in at rungs: full float32, or faster on a GPU, TF32 or bfloat16.
    The final score is always of ``fp32``."""
    extractor: Annotated[str, AfterValidator(_extractor)] = "auto"
    """The network whose features are compared: ``inception``, ``dinov2`` (``dinov2-l14``) or
    ``dinov2-b14``, ``classifier``, ``random``, ``points``, your own network as
    ``package.module:factory``, or ``auto``: the first of Inception, a classifier and random
    convolutions that is available and suits the data."""
    weights: str | None = Field(default=None, min_length=1)
    """File of the weights of Inception or DINOv2; ``null``: the published one, which is downloaded.
    A file without an extractor's name selects Inception."""
    resize: Literal["legacy", "antialias"] = "legacy"
    """How images are resized to Inception's 299 pixels: as in TensorFlow 1 and published FIDs, or
    antialiased (Parmar et al. 2022)."""
    also: Annotated[tuple[str, ...], BeforeValidator(_names), AfterValidator(_also)] = ()
    """Scores that the finals get beside the first one; they never rank. ``fd_dinov2`` (or
    ``dinov2-l14``), ``dinov2-b14``, ``fid``, ``classifier``, ``random`` or your own network: the
    distance by it; ``dinov2-b14=FILE`` names the file of its weights. ``fd_inf``: the first score
    extrapolated to infinitely many samples (Chong and Forsyth 2020)."""

    @model_validator(mode="after")
    def _agree(self) -> Objective:
        if found := out_of_place(self.extractor, self.weights, self.resize):
            raise validation_errors(*found)
        return self

    def choice(self) -> ExtractorChoice:
        """The requested extractor."""
        return ExtractorChoice(self.extractor, self.weights, self.resize)

    @property
    def rung_dtype(self) -> ScoreDtype:
        """``rung_precision`` as protocols name it."""
        return _RUNG_DTYPES[self.rung_precision]

    def further(self) -> FurtherScores:
        """The scores beside the first one."""
        return FurtherScores.of(self.also)


class Pruning(ConfigModel):
    """The rungs at which trials are scored during training, and which trials stop there."""

    rule: Literal["halving", "hyperband", "median", "none"] = "halving"
    """``halving``: of all trials that have reached a rung, the best 1/factor and their ties go on;
    the others are paused, and go on later if they are among these then. ``hyperband``: halving
    whose trials take turns to begin at the first, second or later rung. ``median``: stops a trial
    whose best score so far is worse than the median at this rung. ``none``: no trial stops at a
    rung."""
    rungs: Annotated[tuple[float, ...] | None, BeforeValidator(_shares)] = None
    """Shares of a trial's length, in (0, 1); in the file also ``25%``. ``null``: 5 and 25% for
    ``halving``, 5, 15 and 45% for ``hyperband``, without those that fall within one batch or tick
    in the shortest trial, else 25, 50 and 75%."""
    factor: float | None = Field(default=None, ge=2, le=1000)
    """For ``halving`` and ``hyperband``: of n trials at a rung, n / factor go on, rounded down, and
    also those of the better half that tie with the last of these (``noise``). ``null``: 6 for
    ``halving``, 3 for ``hyperband``."""
    noise: float = Field(default=0.15, ge=0, le=10)
    """For ``halving`` and ``hyperband``: by what share of their size the scores of two seeds of one
    setting differ. Scores that are apart by no more, or by less than the standard error of the
    difference, tie. ``0``: the rank alone decides."""
    exempt: Annotated[tuple[int, ...], BeforeValidator(_numbers)] = ()
    """For ``halving`` and ``hyperband``: numbers of trials that go on from every rung, whatever
    their rank. ``[0]`` is the first one, which is the first entry of ``start``."""
    startup: int = Field(default=5, ge=0, le=1_000_000)
    """For ``median``: number of trials that must finish before the rule applies."""

    @model_validator(mode="after")
    def _has_ladders(self) -> Pruning:
        if self.rule == "hyperband" and self.rungs is not None and len(self.rungs) < 2:
            given = percent_text(self.rungs[0]) if self.rungs else "none"
            what = f"hyperband begins trials at two rungs or more, not {given}; write rule: halving"
            raise validation_errors((what, "rungs"))
        return self

    @property
    def pauses(self) -> bool:
        """Whether the rule pauses trials, which may go on later."""
        return self.rule in ("halving", "hyperband") and bool(self.shares)

    @property
    def shares(self) -> tuple[float, ...]:
        """The rungs, rising, as shares of the budget below 1."""
        if self.rungs is not None:
            return self.rungs
        return _RUNGS.get(self.rule, (0.25, 0.5, 0.75))

    @property
    def reduction_factor(self) -> float:
        """``factor``, or the default of the rule; 1 for rules that have none."""
        return _FACTORS.get(self.rule, 1.0) if self.factor is None else self.factor


class Finalists(ConfigModel):
    """The best survivors, which are trained again from scratch with new seeds."""

    top: int = Field(default=2, ge=0, le=1000)
    """Number of finalists; 0: no finals."""
    seeds: int = Field(default=3, ge=1, le=1000)
    """Number of trainings of each finalist."""
    kimg: Annotated[float | str | None, BeforeValidator(_kimg)] = None
    """Length of each training: kimg, or ``4x`` that of the trial; ``null``: that of the trial."""

    start: bool = True
    """Whether the first ``start`` entry is trained again together with the finalists; it is left
    out where its trial failed without a score."""
    margins: bool | None = None
    """Whether the winner is trained also with each rate at twice and half its value, and where that
    survives at four times and a quarter; ``null``: where it takes less than a tenth of the
    search."""

    def budget(self, kimg: float) -> float:
        """Length in kimg of the final for a trial of ``kimg``."""
        if isinstance(self.kimg, str):
            return float(self.kimg[:-1]) * kimg
        return kimg if self.kimg is None else self.kimg


class Sampler(ConfigModel):
    """The sampler, which proposes the next trial."""

    name: Literal["tpe", "random", "qmc"] = "tpe"
    """``tpe`` (Bergstra et al. 2011), ``random``, ``qmc``: a quasi-random sequence."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of the sampler."""


class SpaceFile(CommandFields):
    """The top level of a space file. ``trial`` and ``start`` are read separately."""

    study: Annotated[str, AfterValidator(_study)]
    """Name of the study and of its run folder: letters, digits, ``.``, ``_`` and ``-``."""
    budget: Budget = Budget(trials=24)
    objective: Objective = Objective()
    trainer: Annotated[str, AfterValidator(_trainer)] | None = None
    """Your own trainer, ``package.module:function`` or ``file.py:function``, for which ``trial`` is
    the config; ``null``: gantune's trainer."""
    trial: dict[str, Any]
    """One training run; any of its values can be searched."""
    start: list[dict[str, Any]] = Field(default=[], max_length=1000)
    """Settings known to work, tried first and in order; the first one is trained again together
    with the finalists. ``{from: runs/lastweek, top: 3}``: the best settings of an earlier search,
    tried after the others."""
    stability: Annotated[str | dict[str, Any], BeforeValidator(_stability)] = "default"
    """``default``, ``strict``, ``lenient``, ``off``, or rules by name."""
    pruning: Pruning = Pruning()
    finalists: Finalists = Finalists()
    sampler: Sampler = Sampler()
    track: Annotated[tuple[TrackerName, ...], BeforeValidator(_names)] = ()
    """Where the runs are shown besides the report, one or several: a run for each trial, grouped by
    study, with config, losses, scores, sample grids and verdict."""
    remedies: dict[str, dict[str, Any]] = Field(default={}, max_length=100)
    """For your own trainer: changes that ``gantune stabilize`` may try, by name, such as
    ``lower_lr: {lr: 0.25x}``. ``0.25x`` is that multiple of a config's value; of a range both ends
    and the middle are tried, and of ``choices`` all."""

    @model_validator(mode="after")
    def _agree(self) -> SpaceFile:
        if self.trainer is not None and self.command is not None:
            raise validation_errors(("name one trainer, trainer: or command:", "command"))
        is_own = self.own_trainer is not None
        if not is_own and self.objective.score != "fid":
            name = self.objective.score
            what = f"input should be 'fid', not {name!r}; only your own trainer gives another score"
            raise validation_errors((what, "objective.score"))
        if not is_own and self.remedies:
            what = "are for your own trainer; gantune knows those of its own"
            raise validation_errors((what, "remedies"))
        if self.objective.also and self.score_name is not None:
            what = "are taken of samples, but the trainer gives its own score; leave it out"
            raise validation_errors((what, "objective.also"))
        return self

    @cached_property
    def own_trainer(self) -> str | Command | None:
        """The user's trainer, a name or a command; ``None``: gantune's."""
        if self.command is None:
            return self.trainer
        names = self.model_fields_set & set(CommandFields.model_fields)
        return Command(**{name: getattr(self, name) for name in names})

    @property
    def score_name(self) -> str | None:
        """The name of the score that an external trainer computes; ``None`` where gantune scores
        samples, which needs images to compare them with."""
        if self.own_trainer is None:
            return None
        if self.objective.score != "fid":
            return self.objective.score
        if self.score is not None:
            return self.score.name
        return "score" if self.trial.get("data") is None else None
