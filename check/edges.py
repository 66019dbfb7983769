"""Checks that an edge reaches its centre, and lists the edges that a centre has heard from."""

import time
import urllib.parse
from collections.abc import Iterator

from docker import DockerClient

from check.finding import Finding
from check.pages import ask, metric
from check.queues import delivery
from config.services.traces import edge_pipelines
from config.settings import Settings

FRESH_SECONDS = 60
"""Age up to which the newest sample at the centre means that the queue is empty: four scrapes."""


def of_an_edge(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields whether samples, lines, spans and OTLP logs leave this edge."""
    try:
        yield _samples(client, settings)
        yield _lines(client, settings)
        yield _spans(client, settings)
    except LookupError as error:
        yield Finding("what sends to the centre answers", kept=False, detail=str(error))


def _samples(client: DockerClient, settings: Settings) -> Finding:
    newest = metric(client, settings, "prometheus", "prometheus_remote_storage_queue_highest_sent_timestamp_seconds")
    age = time.time() - newest
    detail = (
        f"the newest is {age:.0f} s old" if newest else "none has arrived: docker logs tells what the door has answered"
    )
    return Finding("the centre has the newest samples", kept=age < FRESH_SECONDS, detail=detail)


def _lines(client: DockerClient, settings: Settings) -> Finding:
    lines = metric(client, settings, "alloy", "loki_write_sent_entries_total")
    return Finding("the centre takes lines", kept=lines > 0, detail=f"{lines:.0f} since the shipper's start")


def _spans(client: DockerClient, settings: Settings) -> Finding:
    sent = delivery(client, settings, edge_pipelines.CENTRE)
    return Finding("the centre takes spans and OTLP logs", kept=not sent.stuck, detail=str(sent))


def of_a_centre(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields a finding for each edge. An edge that sends nothing breaks no promise of this stack: the alert EdgeSilent reports it."""
    query = urllib.parse.quote('max by (host) (max_over_time(timestamp(up{job="prometheus"})[1h:1m]))')
    try:
        samples = ask(client, settings, "prometheus", f"/api/v1/query?query={query}")["data"]["result"]
    except LookupError as error:
        yield Finding("the door's edges are known", kept=False, detail=str(error))
        return
    times = {sample["metric"].get("host"): float(sample["value"][1]) for sample in samples}
    for name in sorted(settings.edges):
        age = time.time() - times.get(name, 0)
        detail = f"heard of it {age:.0f} s ago" if name in times else "nothing has come in the last hour"
        yield Finding(f"the edge {name} may send", kept=True, detail=detail)
