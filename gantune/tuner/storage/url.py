"""Addresses of databases: one form of each, and no password in any text."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from gantune.errors import RunError

if TYPE_CHECKING:
    from sqlalchemy import URL


PASSWORD_VARIABLES = ("PGPASSWORD", "MYSQL_PWD")
"""Of the environment, by which databases are entered."""


_SECRET = r"[^=&\s]*(?:pass(?!file)|pwd|secret|token|odbc_connect)[^=&\s]*"
"""Keys of a URL's query whose values are nobody's business."""


_USER = re.compile(r"(\w[\w+.-]*://[^/:@\s'\"]*):[^\s'\"]*@")


_QUERY = re.compile(rf"(?<=[?&]){_SECRET}=[^&\s'\"]*&?", re.IGNORECASE)


_POSTGRES = ("postgres", "postgresql")


_FORM = "postgresql://USER@HOST/DATABASE or sqlite:///studies.db"


@dataclass(frozen=True)
class Address:
    """Where a database is and how it is entered."""

    url: URL

    @property
    def shown(self) -> str:
        """The URL without anything secret, as it is told and kept."""
        url = self.url
        query = {k: v for k, v in url.query.items() if not re.fullmatch(_SECRET, k, re.IGNORECASE)}
        bare = type(url).create(
            url.drivername,
            username=url.username,
            host=url.host,
            port=url.port,
            database=url.database,
            query=query,
        )
        return bare.render_as_string(hide_password=False)

    @property
    def whole(self) -> str:
        """The URL with its password, for those who connect."""
        return self.url.render_as_string(hide_password=False)

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite's."""
        return self.url.get_backend_name() == "sqlite"

    @cached_property
    def _secrets(self) -> list[str]:
        """Every form in which a password may turn up in a text, the longest first."""
        query = self.url.normalized_query.items()
        hidden = [v for key, values in query if re.fullmatch(_SECRET, key, re.I) for v in values]
        known = [os.environ.get(name, "") for name in PASSWORD_VARIABLES]
        plain = map(str, (self.url.password or "", *known, *hidden))
        coded = (form for text in plain for form in (text, quote_plus(text), *_quoted(text)))
        return sorted(filter(None, set(coded)), key=len, reverse=True)

    def redact(self, text: str) -> str:
        """A driver's own words, in which no password is left."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _quoted(text: str) -> list[str]:
    """A text as it may stand in a URL: some write a slash, a blank or a plus as they are."""
    return [quote(text, safe=safe) for safe in ("", "/", " +")]


def parse_address(text: str) -> Address:
    """The address that a URL names: PostgreSQL by psycopg 3, an SQLite file by its whole path.

    Raises ``RunError``, which repeats nothing of a URL that it cannot read.
    """
    from sqlalchemy import make_url

    try:
        url = make_url(text)
    except Exception:  # a port that is no number among them, and that may be a password
        raise RunError(
            f"storage: not a database's URL; write it like {_FORM}, and what is special in a "
            "password as its code (@ is %40, : is %3A, / is %2F)"
        ) from None
    if url.get_backend_name() != "sqlite" and text.count("@") > 1:
        raise RunError(
            "storage: more than one @ in the URL; only the one before the host stays as it is, any "
            "other is written %40"
        )
    if url.drivername in _POSTGRES:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database and url.database[0] not in "/:":
        url = url.set(database=str(Path(url.database).resolve()))
    return Address(url)


def hide_password(command: str, url: str | None = None) -> str:
    """A command's text without the passwords of the URLs in it; ``url`` is one that it was given.

    That one is found whatever its password is made of.
    """
    if url:
        try:
            words = shlex.split(command)
        except ValueError:
            words = [command]
        if any(url in word for word in words):
            shown = parse_address(url).shown
            command = shlex.join(word.replace(url, shown) for word in words)
    command = _QUERY.sub("", _USER.sub(r"\1@", command))
    return re.sub(r"[?&]+(?=['\"\s]|$)", "", command) if "://" in command else command
