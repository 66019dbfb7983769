"""Payloads by OTLP that are wrong, odd or too large: each is refused or counted, or taken and found."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from check import pages
from drills import steady
from drills.bystanders import STEADY, flows
from drills.frame import Drill
from drills.ground import Ground, OnGround, reached
from drills.hostile import LABELS, bomb
from tests.support import tracing

MIB = 2**20
JSON = "application/json"


def post(ground: Ground, body: bytes, *, kind: str = JSON, signal: str = "traces", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{ground.stack.url('otlp_http')}/v1/{signal}"
    return requests.post(url, data=body, headers={"Content-Type": kind, **named}, timeout=60)


def told_by(answer: requests.Response) -> str:
    text = "".join(letter for letter in answer.text if letter.isprintable())
    return f"{answer.status_code} {text[:100].strip()}"


def answered(ground: Ground, body: bytes, code: int, *, kind: str = JSON, **headers: str) -> str:
    """Sends something to the collector, which answers with this code."""
    answer = post(ground, body, kind=kind, **headers)
    assert answer.status_code == code, told_by(answer)
    return told_by(answer)


def too_large(send: Callable[[], requests.Response]) -> str:
    """Sends a request above the size limit. The receiver may close the connection before it has read all of it."""
    try:
        answer = send()
    except requests.ConnectionError as error:
        return f"connection closed: {type(error).__name__}"
    assert answer.status_code in {400, 413}, told_by(answer)
    return told_by(answer)


def resource(service: str = "careless") -> dict[str, Any]:
    return {"attributes": [attribute("service.name", service)]}


def span(**changes: Any) -> tuple[str, bytes]:
    """A failed request of a service called `careless`, with changes; its trace id and the body of an OTLP request."""
    trace, now = secrets.token_hex(16), time.time_ns()
    fields = {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": "careless",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now),
        "status": {"code": 2},
        **changes,
    }
    body = {"resourceSpans": [{"resource": resource(), "scopeSpans": [{"spans": [fields]}]}]}
    return str(fields["traceId"]), json.dumps(body).encode()


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def kept(ground: Ground, **changes: Any) -> str:
    """A span that is odd, but whole: it is taken, and found."""
    trace, body = span(**changes)
    return _found(ground, trace, post(ground, body))


def _found(ground: Ground, trace: str, answer: requests.Response) -> str:
    assert answer.ok, told_by(answer)
    reached("the trace is found", lambda: tracing.exists(ground.stack, trace))
    return "taken, and found"


def no_text(ground: Ground) -> str:
    """Bytes that are no UTF-8, where OTLP has texts: only protobuf can say so."""
    trace = secrets.token_bytes(16)
    name, now = "?" * 40, time.time_ns()
    failed = Span(
        trace_id=trace,
        span_id=secrets.token_bytes(8),
        name=name,
        start_time_unix_nano=now,
        end_time_unix_nano=now,
        status=Status(code=Status.STATUS_CODE_ERROR, message=name),
        attributes=[KeyValue(key=name, value=AnyValue(string_value=name))],
    )
    spans = [ResourceSpans(scope_spans=[ScopeSpans(spans=[failed])])]
    spans[0].resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="careless")))
    body = (
        ExportTraceServiceRequest(resource_spans=spans).SerializeToString().replace(b"?" * 40, b"\xff\xfe\xc0\x80" * 10)
    )
    answer = post(ground, body, kind="application/x-protobuf")
    return told_by(answer) if answer.status_code == 400 else _found(ground, trace.hex(), answer)


def collector(ground: Ground, metric: str) -> float:
    """One of the collector's counters."""
    return pages.metric(ground.client, ground.stack.settings, "otel_collector", metric)


def counted(ground: Ground, body: bytes, *metrics: str, signal: str = "traces") -> str:
    """Something that the collector takes and then drops: it is counted in one of these metrics."""
    before = {metric: collector(ground, metric) for metric in metrics}
    answer = post(ground, body, signal=signal)
    if answer.status_code == 400:
        return told_by(answer)
    assert answer.ok, told_by(answer)

    def grown() -> list[str]:
        return [metric for metric in metrics if collector(ground, metric) > before[metric]]

    reached(f"one of {', '.join(metrics)} grows", grown)
    return f"counted in {grown()[0]}"


def names(ground: Ground) -> str:
    """Ten thousand names of spans make no more series than are allowed: the others are counted together."""
    now, trace = (
        str(time.time_ns()),
        secrets.token_hex(16),
    )  # of one trace: more than wait at once would push others out
    spans = [
        {"traceId": trace, "spanId": secrets.token_hex(8), "name": f"GET /{number}"}
        | {"startTimeUnixNano": now, "endTimeUnixNano": now}
        for number in range(10_000)
    ]
    body = {"resourceSpans": [{"resource": resource("prolix"), "scopeSpans": [{"spans": spans}]}]}
    answer = post(ground, json.dumps(body).encode())
    assert answer.ok, told_by(answer)
    calls = 'traces_span_metrics_calls_total{service="prolix"%s}'
    reached("those without a series are counted", lambda: ground.stack.query(calls % ',otel_metric_overflow="true"'))
    series = len(ground.stack.query(calls % ""))
    most = ground.stack.settings.traces.span_metrics.operations + 1  # and that of all others
    assert series <= most, f"{series} series, {most} are allowed"
    total = f"sum({calls % ''}) == {len(spans)}"
    reached("every span is counted", lambda: ground.stack.query(total))
    return f"{series} series, all {len(spans):,} spans counted"


def gauge(service: str, name: str, labels: Mapping[str, str]) -> bytes:
    """The body of an OTLP request with one metric."""
    point = {
        "attributes": [attribute(key, value) for key, value in labels.items()],
        "timeUnixNano": str(time.time_ns()),
        "asDouble": 1,
    }
    metrics = [{"name": name, "gauge": {"dataPoints": [point]}}]
    body = {"resourceMetrics": [{"resource": resource(service), "scopeMetrics": [{"metrics": metrics}]}]}
    return json.dumps(body).encode()


def measured(ground: Ground, name: str, labels: Mapping[str, str]) -> str:
    """A metric that is odd, and beside it another application's: that one is there."""
    for service, metric, its in (("careless", name, labels), ("careful", "careful", {})):
        answer = post(ground, gauge(service, metric, its), signal="metrics")
        assert answer.ok, told_by(answer)
    reached("the other application's metric is there", lambda: ground.stack.query('careful{service="careful"}'))
    odd = f'{{service="careless",__name__="{name[:128]}"}}'
    reached("the odd one is there, cut", lambda: ground.stack.query(odd))
    [series] = ground.stack.query(odd)
    longest = max(map(len, series["metric"].values()))
    return f"taken with {len(series['metric'])} labels, the longest of {longest} letters"


def record(service: str, text: str, **changes: Any) -> dict[str, Any]:
    fields = {"timeUnixNano": str(time.time_ns()), "severityNumber": 9, "body": {"stringValue": text}, **changes}
    return {"resource": resource(service), "scopeLogs": [{"logRecords": [fields]}]}


def recorded(ground: Ground, odd: dict[str, Any]) -> str:
    """A log record that is odd, and after it one of another service: both are found."""
    careful, logs = f"careful{secrets.token_hex(2)}", ground.steady.logs
    logs.began = steady.now() - steady.BEFORE
    for one in (odd, record(careful, "after")):
        answer = post(ground, json.dumps({"resourceLogs": [one]}).encode(), signal="logs")
        assert answer.ok, told_by(answer)
    reached("another service's record is found", lambda: logs.lines_with_label(careful))
    reached("it is found", lambda: logs.lines_with_label("careless"))
    return f"found with {max(len(line.text) for line in logs.lines_with_label('careless')):,} letters, and so is what came after"


ZERO = {"traceId": "0" * 32, "spanId": "0" * 16}
NANOSECONDS_A_DAY = 86_400 * 10**9
FOUND = "taken, and found"


def times(start: int, end: int) -> dict[str, str]:
    return {"startTimeUnixNano": str(start), "endTimeUnixNano": str(end)}


def otlp() -> dict[str, tuple[str, str, Callable[[Ground], str]]]:
    """Name → what is sent, what must come of it, how."""
    many = [attribute(f"attribute.{number}", "x") for number in range(10_000)]
    items = {"arrayValue": {"values": [{"stringValue": "4711"}] * 20_000}}
    year = time.time_ns() + 365 * NANOSECONDS_A_DAY
    return {
        "otlp-large": ("a request of 30 MiB", "refused (4xx)", lambda g: too_large(lambda: post(g, span(name="x" * 30 * MIB)[1]))),
        "otlp-bomb": ("256 MiB as 250 KiB of gzip", "refused (4xx)", lambda g: too_large(lambda: post(g, bomb(), Content_Encoding="gzip"))),
        "otlp-protobuf": ("bytes that are no protobuf", "refused (400)", lambda g: answered(g, b"\xff" * 1000, 400, kind="application/x-protobuf")),
        "otlp-json": ("JSON that is cut off", "refused (400)", lambda g: answered(g, span()[1][:-20], 400)),
        "otlp-type": ("a content type that is none of OTLP's", "refused (415)", lambda g: answered(g, span()[1], 415, kind="text/plain")),
        "otlp-gzip": ("a body that is not the gzip that it says", "refused (400)", lambda g: answered(g, span()[1], 400, Content_Encoding="gzip")),
        "otlp-nested": ("JSON nested 10,000 deep", "refused (400)", lambda g: answered(g, b'{"resourceSpans":' + b"[" * 10_000, 400)),
        "otlp-utf8": ("texts that are not UTF-8", f"refused (400), or {FOUND}", no_text),
        "otlp-attribute": ("an attribute of 1 MiB", FOUND, lambda g: kept(g, attributes=[attribute("filler", "x" * MIB)])),
        "otlp-value": ("an attribute of 100 KiB, which is no key for Badger", FOUND, lambda g: kept(g, attributes=[attribute("filler", "x" * 100 * 1024)])),
        "otlp-list": ("an attribute that is a list of 20,000", FOUND, lambda g: kept(g, attributes=[{"key": "ids", "value": items}])),
        "otlp-attributes": ("a span with 10,000 attributes", FOUND, lambda g: kept(g, attributes=many)),
        "otlp-name": ("a span whose name has 100 KiB", FOUND, lambda g: kept(g, name="x" * 100 * 1024)),
        "otlp-status": ("a status with a message of 100 KiB", FOUND, lambda g: kept(g, status={"code": 2, "message": "x" * 100 * 1024})),
        "otlp-past": ("a span of 1970", FOUND, lambda g: kept(g, **times(10**9, 10**9))),
        "otlp-future": ("a span of next year", FOUND, lambda g: kept(g, **times(year, year))),
        "otlp-backwards": ("a span that ends an hour before it starts", FOUND, lambda g: kept(g, **times(time.time_ns(), time.time_ns() - 3600 * 10**9))),
        "otlp-overflow": ("a span at the last nanosecond of 64 bits", FOUND, lambda g: kept(g, **times(2**64 - 2, 2**64 - 1))),
        "otlp-zero": ("a trace id of zeros", "refused (400), or counted", lambda g: counted(g, span(**ZERO)[1], "otelcol_processor_filter_spans_filtered_total")),
        "otlp-metric-label": ("a metric with a label of 10 KiB", "taken, its labels cut; another application's metrics arrive", lambda g: measured(g, "long_label", {"text": "x" * 10_240})),
        "otlp-metric-labels": (f"a metric with {LABELS} labels", "taken, its labels cut; another application's metrics arrive", lambda g: measured(g, "wide", {f"label{number}": "x" for number in range(LABELS)})),
        "otlp-metric-name": ("a metric whose name has 10 KiB", "taken, its labels cut; another application's metrics arrive", lambda g: measured(g, "x" * 10_240, {})),
        "otlp-log-long": ("a log record of 2 MiB", "cut, and found; what comes after it too", lambda g: recorded(g, record("careless", "x" * 2 * MIB))),
        "otlp-log-past": ("a log record of 1970", "found, at the time when it came; what comes after it too", lambda g: recorded(g, record("careless", "x", timeUnixNano=str(10**9)))),
    }  # fmt: skip


def drills() -> list[OnGround]:
    return [
        Drill(f"input-{name}", cause, f"{outcome}; {STEADY}", partial(flows, attempt=send))
        for name, (cause, outcome, send) in otlp().items()
    ]


def many_names() -> OnGround:
    """A separate drill, because its series remain for an hour and the check reports a label with so many values."""
    outcome = "no more series than are allowed, every span counted"
    return Drill("input-otlp-names", "10,000 names of spans", f"{outcome}; {STEADY}", partial(flows, attempt=names))
