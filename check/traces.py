"""Checks that the collector samples and Jaeger keeps traces as the settings say."""

import re
import time
from collections.abc import Iterator

from docker import DockerClient

from check.finding import Finding
from check.pages import ask, inside, page
from config.services.traces import jaeger, otel_collector
from config.settings import Settings
from config.settings.traces import RETENTION_SUCCESS
from config.settings.units import seconds

LATE_SECONDS = 2 * 3600
"""Age from which the last deletion of indices counts as late. The job runs once an hour."""


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields what the collector, Jaeger and the storage report about themselves."""
    try:
        yield _sampling(client, settings)
        yield _retention(client, settings)
        if settings.own_storage:
            yield _indices(client, settings)
    except LookupError as error:
        yield Finding("the collector and Jaeger answer", kept=False, detail=str(error))


def _version(client: DockerClient, settings: Settings, service: str) -> str:
    """Digest of the files that the process runs, as it shows it among its metrics."""
    match = re.search(
        r'^target_info\{.*config_version="([0-9a-f]+)"', page(client, settings, service, "/metrics"), re.M
    )
    return match[1] if match else "of unknown files"


def _sampling(client: DockerClient, settings: Settings) -> Finding:
    rates = settings.traces.sampling
    running, wanted = _version(client, settings, "otel_collector"), otel_collector.version(settings)
    return Finding(
        f"of traces, {rates.errors:g} % of the failed, {rates.slow.keep:g} % of those over {rates.slow.over} and "
        f"{rates.rest:g} % of the rest are kept",
        kept=running == wanted,
        detail=f"{len(rates.services)} services have rates of their own" if running == wanted else f"it runs {running}",
    )


def _retention(client: DockerClient, settings: Settings) -> Finding:
    """Badger's retention is in the files that Jaeger runs. Indices are deleted by a job, which reports when it last
    did."""
    traces = settings.traces
    what = f"traces are kept {traces.retention}"
    running, wanted = _version(client, settings, "jaeger"), jaeger.version(settings)
    if running != wanted or traces.storage == "badger":
        return Finding(what, kept=running == wanted, detail=f"in {traces.storage}, by files {running}")
    answer = ask(client, settings, "prometheus", f"/api/v1/query?query={RETENTION_SUCCESS}")["data"]["result"]
    age = min((time.time() - float(sample["value"][1]) for sample in answer), default=float("inf"))
    return Finding(
        what, kept=age < LATE_SECONDS, detail=f"the retention ran {age:.0f} s ago" if answer else "never ran"
    )


def _indices(client: DockerClient, settings: Settings) -> Finding:
    """Checks that no index is older than the job leaves it: a day more than the retention, and an hour until the job
    runs."""
    url = f"{jaeger.storage_url(settings)}/_cat/indices/jaeger-*?h=index,creation.date&format=json"
    indices = inside(client, settings, url)
    oldest = seconds(settings.traces.retention) + jaeger.DAY_SECONDS + LATE_SECONDS
    late = [index["index"] for index in indices if time.time() - int(index["creation.date"]) / 1000 > oldest]
    return Finding("no traces are older than that", kept=not late, detail=", ".join(late) or f"{len(indices)} indices")
