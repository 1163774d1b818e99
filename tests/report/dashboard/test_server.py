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

from gantune.errors import RunError
from gantune.report.dashboard.server import (
    Server,
    answering_only_to,
    in_order,
    is_loopback,
    reading_only,
    served,
)
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


@pytest.mark.integration
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_serves_at_the_loopback_address(host: str) -> None:
    try:
        server = Server(app, host, 0)
    except RunError:
        pytest.skip(f"this machine has no {host}")
    with serving(server) as url, closing(urllib.request.urlopen(url, timeout=60)) as answer:
        assert answer.read() == b"GET"
    assert is_loopback(host)


@pytest.mark.integration
def test_only_reads_are_allowed() -> None:
    with serving(Server(reading_only(app), "127.0.0.1", 0)) as url:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            request = urllib.request.Request(url, data=b"{}", method=method)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            with refused.value as answer:
                assert answer.code == 403 and "writes nothing" in json.load(answer)["reason"]


@pytest.mark.parametrize(
    ("host", "header", "is_answered"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LocalHost.:9000", True),
        ("127.0.0.1", "run.localhost:8080", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "127.9.9.9", True),
        ("127.0.0.1", "evil.example:8080", False),
        ("127.0.0.1", "evil.localhost.example", False),
        ("127.0.0.1", "127.0.0.1.nip.io:8080", False),
        ("127.0.0.1", "192.0.2.7:8080", False),
        ("127.0.0.1", "localhost,evil.example", False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("127.0.0.1", "<script>", False),
        ("127.0.0.1", "", False),
        ("localhost", "evil.example", False),
        ("0.0.0.0", "192.0.2.7:8080", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "localhost:1", True),
        ("0.0.0.0", "[fe80::1]:8080", True),
        ("0.0.0.0", "evil.example", False),
        ("::", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.7:8080", True),
        ("192.0.2.7", "192.0.2.8:8080", False),
    ],
)
def test_only_requests_by_its_own_names_are_answered(
    host: str, header: str, is_answered: bool
) -> None:
    found: list[str] = []

    def start(status: str, headers: object) -> None:
        found.append(status)

    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": header}
    body = b"".join(answering_only_to(host, app)(environ, start))
    assert (found[0], body) == ("200 OK", b"GET") or not is_answered
    if not is_answered:
        assert found == ["421 Misdirected Request"] and b"--host" in body
        assert header.encode() not in body or not header


@pytest.mark.integration
def test_a_dashboard_does_not_answer_to_a_strangers_name(tmp_path: Path) -> None:
    with served(played_run(tmp_path), "127.0.0.1", 0) as (server, _), serving(server) as url:
        for header, status in (("localhost", 200), ("evil.example", 421)):
            request = urllib.request.Request(f"{url}/api/studies", headers={"Host": header})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    assert answer.status == status
            except urllib.error.HTTPError as refused:
                with refused:
                    assert refused.code == status


@pytest.mark.integration
def test_a_client_without_accept_encoding_is_served(tmp_path: Path) -> None:
    from optuna_dashboard import wsgi  # imports scikit-learn

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


def test_figures_of_a_study_come_in_order_and_other_answers_as_they_are() -> None:
    figures = [{"id": name} for name in ("c", "new", "a", "b")]

    def api(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = json.dumps({"plotly_graph_objects": figures}).encode()
        start_response("200 OK", [("Content-Length", str(len(body))), ("X-Kept", "yes")])
        return [body[:5], body[5:]]

    with serving(Server(in_order(api, lambda: ["a", "b", "c"]), "127.0.0.1", 0)) as url:
        for path, order in (("/api/studies/3", "a b c new"), ("/api/studies", "c new a b")):
            with closing(urllib.request.urlopen(f"{url}{path}", timeout=60)) as found:
                told = json.loads(found.read())["plotly_graph_objects"]
                assert [one["id"] for one in told] == order.split()
                assert found.headers["X-Kept"] == "yes"
