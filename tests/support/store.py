"""A store that takes whatever is posted to it, and remembers it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.support.ports import free_port
from tests.support.services import encrypt


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True  # it comes back on its port


class Store:
    """It answers with an empty object in JSON, which is right for OTLP, for remote write and for Loki's senders alike.

    Args:
        certificate: file with certificate and key. With it the store speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.port, self._certificate = free_port(), certificate
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[Message] = []

    @contextmanager
    def __call__(self) -> Iterator[Self]:
        """`with` it, the store is there. It can go and come back."""
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                store.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                store.headers.append(self.headers)
                store.paths.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        with _Server(("127.0.0.1", self.port), Handler) as server:
            if self._certificate:
                encrypt(server, self._certificate)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()

    def has(self, name: str) -> bool:
        """Whether a body has `name` as a text in JSON."""
        return any(f'"{name}"'.encode() in body for body in self.bodies)

    def request_headers(self, headers: Mapping[str, str]) -> list[dict[str, str | None]]:
        """What each request had of these headers."""
        return [{key: had.get(key) for key in headers} for had in self.headers]
