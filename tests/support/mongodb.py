"""A server that speaks as much of MongoDB's protocol as a driver needs to log in and to ask for the state of the server.

MongoDB's own server is in no registry of packages. What asks here is real: the exporter with its driver.
"""

import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

QUERY, REPLY, MESSAGE = 2004, 1, 2013
HELLO = {
    "ismaster": True,
    "setName": "shop",
    "setVersion": 1,
    "helloOk": True,
    "maxBsonObjectSize": 16 * 2**20,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 17,
}
STATE = {
    "data": {
        "serverStatus": {
            "connections": {"current": 3, "available": 97},
            "opcounters": {"insert": 5, "query": 7},
            "globalLock": {"currentQueue": {"total": 0, "readers": 0, "writers": 0}},
            "wiredTiger": {"cache": {"bytes currently in the cache": 2**20, "maximum bytes configured": 2**28}},
        }
    }
}
"""Part of what a server with WiredTiger answers."""
ANSWERS: Mapping[str, dict[str, Any]] = {"getDiagnosticData": {**STATE, "ok": 1.0}, "ping": {"ok": 1.0}}
"""What who is logged in may ask → the answer."""


@contextmanager
def mongodb(tls: Path) -> Iterator[tuple[int, list[str]]]:
    """The only member of the replica set `shop`, by TLS with `cert.pem` and `key.pem`, that answers only who logs in by a certificate of `ca.pem`. All are in the
    folder `tls`. Its port, and the subject of each login."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls / "ca.pem"))
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    context.verify_mode = ssl.CERT_OPTIONAL  # like `allowConnectionsWithoutCertificates`
    logins: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            self.request.settimeout(30)
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            subject: str | None = None
            while len(head := self.rfile.read(16)) == 16:
                size, number, _, code = struct.unpack("<iiii", head)
                name, body = _command(code, self.rfile.read(size - 16))
                if name == "authenticate":
                    subject = self._subject() if b"mechanism\0\x0d\0\0\0MONGODB-X509\0" in body else None
                    answer = {"ok": 1.0} if subject else _refused("Authentication failed.", 18)
                    logins.extend([subject] if subject else [])
                elif name in {"hello", "isMaster", "ismaster"}:
                    here = f"localhost:{self.connection.getsockname()[1]}"
                    answer = {**HELLO, "hosts": [here], "me": here, "ok": 1.0}
                elif not subject:
                    answer = _refused(f"command {name} requires authentication", 13)
                else:
                    answer = ANSWERS.get(name) or _refused(f"no such command: '{name}'", 59)
                self.wfile.write(_answer(code, number, answer))

        def _subject(self) -> str | None:
            certificate = self.request.getpeercert()
            return ",".join("=".join(pair) for one in certificate["subject"] for pair in one) if certificate else None

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up in the middle, because it does not like the certificate."""

    with Server(("127.0.0.1", free_port()), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], logins
        finally:
            server.shutdown()


def _refused(why: str, code: int) -> dict[str, Any]:
    return {"ok": 0.0, "errmsg": why, "code": code}


def _command(code: int, body: bytes) -> tuple[str, bytes]:
    """The name of a command, which is the first key of its document; and the document."""
    start = body.index(b"\0", 4) + 9 if code == QUERY else 5
    return body[start + 5 : body.index(b"\0", start + 5)].decode(), body[start:]


def _answer(code: int, number: int, document: Mapping[str, Any]) -> bytes:
    if code == QUERY:
        kind, body = REPLY, struct.pack("<iqii", 0, 0, 0, 1) + _bson(document)
    else:
        kind, body = MESSAGE, struct.pack("<ib", 0, 0) + _bson(document)
    return struct.pack("<iiii", 16 + len(body), 0, number, kind) + body


def _bson(document: Mapping[str, Any]) -> bytes:
    body = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(name: str, value: Any) -> bytes:
    key = name.encode() + b"\0"
    if isinstance(value, bool):
        return b"\x08" + key + struct.pack("<?", value)
    if isinstance(value, int):
        return b"\x10" + key + struct.pack("<i", value)
    if isinstance(value, float):
        return b"\x01" + key + struct.pack("<d", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return b"\x02" + key + struct.pack("<i", len(text)) + text
    if isinstance(value, list):
        return b"\x04" + key + _bson({str(number): one for number, one in enumerate(value)})
    return b"\x03" + key + _bson(value)
