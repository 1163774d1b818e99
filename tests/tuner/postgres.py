"""A real PostgreSQL server for the tests: Debian's package, a free port, a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

PASSWORD = "kittens/77:%&é"
"""Recognisable, and every character has to be percent-encoded in a URL."""
QUOTED = "kittens%2F77%3A%25%26%C3%A9"


def find_binaries() -> Path | None:
    """The folder of ``initdb``; Debian keeps it out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


needs_postgres = pytest.mark.skipif(
    find_binaries() is None, reason="PostgreSQL is not installed (apt-get install postgresql)"
)


class Server:
    """Started on creation; superuser ``gan`` with ``PASSWORD`` over TCP, ``postgres`` by socket."""

    def __init__(self) -> None:
        binaries = find_binaries()
        assert binaries is not None
        # Not in pytest's folders, which only their owner can read: root starts it as another user.
        self._folder = Path(tempfile.mkdtemp(prefix="gantune-pg-"))
        self._binaries, self._data = binaries, self._folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._as_owner("initdb", "--no-sync", "-D", self._data, "-U", "postgres", "-A", "trust")
        (self._data / "pg_hba.conf").write_text(
            "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.start()
        self.sql(f"CREATE ROLE gan LOGIN PASSWORD '{PASSWORD}'")
        self.sql("CREATE DATABASE studies OWNER gan")

    def url(self, database: str = "studies", password: str = QUOTED, user: str = "gan") -> str:
        colon = ":" if password else ""
        return f"postgresql://{user}{colon}{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = self._folder / "server.log"
        self._as_owner("pg_ctl", "-D", self._data, "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._as_owner("pg_ctl", "-D", self._data, "-m", "fast", "-w", "stop")

    def end(self) -> None:
        """Stops the server and removes its files."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder)

    def restart(self, away: float = 1.0) -> None:
        """Closes all connections and is down for some seconds."""
        self.stop()
        time.sleep(away)
        self.start()

    def sql(self, statement: str, database: str = "postgres") -> str:
        """The result of a statement of the superuser: lines of fields separated by bars."""
        command = [str(self._binaries / "psql"), "-h", str(self._folder), "-p", str(self.port)]
        options = ["-U", "postgres", "-At", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]
        done = subprocess.run(
            [*command, *options], input=statement, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _as_owner(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        with (self._folder / "ctl.log").open("ab") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                check=False,
            )
        assert done.returncode == 0, (self._folder / "ctl.log").read_text()
