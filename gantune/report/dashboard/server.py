"""A read-only server of optuna-dashboard for one run, by default on the loopback address."""

import errno
import ipaddress
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from gantune.errors import RunError
from gantune.report.dashboard.figures import Figures
from gantune.report.dashboard.storage import ReadOnlyStorage
from gantune.run_folder.run import RunFolder
from gantune.tuner.state import RunReader

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_HOSTS = "127.0.0.1 is only this machine, 0.0.0.0 all of its addresses"
_STUDY = re.compile(r"/api/studies/\d+")
_TRIED = 100  # ports after a taken one, in the search for a free one


class Server(ThreadingMixIn, WSGIServer):
    """Serves ``app`` at ``host`` and ``port``, a thread a request; silent.

    ``port`` 0: any that is free. Raises ``RunError`` where it cannot listen there.
    """

    daemon_threads = True

    def __init__(self, app: Application, host: str, port: int) -> None:
        family, address = _resolve(host, port)
        self.address_family = family
        self._host = host
        try:
            super().__init__(address, _Silent)
        except OSError as error:
            raise RunError(_why(error, host, port, family, address)) from None
        self.set_app(app)

    @property
    def url(self) -> str:
        """Its address for a browser."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_port}"

    def server_bind(self) -> None:
        """Binds without asking a name server for this machine's name, which may take long."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores errors: usually a client has disconnected."""


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def in_order(app: Application, names: Callable[[], Sequence[str]]) -> Application:
    """``app``, with the figures of a study in the order of ``names``: it gives them in none."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _STUDY.fullmatch(environ.get("PATH_INFO", "")):
            return app(environ, start_response)
        environ["HTTP_ACCEPT_ENCODING"] = ""  # plain text, which can be read here
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(app(environ, lambda status, headers, *_: begun.append((status, headers))))
        status, headers = begun[-1]
        if status.startswith("200"):
            found, order = json.loads(body), list(names())
            known = {name: place for place, name in enumerate(order)}
            found["plotly_graph_objects"].sort(key=lambda one: known.get(one["id"], len(known)))
            body = json.dumps(found).encode()
            headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
            headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]

    return answer


def reading_only(app: Application) -> Application:
    """``app``, restricted to GET and HEAD.

    Clients such as curl send no Accept-Encoding, but optuna-dashboard requires the header.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            environ.setdefault("HTTP_ACCEPT_ENCODING", "")
            return app(environ, start_response)
        reason = "gantune dashboard is read-only: it writes nothing into the study"
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return answer


def answering_only_to(host: str, app: Application) -> Application:
    """``app`` for requests that name this server as its user does.

    A page of a stranger may send the browser here under a name of its own (DNS rebinding). Such a
    request has that name in its Host header. Names of the loopback address and ``host`` are
    answered; where ``host`` stands for all addresses, also this machine's name and any number, as
    a number cannot be rebound.
    """
    _, address = _resolve(host, 0)
    is_any = ipaddress.ip_address(address[0].partition("%")[0]).is_unspecified
    names = {"localhost", host.lower()} | ({socket.gethostname().lower()} if is_any else set())

    def is_own(header: str) -> bool:
        name = re.sub(r":\d*$", "", header.strip()).removesuffix(".").lower()
        if name in names or name.endswith(".localhost"):
            return True
        try:
            number = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return is_any or number.is_loopback or str(number) == address[0]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        header = environ.get("HTTP_HOST", "")
        if is_own(header):
            return app(environ, start_response)
        start_response("421 Misdirected Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"not the name of this server; give it with --host, it is {host} now\n".encode()]

    return answer


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. Raises ``RunError`` for an unknown name."""
    _, address = _resolve(host, 0)
    return ipaddress.ip_address(address[0].partition("%")[0]).is_loopback


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = f"no address is known by this name ({getattr(error, 'strerror', error)})"
        raise RunError(f"--host {host}: {why}; {_HOSTS}") from None
    family, _, _, _, address = found[0]
    return family, address


def _why(
    error: OSError, host: str, port: int, family: socket.AddressFamily, address: tuple[Any, ...]
) -> str:
    if error.errno == errno.EADDRINUSE:
        free = _free_port(family, address)
        another = f"--port {free}" if free else "another with --port"
        return f"--port {port}: taken by another program; take {another}"
    if error.errno == errno.EACCES:
        return f"--port {port}: only for administrators; take one from 1024, such as --port 8080"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: not an address of this machine; {_HOSTS}"
    return f"--host {host} --port {port}: cannot be listened at ({error.strerror})"


def _free_port(family: socket.AddressFamily, address: tuple[Any, ...]) -> int | None:
    """The next free port; ``None`` if the next hundred are taken."""
    host, taken, *rest = address
    for port in range(taken + 1, min(taken + 1 + _TRIED, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((host, port, *rest))
            except OSError:
                continue
            return port
    return None


@contextmanager
def served(folder: RunFolder, host: str, port: int) -> Iterator[tuple[Server, str]]:
    """A bound server that does not serve yet, and the URL of the study's page.

    Raises ``RunError`` where there is no run, or where the address cannot be used.
    """
    from optuna.artifacts import FileSystemArtifactStore
    from optuna_dashboard import wsgi

    with RunReader(folder) as reader:
        name = reader.space.study
        figures = Figures(reader)
        storage = ReadOnlyStorage(reader.storage, (name, f"{name}.finalists"), figures.attributes)
        pictures = FileSystemArtifactStore(folder.artifacts)
        app = wsgi(storage, artifact_store=pictures)
        app = answering_only_to(host, reading_only(in_order(app, figures.names)))
        with Server(app, host, port) as server, figures:
            study_id = storage.get_study_id_from_name(name)
            yield server, f"{server.url}/dashboard/studies/{study_id}/note"
