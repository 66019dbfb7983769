"""The service: takes what `api_proxy` has let in, changes its labels, and hands it on. It keeps nothing."""

import hashlib
import http.client
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import lines, samples, snappy
from .edges_file import Edges, EdgesError, read
from .known_series import KnownSeries
from .wire import BadRequestError

EDGE = "X-Edge"
"""Header in which `api_proxy` says who has sent a request."""
SAMPLES, LINES = "/api/v1/write", "/loki/api/v1/push"
LONGEST = 8 * 2**20
"""Bytes of a request, as it comes and as it is. An edge sends at most some 1 MB at once."""
AT_ONCE = 2
"""Requests that are worked on at the same time: it bounds the memory, and Python uses one core anyway."""
PATIENCE = 25
"""Seconds for an answer of Prometheus or Loki: less than an edge waits for the door."""
_KIND = "application/x-protobuf"
_SECOND_VERSION = "proto=io.prometheus.write.v2"


class Door:
    """What it knows: the edges in `file`, read again at SIGHUP, and what has come of each."""

    def __init__(self, file: Path) -> None:
        """
        Raises:
            EdgesError: the file cannot be used.
            OSError: it cannot be read.
        """
        self._file = file
        self._working = threading.BoundedSemaphore(AT_ONCE)
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._lock = threading.Lock()
        self.series: dict[str, KnownSeries] = {}
        self._take(read(file.read_text(encoding="utf-8")))

    def _take(self, edges: Edges) -> None:
        self.edges, self.taken = edges, True
        known = {name: self.series.get(name) or KnownSeries(bound) for name, bound in edges.bounds.items()}
        for name, bound in edges.bounds.items():
            known[name].bound = bound
        self.series = known

    def again(self) -> None:
        """Reads the file anew. One that cannot be used changes nothing."""
        try:
            self._take(read(self._file.read_text(encoding="utf-8")))
        except (EdgesError, OSError, UnicodeDecodeError) as error:
            self.taken = False
            log("error", f"keeps the edges that it knows: {self._file.name}: {error}")

    def passes(self, edge: str, path: str, body: bytes) -> tuple[int, str]:
        """Hands a request of `edge` on. Returns the status and the words of the answer."""
        known = self.series.get(edge)
        if known is None:
            return 404, "no such edge"
        with self._working:
            try:
                status, words = self._passes(edge, known, path, snappy.decoded(body, LONGEST))
            except BadRequestError as error:
                status, words = 400, str(error)
            except OSError as error:
                status, words = 503, f"what stores this does not answer, so send it again: {error}"
        with self._lock:
            self._counts[edge, path, status] += 1
        if status >= 400:  # noqa: PLR2004 - the first status that is an error
            log("warn", words, edge=edge, path=path, status=str(status))
        return status, words

    def _passes(self, edge: str, known: KnownSeries, path: str, request: bytes) -> tuple[int, str]:
        if path == LINES:
            status, words = _post(self.edges.lines, path, lines.under(edge, request, self.edges.labels))
            # Loki has taken what it had room for. Again it would have no room for the rest, and all lines behind it would wait.
            return (400 if status == 429 else status), words  # noqa: PLR2004 - too many requests
        admitted, refused = samples.under(edge, request, known.admits)
        if refused:
            log("warn", f"{refused} samples of series above its bound of {known.bound} are lost", edge=edge)
        return _post(self.edges.samples, path, admitted) if admitted else (204, "")

    def metrics(self) -> str:
        """The page for Prometheus."""
        with self._lock:
            counts = sorted(self._counts.items())
        names = {SAMPLES: "metrics", LINES: "logs"}
        page = [f"edge_door_config_last_reload_successful {int(self.taken)}"]
        page += [
            f'edge_door_requests_total{{edge="{edge}",signal="{names[path]}",code="{code}"}} {count}'
            for (edge, path, code), count in counts
        ]
        for edge, known in sorted(self.series.items()):
            page += [
                f'edge_door_series{{edge="{edge}"}} {len(known)}',
                f'edge_door_series_bound{{edge="{edge}"}} {known.bound}',
                f'edge_door_samples_above_bound_total{{edge="{edge}"}} {known.refused}',
            ]
        return "\n".join(page) + "\n"

    def run(self, port: int) -> None:
        """Runs until SIGTERM."""
        server = _Server(("", port), _handler(self))
        signal.signal(signal.SIGHUP, lambda *_: self.again())
        # `shutdown` waits for the loop below, which this handler interrupts.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
        server.server_close()  # waits for the requests that have begun


def version_of_program() -> str:
    """Twelve hex digits that identify the files of this program."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def log(level: str, said: str, **more: str) -> None:
    """Writes a line of JSON."""
    print(json.dumps({"level": level, "message": said[:1000], **more}, ensure_ascii=False), flush=True)


def _post(address: str, path: str, message: bytes) -> tuple[int, str]:
    """Status and words of the answer.

    Raises:
        OSError: there is none.
    """
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    headers = {"Content-Type": _KIND, "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    try:
        connection.request("POST", path, snappy.stored(message), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(1000).decode(errors="replace").strip()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _handler(door: Door) -> type[BaseHTTPRequestHandler]:
    program = version_of_program()
    pages: Mapping[str, Callable[[], str]] = {
        "/metrics": door.metrics,
        "/edges": lambda: door.edges.version,
        "/program": lambda: program,
        "/-/healthy": lambda: "",
    }

    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            if page := pages.get(self.path):
                self._say(200, page())
            else:
                self._say(404, "")

        def do_POST(self) -> None:
            edge, length = self.headers[EDGE] or "", self.headers["Content-Length"] or ""
            kind = self.headers["Content-Type"] or ""
            if self.path not in {SAMPLES, LINES}:
                self._say(404, "no such path")
            elif not kind.startswith(_KIND) or _SECOND_VERSION in kind:
                self._say(415, f"the door takes {_KIND}, and remote write in its first version")
            elif not length.isdecimal() or int(length) > LONGEST:
                self._say(413, f"a request tells its length, of at most {LONGEST} bytes")
            else:
                self._say(*door.passes(edge, self.path, self.rfile.read(int(length))))

        def _say(self, status: int, text: str) -> None:
            body = text.encode() if status not in {204, 304} else b""
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is no error of this service."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
