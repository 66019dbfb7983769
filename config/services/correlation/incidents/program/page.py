"""The page of the service: its metrics, and whether it is well. It takes no input."""

import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from .text import quoted

_KIND = "text/plain; version=0.0.4; charset=utf-8"


def serve(port: int, pages: Mapping[str, Callable[[], str]], well: Callable[[], bool]) -> HTTPServer:
    """Serves `pages` (path → function that returns the text) and `/-/healthy` in a thread, one request at a time."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # a client that says nothing holds up the others no longer

        def do_GET(self) -> None:
            if self.path in pages:
                self._say(200, pages[self.path]())
            elif self.path == "/-/healthy":
                self._say(200 if well() else 503, "")
            else:
                self._say(404, "")

        def _say(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", _KIND)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = _Server(("", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Server(HTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is no error of this service."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def sample(name: str, value: float, **labels: str) -> str:
    """One line of the page."""
    told = ",".join(f"{label}={quoted(text)}" for label, text in labels.items())
    return f"{name}{{{told}}} {value:g}\n"
