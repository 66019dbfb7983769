"""What a centre costs by the number of its edges. Generators simulate the edges: each sends what an edge of usual size sends, with
its credential, through the centre's own door."""

import secrets
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cramjam
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench import measure
from bench.figures import Row, row
from bench.measure import Cost
from bench.measured_stack import PRODUCTION, created
from config.services.correlation import caddy
from engine.docker_api import execute
from tests.support.deployment import Deployment
from tests.support.outside import gateway
from tests.support.ports import free_port, publish
from tests.support.wait import until

EDGES = (1, 10, 25, 50)
SERIES = 1500
"""Series of one edge: as many as a host with a dozen containers has."""
INTERVAL = 15
REQUESTS = 3
"""Requests with which an edge sends the samples of one interval: a sample waits for up to five seconds."""
LINES, SPANS = 10, 5
"""Each second, of one edge; in one request a second each."""
DOOR = ("caddy", "api_proxy", "edge_door")
STORES = ("prometheus", "loki", "otel_collector", "jaeger")
PASSWORD = "edge_password_"
LINE = '{"level":"info","msg":"request served","method":"GET","route":"/orders/{id}","status":200,"duration_ms":%.2f,"trace_id":"%s"}'


@dataclass
class Edge:
    """One that sends."""

    name: str
    door: str
    password: str
    ca: Path
    traffic: dict[str, int] = field(default_factory=dict)
    """Signal → bytes on the wire, without headers and TLS."""
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # REQUESTS_CA_BUNDLE would be stronger than `verify`
        self._session.auth, self._session.verify = (self.name, self.password), str(self.ca)
        self._labels = [_labels(self.name, number) for number in range(SERIES)]

    def run(self, end: threading.Event, late: float) -> None:
        """Sends until `end`, beginning `late` seconds from now, so that edges do not send at the same time."""
        second = 0
        due = time.monotonic() + late
        while not end.wait(max(0.0, due - time.monotonic())):
            if second % (INTERVAL // REQUESTS) == 0:
                self._post("samples", "/api/v1/write", self._samples(second // (INTERVAL // REQUESTS)), _SNAPPY)
            self._post("lines", "/loki/api/v1/push", self._lines(), _SNAPPY)
            self._post("spans", "/v1/traces", self._spans(), _GZIP)
            second, due = second + 1, due + 1

    def _post(self, signal: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            answer = self._session.post(self.door + path, body, headers=headers, timeout=30)
            if not answer.ok:
                self.refused.append(f"{signal}: {answer.status_code} {answer.text[:200]}")
        except requests.RequestException as error:
            self.refused.append(f"{signal}: {error}")
        self.traffic[signal] = self.traffic.get(signal, 0) + len(body)

    def _samples(self, turn: int) -> bytes:
        now = time.time()
        sample = _field(2, b"\x09" + struct.pack("<d", now % 1000) + b"\x10" + _varint(int(now * 1000)))
        wanted = self._labels[turn % REQUESTS :: REQUESTS]
        return _packed(b"".join(_field(1, labels + sample) for labels in wanted))

    def _lines(self) -> bytes:
        entries = b""
        for number in range(LINES):
            seconds, rest = divmod(time.time_ns() + number, 10**9)
            line = LINE % (number * 7.3, secrets.token_hex(16))
            at = b"\x08" + _varint(seconds) + b"\x10" + _varint(rest)
            entries += _field(2, _field(1, at) + _field(2, line.encode()))
        return _packed(_field(1, _field(1, b'{level="info", service="shop", source="docker"}') + entries))

    def _spans(self) -> bytes:
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = f"shop-{self.name}"
        scope, now = resource.scope_spans.add(), time.time_ns()
        for _ in range(SPANS):
            span = scope.spans.add(
                trace_id=secrets.token_bytes(16), span_id=secrets.token_bytes(8), name="GET /orders/{id}", kind=2
            )
            span.start_time_unix_nano, span.end_time_unix_nano = now - 20_000_000, now
            for key in ("http.route", "http.request.method", "server.address", "network.protocol.version"):
                span.attributes.add(key=key).value.string_value = "/orders/{id}"
        return bytes(cramjam.gzip.compress(request.SerializeToString()))


_SNAPPY = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
_GZIP = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}


def run(seconds: float, counts: Sequence[int] = EDGES) -> list[Row]:
    """Rows for each number of edges."""
    names = [f"edge-{number:02}" for number in range(max(counts))]
    passwords = {name: secrets.token_hex(32) for name in names}
    with _centre(passwords) as (stack, door, ca):
        edges = [Edge(name, door, passwords[name], ca) for name in names]
        groups = [_loaded(stack, 0, seconds)]
        end = threading.Event()
        with ThreadPoolExecutor(len(edges)) as pool:
            try:
                running = 0
                for count in counts:
                    for number in range(running, count):
                        pool.submit(edges[number].run, end, (number - running) / (count - running) * INTERVAL)
                    running = count
                    until(partial(_all_there, stack, count), seconds=120)
                    groups.append(_loaded(stack, count, seconds, edges[:count]))
            finally:
                end.set()
    return [one for rows in groups for one in rows]


@contextmanager
def _centre(passwords: dict[str, str]) -> Iterator[tuple[Deployment, str, Path]]:
    """A centre with default settings. Yields it, the address of its door, and the certificate of its authority."""
    port = free_port()
    with created(**PRODUCTION, grafana={"enabled": False}, publish=publish("prometheus", "loki")) as stack:
        address = gateway(stack.client, "bridge")
        stack.config |= {
            "edges": {name: {} for name in passwords},
            "door": {"domain": address, "certificate": "internal"},
            "host_name": "centre",
            "publish": {**stack.config["publish"], "caddy": f"{address}:{port}"},
        }
        stack.write()
        stack.pulumi("config", "set-all", *(f"--secret={PASSWORD}{name}={text}" for name, text in passwords.items()))
        stack.up()
        with TemporaryDirectory() as folder:
            ca = Path(folder) / "ca.pem"
            _, pem = execute(stack.container("caddy"), ["cat", f"{caddy.DATA}/caddy/pki/authorities/local/root.crt"])
            ca.write_text(pem)
            yield stack, f"https://{address}:{port}", ca


def _loaded(stack: Deployment, count: int, seconds: float, edges: Sequence[Edge] = ()) -> list[Row]:
    containers = {service: stack.container(service) for service in (*DOOR, *STORES)}
    time.sleep(INTERVAL)
    before, refused, began = _sent(edges), sum(len(edge.refused) for edge in edges), time.monotonic()
    costs = measure.cost(containers, seconds)
    took = time.monotonic() - began
    wrong = [words for edge in edges for words in edge.refused][refused:]
    subject = f"{count} edges" if count != 1 else "1 edge"
    result = [
        row(subject, "edges", "", count),
        row(subject, "series", "", _value(stack, "prometheus_tsdb_head_series")),
        row(subject, "lines", "per s", _rate(stack, 'loki_distributor_lines_received_total{host="centre"}', seconds)),
        row(subject, "spans", "per s", _rate(stack, "otelcol_receiver_accepted_spans_total", seconds)),
    ]
    for signal in ("samples", "lines", "spans"):
        wire = (_sent(edges).get(signal, 0) - before.get(signal, 0)) / took / max(1, count)
        result.append(row(subject, f"{signal} of an edge", "kB/s", wire / 1000))
    result.append(row(subject, "requests refused or late", "", len(wrong)))
    for service in (*DOOR, *STORES):
        result += _cost(subject, service, costs[service])
    together = Cost(
        peak_mib=sum(cost.peak_mib for cost in costs.values()),
        limit_mib=sum(cost.limit_mib for cost in costs.values()),
        cores=sum(cost.cores for cost in costs.values()),
    )
    return result + _cost(subject, "all of these", together)


def _cost(subject: str, service: str, cost: Cost) -> list[Row]:
    return [
        row(subject, f"{service} CPU", "% of a core", 100 * cost.cores),
        row(subject, f"{service} memory", "MiB", cost.peak_mib),
    ]


def _sent(edges: Sequence[Edge]) -> dict[str, int]:
    signals = {signal for edge in edges for signal in edge.traffic}
    return {signal: sum(edge.traffic.get(signal, 0) for edge in edges) for signal in signals}


def _all_there(stack: Deployment, count: int) -> bool:
    """Whether the centre has all series of so many edges."""
    answer = stack.query(f"count(count by (host) (edge_metric) >= {SERIES})")
    return bool(answer) and int(answer[0]["value"][1]) == count


def _value(stack: Deployment, query: str) -> float:
    return float(stack.query(query)[0]["value"][1])


def _rate(stack: Deployment, metric: str, seconds: float) -> float:
    answer = stack.query(f"sum(rate({metric}[{max(60, round(seconds))}s]))")
    return float(answer[0]["value"][1]) if answer else 0.0


def _labels(edge: str, number: int) -> bytes:
    labels = {
        "__name__": "edge_metric",
        "container": f"shop-service-{number // 100}",
        "host": edge,
        "instance": "cadvisor:8080",
        "job": "cadvisor",
        "name": f"shop-service-{number // 100}-1",
        "service": f"service-{number // 100}",
        "what": f"bytes_of_kind_{number % 100}",
    }
    return b"".join(_field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in labels.items())


def _packed(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
