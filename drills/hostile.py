"""A target of Prometheus that answers as no exporter should."""

import contextlib
import functools
import time
import zlib
from http.server import BaseHTTPRequestHandler
from typing import ClassVar, Literal

from tests.support.listener import Answers, Listener
from tests.support.outside import TEXT

Page = Literal[
    "good",
    "broken",
    "large",
    "endless",
    "bomb",
    "slow",
    "many",
    "wide",
    "binary",
    "html",
    "redirect",
    "twins",
    "future",
    "ahead",
    "behind",
]
ASKEW_SECONDS: dict[Page, int] = {"ahead": 3600, "behind": -86_400}
"""Page whose samples have timestamps → how many seconds the clock of its target is ahead."""
MANY_SERIES = 30_000
LABELS = 60
PIECE = b"# HELP filler " + b"x" * 65_000 + b"\n"
SMALL: dict[Page, bytes] = {
    "good": b"hostile 0\n",
    "broken": b'hostile{le="unfinished 1\n}} nonsense\n',
    "binary": bytes(range(1, 256)) * 40,  # a page that begins with 0 is an empty one
    "many": b"".join(b'many{number="%d"} 1\n' % number for number in range(MANY_SERIES)),
    "wide": b"wide{" + b",".join(b'label%d="x"' % number for number in range(LABELS)) + b"} 1\n",
    "html": b"<!DOCTYPE html><html><body>hostile 0</body></html>\n",
    "twins": b"twin 1\ntwin 2\nsingle 3\n",
    "future": b"late 1 32472144000000\nsingle 3\n",  # the year 2999
}


class _Handler(Answers, BaseHTTPRequestHandler):
    says: ClassVar["Hostile"]

    def do_GET(self) -> None:
        page = self.says.page
        if page == "redirect":
            self.send_response(302)
            self.send_header("Location", self.path)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if page == "html" else TEXT)
        if page == "bomb":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked had enough
            if page == "slow":
                for _ in range(60):
                    self.wfile.write(b"# wait\n")
                    time.sleep(0.5)
            elif page == "bomb":
                self.wfile.write(bomb())
            elif page in {"large", "endless"}:
                for _ in range(400 if page == "large" else 20_000):  # 25 MiB, 1.2 GiB
                    self.wfile.write(PIECE)
            elif page in ASKEW_SECONDS:
                self.wfile.write(b"hostile 0 %d\nsingle 3\n" % ((time.time() + ASKEW_SECONDS[page]) * 1000))
            elif page != "redirect":
                self.wfile.write(SMALL[page])


class Hostile(Listener):
    """`with Hostile(address) as target`: serves `page` in whatever way."""

    handler = _Handler
    page: Page = "good"

    def __init__(self, address: str) -> None:
        self.address = address


@functools.cache
def bomb(beginning: bytes = b"") -> bytes:
    """That, and 256 MiB of one letter, as 250 KiB of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    piece = b"x" * 2**20
    pieces = [packer.compress(beginning), *(packer.compress(piece) for _ in range(256))]
    return b"".join(pieces) + packer.flush()
