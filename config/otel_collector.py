"""OpenTelemetry Collector: takes what applications send by OTLP, keeps the traces that tell something, and counts all.

    otlp ─▶ cut ─┬─▶ what may hold a secret ─▶ mask ─┬─▶ traces, metrics, logs
                 └─▶ the rest ───────────────────────┘

    traces ─┬─▶ without health checks ─▶ span metrics, service graph ─▶ Prometheus
            └─▶ tail sampling ─┬─▶ queue on disk ─▶ Jaeger
                               └─▶ durations with exemplars ─▶ Prometheus
    metrics ─▶ Prometheus
    logs ─▶ labels ─▶ queue on disk ─▶ Loki

Tried with contrib 0.161; the options are those of 0.162 too. Prometheus scrapes what goes to it, so that `le` is written as
everywhere else.
"""

from collections.abc import Mapping
from typing import Any

from config import links, log_times, masking, otlp_limits, otlp_masks, otlp_senders, sampling
from config.container import DIRECTORY, ConfigFiles, Container
from config.log_levels import LEVELS
from config.ports import METRICS, OTLP_GRPC, OTLP_HTTP, OTLP_METRICS, SPAN_METRICS
from config.settings import Settings
from config.settings.logs import Level
from config.settings.units import go_duration, seconds
from config.yaml_text import digest, dollars_doubled, dump

PORT = METRICS["otel_collector"]
MAIN = "collector.yml"
QUEUE = "/var/lib/otelcol"
QUEUES = ("exporter_otlp_grpc_jaeger_traces", "exporter_otlp_http_loki_logs")
"""Its files there."""
ALIAS = "otel-collector"
"""In the users' networks. A hyphen, because several HTTP clients refuse a host with an underscore."""

BUCKETS = ("5ms", "10ms", "25ms", "50ms", "100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s")
TRACES_PER_MIB = 20
"""How many wait for their decision in one MiB of the container's limit. Twenty spans of 1.3 kB (docs/performance.md) are
25 kB: that is half of the limit, and traces of other sizes are for the memory limiter."""
ATTEMPT = "10s"
BATCH = {"min_size": 200_000, "max_size": 1_000_000}
"""Bytes of a request to Jaeger or Loki. A single span or record that is larger is lost, with a line in the collector's log."""
SEVERITIES: Mapping[Level, tuple[int, int]] = {
    "debug": (1, 8),
    "info": (9, 12),
    "warn": (13, 16),
    "error": (17, 20),
    "fatal": (21, 24),
}
"""Level of a log → OpenTelemetry's severity numbers, of which 1 to 4 are called TRACE (logs data model, `SeverityNumber`)."""


def container(settings: Settings) -> Container:
    """Its image has nothing but the binary."""
    return Container(
        service="otel_collector",
        command=(f"--config={DIRECTORY}/{MAIN}",),
        user="10001:10001",
        port=PORT,
        published={"otlp_grpc": OTLP_GRPC},  # by HTTP: config/api_proxy.py
        tools=False,
        grace_seconds=30,  # undecided traces are decided, and what is kept goes into the queue
        data=QUEUE,
        hands_on=True,
        claims_data=True,
        # Both queues: it does not say which. `recreate` of `file_storage` was tried with ten ways to damage one, and helped
        # with none: bbolt panics where nobody can catch it, or gives an error, which is not a panic.
        unreadable={
            r"(?s)(panic: |fatal error: fault).{0,3000}go\.etcd\.io/bbolt": QUEUES,
            "exporter: (invalid database|file size too small|checksum error|version mismatch)": QUEUES,
        },
        config=_config(settings),
        alias=ALIAS,
    )


def version(settings: Settings) -> str:
    """Digest of the files, which the running collector shows as a label."""
    return digest({MAIN: dump(main_file(settings))})


def _config(settings: Settings) -> ConfigFiles:
    main, running = main_file(settings), version(settings)
    main["service"]["telemetry"]["resource"] = {
        "attributes": [
            {"name": "service.name", "value": "otel_collector"},
            {"name": "config.version", "value": running},
        ]
    }
    return ConfigFiles(
        files={MAIN: dump(dollars_doubled(main))},
        validate=f"/otelcol-contrib validate --config={MAIN}",
        reload="SIGHUP",
        expect={f"http://{settings.listens('otel_collector')}:{PORT}/metrics": f'config_version="{running}"'},
    )


def main_file(settings: Settings) -> dict[str, Any]:
    """`collector.yml`."""
    logs = "loki" in settings.services
    listens, door = settings.listens("otel_collector"), settings.edge.address("api_proxy")
    return {
        "extensions": {
            # After an outage the file shrinks again, else it would stay as large as it ever was.
            "file_storage": {
                "directory": QUEUE,
                "create_directory": True,  # it is there, but not where the config is validated
                "compaction": {"on_start": True, "on_rebound": True, "directory": QUEUE},
            }
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"0.0.0.0:{OTLP_GRPC}"},
                    "http": {"endpoint": f"0.0.0.0:{OTLP_HTTP}"},
                }
            }
        },
        "processors": _processors(settings),
        "connectors": _connectors(settings),
        "exporters": {
            "otlp_grpc/jaeger": {
                "endpoint": f"{door}:{OTLP_GRPC}",
                "tls": {"insecure": True},  # inside the stack's own network
                "compression": "none",
                **_queue(settings),
            },
            **(
                {"otlp_http/loki": {"endpoint": f"http://{door}:{METRICS['loki']}/otlp", **_queue(settings)}}
                if logs
                else {}
            ),
            # Exemplars exist in OpenMetrics only.
            "prometheus/spans": {
                "endpoint": f"{listens}:{SPAN_METRICS}",
                "enable_open_metrics": True,
                "without_scope_info": True,
            },
            "prometheus/otlp": {"endpoint": f"{listens}:{OTLP_METRICS}", "enable_open_metrics": True},
        },
        "service": {
            "extensions": ["file_storage"],
            "telemetry": {
                "logs": {"level": "warn"},
                "metrics": {"level": "normal", "readers": [own_metrics(PORT, listens)]},
            },
            "pipelines": _pipelines(settings, logs=logs),
        },
    }


def _pipelines(settings: Settings, *, logs: bool) -> dict[str, Any]:
    counted = ["span_metrics", "service_graph"]
    pipelines: dict[str, Any] = {
        **_received("traces", settings),
        "traces/masked": {
            "receivers": ["forward/masked"],
            "processors": ["transform/lengths", "filter/nameless"],
            "exporters": ["forward/counted", "forward/sampled"],
        },
        "traces/counted": {"receivers": ["forward/counted"], "processors": ["filter/health"], "exporters": counted},
        "traces/sampled": {
            "receivers": ["forward/sampled"],
            "processors": ["tail_sampling", "transform/named"],
            "exporters": ["otlp_grpc/jaeger", "span_metrics/kept"],
        },
        "metrics/spans": {
            "receivers": [*counted, "span_metrics/kept"],
            "processors": ["transform/job"],
            "exporters": ["prometheus/spans"],
        },
        **_received("metrics", settings),
        "metrics/masked": {
            "receivers": ["forward/masked"],
            "processors": ["transform/lengths", "transform/job"],
            "exporters": ["prometheus/otlp"],
        },
    }
    if logs:
        pipelines |= _received("logs", settings)
        pipelines["logs/masked"] = {
            "receivers": ["forward/masked"],
            "processors": ["transform/labels"],
            "exporters": ["otlp_http/loki"],
        }
    return pipelines


def _received(signal: str, settings: Settings) -> dict[str, Any]:
    """Pipelines up to where nothing is in it any more that must not be stored."""
    own = _masks("redaction/own") if settings.logs.mask else ()
    processors = {
        "suspect": ["filter/suspect", *_masks("redaction")],
        "owned": ["filter/owned", "transform/aside", "redaction/owners", "transform/back", *own],
        "unsuspected": ["filter/unsuspected", *own],
    }
    return {
        signal: {
            "receivers": ["otlp"],
            "processors": [
                "memory_limiter",
                "transform/received",
                *(["transform/senders"] if signal == "metrics" else []),
            ],
            "exporters": ["forward/received"],
        },
        **{
            f"{signal}/{name}": {
                "receivers": ["forward/received"],
                "processors": parts,
                "exporters": ["forward/masked"],
            }
            for name, parts in processors.items()
        },
    }


def _masks(redaction: str) -> tuple[str, str, str]:
    return "transform/unmasked", redaction, "transform/masked"


def own_metrics(port: int, host: str = "0.0.0.0") -> dict[str, Any]:  # noqa: S104 - inside
    """A reader for Prometheus. Jaeger is made of the same parts, and which names are the default depends on the version:
    so each of them is asked for Prometheus' own."""
    named = {"without_type_suffix": False, "without_units": False, "without_scope_info": True}
    return {"pull": {"exporter": {"prometheus": {"host": host, "port": port, **named}}}}


def _processors(settings: Settings) -> dict[str, Any]:
    traces = settings.traces
    memory = settings.memory_mib("otel_collector")
    own = list(settings.logs.mask.values())
    catalogue = {
        **_REDACTION,
        "blocked_key_patterns": list(masking.KEYS),
        "blocked_values": [*masking.VALUES, *own],
    }
    return {
        # Refuses from 60 % of the container's limit on, and collects garbage by force from 80 % on.
        "memory_limiter": {
            "check_interval": "500ms",
            "limit_mib": memory * 80 // 100,
            "spike_limit_mib": memory * 20 // 100,
        },
        "redaction": catalogue,
        "redaction/owners": {
            **catalogue,
            "ignored_key_patterns": [otlp_masks.IGNORED],
        },
        # A stack's own expressions have no words that tell where to look.
        **({"redaction/own": {**_REDACTION, "blocked_values": own}} if own else {}),
        **otlp_masks.filters(),
        "transform/received": otlp_limits.received(
            min(int(settings.logs.limits.line_size), BATCH["max_size"] * 8 // 10),
            settings.edge.address("jaeger_es_index_cleaner"),
        ),
        "transform/unmasked": otlp_masks.before(),
        "transform/masked": otlp_masks.after(),
        "transform/aside": otlp_masks.aside(),
        "transform/back": otlp_masks.back(),
        # What has no id is no part of any trace, and all of it would be one.
        "filter/nameless": {"error_mode": "ignore", "traces": {"span": [f"span.trace_id == TraceID(0x{'00' * 16})"]}},
        "filter/health": {
            "error_mode": "ignore",
            "traces": {"span": [sampling.health_condition(traces)] if traces.health_paths else []},
        },
        "tail_sampling": {
            "decision_wait": traces.sampling.decision_wait,
            "num_traces": memory * TRACES_PER_MIB,
            # A single trace that never ends would fill the memory alone.
            "maximum_trace_size_bytes": memory * 2**20 // 20,
            # For spans that come later than the decision: their trace is kept or dropped whole.
            "decision_cache": {
                "sampled_cache_size": memory * TRACES_PER_MIB * 5,
                "non_sampled_cache_size": memory * TRACES_PER_MIB * 5,
            },
            "policies": sampling.policies(traces),
        },
        "transform/senders": otlp_senders.metrics(settings.metrics.limits),
        "transform/lengths": otlp_limits.labels(settings.metrics.limits),
        "transform/named": _named(),
        # The exporter would join namespace and name by a slash in `job`, where a slash in the name looks the same.
        "transform/job": {
            "error_mode": "ignore",
            "metric_statements": ['delete_key(resource.attributes, "service.namespace")'],
        },
        **({"transform/labels": _labels(settings)} if "loki" in settings.services else {}),
    }


_REDACTION = {"allow_all_keys": True, "redact_all_types": True, "summary": "silent"}
"""Values of all types are looked at, because headers are lists of texts."""


def _service(attribute: str) -> str:
    """Statement that gives a resource the name of its service under another attribute."""
    return f'set(resource.attributes["{attribute}"], resource.attributes["service.name"])'


def _named() -> dict[str, Any]:
    """Spans get what links are made of. One's own attribute of that name would be a second value for it."""
    return {
        "error_mode": "ignore",
        "trace_statements": [
            {"context": "resource", "statements": [_service(links.SERVICE_TAG)]},
            {"context": "span", "statements": [f'delete_key(span.attributes, "{links.SERVICE_TAG}")']},
        ],
    }


def _labels(settings: Settings) -> dict[str, Any]:
    """Logs get what Loki takes for labels (`otlp_config` in `config/loki.py`): the same ones that the shipper's lines have."""
    level = 'set(log.attributes["level"], {}) where {}'
    unsaid = "log.severity_number == SEVERITY_NUMBER_UNSPECIFIED"
    statements = [
        'set(resource.attributes["source"], "otlp")',
        *otlp_senders.address('resource.attributes["sender"]'),
        *otlp_limits.identity(settings.metrics.limits),
        _service("service"),
        'set(log.attributes["level"], "unknown")',
        *log_times.of_record(),
    ]
    for word, (lowest, highest) in SEVERITIES.items():
        said = f"log.severity_number >= {lowest} and log.severity_number <= {highest}"
        statements.append(level.format(sampling.quoted(word), said))
    for word, spellings in LEVELS.items():
        pattern = f"^(?i:{'|'.join(spellings.split())})$"
        said = f"{unsaid} and IsMatch(log.severity_text, {sampling.quoted(pattern)})"
        statements.append(level.format(sampling.quoted(word), said))
    return {"error_mode": "ignore", "log_statements": [{"context": "log", "statements": statements}]}


def _connectors(settings: Settings) -> dict[str, Any]:
    traces = settings.traces
    scrape = seconds(settings.metrics.scrape_interval)
    of_spans = {
        "histogram": {"unit": "s", "explicit": {"buckets": list(BUCKETS)}},
        "aggregation_cardinality_limit": traces.span_metrics.operations,
        "resource_metrics_cache_size": traces.span_metrics.services,
        "resource_metrics_key_attributes": ["service.name"],
        "series_expiration": "1h",  # else a name that was used once would take its place for ever
    }
    own_name = "collector.instance.id"  # another one after each reload
    return {
        "forward/received": {},
        "forward/masked": {},
        "forward/counted": {},
        "forward/sampled": {},
        # Before sampling: rates and errors of everything. After it: the exemplars, whose traces can be looked at.
        "span_metrics": {
            "namespace": "traces.span.metrics",
            **of_spans,
            "exclude_dimensions": [own_name],
            "metrics_flush_interval": go_duration(scrape),
        },
        "span_metrics/kept": {
            "namespace": "traces.kept",
            **of_spans,
            "exclude_dimensions": [own_name, "span.name"],
            # The first so many of a series between two flushes, whatever their bucket: with few (the default is 5) the
            # quick ones take all places, and the slow ones that people look for have none.
            "exemplars": {"enabled": True, "max_per_data_point": 500},
            # An exemplar is there until the next flush: it must not come and go between two scrapes.
            "metrics_flush_interval": go_duration(2 * scrape),
        },
        "service_graph": {
            "latency_histogram_buckets": list(BUCKETS),
            # A database sends no span of its own: a call of it is known by the present attribute, or the one before it.
            "database_name_attributes": ["db.system.name", "db.system"],
            # Both sides of a call come within the time that a trace is waited for.
            "store": {"ttl": traces.sampling.decision_wait, "max_items": settings.memory_mib("otel_collector") * 10},
            "metrics_flush_interval": go_duration(scrape),
        },
    }


def _queue(settings: Settings) -> dict[str, Any]:
    """What could not be delivered waits on disk, and is tried again for ever."""
    return {
        "timeout": ATTEMPT,
        "sending_queue": {
            "storage": "file_storage",
            "sizer": "bytes",
            "queue_size": int(settings.traces.queue),
            "num_consumers": 2,
            "batch": {"flush_timeout": "1s", "sizer": "bytes", **BATCH},
        },
        "retry_on_failure": {"initial_interval": "1s", "max_interval": "10s", "max_elapsed_time": "0s"},
    }
