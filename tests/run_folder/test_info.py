"""``run.json`` is read with care: it may be damaged, or a stranger's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder, read_images, read_protocol, read_rung_protocol
from tests.canned import run_info
from tests.examples import examples

DATA = {"found": "9 images", "source": "a", "images": 9, "content_hash": "d", "classes": {"a": 9}}
WHOLE = run_info(data=DATA)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", 10**400, -1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_what_a_search_writes_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.info.write_text(json.dumps(WHOLE | {"moon": "full"}))
    info = folder.read_info()
    assert (info.workers, info.devices, info.storage) == (1, ["cpu"], None)
    assert info.data is not None and info.data.classes == {"a": 9}
    assert info.model_dump()["moon"] == "full"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xc3(", "utf-8"),
        (b"[" * 100_000, "recursion"),
        (b'{"begun": ' + b"9" * 5000 + b"}", "digits"),
        (b" " * (17 << 20), "larger than 16 MiB"),
        (b"[]", "a mapping"),
        (b"{}", "study: is missing"),
    ],
)
def test_a_file_that_is_no_json_of_a_run(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=rf"run\.json: damaged: .*{message}.*--out$"):
        RunFolder(tmp_path).read_info()


@pytest.mark.parametrize(
    ("home", "source"),
    [
        ("run", "of the search"),
        ("run/trials/0007", "of the search"),
        ("run/finalists/0000", "of the search"),
        ("run/best", "of the training"),
        ("alone", "of the training"),
        ("run/trials", None),
        ("elsewhere", None),
    ],
)
def test_images_of_a_folder_are_where_its_run_had_them_last(
    tmp_path: Path, home: str, source: str | None
) -> None:
    for name in ("run/trials/0007", "run/finalists/0000", "run/best", "alone", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    search = run_info(data=DATA | {"source": "of the search"})
    (tmp_path / "run/run.json").write_text(json.dumps(search))
    for name in ("run/best", "alone"):
        training = DATA | {"source": "of the training"}
        (tmp_path / name / "data.json").write_text(json.dumps(training))
    images = read_images(tmp_path / home)
    assert (images and images.source) == source
    (tmp_path / "alone/data.json").write_text("{")
    with pytest.raises(RunError, match=r"data\.json: damaged: .*train into another folder"):
        read_images(tmp_path / "alone")


@pytest.mark.parametrize("name", [name for name in WHOLE if "protocol" not in name])
def test_each_missing_or_wrong_field_is_named(tmp_path: Path, name: str) -> None:
    info = {key: value for key, value in WHOLE.items() if key != name}
    (tmp_path / "run.json").write_text(json.dumps(info))
    if name != "data":
        with pytest.raises(RunError, match=f"damaged: {name}: is missing"):
            RunFolder(tmp_path).read_info()
    (tmp_path / "run.json").write_text(json.dumps(info | {name: [[]]}))
    with pytest.raises(RunError, match=f"damaged: {name}"):
        RunFolder(tmp_path).read_info()


@examples(200)
@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), ODD, min_size=1, max_size=3))
def test_mutations_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    folder = RunFolder(tmp_path_factory.getbasetemp() / "mutated")
    folder.path.mkdir(exist_ok=True)
    folder.info.write_text(json.dumps(WHOLE | changes))
    for read in (RunFolder.read_info, read_protocol, read_rung_protocol):
        try:
            read(folder)
        except RunError as error:
            assert len(str(error)) < 3_000
