"""A target of Prometheus that answers as no exporter should."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self

from tests.e2e.outside import TEXT

Page = Literal["good", "broken", "large", "endless", "slow", "many", "wide", "binary"]
MANY_SERIES = 30_000
LABELS = 60
PIECE = b"# HELP filler " + b"x" * 65_000 + b"\n"
SMALL: dict[Page, bytes] = {
    "good": b"hostile 0\n",
    "broken": b'hostile{le="unfinished 1\n}} nonsense\n',
    "binary": bytes(range(256)) * 40,
    "many": b"".join(b'many{number="%d"} 1\n' % number for number in range(MANY_SERIES)),
    "wide": b"wide{" + b",".join(b'label%d="x"' % number for number in range(LABELS)) + b"} 1\n",
}


class Hostile:
    """`with Hostile(address) as target`: serves `page` in whatever way."""

    page: Page = "good"

    def __init__(self, address: str) -> None:
        self._server = ThreadingHTTPServer((address, 0), type("Handler", (_Handler,), {"says": self}))
        self._server.daemon_threads = True
        self.host_port = f"{address}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    says: ClassVar[Any]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", TEXT)
        self.end_headers()
        page: Page = self.says.page
        with contextlib.suppress(OSError):  # who asked had enough
            if page == "slow":
                for _ in range(60):
                    self.wfile.write(b"# wait\n")
                    time.sleep(0.5)
            elif page in {"large", "endless"}:
                for _ in range(400 if page == "large" else 20_000):  # 25 MiB, 1.2 GiB
                    self.wfile.write(PIECE)
            else:
                self.wfile.write(SMALL[page])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing."""
