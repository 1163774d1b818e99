"""Database URLs: every way to write a password, and none of them in a text."""

from __future__ import annotations

import os
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from gantune.errors import RunError
from gantune.tuner.storage.url import hide_password, parse_url

SECRET = "kitten"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_is_opened_with_psycopg_3(scheme: str) -> None:
    parsed = parse_url(f"{scheme}://gan:{SECRET}@db:5433/studies?sslmode=require")
    assert parsed.without_password == "postgresql+psycopg://gan@db:5433/studies?sslmode=require"
    assert parsed.with_password == (
        f"postgresql+psycopg://gan:{SECRET}@db:5433/studies?sslmode=require"
    )
    assert not parsed.is_file


def test_other_databases_stay_as_they_are() -> None:
    assert (
        parse_url("mysql+pymysql://gan@db/studies").without_password
        == "mysql+pymysql://gan@db/studies"
    )
    assert parse_url("postgresql+psycopg2://db/s").with_password == "postgresql+psycopg2://db/s"


def test_an_sqlite_file_gets_its_absolute_path(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert parse_url("sqlite:///studies.db").with_password == f"sqlite:///{tmp_path}/studies.db"
    assert parse_url("sqlite:////a/studies.db").without_password == "sqlite:////a/studies.db"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://gan:{SECRET}@db/studies",
        f"postgresql://gan:{SECRET}%40x@db/studies",
        f"postgresql://gan:x/{SECRET}?#@db/studies",
        f"postgresql://gan:x:{SECRET}:@db/studies",
        f"postgresql://gan@db/studies?password={SECRET}&sslmode=require",
        f"postgresql://gan@db/studies?sslpassword={SECRET}",
        f"postgresql:///studies?host=/run&user=gan&password={SECRET}",
        f"mysql://gan:{SECRET}@db/studies?ssl_passphrase={SECRET}",
        f"mssql:///?odbc_connect=PWD={SECRET}",
    ],
)
def test_the_url_for_messages_has_no_password(url: str) -> None:
    parsed = parse_url(url)
    assert SECRET in parsed.with_password
    assert SECRET not in parsed.without_password
    assert parse_url(parsed.without_password).without_password == parsed.without_password
    for form in (
        f"gantune search dcgan --storage {shlex.quote(url)} --out 'my run'",
        shlex.join(["gantune", "search", f"--storage={url}", "--seed", "1"]),
    ):
        hidden = hide_password(form, url)
        assert SECRET not in hidden
        words = [word.removeprefix("--storage=") for word in shlex.split(hidden)]
        assert parsed.without_password in words
        assert SECRET not in hide_password(form)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://gan:{SECRET}@x@db/studies",
        f"postgresql://gan:x@{SECRET}/y@db/studies",
        f"postgresql://gan:x@{SECRET}?y@db/studies",
        f"postgresql://gan:{SECRET}/studies",
        f"postgresql:/gan:{SECRET}@db/studies",
        f"gan:{SECRET}@db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(RunError, match="%40") as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_any_password_is_parsed_and_hidden(password: str) -> None:
    password = f"{SECRET}{password}"
    url = make_url("postgresql://gan@db/studies").set(password=password)
    text = url.render_as_string(hide_password=False)
    parsed = parse_url(text)
    assert make_url(parsed.with_password).password == password
    assert SECRET not in hide_password(shlex.join(["gantune", f"--storage={text}"]), text)
    assert SECRET not in parsed.redact(f"no {password}, no {parsed.with_password}, no {text}")


def test_the_password_of_the_environment_is_redacted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert os.environ["PGPASSWORD"] not in parse_url("postgresql://db/s").redact(SECRET)


def test_a_command_without_a_password_stays_as_it_was_typed() -> None:
    for command in (
        "gantune search dcgan --out 'my run' --set 'batch_size={choices: [8, 16]}'",
        "gantune search dcgan --data https://example.org/a.zip?download=1",
        "gantune.search(...)",
        "gantune search it's",
    ):
        assert hide_password(command) == command
