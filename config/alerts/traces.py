"""The way of a trace: collector, queue, Jaeger, its storage (collector 0.161, Jaeger 2.13)."""

from config.alerts.rule import DISK_BUDGET_USED, Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.alerts.thresholds import Thresholds
from config.trace_settings import RETENTION_SUCCESS, Traces

_COLLECTOR = 'job="otel_collector"'
_JAEGER = 'job="jaeger"'
_TO_JAEGER = f'{_COLLECTOR},exporter="otlp_grpc/jaeger"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    limits, chosen = scope.thresholds, list[Rule]()
    if Job.OTEL_COLLECTOR in scope.watched:
        chosen += [*_received(), *_sampled(), *_queued(limits)]
    if Job.JAEGER in scope.watched:
        chosen += [_storing(), *_disk(limits, scope.traces), _retention()]
    return tuple(chosen)


def _grown(counter: str, minutes: int, *by: str) -> str:
    """By how much a counter has grown; one that was not there before has grown from zero."""
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
            expr=f"""{_grown(f"otelcol_receiver_refused_spans_total{{{_COLLECTOR}}}", 5)}
            """,
            summary='The collector has refused {{ printf "%.0f" $value }} spans in five minutes',
            description="It is at its memory limit. Applications try again for a while, then they drop what they could "
            "not send, errors included.",
        ),
        Alert(
            name="SpansFailed",
            severity="warning",
            expr=f"""{_grown(f"otelcol_receiver_failed_spans_total{{{_COLLECTOR}}}", 5)}
            """,
            summary='The collector has failed on {{ printf "%.0f" $value }} spans in five minutes',
            description="Something inside it did not take them. They are lost, and what applications were told depends "
            "on what it was.",
        ),
    )


def _sampled() -> tuple[Rule, ...]:
    too_early = f"otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{{{_COLLECTOR}}}"
    too_large = f"otelcol_processor_tail_sampling_traces_dropped_too_large_total{{{_COLLECTOR}}}"
    return (
        Alert(
            name="SamplingTooEarly",
            severity="warning",
            expr=f"""{_grown(too_early, 5)}
            """,
            summary='{{ printf "%.0f" $value }} traces were dropped before it was decided about them',
            description="More traces are under way than the collector may hold, so the oldest ones go, errors included.",
        ),
        Alert(
            name="TracesTooLarge",
            severity="warning",
            expr=f"""{_grown(too_large, 5)}
            """,
            summary='{{ printf "%.0f" $value }} traces were dropped because they are too large',
            description="A single trace may take a twentieth of the collector's memory. Mostly it is one that never ends: "
            "a loop or a worker that does everything in one trace.",
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
            summary="{{ $labels.service }} has more span names than are counted",
            description="The new ones are counted together, without name, kind and status. Names with ids in them do "
            "this: the id belongs into an attribute.",
        ),
    )


def _queued(limits: Thresholds) -> tuple[Rule, ...]:
    size, capacity = (f"otelcol_exporter_queue_{what}{{{_COLLECTOR}}}" for what in ("size", "capacity"))
    sent = f"otelcol_exporter_sent_spans_total{{{_TO_JAEGER}}}"
    return (
        Alert(
            name="TelemetryQueueFilling",
            severity="warning",
            wait="5m",
            expr=f"{size} / {capacity} > {ratio(limits.telemetry_queue)}",
            summary="The queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full",
            description="What is received cannot be passed on as fast as it comes, or at all. When the queue is full, what "
            "comes then is lost.",
        ),
        Alert(
            name="TelemetryLost",
            severity="critical",
            expr=f"""
            (
              {_grown(f"otelcol_exporter_enqueue_failed_spans_total{{{_COLLECTOR}}}", 10, "exporter")}
            ) or (
              {_grown(f"otelcol_exporter_send_failed_spans_total{{{_COLLECTOR}}}", 10, "exporter")}
            ) or (
              {_grown(f"otelcol_exporter_enqueue_failed_log_records_total{{{_COLLECTOR}}}", 10, "exporter")}
            ) or (
              {_grown(f"otelcol_exporter_send_failed_log_records_total{{{_COLLECTOR}}}", 10, "exporter")}
            )
            """,
            summary='The collector has lost up to {{ printf "%.0f" $value }} spans or log records for {{ $labels.exporter }}',
            description="Its queue was full, or the receiver refused some or all of them for good: what is only away is waited for. "
            "The collector counts the whole batch where a part was refused; of log records, LogLinesRefused says how many.",
        ),
        Alert(
            name="TracesNotStored",
            severity="critical",
            wait="5m",
            expr=f"""
            otelcol_exporter_queue_size{{{_TO_JAEGER}}} > 0
            unless on (instance) increase({sent}[5m]) > 0
            """,
            summary="Jaeger has taken no span for five minutes",
            description="Kept traces wait in the collector's queue on disk: nothing is lost until it is full. Jaeger is "
            "down, or its storage does not take what it writes.",
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
        description="Its storage answers and refuses: a full disk, a read-only index, a mapping with too many fields. With "
        "Badger, and from Jaeger 2.21 on with Elasticsearch and OpenSearch, the collector keeps what failed and sends it "
        "again. An older Jaeger loses it.",
    )


_OPEN_VALUE_LOG = 2 * (2**30 - 1)
"""Bytes that Badger counts for the value log that it writes to: it makes the file twice as long as one may be, as a hole
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
            description="That is close to their disk budget, or beyond. They are deleted by age only, so it may go on.",
        ),
    )


def _retention() -> Rule:
    """Badger has no job: its entries end by themselves."""
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
        summary="The retention of traces has not run for more than three hours",
        description="Indices that are too old stay, and the disk fills. It runs once an hour and tries again at once what "
        "failed.",
    )
