"""What a stack speaks with outside itself: Slack, the monitor that the dead man's switch pings, an application.

All are one server in the test's own process. It listens on the host's address in one of the engine's networks: containers
reach it there, and nobody else does.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

from docker import DockerClient

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def gateway(client: DockerClient, network: str) -> str:
    """The host's address in a network of the engine."""
    return str(client.networks.get(network).attrs["IPAM"]["Config"][0]["Gateway"])


@dataclass
class Outside:
    """The server. Tests read what it was told, and set what it answers."""

    address: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    """What came for Slack and was accepted."""
    refused: int = 0
    """How much came for Slack while `slack_status` was an error."""
    slack_status: int = 200
    pings: list[float] = field(default_factory=list)
    """When the monitor was pinged, in seconds of a monotonic clock."""
    metrics: str = ""
    """Page of the application."""
    metrics_type: str = TEXT

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"says": self})
        self._server = ThreadingHTTPServer((self.address, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def host_port(self) -> str:
        """Where it listens."""
        return f"{self.address}:{self._server.server_port}"

    def url(self, path: str) -> str:
        return f"http://{self.host_port}{path}"

    def told(self, word: str) -> list[dict[str, Any]]:
        """Messages for Slack with `word` in their title."""
        return [message for message in self.messages if word in message["attachments"][0]["title"]]


class _Handler(BaseHTTPRequestHandler):
    says: ClassVar[Outside]

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, self.says.metrics.encode(), self.says.metrics_type)
        else:
            self._answer(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/slack"):
            if self.says.slack_status == 200:
                self.says.messages.append(json.loads(body))
            else:
                self.says.refused += 1
            self._answer(self.says.slack_status, b"ok")
        elif self.path == "/deadman":
            self.says.pings.append(time.monotonic())
            self._answer(200)
        else:
            self._answer(404)

    def _answer(self, status: int, body: bytes = b"", kind: str = TEXT) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: pytest shows what a test found."""
