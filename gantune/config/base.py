"""``ConfigModel``: what all parts of a config share, and the ranges that several of them use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(gt=0, le=10)]


Beta = Annotated[float, Field(ge=0, lt=1)]


Interval = Annotated[int, Field(ge=1, le=1024)]


Weight = Annotated[float, Field(ge=0, le=10_000)]


AutoWeight = Literal["auto"] | Weight


class ConfigModel(BaseModel):
    """A mapping of a config: frozen, and without unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
