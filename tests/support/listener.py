"""An HTTP server in the test's own process. It listens on the host's address in one of the engine's networks: containers
reach it there, and nobody else does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self


class Answers:
    """What every handler has: it answers as `says` wants it."""

    says: ClassVar[Any]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - BaseHTTPRequestHandler calls it so
        """Nothing: pytest shows what a test found."""


class Listener:
    """`with` it: the server runs."""

    address: str
    handler: ClassVar[type[BaseHTTPRequestHandler]]

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((self.address, 0), type("Handler", (self.handler,), {"says": self}))
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
