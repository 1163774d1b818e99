"""What the errors of a database and its driver mean to a user, in words without a password."""

from __future__ import annotations

import re

from gantune.errors import RunError
from gantune.search.address import Address
from gantune.search.patience import Away

__all__ = ["meaning", "refusal", "words"]

_REMEDIES = (
    (
        "no password supplied",
        "no password was given, and a run keeps none: write one into ~/.pgpass "
        "(HOST:PORT:DATABASE:USER:PASSWORD, chmod 600), or set PGPASSWORD",
    ),
    (
        "password authentication failed|SQLSTATE 28P01|Access denied",
        "check user and password; what is special in one is written as its code in the URL (@ is "
        "%40), and ~/.pgpass or PGPASSWORD serve where the URL has none",
    ),
    (
        'database ".*" does not exist|SQLSTATE 3D000|Unknown database',
        "make it first, on the server that the URL names: CREATE DATABASE {database}",
    ),
    (
        r'role ".*" does not exist|pg_hba\.conf|SQLSTATE 28000|permission denied for database',
        "its administrator has to let this user in from this machine",
    ),
    (
        "permission denied|SQLSTATE 42501",
        "its owner has to allow it: GRANT CREATE ON SCHEMA public TO {user}, and the rights to "
        "read and write on Optuna's tables",
    ),
    ("read-only transaction|SQLSTATE 25006", "name the server that takes writes, not its standby"),
    (
        "disk is full|SQLSTATE 53100|No space left",
        "make room there and run the same command again, finished trials are kept",
    ),
    (
        "invalid connection option|invalid .* value",
        "check what stands behind the question mark of the URL",
    ),
    (
        "unable to open database|readonly database|not a database",
        "check the path, and who may read and write there",
    ),
)
"""What is looked for in the words of an error or its SQLSTATE, and what helps."""


def meaning(error: BaseException, address: Address, is_cut: bool) -> Exception | None:
    """``Away`` or ``RunError`` for an error of the driver's; ``None`` where it is the statement's.

    ``is_cut``: whether the connection was lost by it.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"IntegrityError", "DataError"}:
        return None
    said = words(error, address)
    text = f"{said} SQLSTATE {getattr(error, 'sqlstate', None)}"
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text):
            url = address.url
            names = {"user": url.username or "the user", "database": url.database}
            return refusal(address, f"{said}; {remedy.format(**names)}")
    if address.is_file:
        return Away(said) if re.search("locked|busy", said) else None
    return Away(said) if is_cut or kinds & {"OperationalError", "InterfaceError"} else None


def refusal(address: Address, reason: str) -> RunError:
    """An error that trying again does not mend."""
    return RunError(f"storage: {address.shown} cannot be used: {reason}")


def words(error: BaseException, address: Address) -> str:
    """An error's own words in one line."""
    lines = [line.strip(" \t-") for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    is_many = lines[0].startswith("Multiple connection attempts failed")
    line = re.sub("^connection (failed|is bad): ", "", lines[-1] if is_many else lines[0])
    return address.scrubbed(line)
