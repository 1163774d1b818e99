"""The dashboard's server."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from optuna_dashboard import wsgi

from gantune.errors import RunError
from gantune.report.dashboard.server import Server, is_loopback, reading_only
from gantune.tuner.state import RunReader
from tests.played import played_run


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode()]


@contextmanager
def serving(server: Server) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_serves_at_the_loopback_address(host: str) -> None:
    try:
        server = Server(app, host, 0)
    except RunError:
        pytest.skip(f"this machine has no {host}")
    with serving(server) as url, closing(urllib.request.urlopen(url, timeout=60)) as answer:
        assert answer.read() == b"GET"
    assert is_loopback(host)


def test_only_reads_are_allowed() -> None:
    with serving(Server(reading_only(app), "127.0.0.1", 0)) as url:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            request = urllib.request.Request(url, data=b"{}", method=method)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            with refused.value as answer:
                assert answer.code == 403 and "writes nothing" in json.load(answer)["reason"]


def test_a_client_without_accept_encoding_is_served(tmp_path: Path) -> None:
    with RunReader(played_run(tmp_path)) as reader:
        server = Server(reading_only(wsgi(reader.storage)), "127.0.0.1", 0)
        with serving(server) as url:
            asking = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
            with closing(asking):
                asking.putrequest("GET", "/static/bundle.js", skip_accept_encoding=True)
                asking.endheaders()
                answer = asking.getresponse()
                assert (answer.status, answer.headers["Content-Encoding"]) == (200, None)
                assert answer.read()


def test_a_taken_port_raises_with_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(RunError) as refused:
            Server(app, "127.0.0.1", taken)
    text = str(refused.value)
    assert text.startswith(f"--port {taken}: taken by another program; take --port ")
    free = int(text.rpartition(" ")[2])
    assert free > taken
    Server(app, "127.0.0.1", free).server_close()


def test_an_unknown_host_raises() -> None:
    for host, text in (
        ("no.such.host.invalid", "no address is known by this name"),
        ("192.0.2.1", "not an address of this machine"),
    ):
        with pytest.raises(RunError, match=text):
            Server(app, host, 0)


def test_all_addresses_are_not_loopback() -> None:
    assert not is_loopback("0.0.0.0") and not is_loopback("::")
