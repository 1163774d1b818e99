"""A tape of operations: what a CUDA graph does, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

_VIEWS = ("detach_", "squeeze_", "t_", "transpose_", "unsqueeze_")
"""Operations that change a tensor's shape in place, and no memory."""


@dataclass(frozen=True)
class Played:
    """One operation, with aliases of the very tensors that it read and wrote."""

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: tuple[Tensor, ...]
    """Results in memory of their own."""

    @property
    def plain(self) -> tuple[Any, ...]:
        """The operation and everything that it was given besides tensors and generators."""
        given = tree_leaves((self.args, self.kwargs))
        return str(self.operation), *(
            tuple(one.shape) if isinstance(one, Tensor) else one
            for one in given
            if not isinstance(one, torch.Generator)
        )


class Tape(TorchDispatchMode):
    """Records operations in their order; ``replay`` does them again into the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.played: list[Played] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        before = tree_map_only(Tensor, Tensor.detach, args)
        out = func(*args, **kwargs)
        given = {_memory(one) for one in _tensors((args, kwargs))}
        made = tuple(one.detach() for one in _tensors(out) if _memory(one) not in given)
        writes = any(arg.alias_info and arg.alias_info.is_write for arg in func._schema.arguments)
        if (made or writes) and func._schema.name.partition("::")[2] not in _VIEWS:
            # Aliases keep the shape that a tensor had here: some operations change it in place.
            self.played.append(Played(func, before, kwargs, made))
        return out

    @property
    def unread(self) -> list[str]:
        """Operations that made a tensor of nothing, or joined others, which none has read."""
        read, found = set[int](), list[str]()
        for one in reversed(self.played):
            given = list(_tensors((one.args, one.kwargs)))
            is_join = any(name in str(one.operation) for name in ("cat", "stack"))
            if not given or is_join:
                unread = [m for m in one.made if m.numel() and _memory(m) not in read]
                found += [str(one.operation)] * len(unread)
            read |= {_memory(tensor) for tensor in given}
        return found

    @torch.no_grad()
    def replay(self) -> None:
        """Does all operations again: each gets the tensors that it got, with their new values."""
        for one in self.played:
            given = {_memory(each) for each in _tensors((one.args, one.kwargs))}
            out = one.operation(*one.args, **one.kwargs)
            fresh = [each for each in _tensors(out) if _memory(each) not in given]
            for old, new in zip(one.made, fresh, strict=True):
                if old.numel():
                    old.copy_(new)


class Tapes:
    """Records tapes, and keeps them."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []

    def record(self, run: Callable[[], None]) -> Tape:
        with Tape() as tape:
            run()
        self.tapes.append(tape)
        return tape

    def watch(self, run: Callable[[], None]) -> None:
        """A tape needs no room."""
        run()

    def forget(self) -> None:
        """A tape needs no common memory."""


class NoTapes:
    """Cannot record anything, so that each step runs as it is."""

    def record(self, run: Callable[[], None]) -> Tape:
        """Raises ``RuntimeError``."""
        raise RuntimeError("there is no tape")

    def watch(self, run: Callable[[], None]) -> None:
        """There is none."""
        run()

    def forget(self) -> None:
        """There is none."""


class TornTapes(NoTapes):
    """Fails within a recording, after so many operations, and then nothing is done on the device.

    ``save``: keeps what is on the device, and returns what puts it back.
    """

    def __init__(self, operations: int, save: Callable[[], Callable[[], None]]) -> None:
        self._operations, self._save = operations, save

    def record(self, run: Callable[[], None]) -> Tape:
        restore = self._save()
        try:
            with _Torn(self._operations):
                run()
        finally:
            restore()
        raise AssertionError("the step has fewer operations")


class _Torn(TorchDispatchMode):
    def __init__(self, operations: int) -> None:
        super().__init__()
        self._left = operations

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("the tape is torn")
        return func(*args, **(kwargs or {}))


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
