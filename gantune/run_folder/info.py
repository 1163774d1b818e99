"""``RunInfo``: the content of ``run.json``, checked, as the file may be damaged or a stranger's."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gantune.errors import Problem, RunError, first_line
from gantune.io.validation import model_problems

_MOST_BYTES = 16 << 20  # that of 100,000 classes has 3 MB

Seconds = Annotated[float, Field(ge=0, le=1e12)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Kind = TypeVar("_Kind", bound="_Part")


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class DataInfo(_Part):
    """The images of a run, as ``ImageSet.summary`` gives them."""

    found: str
    """One line on what was found."""
    source: str
    images: Annotated[int, Field(ge=0, le=10**12)]
    content_hash: str
    classes: dict[str, Annotated[int, Field(ge=0, le=10**12)]]
    """Number of images by class, in the order of the classes' numbers."""


class RunInfo(_Part):
    """How a search was started. Other keys of the file are kept, and nothing here reads them."""

    study: str
    storage: str | None
    """Address of the study's database without a password; ``None``: the journal in the folder."""
    command: str
    begun: Seconds
    """When it was last started, in seconds since 1970."""
    seconds_before: Seconds
    preparing_seconds: Seconds
    workers: Literal["auto"] | Count
    devices: Annotated[list[str], Field(min_length=1, max_length=100_000)]
    threads_per_worker: Count
    data: DataInfo | None = None
    """``None`` where the trainer gives the scores."""
    protocol: Any = None
    """The fields of the full protocol, for ``read_protocol``."""
    rung_protocol: Any = None


def read_run_info(path: Path) -> RunInfo:
    """Raises ``RunError`` where the file is missing or damaged."""
    return _read(path, RunInfo, "search into another folder with --out")


def read_data_info(path: Path) -> DataInfo:
    """The content of a training's ``data.json``. Raises ``RunError`` as above."""
    return _read(path, DataInfo, "train into another folder with --out")


def _read(path: Path, kind: type[_Kind], remedy: str) -> _Kind:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB")
        return kind.model_validate(json.loads(content))
    except FileNotFoundError:
        raise RunError(f"{path.parent}: not a run of gantune (it has no {path.name})") from None
    except ValidationError as error:
        found = model_problems(error, kind, lambda _, text: Problem(text))
        what = "; ".join(str(problem) for problem in found[:3])
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        what = first_line(error)
    raise RunError(f"{path}: damaged: {what}; put back an earlier copy of it, or {remedy}")
