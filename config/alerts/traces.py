"""The path of a trace: collector, queue, Jaeger, storage (collector 0.161, Jaeger 2.13)."""

from config.alerts.rule import DISK_BUDGET_USED, Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.metric_names import REMOTE_OTLP_EXPORTERS
from config.settings.thresholds import Thresholds
from config.settings.traces import RETENTION_SUCCESS, Traces

_COLLECTOR = 'job="otel_collector"'
_JAEGER = 'job="jaeger"'
_TO_JAEGER = f'{_COLLECTOR},exporter="otlp_grpc/jaeger"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits, trace_rules = scope.thresholds, list[Rule]()
    if Job.OTEL_COLLECTOR in scope.watched:
        trace_rules += [*_received(), *_sampled(), *_queued(scope)]
    if Job.JAEGER in scope.watched:
        trace_rules += [_storing(), *_disk(limits, scope.settings.traces), _retention()]
    return tuple(trace_rules)


def grown(counter: str, minutes: int, *by: str) -> str:
    """An expression: the growth of a counter in `minutes`. A counter that did not exist before has grown from zero."""
    name, _, labels = counter.partition("{")
    selector = f"{name}{{{labels}"
    return f"""
            sum by ({", ".join(("job", "instance", "service", *by))}) (
              increase({selector}[{minutes}m]) > 0
              or (
                {selector} > 0
                  unless {selector} offset {minutes}m
                  and on (job, instance) up{{job=~"otel_collector|jaeger"}} offset {minutes}m
              )
            ) > 0"""


def _received() -> tuple[Rule, ...]:
    return (
        Alert(
            name="SpansRefused",
            severity="warning",
            expr=f"""{grown(f"otelcol_receiver_refused_spans_total{{{_COLLECTOR}}}", 5)}
            """,
            summary='The collector has refused {{ printf "%.0f" $value }} spans in five minutes',
            description="It is at its memory limit. Applications retry for a while, then drop what they could not send, "
            "errors included.",
        ),
        Alert(
            name="SpansFailed",
            severity="warning",
            expr=f"""{grown(f"otelcol_receiver_failed_spans_total{{{_COLLECTOR}}}", 5)}
            """,
            summary='The collector failed to process {{ printf "%.0f" $value }} spans in five minutes',
            description="A component inside it rejected them. They are lost. The answer to the applications depends on "
            "that component.",
        ),
    )


def _sampled() -> tuple[Rule, ...]:
    too_early = f"otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{{{_COLLECTOR}}}"
    too_large = f"otelcol_processor_tail_sampling_traces_dropped_too_large_total{{{_COLLECTOR}}}"
    return (
        Alert(
            name="SamplingTooEarly",
            severity="warning",
            expr=f"""{grown(too_early, 5)}
            """,
            summary='{{ printf "%.0f" $value }} traces were dropped before the sampling decision',
            description="More traces are open than the collector may hold, so it drops the oldest ones, errors "
            "included.",
        ),
        Alert(
            name="TracesTooLarge",
            severity="warning",
            expr=f"""{grown(too_large, 5)}
            """,
            summary='{{ printf "%.0f" $value }} traces were dropped because they are too large',
            description="A single trace may use a twentieth of the collector's memory. Usually such a trace never ends: "
            "a loop, or a worker that does everything in one trace.",
        ),
        Alert(
            name="SpanNamesTooMany",
            severity="warning",
            wait="15m",
            expr="""
            sum by (job, instance, service) (
              rate(traces_span_metrics_calls_total{job="spans",otel_metric_overflow="true"}[10m])
            ) > 0
            """,
            summary="{{ $labels.service }} has more span names than may be counted",
            description="The collector counts the new ones together, without name, kind and status. Usually the names "
            "contain ids, which belong in an attribute.",
        ),
    )


def _queued(scope: Scope) -> tuple[Rule, ...]:
    limits, own = scope.thresholds, _COLLECTOR
    if scope.settings.logs.remote or scope.settings.traces.remote:
        own = f'{_COLLECTOR},exporter!~"{REMOTE_OTLP_EXPORTERS}"'  # config/alerts/remote.py has those
    size, capacity = (f"otelcol_exporter_queue_{what}{{{_COLLECTOR}}}" for what in ("size", "capacity"))
    exports = f"otelcol_exporter_sent_spans_total{{{_TO_JAEGER}}}"
    return (
        Alert(
            name="TelemetryQueueFilling",
            severity="warning",
            wait="5m",
            expr=f"{size} / {capacity} > {ratio(limits.telemetry_queue)}",
            summary="The queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full",
            description="The collector cannot pass on data as fast as it comes, or at all. When the queue is full, new "
            "data is lost.",
        ),
        Alert(
            name="TelemetryLost",
            severity="critical",
            expr=f"""
            (
              {grown(f"otelcol_exporter_enqueue_failed_spans_total{{{own}}}", 10, "exporter")}
            ) or (
              {grown(f"otelcol_exporter_send_failed_spans_total{{{own}}}", 10, "exporter")}
            ) or (
              {grown(f"otelcol_exporter_enqueue_failed_log_records_total{{{own}}}", 10, "exporter")}
            ) or (
              {grown(f"otelcol_exporter_send_failed_log_records_total{{{own}}}", 10, "exporter")}
            )
            """,
            summary='The collector has lost up to {{ printf "%.0f" $value }} spans or log records for {{ $labels.exporter }}',
            description="The queue was full, or the receiver refused data for good. If a receiver is only unreachable, "
            "the collector waits for it. The collector counts the whole batch even if only part of it was "
            "refused. For log records, LogLinesRefused has the exact number.",
        ),
        Alert(
            name="TracesNotStored",
            severity="critical",
            wait="5m",
            expr=f"""
            otelcol_exporter_queue_size{{{_TO_JAEGER}}} > 0
            unless on (instance) increase({exports}[5m]) > 0
            """,
            summary="Jaeger has accepted no span for five minutes",
            description="Traces wait in the collector's queue on disk. Nothing is lost until the queue is full. Jaeger "
            "is down, or its storage does not accept its writes.",
        ),
    )


def _storing() -> Rule:
    failed = f"increase(otelcol_exporter_send_failed_spans_total{{{_JAEGER}}}[5m]) > 0"
    return Alert(
        name="JaegerStorageFailing",
        severity="critical",
        wait="2m",
        expr=f"""
        sum by (job, instance, service) ({failed})
        or sum by (job, instance, service) (increase(jaeger_storage_bulk_index_errors_total{{{_JAEGER}}}[5m])) > 0
        """,
        summary='Jaeger has failed to store up to {{ printf "%.0f" $value }} spans in five minutes',
        description="Its storage answers and refuses: a full disk, a read-only index, a mapping with too many fields. "
        "With Badger, and from Jaeger 2.21 on with Elasticsearch and OpenSearch, the collector keeps the "
        "failed spans and sends them again. An older Jaeger loses them.",
    )


_OPEN_VALUE_LOG = 2 * (2**30 - 1)
"""Bytes that Badger counts for its open value log. It creates that file as a hole, twice as long as a value log may be
(`createVlogFile` and `ValueLogFileSize` of Badger 4.8). Values below 1 MiB, so all of Jaeger's, are in the other files."""


def _disk(limits: Thresholds, traces: Traces) -> tuple[Rule, Rule]:
    lsm, values = (f"jaeger_storage_badger_size_bytes_{part}{{{_JAEGER}}}" for part in ("lsm", "vlog"))
    indices = 'sum by (job, instance, service) (elasticsearch_indices_store_size_bytes{job="elasticsearch_exporter"})'
    stored = f"sum by (job, instance, service) ({lsm} + clamp_min({values} - {_OPEN_VALUE_LOG}, 0))"
    if traces.storage != "badger":
        stored = indices
    return (
        RecordingRule(DISK_BUDGET_USED, f"{stored} / {int(traces.disk)}"),
        Alert(
            name="TraceDiskBudgetLow",
            severity="warning",
            wait="1h",
            expr=f"{stored} > {int(traces.disk)} * {ratio(limits.disk_budget)}",
            summary="Stored traces take {{ $value | humanize1024 }}B of disk",
            description="This is close to their disk budget, or beyond. Jaeger deletes traces by age only, so they may "
            "grow further.",
        ),
    )


def _retention() -> Rule:
    """The cleanup job of Elasticsearch and OpenSearch. Badger needs none: its entries expire by themselves."""
    success = f'{RETENTION_SUCCESS}{{job="otlp"}}'
    return Alert(
        name="TraceRetentionNotRun",
        severity="warning",
        service="jaeger_es_index_cleaner",
        expr=f"""
        (time() - max by (job) (last_over_time({success}[1d])) > 3h)
        or (
          count by (job) (jaeger_storage_bulk_index_attempts_total{{{_JAEGER}}} offset 3h)
          unless on () last_over_time({success}[3h])
        )
        """,
        summary="Trace retention has not run for more than three hours",
        description="Indices that are too old stay, and the disk fills. The job runs once an hour and retries failures "
        "at once.",
    )
