"""What counts the requests of a service: a row for each way in which metrics of services tell of them.

Of the rows that a service has, the first counts (`config/alerts/golden_signals.py`). The names were read from the pages
that the libraries served, or from their sources, in the versions that docs/instrumentation/README.md lists.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

from config import log_requests
from config.alerts.rule import Job
from config.settings.golden_signals import CountedService

_FAILED = "5.."
"""Status of a failed request. It also matches `5xx`, as some libraries group them."""
_GRPC_FAILED = "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"
"""Codes of gRPC that are the server's fault, as OpenTelemetry's semantic conventions list them."""
_GRPC_FAILED_NUMBERS = "2|4|12|13|14|15"
"""The same codes as numbers."""

_NO_PAGE = ",".join(f'{label}!="/metrics"' for label in ("handler", "path", "route"))
"""Not the metrics page, by the labels that FastAPI's instrumentator, express-prom-bundle and fastify-metrics have."""


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
class Upstream:
    """The label in which a proxy names the service behind it."""

    label: str
    rest: str = ""
    """Regular expression of what follows the name and is no part of it: `(@.*)?` for `orders@docker`."""

    @property
    def pattern(self) -> str:
        """Regular expression of the whole value. Its first group is the service. A value that it does not match names no
        service: messages and pages show the name.

        These are the characters of ASCII that a service's name may have (`config/service_names.py`). With those of all scripts,
        an evaluation of the rules takes three times as long, because Prometheus compiles the expression anew each time."""
        return f"([0-9A-Za-z_.:/@ -]+?){self.rest}"


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
    milliseconds: bool = False
    """Whether the histogram's unit is the millisecond. Otherwise it is the second."""
    upstream: Upstream | None = None
    """Names the service that the requests belong to. Otherwise it is the one that serves the metrics."""

    @property
    def native(self) -> bool:
        """Whether the counters are the histogram's own, so that a native histogram replaces them."""
        return self.duration is not None and self.requests[0].metric == f"{self.duration.metric}_count"

    def narrowed(self, matchers: str) -> Self:
        """The same, of the series that these label matchers select too."""
        return replace(
            self,
            requests=tuple(counter.narrowed(matchers) for counter in self.requests),
            failed=tuple(counter.narrowed(matchers) for counter in self.failed),
            duration=self.duration and self.duration.narrowed(matchers),
            active=self.active and self.active.narrowed(matchers),
        )


def _by_status(
    name: str,
    counter: str,
    *labels: str,
    duration: str = "",
    active: str = "",
    job: Job = Job.APPLICATION,
    failed: str = _FAILED,
    matchers: str = "",
    milliseconds: bool = False,
    upstream: Upstream | None = None,
) -> RequestSource:
    """A counter with the status in one of `labels`. Series without any of them are not counted, because nobody knows which
    of them failed. `matchers` select among all series. For one, they leave out a library's own metrics page, because the
    requests of Prometheus would count as requests of users."""
    if upstream:
        matchers = _and(matchers, f'{upstream.label}=~"{upstream.pattern}"')
    is_failed = f'="{failed}"' if failed.isalnum() else f'=~"{failed}"'
    return RequestSource(
        name,
        job,
        tuple(Selector(counter, _and(f'{label}!=""', matchers)) for label in labels),
        tuple(Selector(counter, _and(f"{label}{is_failed}", matchers)) for label in labels),
        Selector(duration, matchers) if duration else None,
        Selector(active, matchers) if active else None,
        milliseconds,
        upstream,
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
            milliseconds=True,
        ),
        _by_status(
            f"OpenTelemetry, RPC{way}",
            f"{rpc}_count",
            "rpc_grpc_status_code",
            duration=rpc,
            job=job,
            failed=_GRPC_FAILED_NUMBERS,
            milliseconds=True,
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
            matchers='uri!="/actuator/prometheus"',
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
            matchers='path!="/metrics"',
        ),
        # Its durations by view count a request twice that ended in an exception. These have no view, so scrapes are in them.
        _by_status(
            "django_prometheus",
            "django_http_responses_total_by_status_view_method_total",
            "status",
            duration="django_http_requests_latency_including_middlewares_seconds",
            matchers='view!="prometheus-django-metrics"',
        ),
        # Its duration is a summary without quantiles.
        _by_status("gin_prometheus", "gin_requests_total", "code"),
        # The names of the example in promhttp's documentation.
        _by_status(
            "promhttp", "api_requests_total", "code", duration="request_duration_seconds", active="in_flight_requests"
        ),
        # These two have a prefix that the program chooses: the default, and what the READMEs choose.
        *(
            _by_status(
                "echoprometheus",
                f"{prefix}_requests_total",
                "code",
                duration=f"{prefix}_request_duration_seconds",
                matchers='url!="/metrics"',
            )
            for prefix in ("echo", "myapp")
        ),
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
            "http_requests_total",
            "http_requests_total",
            "status",
            "status_code",
            "code",
            duration="http_request_duration_seconds",
            active="http_requests_in_progress_total",
            matchers=_NO_PAGE,
        ),
        _by_status(
            "http_request_duration_seconds",
            "http_request_duration_seconds_count",
            "status",
            "status_code",
            "code",
            duration="http_request_duration_seconds",
            matchers=_NO_PAGE,
        ),
    )


_TRAEFIK_FAILED = f"{_FAILED}|{_GRPC_FAILED_NUMBERS}"
"""Traefik's status of a gRPC request is the code of gRPC."""


def _proxies() -> tuple[RequestSource, ...]:
    """Proxies, as services of their own: what their clients got."""
    return (
        _by_status(
            "Traefik",
            "traefik_entrypoint_requests_total",
            "code",
            duration="traefik_entrypoint_request_duration_seconds",
            failed=_TRAEFIK_FAILED,
        ),
        _by_status(
            "Caddy",
            "caddy_http_request_duration_seconds_count",
            "code",
            duration="caddy_http_request_duration_seconds",
            active="caddy_http_requests_in_flight",
            matchers='handler!="metrics"',
        ),
        _by_status("HAProxy", "haproxy_frontend_http_responses_total", "code", job=Job.HAPROXY),
        _by_status(
            "Envoy",
            "envoy_http_downstream_rq_xx",
            "envoy_response_code_class",
            duration="envoy_http_downstream_rq_time",
            active="envoy_http_downstream_rq_active",
            failed="5",
            # Its own administration pages, which Prometheus reads too.
            matchers='envoy_http_conn_manager_prefix!="admin"',
            milliseconds=True,
        ),
        _by_status(
            "ingress-nginx",
            "nginx_ingress_controller_requests",
            "status",
            duration="nginx_ingress_controller_request_duration_seconds",
        ),
        _by_status(
            "Kong",
            "kong_http_requests_total",
            "code",
            duration="kong_request_latency_ms",
            milliseconds=True,
        ),
    )


def _upstreams() -> tuple[RequestSource, ...]:
    """Services behind proxies. The names differ from those of the proxies' own rows: the histograms of two sources with one
    name would mix, if a service has both."""
    service = Upstream("exported_service")
    return (
        _by_status(
            "Traefik, per service",
            "traefik_service_requests_total",
            "code",
            duration="traefik_service_request_duration_seconds",
            failed=_TRAEFIK_FAILED,
            # The provider, and the port that Kubernetes' providers put before theirs.
            upstream=Upstream("exported_service", "((-[0-9]+)?@kubernetes.*|@.*)?"),
        ),
        _by_status(
            "HAProxy, per service",
            "haproxy_backend_http_responses_total",
            "code",
            active="haproxy_backend_current_sessions",
            job=Job.HAPROXY,
            upstream=Upstream("proxy"),
        ),
        _by_status(
            "Envoy, per service",
            "envoy_cluster_upstream_rq_xx",
            "envoy_response_code_class",
            duration="envoy_cluster_upstream_rq_time",
            active="envoy_cluster_upstream_rq_active",
            failed="5",
            milliseconds=True,
            upstream=Upstream("envoy_cluster_name"),
        ),
        _by_status(
            "ingress-nginx, per service",
            "nginx_ingress_controller_requests",
            "status",
            duration="nginx_ingress_controller_request_duration_seconds",
            # A request that has no service.
            matchers='exported_service!="-"',
            upstream=service,
        ),
        _by_status(
            "Kong, per service",
            "kong_http_requests_total",
            "code",
            duration="kong_request_latency_ms",
            milliseconds=True,
            upstream=service,
        ),
    )


def _tally(
    name: str,
    done: Selector,
    *failed: Selector,
    duration: str = "",
    active: str = "",
    job: Job = Job.APPLICATION,
    milliseconds: bool = False,
) -> RequestSource:
    """A counter of all that was done, and what failed of it."""
    return RequestSource(
        name,
        job,
        (done,),
        failed,
        Selector(duration) if duration else None,
        Selector(active) if active else None,
        milliseconds,
    )


def _messaging(job: Job) -> tuple[RequestSource, ...]:
    """Metrics of messages and jobs by OpenTelemetry. Exporters for Node.js and kafkajs leave the unit out."""
    way = ", by OTLP" if job is Job.OTLP else ""
    return (
        # It can have the metric of the conventions too, there without its errors. Its histogram has OpenTelemetry's bounds for
        # milliseconds, but counts seconds: the first is 5 s.
        _by_status(f"River{way}", "river_work_count_total", "status", job=job, failed="error|panic"),
        *(
            _by_status(
                f"BullMQ{way}",
                f"{name}_count",
                "bullmq_job_state",
                duration=name,
                job=job,
                failed="failed",
                # The others are steps of a job that goes on.
                matchers='bullmq_job_state=~"completed|failed"',
                milliseconds=True,
            )
            for name in ("bullmq_job_duration_milliseconds", "bullmq_job_duration")
        ),
        *(
            _tally(
                f"OpenTelemetry, messaging{way}",
                Selector(f"{name}_count"),
                Selector(f"{name}_count", 'error_type!=""'),
                duration=name,
                job=job,
            )
            for name in ("messaging_process_duration_seconds", "messaging_process_duration")
        ),
    )


def _workers() -> tuple[RequestSource, ...]:
    """Workers that take jobs or messages from a queue. An attempt is a request."""
    return (
        _tally(
            "celery_exporter",
            Selector("celery_task_started_total"),
            Selector("celery_task_failed_total"),
            duration="celery_task_runtime",
            active="celery_worker_tasks_active",
        ),
        _tally(
            "Flower",
            Selector("flower_events_total", 'type=~"task-succeeded|task-failed"'),
            Selector("flower_events_total", 'type="task-failed"'),
            duration="flower_task_runtime_seconds",
            active="flower_worker_number_of_currently_executing_tasks",
        ),
        _tally(
            "Dramatiq",
            Selector("dramatiq_messages_total"),
            Selector("dramatiq_message_errors_total"),
            duration="dramatiq_message_duration_milliseconds",
            active="dramatiq_messages_inprogress",
            milliseconds=True,
        ),
        _tally(
            "taskiq",
            Selector("received_tasks_total", 'task_name!=""'),
            Selector("found_errors_total", 'task_name!=""'),
            duration="execution_time",
        ),
        _by_status(
            "FastStream",
            "faststream_received_processed_messages_total",
            "status",
            duration="faststream_received_processed_messages_duration_seconds",
            active="faststream_received_messages_in_process",
            failed="error|nacked|rejected",
        ),
        _tally(
            "yabeda_sidekiq",
            Selector("sidekiq_jobs_executed_total"),
            Selector("sidekiq_jobs_failed_total"),
            duration="sidekiq_job_runtime_seconds",
        ),
        _tally(
            "prometheus_exporter, Sidekiq",
            Selector("ruby_sidekiq_jobs_total"),
            Selector("ruby_sidekiq_failed_jobs_total"),
            duration="ruby_sidekiq_job_duration_seconds",
        ),
        _by_status(
            "yabeda_faktory",
            "faktory_jobs_executed_total",
            "success",
            duration="faktory_job_execution_runtime_seconds",
            failed="false",
        ),
        # With observations, the label `error` takes the place of `result`.
        *(
            _tally(
                name,
                Selector(f"{metric}_count"),
                Selector(f"{metric}_count", 'result="failure"'),
                Selector(f"{metric}_count", 'result="",error!~"none|"'),
                duration=metric,
            )
            for name, metric in (
                ("Spring Kafka", "spring_kafka_listener_seconds"),
                ("Spring AMQP", "spring_rabbitmq_listener_seconds"),
                ("Spring AMQP", "spring_rabbit_listener_seconds"),
            )
        ),
        _tally(
            "MassTransit",
            Selector("mt_consume_total"),
            Selector("mt_consume_fault_total"),
            duration="mt_consume_duration_seconds",
            active="mt_consumer_in_progress",
        ),
        # Programs have counters of this name with the status in a label. Their failures have no counter of their own.
        _tally(
            "asynq",
            Selector("asynq_tasks_processed_total", 'queue!="",status=""'),
            Selector("asynq_tasks_failed_total", 'queue!="",status=""'),
        ),
    )


_SPANS = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
_SPANS_COUNTER = "traces_span_metrics_calls_total"

JOBS = (*_messaging(Job.APPLICATION), *_messaging(Job.OTLP), *_workers())
"""Sources that count jobs. Nobody waits for a job's answer."""
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
    ),
    *_upstreams(),
    # After all else that counts requests: many formats have no duration, and a server may leave requests out of its log.
    *(
        _by_status("access log", log_requests.REQUESTS, "status", duration=log_requests.DURATION, job=shipper)
        for shipper in (Job.ALLOY, Job.PROMTAIL)
    ),
    *JOBS,
)
"""Best first: the requests that a service counts itself, then its spans, then what a proxy in front of it counts. A proxy does
not see requests between services, nor messages, and its name for a service is a guess. Jobs stand last: users wait for requests,
so a service that has both is judged by these. Spans stand before them because they are of both kinds."""


def sources(counted: Collection[CountedService]) -> tuple[RequestSource, ...]:
    """All of them, best first. A service that the settings count has no other source."""
    others = apart_from(one.service for one in counted)
    return (*chain.from_iterable(map(_of_settings, counted)), *(source.narrowed(others) for source in SOURCES))


def apart_from(services: Iterable[str]) -> str:
    """Label matchers: series of all services but these."""
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
