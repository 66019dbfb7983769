"""What counts the requests of a service: a row for each way in which metrics of services tell of them.

Of the rows that a service has, the first counts (`config/alerts/golden_signals.py`). The names were read from the pages
that the libraries served, or from their sources, in the versions that docs/instrumentation/README.md lists.
"""

from dataclasses import dataclass, replace
from typing import Self

from config import log_requests
from config.alerts.rule import Job

_FAILED = "5.."
"""Status of a failed request. It also matches `5xx`, as some libraries group them."""
_GRPC_FAILED = "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"
"""Codes of gRPC that are the server's fault, as OpenTelemetry's semantic conventions list them."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Series of one metric. Never of several: a rate drops their names, and two with the same labels would then fail the rule
    for every service."""

    metric: str
    matchers: str = ""

    def of(self, job: Job, suffix: str = "", *, without: str = "") -> str:
        """PromQL: those that `job` reads. The metric's name gets a suffix such as `_bucket`, or loses one."""
        name = self.metric.removesuffix(without) + suffix
        matchers = _and(f'job="{job}"', self.matchers)
        return f"{name}{{{matchers}}}"

    def narrowed(self, matchers: str) -> Self:
        """Those of them that these label matchers select too."""
        return replace(self, matchers=_and(self.matchers, matchers))


def _and(*matchers: str) -> str:
    return ",".join(filter(None, matchers))


@dataclass(frozen=True, slots=True)
class RequestSource:
    """One way in which the requests of a service are counted."""

    name: str
    """Value of the label `source`."""
    job: Job
    requests: tuple[Selector, ...]
    """Counters. A series that several of them select counts once."""
    failed: tuple[Selector, ...]
    """The part of `requests` that failed."""
    duration: Selector | None = None
    """Histogram, classic or native."""
    active: Selector | None = None
    """Gauge of requests in progress."""

    @property
    def milliseconds(self) -> bool:
        """Whether the histogram's unit is the millisecond. Otherwise it is the second."""
        return self.duration is not None and self.duration.metric.endswith("_milliseconds")

    @property
    def native(self) -> bool:
        """Whether the counters are the histogram's own, so that a native histogram replaces them."""
        return self.duration is not None and self.requests[0].metric == f"{self.duration.metric}_count"


def _by_status(
    name: str,
    counter: str,
    *labels: str,
    duration: str = "",
    active: str = "",
    job: Job = Job.APPLICATION,
    failed: str = _FAILED,
) -> RequestSource:
    """A counter with the status in one of `labels`. Series without any of them are not counted, because nobody knows which
    of them failed."""
    return RequestSource(
        name,
        job,
        tuple(Selector(counter, f'{label}!=""') for label in labels),
        tuple(Selector(counter, f'{label}=~"{failed}"') for label in labels),
        Selector(duration) if duration else None,
        Selector(active) if active else None,
    )


def _opentelemetry(job: Job) -> tuple[RequestSource, ...]:
    """Metrics by OpenTelemetry's semantic conventions: HTTP by its stable names and by the older ones, and RPC."""
    way = ", by OTLP" if job is Job.OTLP else ""
    stable, rpc = "http_server_request_duration_seconds", "rpc_server_duration_milliseconds"
    # A request that was never answered has no status.
    unanswered = Selector(f"{stable}_count", 'http_response_status_code="",error_type!=""')
    return (
        RequestSource(
            f"OpenTelemetry{way}",
            job,
            (Selector(f"{stable}_count", 'http_response_status_code!=""'), unanswered),
            (Selector(f"{stable}_count", f'http_response_status_code=~"{_FAILED}"'), unanswered),
            Selector(stable),
            active=Selector("http_server_active_requests"),
        ),
        _by_status(
            f"OpenTelemetry, old names{way}",
            "http_server_duration_milliseconds_count",
            "http_status_code",
            duration="http_server_duration_milliseconds",
            active="http_server_active_requests",
            job=job,
        ),
        _by_status(
            f"OpenTelemetry, RPC{way}",
            f"{rpc}_count",
            "rpc_grpc_status_code",
            duration=rpc,
            job=job,
            failed="2|4|12|13|14|15",
        ),
    )


def _libraries() -> tuple[RequestSource, ...]:
    """Client libraries of Prometheus, and what frameworks serve by them. Those with a name of their own stand first: some
    also have a metric of a general name."""
    return (
        # OpenTelemetry's exporter for Node.js leaves the unit out.
        _by_status(
            "OpenTelemetry",
            "http_server_request_duration_count",
            "http_response_status_code",
            duration="http_server_request_duration",
            active="http_server_active_requests",
        ),
        _by_status(
            "Micrometer",
            "http_server_requests_seconds_count",
            "status",
            duration="http_server_requests_seconds",
            active="http_server_requests_active_seconds_count",
        ),
        _by_status(
            "flask_exporter", "flask_http_request_total", "status", duration="flask_http_request_duration_seconds"
        ),
        _by_status(
            "starlette_exporter",
            "starlette_requests_total",
            "status_code",
            duration="starlette_request_duration_seconds",
            active="starlette_requests_in_progress",
        ),
        _by_status(
            "django_prometheus",
            "django_http_responses_total_by_status_total",
            "status",
            duration="django_http_requests_latency_including_middlewares_seconds",
        ),
        # Its duration is a summary without quantiles.
        _by_status("gin_prometheus", "gin_requests_total", "code"),
        # The names of the example in promhttp's documentation.
        _by_status(
            "promhttp", "api_requests_total", "code", duration="request_duration_seconds", active="in_flight_requests"
        ),
        # These two have a prefix that the program chooses: the default, and what the READMEs choose.
        _by_status("echoprometheus", "echo_requests_total", "code", duration="echo_request_duration_seconds"),
        _by_status("echoprometheus", "myapp_requests_total", "code", duration="myapp_request_duration_seconds"),
        _by_status(
            "actix_web_prom", "api_http_requests_total", "status", duration="api_http_requests_duration_seconds"
        ),
        _by_status("yabeda_rails", "rails_requests_total", "status", duration="rails_request_duration_seconds"),
        _by_status("Rack", "http_server_requests_total", "code", duration="http_server_request_duration_seconds"),
        _by_status(
            "prometheus_net",
            "http_requests_received_total",
            "code",
            duration="http_request_duration_seconds",
            active="http_requests_in_progress",
        ),
        _by_status(
            "axum_prometheus",
            "axum_http_requests_total",
            "status",
            duration="axum_http_requests_duration_seconds",
            active="axum_http_requests_pending",
        ),
        _by_status(
            "gRPC",
            "grpc_server_handled_total",
            "grpc_code",
            duration="grpc_server_handling_seconds",
            failed=_GRPC_FAILED,
        ),
        _by_status(
            "Traefik",
            "traefik_entrypoint_requests_total",
            "code",
            duration="traefik_entrypoint_request_duration_seconds",
        ),
        _by_status(
            "Caddy",
            "caddy_http_request_duration_seconds_count",
            "code",
            duration="caddy_http_request_duration_seconds",
            active="caddy_http_requests_in_flight",
        ),
        _by_status(
            "http_requests_total",
            "http_requests_total",
            "status",
            "status_code",
            "code",
            duration="http_request_duration_seconds",
            active="http_requests_in_progress_total",
        ),
        _by_status(
            "http_request_duration_seconds",
            "http_request_duration_seconds_count",
            "status",
            "status_code",
            "code",
            duration="http_request_duration_seconds",
        ),
    )


_SPANS = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
_SPANS_COUNTER = "traces_span_metrics_calls_total"

SOURCES = (
    *_opentelemetry(Job.APPLICATION),
    *_opentelemetry(Job.OTLP),
    *_libraries(),
    RequestSource(
        "spans",
        Job.SPANS,
        (Selector(_SPANS_COUNTER, _SPANS),),
        (Selector(_SPANS_COUNTER, f'{_SPANS},status_code="STATUS_CODE_ERROR"'),),
        Selector("traces_span_metrics_duration_seconds", _SPANS),
    ),
    # Last, because a line tells the least: many formats have no duration, and a server may leave requests out of its log.
    *(
        _by_status("access log", log_requests.REQUESTS, "status", duration=log_requests.DURATION, job=shipper)
        for shipper in (Job.ALLOY, Job.PROMTAIL)
    ),
)
"""Best first."""
