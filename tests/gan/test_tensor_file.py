"""Files of ``torch.save`` from anybody: read in bounded time and memory, or refused."""

from __future__ import annotations

import io
import pickle
import resource
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import CheckpointError
from gantune.gan import tensor_file
from gantune.gan.checkpoint import _PLAYERS, checksum, load_checkpoint, load_generator
from gantune.gan.tensor_file import read_tensors
from tests.examples import examples

FORMAT = "gantune checkpoint 2"
CONFIG = {"data": {"resolution": 16, "colour": "gray"}, "network": {"width": 8, "latent": 8}}


def assert_same(found: Any, saved: Any) -> None:
    assert type(found) is type(saved)
    if isinstance(saved, torch.Tensor):
        assert found.dtype == saved.dtype and found.stride() == saved.stride()
        assert torch.equal(found, saved)
    elif isinstance(saved, dict):
        assert list(found) == list(saved)
        for key in saved:
            assert_same(found[key], saved[key])
    elif isinstance(saved, list | tuple):
        assert len(found) == len(saved)
        for one, other in zip(found, saved, strict=True):
            assert_same(one, other)
    else:
        assert found == saved


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(0, 2**40), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@examples(60)
@given(tree=TREES)
def test_plain_values_come_back(tree: Any, tmp_path: Path) -> None:
    torch.save(tree, tmp_path / "a.pt")
    assert_same(read_tensors(tmp_path / "a.pt"), tree)


def test_tensors_come_back_with_their_layout_and_what_they_share(tmp_path: Path) -> None:
    kinds = [torch.ones(2, 3, dtype=kind) for kind in tensor_file._DTYPES.values()]
    image = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    part = torch.arange(10)[2:5]
    saved = {"kinds": kinds, "image": image, "part": part, "none": torch.empty(0, 4), "one": kinds}
    saved["number"] = torch.tensor(3.0)
    torch.save(saved, tmp_path / "a.pt")
    found = read_tensors(tmp_path / "a.pt")
    assert_same(found, saved)
    found["kinds"][0][0, 0] = 7
    assert found["one"][0][0, 0] == 7


def test_a_state_dict_keeps_the_versions_of_its_modules(tmp_path: Path) -> None:
    saved = torch.nn.BatchNorm2d(3).state_dict()
    torch.save(saved, tmp_path / "a.pt")
    found = read_tensors(tmp_path / "a.pt")
    assert isinstance(found, OrderedDict)
    assert found._metadata == saved._metadata  # type: ignore[attr-defined]


def pickled(code: bytes, **parts: bytes) -> bytes:
    """A file of ``torch.save`` with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", code)
        for name, content in parts.items():
            archive.writestr(f"a/data/{name}", content)
    return file.getvalue()


def saved(content: Any) -> bytes:
    torch.save(content, file := io.BytesIO())
    return file.getvalue()


def whole(**parts: Any) -> bytes:
    return saved({"format": FORMAT, "sha256": "0" * 64, **parts})


def signed(**parts: Any) -> bytes:
    """With the checksum of its content, as whoever crafts a file can compute it."""
    return saved({"format": FORMAT, "sha256": checksum(parts), **parts})


def holding_itself(kind: str) -> bytes:
    value: Any = {} if kind == "dict" else []
    if kind == "dict":
        value["a"] = value
    elif kind == "list":
        value.append(value)
    else:
        value.append((value, value))
    return whole(weights=value)


def doubled(times: int, leaf: Any = "x") -> Any:
    """A container of 2**times values that takes a few bytes."""
    value: Any = [leaf]
    for _ in range(times):
        value = [value, value]
    return value


def key_bomb() -> bytes:
    """A dict whose key is a tuple that takes 2**60 steps to hash."""
    code = pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.BININT1 + b"\x01" + pickle.TUPLE1
    for _ in range(60):
        code += pickle.BINPUT + b"\0" + pickle.BINGET + b"\0" + pickle.TUPLE2
    return pickled(code + pickle.NONE + pickle.SETITEM + pickle.STOP)


def storage_of(count: int, size: int, *, shape: bytes = b"K\x02", step: bytes = b"K\x01") -> bytes:
    """A vector that says it has ``count`` bytes; its file has ``size``."""
    number = b"J" + count.to_bytes(4, "little")
    code = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nByteStorage\n"
        b"X\x01\0\0\x000X\x03\0\0\0cpu" + number + b"tQK\0(" + shape + b"t(" + step + b"t\x89)tR."
    )
    return pickled(code, **{"0": b"\0" * size})


def compressed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", saved({}))
        for number in range(4):
            with archive.open(f"a/data/{number}", "w") as part:
                for _ in range(8):
                    part.write(bytes(1 << 20))
    return file.getvalue()


def overlapping() -> bytes:
    """Every entry names the same bytes of the file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", bytes(1 << 20))
        for number in range(2_000):
            again = zipfile.ZipInfo(f"a/data/{number}")
            again.file_size = again.compress_size = 1 << 20
            again.CRC, again.header_offset = archive.filelist[0].CRC, 0
            archive.filelist.append(again)
    return file.getvalue()


def long_directory(wide: bool) -> bytes:
    end = b"PK\x05\x06" + bytes(8) + (2**32 - 1 if wide else 1 << 30).to_bytes(4, "little")
    record = b"PK\x06\x06" + bytes(36) + (1 << 40).to_bytes(8, "little") + bytes(8)
    return (record if wide else b"") + end + bytes(6)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("harmed"),)


CRAFTED = {
    "a list that holds itself": lambda: holding_itself("list"),
    "a dict that holds itself": lambda: holding_itself("dict"),
    "a tuple that holds itself": lambda: holding_itself("tuple"),
    "nested a thousand times": lambda: pickled(b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b"."),
    "billions of values": lambda: whole(weights=doubled(60)),
    "billions of tensors": lambda: whole(weights=doubled(18, torch.zeros(1000))),
    "billions of characters": lambda: whole(weights=doubled(17, "x" * 10_000)),
    "a key that never ends": key_bomb,
    "a place in the memo of 2 billion": lambda: pickled(b"\x80\x02]r\xff\xff\xff\x7f."),
    "an expanded tensor": lambda: whole(weights=torch.zeros(1).expand(1 << 40)),
    "a meta tensor": lambda: whole(weights=torch.empty(1 << 40, device="meta")),
    "a sparse tensor": lambda: whole(weights=torch.zeros(3, 3).to_sparse()),
    "a compressed sparse tensor": lambda: whole(weights=torch.eye(3).to_sparse_csr()),
    "a quantized tensor": lambda: whole(
        weights=torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.quint8)
    ),
    "a parameter": lambda: whole(weights=torch.nn.Parameter(torch.ones(2))),
    "complex numbers": lambda: whole(weights=torch.ones(2, dtype=torch.complex64)),
    "a set": lambda: whole(weights={1, 2}),
    "text for the kimg": lambda: signed(kimg="many", weights={}),
    "a huge number": lambda: whole(kimg=10**5000),
    "text for the config": lambda: signed(config="none", kimg=1.0, weights={}),
    "text for the weights": lambda: signed(config={}, kimg=1.0, weights="none"),
    "no number for the kimg": lambda: signed(config={}, kimg=float("nan"), weights={}),
    "text for a tensor": lambda: signed(
        config=CONFIG,
        kimg=1.0,
        weights={name: {"a": "b"} for name in _PLAYERS},
    ),
    "no players": lambda: signed(config={}, kimg=1.0, weights={}),
    "text for the game": lambda: signed(config={}, kimg=1.0, trainer={"game": "none"}),
    "text for the trainer": lambda: signed(config={}, kimg=1.0, trainer="none"),
    "a storage larger than its bytes": lambda: storage_of(1 << 30, 2),
    "a storage smaller than its bytes": lambda: storage_of(2, 1 << 20),
    "a tensor larger than its storage": lambda: storage_of(2, 2, shape=b"J\0\0\0\x40"),
    "a tensor beside its storage": lambda: storage_of(2, 2, step=b"K\x02"),
    "a step below zero": lambda: storage_of(2, 2, step=b"J\xff\xff\xff\xff"),
    "a size that is text": lambda: storage_of(2, 2, shape=b"X\x01\0\0\0a"),
    "compressed parts": compressed,
    "parts that overlap": overlapping,
    "a long list of parts": lambda: long_directory(wide=False),
    "a longer list of parts": lambda: long_directory(wide=True),
    "code": lambda: whole(weights=Harmful()),
    "a bare pickle": lambda: pickle.dumps({"format": FORMAT}),
    "half an operation": lambda: pickled(b"\x80\x02X\xff\xff\xff\x7fabc"),
    "no end": lambda: pickled(b"\x80\x02}"),
    "marks alone": lambda: pickled(b"\x80\x02" + b"(" * 100_000 + b"."),
    "an operation of another protocol": lambda: pickled(b"\x80\x04\x8f."),
    "a pickle of 16 MB": lambda: pickled(b"\x80\x02" + b"}" * (16 << 20) + b"."),
}


@pytest.mark.filterwarnings("ignore:.*(beta state|deprecated)")
@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "crafted.pt"
    path.write_bytes(CRAFTED[name]())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"crafted\.pt: "):
        load_generator(path)
    with suppress(CheckpointError):  # its trainer may be a dict, which a trainer then refuses
        load_checkpoint(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    assert not Path("harmed").exists()
