from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantune.data.sources.pickles import as_bytes_array, read_pickle
from gantune.errors import DataError
from tests.data.making import load, write_cifar


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_batch_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    ran = tmp_path / "ran"
    folder = tmp_path / "cifar"
    for function, *arguments in (
        (os.system, f"touch {ran}"),
        (exec, f"open({str(ran)!r}, 'w')"),
        (eval, f"open({str(ran)!r}, 'w')"),
        (Path.touch, ran),
    ):
        write_cifar(folder)
        call = Call(function, *arguments)
        batch = {b"data": call, b"labels": [call]}
        (folder / "data_batch_5").write_bytes(pickle.dumps(batch, protocol=protocol))
        with pytest.raises(DataError, match=r"data_batch_5: refused: .* not part of an array"):
            load(folder)
    assert not ran.exists()


def test_names_of_numpy_that_no_array_needs_are_refused_too() -> None:
    with pytest.raises(DataError, match=r"numpy\.load"):
        read_pickle(pickle.dumps(np.load), "a")


def test_arrays_in_both_orders_come_back() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for given in (array, np.asfortranarray(array)):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            found = as_bytes_array(read_pickle(pickle.dumps(given, protocol=protocol), "a"))
            assert np.array_equal(found, array)


def test_a_record_does_not_change_the_next_reading() -> None:
    """BUILD with a pair sets attributes; on a class it would poison the whole process."""
    poison = b"cnumpy\nndarray\n(N}(X\x0c\x00\x00\x00__setstate__K\x00utb."
    read_pickle(poison, "a")
    test_arrays_in_both_orders_come_back()


def test_excessive_memory_or_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="memo index"):
        read_pickle(b"]r\xff\xff\xff\x7f.", "a")
    with pytest.raises(ValueError, match="tuples"):
        read_pickle(b"\x80\x02)" + b"\x85" * 5000 + b".", "a")
    with pytest.raises(ValueError, match="bytes"):
        read_pickle(b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"x.", "a")
