"""What a stack speaks with outside itself: Slack, a webhook, the monitor that the dead man's switch pings, an application. All are one
server."""

import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from typing import Any, ClassVar

from docker import DockerClient

from tests.support.listener import Answers, Listener

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def gateway(client: DockerClient, network: str) -> str:
    """The host's address in a network of the engine: its first one, where the engine does not tell it.

    Docker 20.10 tells that of `bridge` only after it was started again.
    """
    [subnet, *_] = client.networks.get(network).attrs["IPAM"]["Config"]
    return str(subnet.get("Gateway") or next(ip_network(subnet["Subnet"]).hosts()))


class _Handler(Answers, BaseHTTPRequestHandler):
    says: ClassVar["Outside"]

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
        elif self.path == "/hook":
            if self.says.hook_status == 200:
                self.says.hooks.append(json.loads(body))
            self._answer(self.says.hook_status, b"this hook is retired")
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


@dataclass
class Outside(Listener):
    """The server. Tests read what it was told, and set what it answers."""

    handler = _Handler
    address: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    """What came for Slack and was accepted."""
    refused: int = 0
    """How much came for Slack while `slack_status` was an error."""
    slack_status: int = 200
    hooks: list[dict[str, Any]] = field(default_factory=list)
    """What came for the webhook and was accepted."""
    hook_status: int = 200
    pings: list[float] = field(default_factory=list)
    """When the monitor was pinged, in seconds of a monotonic clock."""
    metrics: str = ""
    """Page of the application."""
    metrics_type: str = TEXT

    def url(self, path: str) -> str:
        return f"http://{self.host_port}{path}"

    def messages_about(self, word: str) -> list[dict[str, Any]]:
        """Messages for Slack with `word` in their title."""
        return [message for message in self.messages if word in message["attachments"][0]["title"]]
