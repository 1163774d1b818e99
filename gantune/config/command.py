"""``Command``: a trainer that is started by its command line, and the placeholders in it."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from glob import escape
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gantune.config.sections import ConfigModel
from gantune.errors import ConfigError
from gantune.io.validation import validation_error, validation_errors

OUTPUT = "output"
"""The value of ``log`` that stands for what the trainer prints."""

_ROUNDING = 1e-6  # of a step: floats may be above or below a whole number
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_NAME = re.compile(r"[^\W\d][\w+-]*(?:\.[\w+-]+)*")
_VARIABLE = re.compile(r"[A-Za-z_]\w*=")
_UNEXPANDED = re.compile(r"~/|.*\$[A-Za-z_({]")
_SHELL = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1", "2>", "&>"}

SETTINGS_FILES = ("settings.yaml", "settings.json")
"""Placeholders for a file with the settings of the run, without those of ``NOT_IN_FILES``."""

NOT_IN_FILES = ("kimg", "seed", "auxiliary", "data")
"""Settings that gantune reads itself and that a trainer's own config file may not know."""

PLACES = ("folder", *SETTINGS_FILES)
"""Placeholders for files and folders of the run."""

LENGTHS = ("steps", "epochs")
"""Placeholders for the run's length in other units than kimg."""

RESUMED = (
    "checkpoint",
    *("done_kimg", "done_steps", "done_epochs", "next_epoch"),
    *("left_kimg", "left_steps", "left_epochs"),
)
"""Placeholders that only ``resume`` has: from where the run resumes."""

UNITS = ("step", "epoch", "record")
"""Units that a log may count in place of kimg; a log that says no place counts its records."""

OWN = ("kimg", "seed", "loss", "auxiliary", "data")
"""Settings that gantune reads itself, so that no placeholder must pass them on."""


def _one_of_two(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class CommandScore(ConfigModel):
    """Where the score of a run comes from: a column of its log, or images that it writes."""

    column: str | None = Field(default=None, min_length=1)
    """A number that the trainer computes itself, by its name in the log."""
    file: str | None = Field(default=None, min_length=1)
    """The log that has the column, or a glob; ``null``: ``log``, and the file
    ``metric-COLUMN.jsonl`` beside it, as StyleGAN writes it."""
    goal: Literal["min", "max"] = "min"
    """``max`` where a larger number is better: then its negative is the score."""
    images: str | None = Field(default=None, min_length=1)
    """A folder of samples, one image a file, or a glob of such folders, of which the newest counts.
    gantune scores them against ``trial.data``."""

    @model_validator(mode="after")
    def _is_one(self) -> CommandScore:
        if (self.column is None) == (self.images is None):
            raise validation_error("give column: or images:, one of the two")
        if self.images is not None and (self.goal == "max" or self.file is not None):
            raise validation_error("goal and file belong to column:, not to images:")
        return self

    @property
    def name(self) -> str | None:
        """The name of the score that the trainer computes; ``None`` for images."""
        if self.column is None:
            return None
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", self.column).strip("_-")
        name = name if name[:1].isalpha() else f"score_{name}"
        return (f"minus_{name}" if self.goal == "max" else name)[:40]


class CommandFields(ConfigModel):
    """A trainer that is started by its command line, as the top level of a file describes it."""

    command: Annotated[str, Field(min_length=1)] | list[str] | None = None
    """The command line of your own trainer, with placeholders such as ``{generator.lr}``, or the
    list of its arguments. It is split as a shell does, and no shell runs it; ``null``: the trainer
    is no command."""
    log: str = Field(default=OUTPUT, min_length=1)
    """The log that the command writes: a file, a folder of TensorBoard's event files, or a glob, of
    which the newest counts; ``output``: what it prints. Its format is found by itself."""
    columns: dict[str, str] = Field(default={})
    """Names of signals in the log where they are not found, such as ``d_loss: Loss/D``."""
    score: Annotated[CommandScore | None, BeforeValidator(_one_of_two)] = None
    """Where the score comes from."""
    resume: str | None = Field(default=None, min_length=1)
    """Arguments that are added where a run resumes, such as ``--resume {checkpoint}``; ``null``:
    the trainer cannot resume, so its runs are never paused."""
    checkpoint: str | None = Field(default=None, min_length=1)
    """The checkpoints, as a glob, such as ``{folder}/*.pt``, of which the newest is
    ``{checkpoint}``; ``null``: the newest file below ``{folder}`` whose suffix is that of a
    checkpoint."""
    images_per_step: float | str | None = None
    """Real images that the discriminator sees in one step of the log, or the setting that says it:
    ``{batch_size}``. Needed where the log counts steps."""
    images_per_epoch: float | str | None = None
    """Real images in one epoch, such as 60000. Needed where the log counts epochs."""
    images_per_record: float | str | None = None
    """Real images between two records of a log that says neither kimg, nor steps, nor epochs."""
    resumes_at_zero: bool = False
    """Whether the log counts from 0 again after a resume, as StyleGAN's does."""
    environment: dict[str, str] = Field(default={})
    """Variables of the command's environment; placeholders stand for settings here too."""
    working_folder: str | None = Field(default=None, min_length=1)
    """The folder in which the command runs, relative to the file; ``null``: the current folder."""
    shell: bool = False
    """Whether ``/bin/sh`` runs the command line, for pipes and ``&&``. Values are quoted."""
    grace: float = Field(default=10.0, ge=0, le=3600)
    """Seconds between SIGTERM and SIGKILL when a run is stopped."""

    @model_validator(mode="after")
    def _is_whole(self) -> CommandFields:
        if self.command is None:
            given = self.model_fields_set - {"command"}
            if wrong := [name for name in CommandFields.model_fields if name in given]:
                what = "belongs to a trainer that is started by its command line; add command:"
                raise validation_errors(*((what, name) for name in wrong))
            return self
        problems = list(self._problems())
        if problems:
            raise validation_errors(*problems)
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        if self.score is None:
            what = "is missing; write {column: NAME} for a number in the log, or {images: FOLDER}"
            yield what, "score"
        for place, text in self._texts():
            for name in _names(text):
                if not _NAME.fullmatch(name):
                    what = f"{{{name}}} names no setting; write {{{{ and }}}} for braces themselves"
                    yield what, place
        if self.resume is not None:
            try:
                _split(self.resume)
            except ValueError as error:
                yield f"cannot be split into arguments: {error}", "resume"
        if self.shell:
            for name, line in (("command", self.command), ("resume", self.resume)):
                if isinstance(line, str) and (found := _quoted_placeholder(line)):
                    what = f"{{{found}}} stands within quotes; without them its value is quoted"
                    yield what, name
        if isinstance(self.command, list) and self.shell:
            yield "a shell runs one text, not a list of arguments", "command"
        elif not self.shell:
            try:
                words = self.arguments
            except ValueError as error:
                yield f"cannot be split into arguments: {error}", "command"
                return
            yield from ((what, "command") for what in _word_problems(words))
        for name in (f"images_per_{unit}" for unit in UNITS):
            value = getattr(self, name)
            is_setting = isinstance(value, str) and _PLACEHOLDER.fullmatch(value) and _names(value)
            if isinstance(value, str) and not is_setting:
                yield "a number or one setting belongs here, such as 64 or '{batch_size}'", name
            elif isinstance(value, float | int) and not 0 < value < math.inf:
                yield "is not above 0", name

    def _texts(self) -> Iterator[tuple[str, str]]:
        """All texts with placeholders, each with the key that it belongs to."""
        for part in [self.command] if isinstance(self.command, str) else self.command or []:
            yield "command", part
        for name in ("log", "resume", "checkpoint", *(f"images_per_{unit}" for unit in UNITS)):
            if isinstance(text := getattr(self, name), str):
                yield name, text
        for name, text in self.environment.items():
            yield f"environment.{name}", text
        if self.score is not None:
            for name in ("file", "images"):
                if text := getattr(self.score, name):
                    yield f"score.{name}", text

    @property
    def arguments(self) -> list[str]:
        """The arguments with their placeholders. Raises ``ValueError`` for an open quote."""
        if isinstance(self.command, list):
            return self.command
        return _split(self.command or "")

    @property
    def placeholders(self) -> list[tuple[str, str]]:
        """The placeholders of all texts, each with the key where it stands."""
        return list(
            dict.fromkeys((name, place) for place, text in self._texts() for name in _names(text))
        )

    @property
    def passed(self) -> set[str]:
        """The placeholders whose values the command is told."""
        ways = ("command", "environment")
        return {name for name, place in self.placeholders if place.partition(".")[0] in ways}


class Command(CommandFields):
    """A trainer that is started by its command line. Its text is the command line."""

    command: Annotated[str, Field(min_length=1)] | list[str]
    """The command line, or the list of its arguments."""

    def __str__(self) -> str:
        return self.command if isinstance(self.command, str) else shlex.join(self.command)

    def section(self) -> dict[str, Any]:
        """The keys at the top level of a file that say it: those that are not the defaults."""
        tree = self.model_dump(mode="json", exclude_defaults=True)
        return {"command": self.command, **{k: v for k, v in tree.items() if k != "command"}}

    @property
    def knows_length(self) -> bool:
        """Whether the command is told the length of the run."""
        return bool({"kimg", *LENGTHS} & self.passed)

    def images_per(self, unit: str, settings: Mapping[str, Any]) -> float | None:
        """Real images in one of ``UNITS`` of a run with these settings; ``None`` if not said."""
        value = getattr(self, f"images_per_{unit}")
        if isinstance(value, str):
            value = lookup(settings, value.strip("{}"))
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and value > 0 else None

    def values(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The lengths of a run with these settings by the names of their placeholders."""
        return self._lengths(settings["kimg"], settings)

    def resumed_values(self, done: float, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Where a run resumes after ``done`` kimg, by the names of the placeholders."""
        before = {
            name: math.floor(1000 * done / images + _ROUNDING)
            for name, images in self._units(settings)
        }
        left = self._lengths(max(settings["kimg"] - done, 0), settings)
        left["kimg"] = max(1, math.ceil(left["kimg"] - _ROUNDING))
        values = {f"done_{name}": value for name, value in before.items()}
        values |= {f"left_{name}": value for name, value in left.items()}
        if "epochs" in before:
            values["next_epoch"] = before["epochs"] + 1
        return {**values, "done_kimg": _whole(done)}

    def _lengths(self, kimg: float, settings: Mapping[str, Any]) -> dict[str, Any]:
        lengths = {
            name: max(1, math.ceil(1000 * kimg / images - _ROUNDING))
            for name, images in self._units(settings)
        }
        return {**lengths, "kimg": _whole(kimg)}

    def _units(self, settings: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        for name in LENGTHS:
            if images := self.images_per(name[:-1], settings):
                yield name, images

    def command_line(
        self, settings: Mapping[str, Any], more: Mapping[str, Any], *, resumes: bool
    ) -> list[str]:
        """The arguments of a run, or those of the shell that runs it.

        ``settings``: the config's tree. ``more``: values of placeholders that are no settings. An
        argument whose placeholder is ``null``, or belongs to an alternative that was not chosen, is
        left out, together with the option before it.
        """
        values = {**more, **self.values(settings)}
        if self.shell:
            texts = [str(self), *([self.resume] if resumes and self.resume else [])]
            filled = (_fill(text, settings, values, shlex.quote) for text in texts)
            return ["/bin/sh", "-c", " ".join(filled)]
        words = [*self.arguments, *(_split(self.resume) if resumes and self.resume else [])]
        return _filled(words, settings, values)

    def filled(
        self,
        text: str,
        settings: Mapping[str, Any],
        more: Mapping[str, Any],
        *,
        is_glob: bool = False,
    ) -> str:
        """A text with its placeholders replaced. ``is_glob``: by what matches only themselves."""
        change = escape if is_glob else str
        return _fill(text, settings, {**more, **self.values(settings)}, change)


def _whole(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number


def lookup(settings: Mapping[str, Any], name: str) -> Any:
    """The value at a dotted path; ``None`` where there is none."""
    value: Any = settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _word_problems(words: Sequence[str]) -> Iterator[str]:
    if not words:
        yield "is empty"
    elif _VARIABLE.match(words[0]):
        name, _, value = words[0].partition("=")
        yield f"begins with a variable; write it as environment: {{{name}: {value!r}}}"
    elif found := _SHELL & set(words):
        yield f"{min(found)!r} needs a shell; add shell: true"
    elif unexpanded := [word for word in words if _UNEXPANDED.match(word)]:
        yield f"only a shell replaces {unexpanded[0]!r}; add shell: true, or write the value"


def _quoted_placeholder(text: str) -> str:
    """The first placeholder within quotes, where quoting its value would break them."""
    quote = ""
    for match in re.finditer(r"\\.|['\"]|\{\{|\}\}|\{([^{}]*)\}", text):
        if match[1] is not None:
            if quote:
                return match[1]
        elif match[0] in ("'", '"'):
            quote = "" if quote == match[0] else quote or match[0]
    return ""


def _split(text: str) -> list[str]:
    return shlex.split(text.replace("\\\n", " "))


def _names(text: str) -> list[str]:
    return [match[1] for match in _PLACEHOLDER.finditer(text) if match[1] is not None]


def _filled(
    words: Sequence[str], settings: Mapping[str, Any], values: Mapping[str, Any]
) -> list[str]:
    found: list[str] = []
    for word in words:
        if any(_value(name, settings, values) is None for name in _names(word)):
            if found and found[-1].startswith("-") and not word.startswith("-"):
                found.pop()
            continue
        found.append(_fill(word, settings, values))
    return found


def _fill(
    text: str,
    settings: Mapping[str, Any],
    values: Mapping[str, Any],
    change: Callable[[str], str] = str,
) -> str:
    def value_of(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return change(_plain(_value(match[1], settings, values)))

    return _PLACEHOLDER.sub(value_of, text)


def _value(name: str, settings: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """A setting's value, or that of a placeholder that is none; settings come first."""
    if name == "kimg":
        return values["kimg"]
    value = lookup(settings, name)
    return values.get(name) if value is None else value


def _plain(value: Any) -> str:
    """A value as an argument: ``true``, ``2e-05``, ``64,128``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    if isinstance(value, Mapping):
        raise ConfigError(f"a section cannot be an argument: {json.dumps(value)[:60]}")
    return str(value)
