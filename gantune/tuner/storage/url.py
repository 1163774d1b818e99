"""Database URLs: one form of each, and no password in any text."""

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
from gantune.io.home import expand_home

if TYPE_CHECKING:
    from sqlalchemy import URL

PASSWORD_VARIABLES = ("PGPASSWORD", "MYSQL_PWD")
"""Environment variables from which database drivers take a password."""

_SECRET = r"[^=&\s]*(?:pass(?!file)|pwd|secret|token|odbc_connect)[^=&\s]*"
"""Keys of a URL's query whose values are secret."""
_USER = re.compile(r"(\w[\w+.-]*://[^/:@\s'\"]*):[^\s'\"]*@")
_QUERY = re.compile(rf"(?<=[?&]){_SECRET}=[^&\s'\"]*&?", re.IGNORECASE)
_POSTGRES = ("postgres", "postgresql")
_FORM = "postgresql://USER@HOST/DATABASE or sqlite:///studies.db"


@dataclass(frozen=True)
class DatabaseURL:
    """Where a database is and how to log in."""

    url: URL

    @property
    def without_password(self) -> str:
        """The URL without any secret, for messages and files."""
        secret = [key for key in self.url.query if re.fullmatch(_SECRET, key, re.IGNORECASE)]
        bare = self.url.difference_update_query(secret)._replace(password=None)
        return bare.render_as_string(hide_password=False)

    @property
    def with_password(self) -> str:
        """The URL with its password, for connecting."""
        return self.url.render_as_string(hide_password=False)

    @property
    def is_file(self) -> bool:
        """Whether it is an SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @cached_property
    def _secrets(self) -> list[str]:
        """Every form in which a password may occur in a text, the longest first."""
        query = self.url.normalized_query.items()
        hidden = [v for key, values in query if re.fullmatch(_SECRET, key, re.I) for v in values]
        known = [os.environ.get(name, "") for name in PASSWORD_VARIABLES]
        forms = {
            form
            for text in map(str, (self.url.password or "", *known, *hidden))
            # Some ways to quote a URL leave a slash, a blank or a plus as they are.
            for form in (text, quote_plus(text), *(quote(text, safe) for safe in ("", "/", " +")))
        }
        return sorted(filter(None, forms), key=len, reverse=True)

    def redact(self, text: str) -> str:
        """A message of the database's driver, with every password replaced by ``***``."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def parse_url(text: str) -> DatabaseURL:
    """Reads a URL; PostgreSQL gets the driver psycopg 3, an SQLite file its absolute path.

    Raises ``RunError``, whose text repeats no part of a URL that cannot be read.
    """
    from sqlalchemy import make_url

    try:
        url = make_url(text)
    except Exception:  # also ValueError for a port, whose text may hold the password
        raise RunError(
            f"storage: not the URL of a database; write it like {_FORM}, with special characters "
            "of the password percent-encoded (@ is %40, : is %3A, / is %2F)"
        ) from None
    if url.get_backend_name() != "sqlite" and text.count("@") > 1:
        raise RunError(
            "storage: more than one @ in the URL; only the one before the host stays as it is, any "
            "other is written %40"
        )
    if url.drivername in _POSTGRES:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database and url.database[0] not in "/:":
        url = url.set(database=str(Path(expand_home(url.database)).resolve()))
    return DatabaseURL(url)


def hide_password(command: str, url: str | None = None) -> str:
    """A command without the passwords of the URLs in it.

    ``url``: a URL that the command was given; it is found whatever characters its password has.
    """
    if url:
        try:
            words = shlex.split(command)
        except ValueError:
            words = [command]
        if any(url in word for word in words):
            shown = parse_url(url).without_password
            command = shlex.join(word.replace(url, shown) for word in words)
    command = _QUERY.sub("", _USER.sub(r"\1@", command))
    return re.sub(r"[?&]+(?=['\"\s]|$)", "", command) if "://" in command else command
