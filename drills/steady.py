"""What goes into a stack all the time, numbered, so that what is lost or doubled can be named."""

import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import requests
from docker.models.containers import Container

from tests.support import tracing
from tests.support.deployment import Deployment
from tests.support.outside import Outside
from tests.support.shipping import Logs
from tests.support.wait import until

SERVICE = "drilled"
"""Service of the spans and of the scraped application."""
RULES = {
    "groups": [
        {
            "name": "drills",
            "rules": [
                {
                    "alert": "DrillRaised",
                    "expr": "drill_raised > 0",
                    "labels": {"severity": "warning", "service": "{{ $labels.drill }}"},
                    "annotations": {"summary": "drill {{ $labels.drill }}", "description": "On purpose."},
                }
            ],
        }
    ]
}
WRITE_SECONDS = 0.2
"""Shortest time between two lines."""
WRITE = f"""\
i=$(cat /number 2>/dev/null || echo 0); i=$((i+1))
while :; do
  i=$((i+1)); echo "{{\\"level\\":\\"info\\",\\"msg\\":\\"steady $i\\"}}"; echo $i > /number; sleep {WRITE_SECONDS}
done"""
"""It writes numbered lines. After a restart by the engine it continues with the next number."""
SPAN_SECONDS = 0.5
BEFORE = timedelta(seconds=5)
"""How long before the first number the search for lines begins: the engine's clock stamps the lines."""


class Spans(threading.Thread):
    """An application that sends a failed request, which is kept, every half second, and each until it is taken."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(daemon=True)
        self._endpoint, self._end = endpoint, threading.Event()
        self.taken: dict[str, float] = {}
        """Trace id → when the collector had taken it, in seconds since 1970."""

    def run(self) -> None:
        while not self._end.wait(SPAN_SECONDS):
            trace, body = self._request()
            while not self._end.is_set() and not self._sent(body):
                self._end.wait(SPAN_SECONDS)
            self.taken[trace] = time.time()

    def _request(self) -> tuple[str, dict[str, object]]:
        trace, now = secrets.token_hex(16), time.time_ns()
        span = {
            "traceId": trace,
            "spanId": secrets.token_hex(8),
            "name": "GET /drill",
            "kind": 2,
            "startTimeUnixNano": str(now - 5_000_000),
            "endTimeUnixNano": str(now),
            "status": {"code": 2},
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE}}]}
        return trace, {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}

    def _sent(self, body: dict[str, object]) -> bool:
        try:
            return requests.post(f"{self._endpoint}/v1/traces", json=body, timeout=10).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        self._end.set()
        self.join()


@dataclass
class Steady:
    """All that goes in, and what the stack has of it."""

    stack: Deployment
    outside: Outside
    logs: Logs
    writer: Container
    spans: Spans = field(init=False)
    off: timedelta = timedelta(0)
    """How far the clock of the engine, which stamps the lines, is or was ahead."""

    def __post_init__(self) -> None:
        self.spans = Spans(self.stack.url("otlp_http"))
        self.spans.start()

    def stop(self) -> None:
        self.spans.stop()

    def line(self) -> int:
        """The number of the last line that was written."""
        # The engine may be asked while it writes it.
        return until(lambda: _number(self.writer.logs(tail=1).decode()), seconds=10)

    def around(self, seconds: float) -> range:
        """The numbers of the lines of so many seconds before now, and of as many from now on."""
        last, many = self.line(), round(seconds / WRITE_SECONDS)
        return range(last - many, last + many)

    def lines(self, first: int, last: int, since: datetime) -> tuple[list[int], list[int]]:
        """Which of the numbers that were written Loki does not have, and which it has more than once."""
        text = self.writer.logs(since=int((min(since, since + self.off) - BEFORE).timestamp())).decode()
        all_numbers = {_number(line) for line in text.splitlines()}
        self.logs.began = since - BEFORE
        counts = Counter(
            _number(line.text) for off in {timedelta(0), self.off} for line in self.logs.lines("writer", off)
        )
        numbers = [number for number in sorted(all_numbers) if first <= number <= last]
        return [n for n in numbers if not counts[n]], [n for n in numbers if counts[n] > 1]

    def traces(self, since: float, until: float) -> set[str]:
        """Ids of those that were taken meanwhile."""
        return {trace for trace, at in self.spans.taken.items() if since <= at < until}

    def traces_found(self) -> dict[str, int]:
        """Trace id → how many spans Jaeger has of it; each was sent with one."""
        return {trace: len(answer["spans"]) for trace, answer in tracing.traces_of(self.stack, SERVICE).items()}

    def samples(self, seconds: float) -> list[float]:
        """When the application was scraped, as far as Prometheus knows: seconds since 1970."""
        result = self.stack.query(f'up{{service="{SERVICE}"}}[{max(1, round(seconds))}s]')
        return [float(at) for at, value in (result[0]["values"] if result else ()) if value == "1"]

    def raised(self, drill: str) -> None:
        """The application says what the alert of this drill is about."""
        self.outside.metrics = f'drill_raised{{drill="{drill}"}} 1\n'

    def calm(self) -> None:
        self.outside.metrics = "drill_raised 0\n"

    def told(self, drill: str, status: str) -> int:
        """How often Slack was told that the alert of this drill is `FIRING` or `RESOLVED`."""
        titles = [message["attachments"][0]["title"] for message in self.outside.messages]
        return sum(title.startswith(f"[{status}") and f"DrillRaised · {drill} " in f"{title} " for title in titles)


def _number(line: str) -> int:
    return int(json.loads(line)["msg"].split()[1])


def now() -> datetime:
    return datetime.now(UTC)
