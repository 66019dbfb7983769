"""A Docker engine that has containers without processes: it answers what the stack asks of it, and counts what it is told to do.

As the real one it takes a name, and where no container has that name the beginning of an id.
"""

import json
import re
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

EXEC = "e" * 64


@dataclass
class StandInContainer:
    """A container."""

    identifier: str
    labels: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0


class EngineStandIn:
    """`with EngineStandIn(containers, socket)`: on a unix socket, and by TCP at `url`."""

    def __init__(self, containers: dict[str, StandInContainer], socket: Path) -> None:
        self.containers = containers
        self.requests: list[str] = []
        """What was asked for: method, path and body."""
        self.output = (b"1 row\n", b"DB_PASSWORD=hunter2\n")
        """What a command says on stdout and stderr."""
        self._socket = socket
        self._exit = ExitStack()

    def __enter__(self) -> "EngineStandIn":
        handler = type("Handler", (_Handler,), {"engine": self})
        by_tcp = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{by_tcp.server_port}"
        for server in (by_tcp, _Server(str(self._socket), handler)):
            self._exit.enter_context(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self._exit.callback(server.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def container(self, name: str) -> StandInContainer | None:
        by_id = (one for one in self.containers.values() if one.identifier.startswith(name))
        return self.containers.get(name) or next(by_id, None)

    def listed(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        return [
            {"Id": one.identifier, "Names": [f"/{name}"], "Labels": one.labels, "State": "running"}
            for name, one in self.containers.items()
            if all(re.search(wanted, f"/{name}") for wanted in filters.get("name", ()))
            and all(label in one.labels for label in filters.get("label", ()))
        ]


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[Any, tuple[str, int]]:
        return super().get_request()[0], ("", 0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: EngineStandIn

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.engine.requests.append(f"GET {self.path} ")
        if parts.path == "/_ping":
            self._say(200, "OK")
        elif parts.path == "/containers/json":
            self._say(200, self.engine.listed(json.loads(parse_qs(parts.query).get("filters", ["{}"])[0])))
        elif parts.path == f"/exec/{EXEC}/json":
            self._say(200, {"Running": False, "ExitCode": 3})
        else:
            self._say(404, {"message": "page not found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.engine.requests.append(f"POST {self.path} {body}")
        match = re.fullmatch(r"/containers/([^/]+)/(restart|exec)", urlsplit(self.path).path)
        if self.path == f"/exec/{EXEC}/start":
            self._stream()
        elif not match:
            self._say(404, {"message": "page not found"})
        elif not (container := self.engine.container(match[1])):
            self._say(404, {"message": f"No such container: {match[1]}"})
        elif match[2] == "restart":
            container.restarts += 1
            self._say(204, None)
        else:
            self._say(201, {"Id": EXEC})

    def do_DELETE(self) -> None:
        self.engine.requests.append(f"DELETE {self.path} ")
        self._say(204, None)

    def _stream(self) -> None:
        """Frames until the end of the connection, as without an upgrade."""
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for stream, text in enumerate(self.engine.output, start=1):
            self.wfile.write(bytes([stream, 0, 0, 0]) + len(text).to_bytes(4) + text)

    def _say(self, status: int, answer: object) -> None:
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if answer is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""
