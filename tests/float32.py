"""What a user's code may set of float32 in torch, and all that can be read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import torch

backends: Any = torch.backends
Values = dict[tuple[str, ...], Any]
Changes = list[tuple[str, Any]]

_NEWER = (
    ("generic", "all"),
    *product(("cuda", "mkldnn"), ("all", "matmul", "conv", "rnn")),
)
_OLDER: dict[str, Callable[[], Any]] = {
    "matmul precision": torch.get_float32_matmul_precision,
    "cublas": lambda: backends.cuda.matmul.allow_tf32,
    "cudnn": lambda: backends.cudnn.allow_tf32,
}


def settings() -> Values:
    """Everything that torch has on float32; the older interface raises where both were used."""
    found: Values = {key: torch._C._get_fp32_precision_getter(*key) for key in _NEWER}
    for name, read in _OLDER.items():
        try:
            found[(name,)] = read()
        except RuntimeError:
            found[(name,)] = "raises"
    return found


@contextmanager
def unchanged() -> Iterator[None]:
    """No test changes the next one, even if what it tests is broken."""
    before = settings()
    try:
        yield
    finally:
        for setting in _NEWER:
            torch._C._set_fp32_precision_setter(*setting, "none")
        torch.set_float32_matmul_precision("highest")
        backends.cudnn.allow_tf32 = True
        for setting in _NEWER:
            torch._C._set_fp32_precision_setter(*setting, before[setting])
    assert settings() == before


def _newer(*names: str) -> list[tuple[str, str]]:
    return [(name, value) for name in names for value in ("ieee", "tf32", "none")]


_BF16 = ("fp32_precision", "mkldnn.matmul.fp32_precision", "mkldnn.conv.fp32_precision")
CHANGES: list[Changes] = [
    [],
    *(
        [change]
        for change in [
            *_newer("fp32_precision", "cuda.matmul.fp32_precision", "cudnn.fp32_precision"),
            *_newer("cudnn.conv.fp32_precision", "cudnn.rnn.fp32_precision"),
            *_newer("mkldnn.fp32_precision", "mkldnn.matmul.fp32_precision"),
            *_newer("mkldnn.conv.fp32_precision", "mkldnn.rnn.fp32_precision"),
            *((name, "bf16") for name in _BF16),
            *(("cuda.matmul.allow_tf32", value) for value in (False, True)),
            *(("cudnn.allow_tf32", value) for value in (False, True)),
            *(("matmul_precision", value) for value in ("highest", "high", "medium")),
        ]
    ),
    [("matmul_precision", "high"), ("fp32_precision", "ieee")],
    [("matmul_precision", "medium"), ("cuda.matmul.fp32_precision", "ieee")],
    [("cudnn.allow_tf32", False), ("cudnn.conv.fp32_precision", "tf32")],
    [("fp32_precision", "tf32"), ("cuda.matmul.allow_tf32", False)],
    [("fp32_precision", "tf32"), ("cuda.matmul.fp32_precision", "tf32")],
]


def apply(changes: Changes) -> None:
    """Sets what a user's code may have set."""
    for path, value in changes:
        if path == "matmul_precision":
            torch.set_float32_matmul_precision(value)
            continue
        holder: Any = backends
        *homes, name = path.split(".")
        for home in homes:
            holder = getattr(holder, home)
        setattr(holder, name, value)


def named(changes: Changes) -> str:
    return ", ".join(f"{path}={value}" for path, value in changes) or "nothing"
