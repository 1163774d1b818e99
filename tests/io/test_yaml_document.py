"""YAML to plain values with positions, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import SpaceError
from gantune.io.yaml_document import format_document, parse_document, read_document
from tests.examples import examples

KEYS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]))
    | st.sampled_from(["\x85", "a\x85b", "a\x85\n b", "\u2028", "\ufeff", "\0", "\t", " \r\n "])
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        parse_document(text, "f.yaml")
    return str(caught.value).splitlines()


def test_plain_values() -> None:
    text = "a: 1\nb: 1e-4\nc: yes\nd: on\ne: 12:30\nf: [25%, 2h, null, ~, true]\ng: '1e-4'\n"
    assert parse_document(text).tree == {
        "a": 1,
        "b": 1e-4,
        "c": "yes",
        "d": "on",
        "e": "12:30",
        "f": ["25%", "2h", None, None, True],
        "g": "1e-4",
    }


def test_every_value_has_its_place() -> None:
    document = parse_document("trial:\n  batch_size: {choices: [16, 32]}\n", "f.yaml")
    place = ("trial", "batch_size", "choices", 1)
    assert str(document.problem(place, "too big")) == "f.yaml:2:30: too big"
    assert str(document.problem(("trial", "batch_size"), "no")) == "f.yaml:2:3: no"


def test_a_place_the_file_lacks_is_reported_at_its_nearest_ancestor() -> None:
    document = parse_document("a:\n  b: 1\n", "f.yaml")
    assert str(document.problem(("a", "c", "d"), "missing")) == "f.yaml:1:1: missing"


def test_all_problems_of_a_file_at_once() -> None:
    found = problems_of("a: 1\na: 2\nb: !!python/object:os.system x\n? [c]\n: 1\nd: 2001-01-01\n")
    assert found[0] == "f.yaml:2:1: duplicate key 'a' (first on line 1)"
    assert "not allowed here" in found[1]
    assert "a key must be a plain word" in found[2]
    assert found[3].startswith("f.yaml:6:4:")
    assert "2001-01-01 is a date" in found[3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("a: [1", "f.yaml:1:6: not YAML: expected ',' or ']'"),
        ("a: b: c", "f.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "not YAML: but found another document"),
        ("a: \x00", "not YAML"),
        ("a: &x [*x]", "an alias that contains itself"),
        ("a: *nothing", "undefined alias"),
        ("[\n" * 1000, "nested more than 50 deep"),
        ("a: " + "{a: " * 60 + "1" + "}" * 60, "f.yaml:1:204: mappings or lists are nested"),
        ("[" + "1, " * 20_001 + "]", "more than 20,000 values; a space file has a few"),
        ("a: " + "9" * 5000, "cannot be read"),
        ("a: 1" + "0" * 301, "this number is too large"),
        ("a: !!int ''", "cannot be read"),
        ("a: !!bool ''", "cannot be read"),
        (": \n%YAML 9.9\n[", "not YAML"),
        ("%YAML 9.9\n---\na: 1", "not YAML: found incompatible YAML document"),
        (
            "a: &base {b: 1}\nc:\n  <<: *base\n",
            "f.yaml:3:3: merge keys (<<) are not supported; write the values out",
        ),
    ],
)
def test_what_is_no_document(text: str, message: str) -> None:
    assert message in "\n".join(problems_of(text))


def test_a_quoted_merge_key_is_a_plain_word() -> None:
    assert parse_document("'<<': 1").tree == {"<<": 1}


def test_an_anchor_used_again_means_what_was_said_last() -> None:
    assert parse_document("[&a 1, *a, &a 2, *a]").tree == [1, 1, 2, 2]


def test_an_alias_bomb_ends() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "more than 20,000 values" in "\n".join(problems_of("\n".join(lines)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xe9")
    big = tmp_path / "big.yaml"
    big.write_bytes(b" " * (5 << 20))
    for path, message in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder"),
        (latin, "not UTF-8"),
        (big, "larger than 1 MiB"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ]:
        with pytest.raises(SpaceError, match=message):
            read_document(path)


@examples(50)
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_what_is_written_reads_back(tree: dict[str, Any]) -> None:
    assert parse_document(format_document(tree)).tree == tree


WORDS = "%YAML 9.9;%YAML 1.1;%YAML;%TAG ! x;%TAG;---;...;!!x ;!!int ;!!binary ;!;&a ;*a;<<;: ;? ;- "
MARKS = "\n;\n  ; ;[;];{;};,;|;>;';\";#;a;1;0x;1:30;yes;\x85;\ufeff"
TOKENS = st.lists(st.sampled_from([*WORDS.split(";"), *MARKS.split(";")]), max_size=12).map("".join)


@examples(300)
@given(st.text() | TOKENS)
def test_any_text_gives_a_document_or_its_problems(text: str) -> None:
    try:
        parse_document(text)
    except SpaceError as error:
        assert error.problems
