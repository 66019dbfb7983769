"""Checks that each remote store takes data, by the metrics of the services that send to it."""

from collections.abc import Iterator
from urllib.parse import urlencode

from docker import DockerClient

from check.finding import Finding
from check.pages import ask, page, total
from check.queues import delivery
from config.services.logs import remote_logs
from config.services.traces import remote_otlp
from config.settings import Settings
from config.settings.remotes import LOGS, LONG_TERM, TRACES

LATE_SECONDS = 120
"""Age of the newest sample at an end, from which on it lacks some. Samples are sent within five seconds of their scrape."""


def names(settings: Settings) -> tuple[str, ...]:
    """Names of the remote stores."""
    metrics = settings.metrics
    ends = [one.name for one in metrics.remote_write] + ([LONG_TERM] if metrics.long_term else [])
    ends += [LOGS] if settings.logs.remote else []
    ends += [TRACES] if settings.traces.remote else []
    return tuple(ends)


def findings(client: DockerClient, settings: Settings, name: str) -> Iterator[Finding]:
    """Yields whether the end `name` takes data."""
    try:
        if name == LOGS:
            yield _of_logs(client, settings)
        elif name == TRACES and settings.traces.remote:
            exporter = remote_otlp.traces_exporter(settings.traces.remote)
            yield Finding("traces.remote takes spans", *_of_otlp(client, settings, exporter))
        else:
            yield _of_metrics(client, settings, name)
    except LookupError as error:
        yield Finding(f"what sends to {name} answers", kept=False, detail=str(error))


def _asked(client: DockerClient, settings: Settings, query: str) -> list[float]:
    series = ask(client, settings, "prometheus", f"/api/v1/query?{urlencode({'query': query})}")["data"]["result"]
    return [float(sample["value"][1]) for sample in series]


def _of_metrics(client: DockerClient, settings: Settings, name: str) -> Finding:
    end = f'{{job="prometheus",remote_name="{name}"}}'
    what = f"{name} takes samples" if name != LONG_TERM else "the store of metrics.long_term takes samples"
    metric = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
    ages = _asked(client, settings, f"time() - ({metric}{end} > 0)")
    refused = sum(_asked(client, settings, f"increase(prometheus_remote_storage_samples_failed_total{end}[5m])"))
    if refused:
        return Finding(what, kept=False, detail=f"it has refused {refused:.0f} in five minutes: see Prometheus' log")
    if not ages:
        return Finding(
            what, kept=False, detail="it has got none yet: it does not answer, or no metric has a name to keep"
        )
    return Finding(what, kept=max(ages) < LATE_SECONDS, detail=f"the newest that it has is {max(ages):.0f} s old")


def _of_logs(client: DockerClient, settings: Settings) -> Finding:
    text = page(client, settings, "alloy", "/metrics")
    entries = total(text, "loki_write_sent_entries_total", f'component_id="loki.write.{remote_logs.LABEL}"')
    tries = sum(_asked(client, settings, f"increase({remote_logs.METRICS_PREFIX}batch_retries_total[2m])"))
    lines = f"{entries:.0f} lines since the shipper's start" + (
        f", {tries:.0f} tries again in two minutes" if tries else ""
    )
    delivers, records = _of_otlp(client, settings, remote_otlp.LOGS_EXPORTER)
    return Finding(
        "logs.remote takes lines and records",
        kept=entries > 0 and not tries and delivers,
        detail=f"{lines}; records by OTLP: {records}",
    )


def _of_otlp(client: DockerClient, settings: Settings, exporter: str) -> tuple[bool, str]:
    """Whether an exporter of the collector delivers, and its counts in words. There may be nothing to send yet."""
    sent = delivery(client, settings, exporter)
    return not sent.stuck and (sent.sent > 0 or not sent.lost), str(sent)
