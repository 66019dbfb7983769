"""Metrics that count the requests of a service: one row for each library, proxy or exporter.

The first row whose metrics a service has is used (`config/alerts/golden_signals.py`). The names were read from the pages
that the libraries served, or from their sources, in the versions that docs/instrumentation/sources.md lists.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from config.alerts.job_sources import JOBS
from config.alerts.request_source import FAILED, RequestSource, Selector, Upstream, by_status
from config.alerts.rule import Job
from config.metric_names import ACCESS_LOG_DURATION, ACCESS_LOG_REQUESTS
from config.settings.golden_signals import CountedService

_GRPC_FAILED = "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"
"""Codes of gRPC that are the server's fault, as OpenTelemetry's semantic conventions list them."""
_GRPC_FAILED_NUMBERS = "2|4|12|13|14|15"
"""The same codes as numbers."""

_NO_PAGE = ",".join(f'{label}!="/metrics"' for label in ("handler", "path", "route"))
"""Excludes the metrics page, by the labels of FastAPI's instrumentator, express-prom-bundle and fastify-metrics."""
_USUAL_ROUTES = ("method", "handler", "path", "route", "endpoint")
"""The labels of these, of fiberprometheus and of the examples of prometheus_client: a program has two of them."""


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
            (Selector(f"{stable}_count", f'http_response_status_code=~"{FAILED}"'), unanswered),
            Selector(stable),
            active=Selector("http_server_active_requests"),
            routes=("http_request_method", "http_route"),
        ),
        by_status(
            f"OpenTelemetry, old names{way}",
            "http_server_duration_milliseconds_count",
            "http_status_code",
            duration="http_server_duration_milliseconds",
            active="http_server_active_requests",
            job=job,
            milliseconds=True,
            # Flask's has the path in place of the route.
            routes=("http_method", "http_route", "http_target"),
        ),
        by_status(
            f"OpenTelemetry, RPC{way}",
            f"{rpc}_count",
            "rpc_grpc_status_code",
            duration=rpc,
            job=job,
            failed=_GRPC_FAILED_NUMBERS,
            milliseconds=True,
            routes=("rpc_service", "rpc_method"),
        ),
    )


def _libraries() -> tuple[RequestSource, ...]:
    """Prometheus client libraries, and the integrations of frameworks that use them. Those whose metrics have a unique name
    come first, because some of them also have a metric with a general name."""
    return (
        # OpenTelemetry's exporter for Node.js leaves the unit out.
        by_status(
            "OpenTelemetry",
            "http_server_request_duration_count",
            "http_response_status_code",
            duration="http_server_request_duration",
            active="http_server_active_requests",
            routes=("http_request_method", "http_route"),
        ),
        by_status(
            "Micrometer",
            "http_server_requests_seconds_count",
            "status",
            duration="http_server_requests_seconds",
            active="http_server_requests_active_seconds_count",
            matchers='uri!="/actuator/prometheus"',
            routes=("method", "uri"),
        ),
        by_status(
            "flask_exporter",
            "flask_http_request_total",
            "status",
            duration="flask_http_request_duration_seconds",
            routes=("method", "path"),
            by_route="flask_http_request_duration_seconds_count",
        ),
        by_status(
            "starlette_exporter",
            "starlette_requests_total",
            "status_code",
            duration="starlette_request_duration_seconds",
            active="starlette_requests_in_progress",
            matchers='path!="/metrics"',
            routes=("method", "path"),
        ),
        # These durations count a request twice if it ended in an exception, and exclude other middlewares. The durations of
        # whole requests have no label `view`, so they would include scrapes: half of all requests of a quiet service.
        by_status(
            "django_prometheus",
            "django_http_responses_total_by_status_view_method_total",
            "status",
            duration="django_http_requests_latency_seconds_by_view_method",
            matchers='view!="prometheus-django-metrics"',
            routes=("method", "view"),
        ),
        # Its duration is a summary without quantiles.
        by_status("gin_prometheus", "gin_requests_total", "code", routes=("method", "url")),
        # The names of the example in promhttp's documentation.
        by_status(
            "promhttp",
            "api_requests_total",
            "code",
            duration="request_duration_seconds",
            active="in_flight_requests",
            routes=("method", "handler"),
        ),
        # The program chooses the prefix of these two: the default, and the one in the READMEs.
        *(
            by_status(
                "echoprometheus",
                f"{prefix}_requests_total",
                "code",
                duration=f"{prefix}_request_duration_seconds",
                matchers='url!="/metrics"',
                routes=("method", "url"),
            )
            for prefix in ("echo", "myapp")
        ),
        by_status(
            "actix_web_prom",
            "api_http_requests_total",
            "status",
            duration="api_http_requests_duration_seconds",
            routes=("method", "endpoint"),
        ),
        by_status(
            "yabeda_rails",
            "rails_requests_total",
            "status",
            duration="rails_request_duration_seconds",
            routes=("method", "controller", "action"),
        ),
        by_status(
            "Rack",
            "http_server_requests_total",
            "code",
            duration="http_server_request_duration_seconds",
            routes=("method", "path"),
        ),
        by_status(
            "prometheus_net",
            "http_requests_received_total",
            "code",
            duration="http_request_duration_seconds",
            active="http_requests_in_progress",
            matchers=_NO_PAGE,  # the same as for the last two rows, so that the histogram is read once
            routes=("method", "endpoint"),
        ),
        by_status(
            "axum_prometheus",
            "axum_http_requests_total",
            "status",
            duration="axum_http_requests_duration_seconds",
            active="axum_http_requests_pending",
            routes=("method", "endpoint"),
        ),
        by_status(
            "gRPC",
            "grpc_server_handled_total",
            "grpc_code",
            duration="grpc_server_handling_seconds",
            failed=_GRPC_FAILED,
            routes=("grpc_service", "grpc_method"),
        ),
        by_status(
            "http_requests_total",
            "http_requests_total",
            "status",
            "status_code",
            "code",
            duration="http_request_duration_seconds",
            active="http_requests_in_progress_total",
            matchers=_NO_PAGE,
            routes=_USUAL_ROUTES,
        ),
        by_status(
            "http_request_duration_seconds",
            "http_request_duration_seconds_count",
            "status",
            "status_code",
            "code",
            duration="http_request_duration_seconds",
            matchers=_NO_PAGE,
            routes=_USUAL_ROUTES,
        ),
    )


_TRAEFIK_FAILED = f"{FAILED}|{_GRPC_FAILED_NUMBERS}"
"""Traefik's status of a gRPC request is the code of gRPC."""


_PAGE = ", own page"
"""Suffix of the names of sources that `exporters` configures. If the same proxy also has a scrape label, the first source
counts."""


def _proxies() -> tuple[RequestSource, ...]:
    """Proxies as services: the answers that their clients got."""
    return (
        *(
            by_status(
                f"Traefik{way}",
                "traefik_entrypoint_requests_total",
                "code",
                duration="traefik_entrypoint_request_duration_seconds",
                failed=_TRAEFIK_FAILED,
                job=job,
            )
            for job, way in ((Job.APPLICATION, ""), (Job.TRAEFIK, _PAGE))
        ),
        *(
            by_status(
                f"Caddy{way}",
                "caddy_http_request_duration_seconds_count",
                "code",
                duration="caddy_http_request_duration_seconds",
                active="caddy_http_requests_in_flight",
                matchers='handler!="metrics"',
                job=job,
            )
            for job, way in ((Job.APPLICATION, ""), (Job.CADDY_PAGE, _PAGE))
        ),
        by_status("HAProxy", "haproxy_frontend_http_responses_total", "code", job=Job.HAPROXY),
        by_status(
            "Envoy",
            "envoy_http_downstream_rq_xx",
            "envoy_response_code_class",
            duration="envoy_http_downstream_rq_time",
            active="envoy_http_downstream_rq_active",
            failed="5",
            # Excludes Envoy's administration pages, which Prometheus scrapes.
            matchers='envoy_http_conn_manager_prefix!="admin"',
            milliseconds=True,
        ),
        by_status(
            "ingress-nginx",
            "nginx_ingress_controller_requests",
            "status",
            duration="nginx_ingress_controller_request_duration_seconds",
            routes=("method", "host", "path"),
        ),
        by_status(
            "Kong",
            "kong_http_requests_total",
            "code",
            duration="kong_request_latency_ms",
            milliseconds=True,
            routes=("route",),
        ),
    )


def _upstreams() -> tuple[RequestSource, ...]:
    """Services behind proxies. The names differ from those of the proxies' own rows: the histograms of two sources with one
    name would mix, if a service has both."""
    service = Upstream("exported_service")
    return (
        *(
            by_status(
                f"Traefik, per service{way}",
                "traefik_service_requests_total",
                "code",
                duration="traefik_service_request_duration_seconds",
                failed=_TRAEFIK_FAILED,
                job=job,
                # Strips the provider, and the port that Kubernetes' providers put before it.
                upstream=Upstream("exported_service", "((-[0-9]+)?@kubernetes.*|@.*)?"),
            )
            for job, way in ((Job.APPLICATION, ""), (Job.TRAEFIK, _PAGE))
        ),
        by_status(
            "HAProxy, per service",
            "haproxy_backend_http_responses_total",
            "code",
            active="haproxy_backend_current_sessions",
            job=Job.HAPROXY,
            upstream=Upstream("proxy"),
        ),
        by_status(
            "Envoy, per service",
            "envoy_cluster_upstream_rq_xx",
            "envoy_response_code_class",
            duration="envoy_cluster_upstream_rq_time",
            active="envoy_cluster_upstream_rq_active",
            failed="5",
            milliseconds=True,
            upstream=Upstream("envoy_cluster_name"),
        ),
        by_status(
            "ingress-nginx, per service",
            "nginx_ingress_controller_requests",
            "status",
            duration="nginx_ingress_controller_request_duration_seconds",
            # Excludes requests without a service.
            matchers='exported_service!="-"',
            upstream=service,
        ),
        by_status(
            "Kong, per service",
            "kong_http_requests_total",
            "code",
            duration="kong_request_latency_ms",
            milliseconds=True,
            upstream=service,
        ),
    )


_SPANS = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
_SPANS_COUNTER = "traces_span_metrics_calls_total"

SOURCES = (
    *_opentelemetry(Job.APPLICATION),
    *_opentelemetry(Job.OTLP),
    *_libraries(),
    *_proxies(),
    RequestSource(
        "spans",
        Job.SPANS,
        (Selector(_SPANS_COUNTER, _SPANS),),
        (Selector(_SPANS_COUNTER, f'{_SPANS},status_code="STATUS_CODE_ERROR"'),),
        Selector("traces_span_metrics_duration_seconds", _SPANS),
        routes=("span_name",),
    ),
    *_upstreams(),
    # Last of the sources that count requests: many formats have no duration, and a server may not log every request.
    *(
        by_status("access log", ACCESS_LOG_REQUESTS, "status", duration=ACCESS_LOG_DURATION, job=shipper)
        for shipper in (Job.ALLOY, Job.PROMTAIL)
    ),
    *JOBS,
)
"""Best first: the requests that a service counts itself, then its spans, then what a proxy in front of it counts. A proxy sees
neither requests between services nor messages, and its name for a service is a guess. Jobs come last: users wait for requests,
so requests are what alerts judge if a service has both. Spans come before jobs because they include both."""


def sources(counted: Collection[CountedService]) -> tuple[RequestSource, ...]:
    """All sources, best first. A service in `counted` has no other source."""
    others = apart_from(one.service for one in counted)
    return (*chain.from_iterable(map(_of_settings, counted)), *(source.narrowed(others) for source in SOURCES))


def apart_from(services: Iterable[str]) -> str:
    """Label matchers for the series of all other services."""
    return ",".join(f'service!="{service}"' for service in services)


def _of_settings(counted: CountedService) -> Iterator[RequestSource]:
    duration = _selector(counted.duration) if counted.duration else None
    for name, job in (("settings", Job.APPLICATION), ("settings, by OTLP", Job.OTLP)):
        yield RequestSource(
            name,
            job,
            (_selector(counted.requests),),
            (_selector(counted.errors),) if counted.errors else (),
            duration,
            milliseconds=duration is not None and duration.metric.endswith("_milliseconds"),
        ).narrowed(f'service="{counted.service}"')


def _selector(text: str) -> Selector:
    metric, _, matchers = text.removesuffix("}").partition("{")
    return Selector(metric, matchers)
