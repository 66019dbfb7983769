"""OpenTelemetry Collector: receives OTLP from applications, derives metrics from their spans, and samples the traces.

    otlp ─▶ cut ─┬─▶ may hold a secret ─▶ mask ─┬─▶ traces, metrics, logs
                 └─▶ the rest ──────────────────┘

    traces ─┬─▶ without health checks ─▶ span metrics, service graph ─▶ Prometheus
            └─▶ tail sampling ─┬─▶ queue on disk ─▶ Jaeger
                               └─▶ durations with exemplars ─▶ Prometheus
    metrics ─▶ Prometheus
    logs ─▶ labels ─▶ queue on disk ─▶ Loki

Tested with contrib 0.161; the options also exist in 0.162. Prometheus scrapes the collector: if the collector pushed,
its values of `le` would be spelled differently from those of other metrics.
"""

from collections.abc import Mapping
from typing import Any

from config import links, masking
from config.container import DIRECTORY, ConfigFiles, Container, Secret
from config.ports import METRICS, OTLP_GRPC, OTLP_HTTP, OTLP_METRICS, SPAN_METRICS
from config.services.logs import log_times
from config.services.logs.log_levels import LEVELS
from config.services.traces import (
    edge_pipelines,
    otlp_limits,
    otlp_masks,
    otlp_names,
    otlp_senders,
    remote_otlp,
    sampling,
    span_metrics,
)
from config.settings import Settings
from config.settings.logs import Level
from config.yaml_text import digest, dollars_doubled, dump

PORT = METRICS["otel_collector"]
MAIN = "collector.yml"
QUEUE = "/var/lib/otelcol"
QUEUES = ("exporter_otlp_grpc_jaeger_traces", "exporter_otlp_http_loki_logs")
"""Files of the queues in that folder."""
ALIAS = "otel-collector"
"""Host name in your containers' networks. A hyphen, because several HTTP clients refuse a host name with an underscore."""

TRACES_PER_MIB = 20
"""Traces that may wait for their decision per MiB of the container's limit. A trace of twenty spans of 1.3 kB
(docs/performance.md) takes 25 kB, so they fill half of the limit. The memory limiter covers larger traces."""
ATTEMPT = "10s"
BATCH = {"min_size": 200_000, "max_size": 1_000_000}
"""Size of a request to Jaeger or Loki, in bytes. A single larger span or record is lost, and the collector logs it."""
SEVERITIES: Mapping[Level, tuple[int, int]] = {
    "debug": (1, 8),
    "info": (9, 12),
    "warn": (13, 16),
    "error": (17, 20),
    "fatal": (21, 24),
}
"""Log level → range of OpenTelemetry's severity numbers, of which 1 to 4 are called TRACE (logs data model,
`SeverityNumber`)."""


def container(settings: Settings) -> Container:
    """The image contains only the binary."""
    queues = edge_pipelines.QUEUES if settings.role == "edge" else (*QUEUES, *remote_otlp.queues(settings))
    files = (MAIN, *(f"secrets/{name}" for name in _secrets(settings)))
    return Container(
        service="otel_collector",
        command=tuple(f"--config={DIRECTORY}/{file}" for file in files),
        user="10001:10001",
        port=PORT,
        published={"otlp_grpc": OTLP_GRPC},  # OTLP over HTTP: config/services/metrics/api_proxy.py
        tools=False,
        grace_seconds=30,  # at exit it decides on waiting traces and queues those it keeps
        data=QUEUE,
        forwards_data=True,
        claims_data=True,
        # All queues, because the error does not name one. `recreate` of `file_storage` was tried with ten kinds of
        # damage and helped with none: bbolt panics in a place where the panic cannot be caught, or returns an error,
        # which is not a panic.
        damaged_paths={
            r"(?s)(panic: |fatal error: fault).{0,3000}go\.etcd\.io/bbolt": queues,
            "exporter: (invalid database|file size too small|checksum error|version mismatch)": queues,
        },
        config=_config(settings),
        alias=ALIAS,
    )


def version(settings: Settings) -> str:
    """Digest of the files. The running collector exposes it as a label."""
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
        secrets=_secrets(settings),
        reload="SIGHUP",
        expect={f"http://{settings.listens('otel_collector')}:{PORT}/metrics": f'config_version="{running}"'},
    )


def _secrets(settings: Settings) -> dict[str, Secret]:
    """File name → the secret part of the collector's config, its headers. The collector merges it into the main file. The
    validator has no secrets, and judges the main file alone."""
    return {**edge_pipelines.logins(settings), **remote_otlp.secrets(settings)}


def main_file(settings: Settings) -> dict[str, Any]:
    """The content of `collector.yml`."""
    logs = "loki" in settings.services or settings.role == "edge"
    listens, door = settings.listens("otel_collector"), settings.edge.address("api_proxy")
    main = {
        "extensions": {
            # The file shrinks again after an outage; otherwise it would keep its largest size.
            "file_storage": {
                "directory": QUEUE,
                "create_directory": True,  # exists, but not where the config is validated
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
        "connectors": span_metrics.connectors(settings),
        "exporters": {
            "otlp_grpc/jaeger": {
                "endpoint": f"{door}:{OTLP_GRPC}",
                "tls": {"insecure": True},  # inside the stack's own network
                "compression": "none",
                **_queue(settings.traces.queue),
            },
            **(
                {
                    "otlp_http/loki": {
                        "endpoint": f"http://{door}:{METRICS['loki']}/otlp",
                        **_queue(settings.traces.queue),
                    }
                }
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
    return edge_pipelines.fitted(remote_otlp.added(main, settings, _queue), settings)


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
    """Pipelines that receive one signal, up to the point where it contains no data that must not be stored."""
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
    """A metrics reader for Prometheus. Jaeger consists of the same parts, and their version decides the default names,
    so Prometheus' own names are set explicitly."""
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
        # Refuses data from 60 % of the container's limit on, and forces garbage collection from 80 % on.
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
        # The stack's own expressions have no words, so all data is searched.
        **({"redaction/own": {**_REDACTION, "blocked_values": own}} if own else {}),
        **otlp_masks.filters(),
        "transform/received": otlp_limits.received(
            min(int(settings.logs.limits.line_size), BATCH["max_size"] * 8 // 10),
            settings.edge.address("jaeger_es_index_cleaner"),
            otlp_names.reserved(settings.services),
        ),
        "transform/unmasked": otlp_masks.before(),
        "transform/masked": otlp_masks.after(),
        "transform/aside": otlp_masks.aside(),
        "transform/back": otlp_masks.back(),
        # Spans without a trace id would all form one trace.
        "filter/nameless": {"error_mode": "ignore", "traces": {"span": [f"span.trace_id == TraceID(0x{'00' * 16})"]}},
        "filter/health": {
            "error_mode": "ignore",
            "traces": {"span": [sampling.health_condition(traces)]},
        },
        "tail_sampling": {
            "decision_wait": traces.sampling.decision_wait,
            "num_traces": memory * TRACES_PER_MIB,
            # Without a bound, one endless trace would fill the memory.
            "maximum_trace_size_bytes": memory * 2**20 // 20,
            # For spans that arrive after the decision: a trace is kept or dropped as a whole.
            "decision_cache": {
                "sampled_cache_size": memory * TRACES_PER_MIB * 5,
                "non_sampled_cache_size": memory * TRACES_PER_MIB * 5,
            },
            "policies": sampling.policies(traces),
        },
        "transform/senders": otlp_senders.metrics(settings.metrics.limits),
        "transform/lengths": otlp_limits.labels(settings.metrics.limits),
        "transform/named": _named(),
        # The exporter would set `job` to namespace, slash and name, which a name with a slash could imitate.
        "transform/job": {
            "error_mode": "ignore",
            "metric_statements": ['delete_key(resource.attributes, "service.namespace")'],
        },
        **({"transform/labels": _labels(settings)} if "loki" in settings.services else {}),
    }


_REDACTION = {"allow_all_keys": True, "redact_all_types": True, "summary": "silent"}
"""Searches values of all types, because headers are lists of strings."""


def _service(attribute: str) -> str:
    """Statement that copies the service's name to the resource attribute `attribute`."""
    return f'set(resource.attributes["{attribute}"], resource.attributes["service.name"])'


def _named() -> dict[str, Any]:
    """Sets the attribute that links use. An application's own attribute of that name is deleted, because it would be a
    second value."""
    return {
        "error_mode": "ignore",
        "trace_statements": [
            {"context": "resource", "statements": [_service(links.SERVICE_TAG)]},
            {"context": "span", "statements": [f'delete_key(span.attributes, "{links.SERVICE_TAG}")']},
        ],
    }


def _labels(settings: Settings) -> dict[str, Any]:
    """Sets the attributes that Loki turns into labels (`otlp_config` in `config/services/logs/loki.py`): the labels of the shipper's
    lines."""
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
        condition = f"log.severity_number >= {lowest} and log.severity_number <= {highest}"
        statements.append(level.format(sampling.quoted(word), condition))
    for word, spellings in LEVELS.items():
        pattern = f"^(?i:{'|'.join(spellings.split())})$"
        condition = f"{unsaid} and IsMatch(log.severity_text, {sampling.quoted(pattern)})"
        statements.append(level.format(sampling.quoted(word), condition))
    return {"error_mode": "ignore", "log_statements": [{"context": "log", "statements": statements}]}


def _queue(size: int) -> dict[str, Any]:
    """Undelivered data waits on disk, and is retried for ever."""
    return {
        "timeout": ATTEMPT,
        "sending_queue": {
            "storage": "file_storage",
            "sizer": "bytes",
            "queue_size": int(size),
            "num_consumers": 2,
            "batch": {"flush_timeout": "1s", "sizer": "bytes", **BATCH},
        },
        "retry_on_failure": {"initial_interval": "1s", "max_interval": "10s", "max_elapsed_time": "0s"},
    }
