"""Traces with the embedded storage: what is kept, whole, through outages, and for how long."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
import requests
from docker import DockerClient
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from config import links, service_names
from config.alerts.rule import DISK_BUDGET_USED
from tests.support import grafana_page, leftovers
from tests.support.deployment import Deployment
from tests.support.tracing import (
    QUEUED,
    WAIT_SECONDS,
    Outage,
    application,
    bulk,
    config,
    counted,
    exemplars_lead_somewhere,
    exists,
    many,
    sampled,
    trace_id,
    traces_of,
    within_binomial,
)
from tests.support.wait import until

MASKED = {
    "db.password": "hunter2",
    "http.request.header.authorization": ["Bearer abcdefgh12345678"],
    "note": "write to ann@example.com, she pays by 4111 1111 1111 1111",
    "url.full": "https://bob:secret123@shop.example/pay?token=abc123&size=4",
}
"""Attributes of a span, each with something that must not be stored."""
LONG = "x" * 100_000
"""Longer than a label of Prometheus, and than a key of Badger."""
LOGGED: dict[str, dict[str, Any]] = {
    "debug": {"severity_number": SeverityNumber.TRACE},
    "info": {"severity_number": SeverityNumber.INFO4},
    "warn": {"severity_number": SeverityNumber.WARN, "severity_text": "information"},  # the number counts
    "error": {"severity_text": "SEVERE"},
    "fatal": {"severity_number": SeverityNumber.FATAL},
    "unknown": {"severity_text": "loud"},
}
"""Level → what a log record says of its severity."""


@pytest.fixture(scope="module")
def users(client: DockerClient) -> Iterator[str]:
    """A network of the user's own."""
    network = client.networks.create(f"{leftovers.new_prefix()}-users")
    yield str(network.name)
    network.remove()


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]], users: str) -> Iterator[Deployment]:
    with deploy("traces", **config(), networks=[users]) as deployment:
        deployment.up()
        yield deployment


def test_all_that_is_wrong_or_slow_is_kept_and_a_tenth_of_the_rest(stack: Deployment) -> None:
    sampled(stack, "shop")


def test_span_metrics_count_every_trace_in_seconds(stack: Deployment) -> None:
    counted(stack, "shop")
    below = 'traces_span_metrics_duration_seconds_bucket{service="shop",le="%s"}'
    assert stack.query(f"sum({below % '1.0'}) == 2800")  # the slow ones are above
    assert stack.query(f"sum({below % '0.5'}) == 2500")  # those of 999 ms too


def test_every_exemplar_leads_to_a_trace(stack: Deployment) -> None:
    exemplars_lead_somewhere(stack)


def test_a_trace_of_three_services_is_kept_or_dropped_whole_however_late_its_spans_come(stack: Deployment) -> None:
    with ExitStack() as running:
        front, middle, back = (running.enter_context(application(stack, name)) for name in ("front", "middle", "back"))
        roots = [front.span("GET /", 50, end=False) for _ in range(300)]
        for number, root in enumerate(roots):
            called = middle.span("call", 40, parent=root, end=False)
            back.span("query", 30, parent=called, error=number % 10 == 0)
        start = time.monotonic()
        back.flush()  # the deepest first, the root last and after the decision
        until(lambda: time.monotonic() - start > WAIT_SECONDS / 2)
        middle.release()
        until(lambda: time.monotonic() - start > WAIT_SECONDS + 3)
        front.release()
    failed = {trace_id(root) for root in roots[::10]}

    def whole() -> set[str]:
        spans = {identifier: len(trace["spans"]) for identifier, trace in traces_of(stack, "back").items()}
        return {identifier for identifier, count in spans.items() if count == 3}

    until(lambda: failed <= whole())
    assert whole() == traces_of(stack, "front").keys() == traces_of(stack, "back").keys()
    assert within_binomial(len(whole() - failed), 270, 10)


def test_health_checks_are_neither_kept_nor_counted_unless_they_fail_or_are_slow(stack: Deployment) -> None:
    with application(stack, "healthy") as healthy:
        for _ in range(50):
            healthy.span("GET /healthz", 5, attributes={"url.path": "/healthz"})
        failed = healthy.span("GET /healthz", 5, error=True, attributes={"url.path": "/healthz"})
        slow = healthy.span("GET /healthz", 2000, attributes={"url.path": "/healthz"})
        healthy.span("GET /healthiness", 2000, attributes={"url.path": "/healthiness"})
    until(lambda: len(traces_of(stack, "healthy")) == 3)
    assert {trace_id(failed), trace_id(slow)} < traces_of(stack, "healthy").keys()
    until(lambda: stack.query('sum(traces_span_metrics_calls_total{service="healthy"}) == 3'))


def test_secrets_and_personal_data_are_masked(stack: Deployment) -> None:
    with application(stack, "careless") as careless:
        careless.span("GET /", 5, error=True, attributes=MASKED | {links.SERVICE_TAG: "forged"})
    [trace] = until(lambda: traces_of(stack, "careless").values())
    tags = {tag["key"]: str(tag["value"]) for tag in trace["spans"][0]["tags"]}
    assert tags.keys() >= MASKED.keys()
    text = " ".join(tags[key] for key in MASKED)
    for secret in ("hunter2", "abcdefgh12345678", "ann@example.com", "4111", "secret123", "abc123"):
        assert secret not in text
    assert tags["note"].startswith("write to ****, she pays by <card>")
    assert tags["url.full"].endswith("&size=4")
    # What links of a span are made of, in Jaeger's answer as it is.
    assert grafana_page.span_variables(trace, trace["spans"][0])["__span"]["tags"][links.SERVICE_TAG] == "careless"


def test_what_traces_take_of_their_disk_is_what_is_written_and_not_the_hole_of_the_value_log(stack: Deployment) -> None:
    assert until(lambda: stack.query("jaeger_storage_badger_size_bytes_vlog >= 2147483646"))
    assert until(lambda: stack.query(f'{DISK_BUDGET_USED}{{service="jaeger"}} < 0.02'))


def test_what_is_too_long_for_those_who_keep_it_is_cut_and_holds_nobody_up(stack: Deployment) -> None:
    long: list[dict[str, Any]] = [
        {"attributes": {"db.query.text": LONG}},
        {"attributes": {"order.ids": ["4711"] * 20_000}},
        {"attributes": {LONG: "a name"}},
        {"attributes": {"peer.service": LONG}, "kind": SpanKind.CLIENT},
        {"name": LONG},
    ]
    service = "lengthy" * 100
    with application(stack, service) as lengthy:
        spans = [lengthy.span(**{"name": "GET /", "milliseconds": 5, "error": True, **one}) for one in long]
        failed = lengthy.span("GET /", 5, end=False)
        failed.set_status(Status(StatusCode.ERROR, LONG))
        failed.add_event("exception", {"exception.stacktrace": LONG})
        lengthy.release()
        lengthy.span("GET /last", 5, error=True)
    wanted = {trace_id(span) for span in (*spans, failed)}
    until(lambda: all(exists(stack, identifier) for identifier in wanted))
    stored_spans = [span for trace in traces_of(stack, service[:128]).values() for span in trace["spans"]]
    assert len(stored_spans) == len(wanted) + 1
    texts = [
        str(tag["value"])
        for span in stored_spans
        for tag in (*span["tags"], *(field for log in span["logs"] for field in log["fields"]))
    ]
    assert max(map(len, texts)) == 4096
    counted_names = f'traces_span_metrics_calls_total{{service="{service[:128]}",span_name="{"x" * 128}"}}'
    until(lambda: stack.query(counted_names))
    assert stack.query('min_over_time(up{job="spans"}[10s]) == 1')


def test_a_number_that_json_does_not_know_switches_no_guard_off_and_holds_nobody_up(stack: Deployment) -> None:
    poison = {"ratio": math.nan, "most": -math.inf, "list": [math.inf], "password": "hunter2", "left": 3}
    with application(stack, "poisonous") as poisonous:
        poisonous.span("small", 5, error=True, attributes=poison)
        poisonous.span("long", 5, error=True, attributes={**poison, "payload": LONG})
        failed = poisonous.span("event", 5, error=True, end=False)
        failed.add_event("exception", {"ratio": math.nan, "exception.stacktrace": LONG})
        poisonous.release()
    with application(stack, "behind") as behind:
        after = trace_id(behind.span("GET /", 5, error=True))
    until(lambda: after in traces_of(stack, "behind"))
    until(lambda: len(traces_of(stack, "poisonous")) == 3)  # the page that answered 500
    traces = traces_of(stack, "poisonous")
    tags = {
        span["operationName"]: {tag["key"]: tag["value"] for tag in span["tags"]}
        for trace in traces.values()
        for span in trace["spans"]
    }
    assert (tags["small"]["ratio"], tags["small"]["most"], tags["small"]["list.0"]) == ("NaN", "-Infinity", "Infinity")
    assert "hunter2" not in json.dumps(traces)
    assert len(tags["long"]["payload"]) < len(LONG)


def test_changed_rates_are_those_of_the_running_collector(stack: Deployment) -> None:
    started = stack.started("otel_collector")
    rates = {"rest": 50, "services": {"quiet": {"rest": 0, "errors": 40, "slow": {"over": "100ms", "keep": 100}}}}
    stack.config["traces"]["sampling"] |= rates
    stack.up()
    assert stack.started("otel_collector") == started

    with application(stack, "loud") as loud, application(stack, "quiet") as quiet:
        of_loud = many(loud, errors=100, slow=20, nearly=0, rest=880)
        of_quiet = many(quiet, errors=500, slow=20, nearly=20, rest=460)
    until(lambda: of_loud.of["errors"] | of_loud.of["slow"] <= traces_of(stack, "loud").keys())
    until(lambda: of_quiet.of["slow"] | of_quiet.of["nearly"] <= traces_of(stack, "quiet").keys())
    kept_loud, kept_quiet = traces_of(stack, "loud").keys(), traces_of(stack, "quiet").keys()
    assert within_binomial(len(kept_loud & of_loud.of["rest"]), 880, 50)
    assert within_binomial(len(kept_quiet & of_quiet.of["errors"]), 500, 40)
    assert not kept_quiet & of_quiet.of["rest"]


@contextmanager
def _meter(stack: Deployment, service: str) -> Iterator[Meter]:
    """An application's own metrics, sent every second until the end."""
    exporter = OTLPMetricExporter(f"{stack.url('otlp_http')}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1000)
    provider = MeterProvider([reader], Resource({"service.name": service}), shutdown_on_exit=False)
    try:
        yield provider.get_meter("tests")
    finally:
        provider.shutdown()


@contextmanager
def _logger(stack: Deployment, resource: Mapping[str, str]) -> Iterator[Logger]:
    """An application's own log; all is sent at the end."""
    provider = LoggerProvider(Resource(resource), shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{stack.url('otlp_http')}/v1/logs")))
    try:
        yield provider.get_logger("tests")
    finally:
        provider.shutdown()


@pytest.fixture(scope="class")
def outage(stack: Deployment) -> Iterator[Outage]:
    with Outage(stack, "patient", "jaeger") as going_on:
        yield going_on


@pytest.mark.usefixtures("outage")
class TestWithoutJaeger:
    """What does not need Jaeger is tested meanwhile."""

    def test_metrics_that_applications_send_reach_prometheus_under_their_name(self, stack: Deployment) -> None:
        with _meter(stack, "seller") as meter:
            meter.create_counter("sold").add(7, {"kind": "book"})
            meter.create_histogram("price", unit="s", explicit_bucket_boundaries_advisory=[1, 10]).record(2)
            [sold] = until(lambda: stack.query('sold_total{service="seller",job="otlp"}'))
            [price] = until(lambda: stack.query('price_seconds_bucket{service="seller",le="10.0"}'))
        assert (sold["value"][1], sold["metric"]["kind"], price["value"][1]) == ("7", "book", "1")

    def test_a_metric_whose_labels_are_too_long_or_too_many_fails_nobodys_scrape(self, stack: Deployment) -> None:
        with _meter(stack, "wide") as meter:
            labels = {f"key_{number}": "x" for number in range(60)}
            meter.create_counter("wide").add(1, {"text": LONG, **labels})
            [series] = until(lambda: stack.query('wide_total{service="wide",job="otlp"}'))
        assert 20 < len(series["metric"]) <= stack.settings.metrics.limits.labels
        assert max(map(len, series["metric"].values())) <= stack.settings.metrics.limits.label_value_length
        assert stack.query('min_over_time(up{job="otlp"}[10s]) == 1')

    def test_names_that_are_prometheus_own_are_given_to_nobody_and_stop_nobody(self, stack: Deployment) -> None:
        forged = {"le": "x", "job": "node", "instance": "x", "exported_job": "other", "__name__": "x", "": "x"}
        with _meter(stack, "forger") as meter:
            meter.create_histogram("forged", unit="s").record(2, forged)
            meter.create_gauge("up").set(0, {"http.method": "GET", "http_method": "PUT"})
            [count] = until(lambda: stack.query('forged_seconds_count{job="otlp"}'))
            [up] = until(lambda: stack.query("application_up"))
        assert count["metric"]["service"] == up["metric"]["service"] == "forger"
        assert (count["metric"]["attribute_le"], count["metric"]["attribute_exported_job"]) == ("x", "other")
        assert not stack.query('up{service="forger"}')
        assert stack.query('min_over_time(up{job="otlp"}[10s]) == 1')

    def test_a_log_record_that_is_too_long_for_a_request_to_loki_is_cut(self, stack: Deployment) -> None:
        with _logger(stack, {"service.name": "endless"}) as logger:
            logger.emit(LogRecord(timestamp=time.time_ns(), body="x" * 2_000_000))
        [(_, text, _)] = until(lambda: _streams(stack, "endless", 1))
        assert len(text) == 800_000

    def test_a_record_with_much_beside_its_text_is_kept_and_takes_nobody_with_it(self, stack: Deployment) -> None:
        """Stack traces of real services, and what is larger than a request to Loki may be."""
        much: dict[str, dict[str, Any]] = {
            "stack": {"exception.stacktrace": "at com.example.Order\n" * 900},
            "many": {f"key_{number}": "x" for number in range(120)},
            "huge": {**{f"key_{number}": LONG for number in range(20)}, "ratio": math.nan},
        }
        names = "talkative", "t" * 200
        for name in names:
            with _logger(stack, {"service.name": name}) as logger:
                logger.emit(LogRecord(timestamp=time.time_ns(), body="before"))
                for body, attributes in much.items():
                    logger.emit(LogRecord(timestamp=time.time_ns(), body=body, attributes=attributes))
                logger.emit(LogRecord(timestamp=time.time_ns(), body={"list": ["x" * 1_200_000]}))
                logger.emit(LogRecord(timestamp=time.time_ns(), body="after"))
        for name in (name[: service_names.LENGTH] for name in names):
            lines = {text: metadata for _, text, metadata in until(lambda name=name: _streams(stack, name, 6))}  # type: ignore[misc]
            assert lines.keys() > {"before", "after", *much}
            assert lines["stack"]["exception_stacktrace"] == much["stack"]["exception.stacktrace"]

    def test_logs_that_applications_send_have_the_labels_of_all_others_and_nothing_secret(
        self, stack: Deployment
    ) -> None:
        service = {"service.name": "writer", "source": "forged", "level": "forged", "host.name": "h-4711"}
        with application(stack, "writer") as traced:
            span = traced.span("GET /", 5)
        context = set_span_in_context(span)
        with _logger(stack, service) as logger:
            for level, fields in LOGGED.items():
                # Ten seconds ago: Loki refuses nothing of it, and every query finds it.
                logger.emit(LogRecord(timestamp=time.time_ns() - 10**10, context=context, body=f"as {level}", **fields))
            logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    severity_number=SeverityNumber.INFO,
                    body=MASKED["note"],
                    attributes={"level": "forged", "user_id": "u-1", "db.password": "hunter2"},
                )
            )
        streams = until(lambda: _streams(stack, "writer", len(LOGGED) + 1))
        lines = {line: (labels, metadata) for labels, line, metadata in streams}
        for level in LOGGED:
            labels, metadata = lines[f"as {level}"]
            assert labels == {"service": "writer", "level": level, "source": "otlp"}
            assert (metadata["trace_id"], metadata["host_name"]) == (trace_id(span), "h-4711")
        labels, metadata = lines["write to ****, she pays by <card>"]
        assert labels == {"service": "writer", "level": "info", "source": "otlp"}
        assert metadata["user_id"] == "u-1"
        assert "hunter2" not in metadata.values()

    def test_nothing_that_is_kept_is_lost(self, outage: Outage) -> None:
        outage.loses_nothing()


def _streams(stack: Deployment, service: str, count: int) -> list[tuple[dict[str, str], str, dict[str, str]]]:
    """The lines of a service as labels, text and metadata, once there are so many."""
    answer = requests.get(
        f"{stack.url('loki')}/loki/api/v1/query_range",
        params={"query": f'{{service="{service}"}}', "since": "1h"},
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
        timeout=10,
    )
    answer.raise_for_status()
    entries = [
        (stream["stream"], text, more.get("structuredMetadata", {}))
        for stream in answer.json()["data"]["result"]
        for _, text, more in stream["values"]
    ]
    return entries if len(entries) >= count else []


def test_what_waits_in_the_queue_survives_a_kill_of_the_collector(stack: Deployment) -> None:
    jaeger, collector = stack.container("jaeger"), stack.container("otel_collector")
    with application(stack, "killed") as killed:
        jaeger.stop()
        try:
            identifiers = many(killed, errors=200, slow=0, nearly=0, rest=0).of["errors"]
            until(lambda: stack.query(f"{QUEUED} > 0"))
            time.sleep(WAIT_SECONDS + 2)  # until all are decided
            collector.kill()
            collector.start()
        finally:
            jaeger.start()
    until(lambda: identifiers <= traces_of(stack, "killed").keys(), seconds=90)


def test_at_its_memory_limit_the_collector_refuses_and_lives(stack: Deployment) -> None:
    stack.config["traces"]["sampling"]["decision_wait"] = "20s"  # so that what is sent stays
    stack.up()
    try:
        started = stack.started("otel_collector")
        answers = bulk(stack.url("otlp_http"), mebibytes=400)
        assert answers[0] == 200
        assert answers[-1] == 503  # "unavailable": SDKs try again
        until(lambda: stack.query("sum(otelcol_receiver_refused_spans_total) > 0"))
        with application(stack, "later") as later:  # and takes again what comes then
            until(lambda: later.span("GET /", 5, error=True) and traces_of(stack, "later"))
        container = stack.container("otel_collector")
        assert stack.started("otel_collector") == started
        assert not container.attrs["State"]["OOMKilled"]
    finally:
        stack.config["traces"]["sampling"]["decision_wait"] = f"{WAIT_SECONDS}s"


def test_a_container_of_the_user_reaches_the_collector_by_its_alias(
    stack: Deployment, client: DockerClient, users: str
) -> None:
    script = "wget -q -O - --header 'Content-Type: application/json' --post-data '{}' http://otel-collector:4318/v1/traces | grep -q partialSuccess"
    client.containers.run(  # raises when that ends with an error
        stack.settings.image("busybox"), ["sh", "-c", script], network=users, remove=True, mem_limit="32m"
    )


def test_what_is_older_than_the_retention_is_gone(stack: Deployment) -> None:
    stack.config["traces"]["retention"] = "15s"
    stack.up()
    with application(stack, "shortlived") as shortlived:
        wanted = trace_id(shortlived.span("GET /", 5, error=True))
    until(lambda: wanted in traces_of(stack, "shortlived"))
    until(lambda: not traces_of(stack, "shortlived"))
    assert not exists(stack, wanted)
