"""Traces as applications send them, by OpenTelemetry's own SDK, and what Jaeger has of them."""

import json
import math
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from tests.support.deployment import Deployment
from tests.support.ports import publish
from tests.support.wait import until

WAIT_SECONDS = 4
"""How long the test stacks wait until they decide about a trace."""
QUEUED = 'otelcol_exporter_queue_size{exporter="otlp_grpc/jaeger"}'
MILLISECOND = 1_000_000
"""In nanoseconds, as OpenTelemetry counts."""


@dataclass
class Application:
    """One service of a user: its spans go to the collector when it is told to send them."""

    name: str
    endpoint: str
    kept_back: list[tuple[Span, int]] = field(default_factory=list)
    """Spans that are not sent yet, with the time when they ended."""

    def __enter__(self) -> Self:
        self._provider = TracerProvider(resource=Resource({"service.name": self.name}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{self.endpoint}/v1/traces", timeout=30)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=100_000, schedule_delay_millis=500, max_export_batch_size=512)
        )
        self._tracer = self._provider.get_tracer("tests")
        return self

    def __exit__(self, *_: object) -> None:
        self._provider.shutdown()

    def span(
        self,
        name: str,
        milliseconds: float,
        *,
        error: bool = False,
        parent: Span | None = None,
        kind: SpanKind = SpanKind.SERVER,
        end: bool = True,
        attributes: Mapping[str, Any] | None = None,
    ) -> Span:
        """A span that ended just now and took so long. With `end=False` it stays here until `release`."""
        now = time.time_ns()
        context = set_span_in_context(parent) if parent else Context()
        span = self._tracer.start_span(
            name, context, kind, attributes, start_time=now - round(milliseconds * MILLISECOND)
        )
        assert isinstance(span, Span)
        if error:
            span.set_status(Status(StatusCode.ERROR))
        if end:
            span.end(now)
        else:
            self.kept_back.append((span, now))
        return span

    def release(self) -> None:
        """Sends what was kept back, in the reverse order."""
        for span, end in reversed(self.kept_back):
            span.end(end)
        self.kept_back.clear()
        self.flush()

    def flush(self) -> None:
        """Returns when all is sent."""
        assert self._provider.force_flush()


def config(*, memory: Mapping[str, str] | None = None, **traces: Any) -> dict[str, Any]:
    """A small TraceStack on free ports."""
    small = {
        "prometheus": "256MiB",
        "loki": "256MiB",
        "alloy": "128MiB",
        "otel_collector": "256MiB",
        "jaeger": "384MiB",
    }
    return {
        "traces": {"sampling": {"decision_wait": f"{WAIT_SECONDS}s"}, **traces},
        "publish": publish("prometheus", "alertmanager", "loki", "otlp_http", "otlp_grpc", "jaeger"),
        "memory": {"ceiling": "4GiB", **small, **(memory or {})},
    }


def application(stack: Deployment, name: str) -> Application:
    """One that sends to this stack."""
    return Application(name, stack.url("otlp_http"))


def trace_id(span: Span) -> str:
    """As Jaeger shows it."""
    return format(span.get_span_context().trace_id, "032x")


@dataclass
class Batch:
    """Ids of traces by what they are."""

    of: dict[str, set[str]] = field(default_factory=dict)

    def add(self, kind: str, span: Span) -> None:
        self.of.setdefault(kind, set()).add(trace_id(span))


def many(application: Application, *, errors: int, slow: int, nearly: int, rest: int) -> Batch:
    """Traces of one span each: failed ones; some of 1001 and some of 5000 ms; some of 999 ms; and quick ones."""
    batch = Batch()
    shuffled = ["errors"] * errors + ["slow"] * slow + ["nearly"] * nearly + ["rest"] * rest
    secrets.SystemRandom().shuffle(shuffled)
    counts: Counter[str] = Counter()
    for kind in shuffled:
        counts[kind] += 1
        length = {"errors": 20, "slow": 1001 if counts["slow"] % 2 else 5000, "nearly": 999, "rest": 50}[kind]
        batch.add(kind, application.span("GET /orders", length, error=kind == "errors", attributes={"kind": kind}))
    application.flush()
    return batch


def load(application: Application, seconds: float) -> set[str]:
    """Sends traces for so long; returns the ids of the failed ones."""
    identifiers: set[str] = set()
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        identifiers |= many(application, errors=20, slow=0, nearly=0, rest=20).of["errors"]
        time.sleep(1)
    return identifiers


class Outage:
    """`with Outage(stack, "orders", "jaeger") as outage`: services are away while the application `orders` sends traces."""

    SECONDS = 30
    """A drill takes two minutes (cut-api_proxy-jaeger)."""

    def __init__(self, stack: Deployment, name: str, *services: str) -> None:
        self._stack, self._name = stack, name
        self._containers = [stack.container(service) for service in services]
        self._other = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        for container in self._containers:
            container.stop()
        self._sent = self._other.submit(self._load)
        return self

    def __exit__(self, *_: object) -> None:
        self._other.shutdown()
        self._back()

    def _load(self) -> set[str]:
        with application(self._stack, self._name) as sender:
            return load(sender, self.SECONDS)

    def _back(self) -> None:
        for container in reversed(self._containers):  # one that needs another comes after it
            container.start()

    def loses_nothing(self) -> None:
        """Waits for the end of it; then all that is kept is found, and nothing waits any more."""
        identifiers = self._sent.result()
        assert self._stack.query(f"{QUEUED} > 0")
        self._back()
        until(lambda: identifiers <= traces_of(self._stack, self._name).keys(), seconds=300)
        until(lambda: self._stack.query(f"{QUEUED} == 0"))
        print(f"{self.SECONDS} s without {len(self._containers)} services: {len(identifiers)} kept traces, all found")


def traces_of(stack: Deployment, service: str, **tags: str) -> dict[str, dict[str, Any]]:
    """The traces that Jaeger has of a service: id → trace as its API gives it."""
    query = {"service": service, "limit": "20000", "lookback": "1h", **({"tags": json.dumps(tags)} if tags else {})}
    answer = requests.get(f"{stack.url('jaeger')}/api/traces", params=query, timeout=30)
    answer.raise_for_status()
    return {trace["traceID"].zfill(32): trace for trace in answer.json()["data"]}


def exists(stack: Deployment, identifier: str) -> bool:
    """Whether Jaeger has this trace."""
    return requests.get(f"{stack.url('jaeger')}/api/traces/{identifier}", timeout=10).status_code == 200


def sampled(stack: Deployment, service: str) -> None:
    """Sends 3,000 traces of known kind: all errors and all slower than 1 s are found, and a tenth of the rest."""
    with application(stack, service) as sender:
        batch = many(sender, errors=300, slow=200, nearly=300, rest=2200)
    wanted = batch.of["errors"] | batch.of["slow"]
    until(lambda: wanted <= traces_of(stack, service).keys())
    survivors = traces_of(stack, service).keys()
    for kind in ("nearly", "rest"):
        assert within_binomial(len(survivors & batch.of[kind]), len(batch.of[kind]), 10)
    assert not stack.query("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total > 0")


def counted(stack: Deployment, service: str) -> None:
    """Metrics of spans are made before anything is dropped."""
    until(lambda: stack.query(f'sum(traces_span_metrics_calls_total{{service="{service}"}}) == 3000'))
    until(lambda: stack.query(f'sum(traces_span_metrics_duration_seconds_count{{service="{service}"}}) == 3000'))


def exemplars_lead_somewhere(stack: Deployment) -> None:
    """Each kind of what `sampled` sent has an exemplar in its bucket, and Jaeger has the trace of every one."""

    def exemplars() -> list[dict[str, Any]]:
        now = time.time()
        period = {"start": str(now - 600), "end": str(now)}
        result: list[dict[str, Any]] = stack.get(
            "prometheus", "/api/v1/query_exemplars", query='{__name__=~"traces_.+"}', **period
        )["data"]
        return result

    buckets = {"0.025", "0.05", "1.0", "2.5", "5.0"}
    until(lambda: buckets <= {series["seriesLabels"].get("le") for series in exemplars()})
    identifiers = {one["labels"]["trace_id"] for series in exemplars() for one in series["exemplars"]}
    assert [identifier for identifier in identifiers if not exists(stack, identifier)] == []


def within_binomial(count: int, of: int, percent: float) -> bool:
    """Whether so many of so many may be that percentage by chance: within five standard deviations."""
    share = percent / 100
    return abs(count - of * share) <= 5 * math.sqrt(of * share * (1 - share))


def bulk(endpoint: str, mebibytes: int) -> list[int]:
    """Sends traces of a MiB each, as fast as it goes, until one is refused; returns the answers' status codes.

    Of links: long texts would be cut.
    """
    answers: list[int] = []
    link = {"traceId": secrets.token_hex(16), "spanId": secrets.token_hex(8)}
    links = [link] * (2**20 // len(json.dumps(link)))
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bulk"}}]}
    while len(answers) < mebibytes and 503 not in answers:
        now = time.time_ns()
        span = {
            "traceId": secrets.token_hex(16),
            "spanId": secrets.token_hex(8),
            "name": "bulk",
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now),
            "links": links,
        }
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        answers.append(requests.post(f"{endpoint}/v1/traces", json=body, timeout=30).status_code)
    return answers
