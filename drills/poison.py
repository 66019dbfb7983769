"""One sender sends every payload that is known to have harmed others. A second, well-behaved sender must lose nothing meanwhile."""

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from drills import steady
from drills.bad_lines import lines_of
from drills.bad_payloads import attribute, gauge, post, record, resource, span, told_by
from drills.bystanders import STEADY, flows
from drills.frame import Drill
from drills.ground import Ground, OnGround, reached
from tests.support.deployment import Deployment

MANY_NAMES = 1_050
MANY_SERIES = 25_000
CONNECTIONS = 1_100
HOURS = (1, 4, 12)
"""So long ago lines and records say they were written."""
NAN = {"doubleValue": "NaN"}
CAREFUL_SECONDS = 0.5


class Careful(threading.Thread):
    """The second sender: a log record and a counter, twice a second."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(daemon=True)
        self._ground, self._end = ground, threading.Event()
        self.service = f"careful{secrets.token_hex(2)}"
        self.began = steady.now()
        self.taken: list[str] = []
        self.refused: list[str] = []

    def run(self) -> None:
        while not self._end.wait(CAREFUL_SECONDS):
            text = f"careful {len(self.taken) + len(self.refused)}"
            body = json.dumps({"resourceLogs": [record(self.service, text)]}).encode()
            answers = (
                post(self._ground, body, signal="logs"),
                post(self._ground, gauge(self.service, "careful_gauge", {}), signal="metrics"),
            )
            refused = [told_by(answer) for answer in answers if not answer.ok]
            self.refused.extend(refused)
            if not refused:
                self.taken.append(text)

    def stop(self) -> None:
        self._end.set()
        self.join()

    def lost(self) -> set[str]:
        logs = self._ground.steady.logs
        logs.began = self.began - steady.BEFORE
        return set(self.taken) - {line.text for line in logs.lines_with_label(self.service)}


def poisonous(ground: Ground) -> str:
    """All of them, one after the other; then the second sender has lost nothing."""
    careful = Careful(ground)
    careful.start()
    try:
        for name, send in POISONS.items():
            _sent(ground, name, send)
        time.sleep(2)
    finally:
        careful.stop()
    assert not careful.refused, f"the second sender was refused {len(careful.refused)} times: {careful.refused[0]}"
    reached("every record of the second sender is found", lambda: not careful.lost())
    seconds = round(time.time() - careful.began.timestamp()) - 5
    up = f'min_over_time(up{{job="otlp"}}[{seconds}s]) == 1'
    reached("no scrape of what is sent by OTLP has failed", lambda: ground.stack.query(up), 5)
    assert not ground.stack.query(f'max_over_time(ALERTS{{alertname="TargetDown"}}[{seconds}s])'), "an alert was faked"
    return f"{len(POISONS)} inputs, {len(careful.taken)} records and samples of the second sender, none lost"


def _sent(ground: Ground, name: str, send: Callable[[Ground], None]) -> None:
    try:
        send(ground)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from error


def _spans(ground: Ground, **changes: Any) -> None:
    answer = post(ground, span(**changes)[1])
    assert answer.ok, told_by(answer)


def _nan_everywhere(ground: Ground) -> None:
    """Beside texts that are no key for Badger."""
    odd = [{"key": "ratio", "value": NAN}, attribute("payload", "x" * 100_000)]
    nested = {"key": "map", "value": {"kvlistValue": {"values": odd}}}
    _spans(ground, attributes=[*odd, nested], events=[{"name": "e", "attributes": odd}])
    body = json.loads(span()[1])
    body["resourceSpans"][0]["resource"]["attributes"] += odd
    body["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": "s", "attributes": odd}
    answer = post(ground, json.dumps(body).encode())
    assert answer.ok, told_by(answer)


def _metric(ground: Ground, name: str, *labels: tuple[str, str]) -> None:
    body = json.loads(gauge("careless", name, {}))
    [point] = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"]
    point["attributes"] = [attribute(key, value) for key, value in labels]
    answer = post(ground, json.dumps(body).encode(), signal="metrics")
    assert answer.ok, told_by(answer)


RESERVED = (
    "le",
    "quantile",
    "job",
    "instance",
    "service",
    "exported_job",
    "exported_instance",
    "__name__",
    "",
    "otel_scope_name",
)
FAKED = ("up", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE")


def _reserved(ground: Ground) -> None:
    for key in RESERVED:
        _metric(ground, "forged", (key, "node"))
    _metric(ground, "forged", ("le", "x"), ("le", "y"), ("http.method", "GET"), ("http_method", "PUT"))
    for name in FAKED:
        _metric(ground, name, ("alertname", "TargetDown"), ("alertstate", "firing"), ("severity", "critical"))


def _records(ground: Ground, *records: dict[str, Any]) -> None:
    answer = post(ground, json.dumps({"resourceLogs": records}).encode(), signal="logs")
    assert answer.ok, told_by(answer)


def _large_records(ground: Ground) -> None:
    trace = [attribute("exception.stacktrace", "at com.example.Order\n" * 2_000)]
    many = [attribute(f"key{number}", "x") for number in range(200)]
    _records(
        ground,
        record("careless", "a stack trace", attributes=trace),
        record("careless", "many attributes", attributes=many),
        record("careless" * 25, "a long name"),
        record("careless", "x" * 1_500_000),
    )


def _old_records(ground: Ground) -> None:
    now = time.time_ns()
    ago = (now - hours * 3600 * 10**9 for hours in HOURS)
    _records(ground, *(record("careless", "old", timeUnixNano=str(at)) for at in (*ago, 1, now + 3600 * 10**9)))


def _old_lines(ground: Ground) -> None:
    """Each is found, beside one of now."""
    lines = "; ".join(
        f"""echo '{{"time":"'$(date -u -d @$(( $(date +%s) - {hours * 3600} )) +%Y-%m-%dT%H:%M:%SZ)'","msg":"old {hours}"}}'; echo now"""
        for hours in HOURS
    )
    entries = lines_of(ground, lines, lambda lines: len(lines) >= 2 * len(HOURS))
    assert len(entries) == 2 * len(HOURS), f"{len(entries)} of {2 * len(HOURS)} lines with old times are found"


def _many_services(ground: Ground) -> None:
    _records(ground, *(record(f"careless{number}", "x") for number in range(MANY_NAMES)))


def _many_series(ground: Ground) -> None:
    now = str(time.time_ns())
    points = [
        {"attributes": [attribute("user", str(number))], "timeUnixNano": now, "asDouble": 1}
        for number in range(MANY_SERIES)
    ]
    metrics = [{"name": "careless_users", "gauge": {"dataPoints": points}}]
    body = {"resourceMetrics": [{"resource": resource(), "scopeMetrics": [{"metrics": metrics}]}]}
    answer = post(ground, json.dumps(body).encode(), signal="metrics")
    assert answer.ok, told_by(answer)


def _held_connections(ground: Ground) -> None:
    """To the proxy of the engine's socket, over the stack's own network."""
    with held(ground.stack, CONNECTIONS):
        time.sleep(5)


@contextlib.contextmanager
def held(stack: Deployment, count: int) -> Iterator[None]:
    proxy = stack.container("socket_proxy")
    [address] = [network["IPAddress"] for network in proxy.attrs["NetworkSettings"]["Networks"].values()][:1]
    with contextlib.ExitStack() as open_ones:
        for _ in range(count):
            with contextlib.suppress(OSError):  # refused is right
                one = open_ones.enter_context(socket.create_connection((address, 2375), timeout=1))
                one.sendall(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
        yield


POISONS: dict[str, Callable[[Ground], None]] = {
    "NaN beside long texts": _nan_everywhere,
    "a small NaN": partial(_spans, attributes=[{"key": "ratio", "value": NAN}]),
    "reserved names": _reserved,
    "large log records": _large_records,
    "records of other times": _old_records,
    "lines of other times": _old_lines,
    "many services": _many_services,
    "many series": _many_series,
    "held connections": _held_connections,
}


def drills() -> list[OnGround]:
    what = f"one application sends {', '.join(POISONS)}"
    holds = f"another application's log records and samples are all found; {STEADY}"
    return [Drill("poison", what, holds, partial(flows, attempt=poisonous))]
