"""Remote stores that get copies (`metrics.remote_write`, `metrics.long_term`, `logs.remote`, `traces.remote`): Prometheus 3.13 to
3.16, collector 0.161, Alloy 1.19.

All are warnings: if a remote store fails, the stack's own stores still have everything.
"""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope
from config.alerts.traces import grown
from config.metric_names import REMOTE_OTLP_EXPORTERS

_SELF = 'job="prometheus"'
_COLLECTOR = f'job="{Job.OTEL_COLLECTOR}",exporter=~"{REMOTE_OTLP_EXPORTERS}"'
_SHIPPER = f'job="{Job.ALLOY}"'


def rules(scope: Scope) -> tuple[Rule, ...]:
    settings, remote = scope.settings, list[Rule]()
    if settings.metrics.remote_write or settings.metrics.long_term:
        remote += _of_metrics()
    otlp = [signal for signal, end in (("spans", settings.traces.remote), ("log_records", settings.logs.remote)) if end]
    if otlp:
        remote += _of_copies(otlp, shipped=settings.logs.remote is not None)
    return tuple(remote)


def _of_metrics() -> tuple[Rule, ...]:
    timestamp = f"prometheus_remote_storage_queue_highest_sent_timestamp_seconds{{{_SELF}}}"
    lost = (
        f"prometheus_remote_storage_samples_failed_total{{{_SELF}}}",
        f"prometheus_remote_storage_histograms_failed_total{{{_SELF}}}",
        # What `keep` and `drop` leave out counts as dropped too.
        f'prometheus_remote_storage_samples_dropped_total{{{_SELF},reason!="dropped_series"}}',
    )
    return (
        Alert(
            name="RemoteWriteBehind",
            severity="warning",
            wait="10m",
            # A sample is seconds old when it is sent. It is 0 if nothing was sent since the start.
            expr=f"time() - {timestamp} > 300",
            summary="{{ $labels.remote_name }} lacks all samples of the last five minutes",
            description="Prometheus sends more slowly than it scrapes, or nothing at all: the end does not answer, or accepts "
            "no more. What is scraped waits for two hours, and is missing there afterwards. Nothing is missing here.",
        ),
        Alert(
            name="RemoteWriteLosesSamples",
            severity="warning",
            expr="\nor ".join(
                f"sum by (job, instance, service, remote_name) (increase({counter}[15m])) > 0" for counter in lost
            ),
            summary='{{ $labels.remote_name }} has refused up to {{ printf "%.0f" $value }} samples in 15 minutes',
            description="It refused them for good, so Prometheus does not send them again. They are missing there, and not here. "
            "Prometheus counts the whole request even if the end refused only part of it.",
        ),
    )


def _of_copies(signals: list[str], *, shipped: bool) -> tuple[Rule, ...]:
    progress = "\n  or ".join(f"increase(otelcol_exporter_sent_{one}_total{{{_COLLECTOR}}}[5m]) > 0" for one in signals)
    waits = f"sum by (job, instance, service, exporter) (otelcol_exporter_queue_size{{{_COLLECTOR}}}) > 0"
    stuck = [f"{waits}\nunless on (instance, exporter) (\n  {progress}\n)"]
    lost = [
        grown(f"otelcol_exporter_{how}_failed_{signal}_total{{{_COLLECTOR}}}", 15, "exporter").strip()
        for signal in signals
        for how in ("enqueue", "send")
    ]
    if shipped:
        by = "sum by (job, instance, service)"
        stuck.append(f"{by} (increase(loki_remote_batch_retries_total{{{_SHIPPER}}}[5m])) > 0")
        lost.append(f"{by} (increase(loki_remote_dropped_entries_total{{{_SHIPPER}}}[15m])) > 0")
    return (
        Alert(
            name="RemoteCopyWaits",
            severity="warning",
            wait="15m",
            expr="\nor ".join(stuck),
            summary="What {{ $labels.service }} sends far away has waited for a quarter of an hour",
            description="The store far away does not answer, or accepts no more. The collector's queue is on disk; the log "
            "shipper reads on from where it was. Nothing is missing in the stack's own stores.",
        ),
        Alert(
            name="RemoteCopyLosesData",
            severity="warning",
            expr="\nor ".join(lost),
            summary='The store far away lacks up to {{ printf "%.0f" $value }} spans, records or lines of {{ $labels.service }}',
            description="The queue was full, or the store refused them for good. They are missing there, and not here. A whole "
            "batch counts even if only part of it was refused.",
        ),
    )
