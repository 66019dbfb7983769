"""The recorded series that are kept for longer than everything else (`metrics.long_term`), and the VictoriaMetrics that keeps them
beside Prometheus, which writes them there.

Tested with 1.151; the options also exist in 1.152.
"""

from collections.abc import Sequence
from typing import Any

from config.alerts import golden_signals, host, host_disks, host_memory, response_times, slo, slo_budgets
from config.alerts.rule import DISK_BUDGET_USED
from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.settings import Settings
from config.yaml_text import dump

SELECTION = (
    golden_signals.REQUESTS,
    golden_signals.ERRORS,
    golden_signals.ERROR_RATIO,
    golden_signals.ACTIVE,
    *map(response_times.quantile, response_times.PERCENTILES),
    slo.OBJECTIVE,
    slo_budgets.REQUESTS,
    slo_budgets.ERRORS,
    slo_budgets.SPENT,
    host.CPU_USED.record,
    host_memory.USED.record,
    host_disks.USED.record,
    DISK_BUDGET_USED,
)
"""Names of metrics: what a service, an objective and the host looked like. They grow with services, objectives and disks, and not
with containers, routes or buckets, so a year of them stays small (docs/beyond.md)."""

PORT = METRICS["long_term"]
DATA = "/storage"
RULES = "relabel.yml"
WRITE = f"http://long_term:{PORT}/api/v1/write"
SERIES = 20_000
"""Most series in an hour. With so many it takes 71 MB. Those of the selection grow with services, objectives and disks."""
FREE = 2**30
"""Bytes of the disk that it leaves free: below, it takes nothing more, and the host keeps going."""


def by_name(action: str, patterns: Sequence[str]) -> dict[str, Any]:
    """A rule that keeps or drops the metrics whose names match one of `patterns`."""
    return {"source_labels": ["__name__"], "regex": "|".join(patterns), "action": action}


def container(settings: Settings) -> Container:
    """Runs as nobody. Its data folder is made by the engine."""
    store = settings.metrics.long_term
    months = store.months if store else 1
    return Container(
        service="long_term",
        command=(
            f"-storageDataPath={DATA}",
            f"-httpListenAddr=:{PORT}",
            f"-retentionPeriod={months}",  # months
            # Of the four samples in a minute, only the last stays, once parts are merged.
            "-dedup.minScrapeInterval=1m",
            f"-storage.maxHourlySeries={SERIES}",
            f"-storage.minFreeDiskSpaceBytes={FREE}",
            "-search.maxConcurrentRequests=2",
            "-search.maxQueryDuration=30s",
            "-search.maxMemoryPerQuery=32MiB",
            f"-relabelConfig={DIRECTORY}/{RULES}",
            "-http.disableCORS",  # else any web page in a browser may read its answers
            "-loggerLevel=WARN",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/health"),
        grace_seconds=30,  # at exit, it writes what it has in memory
        data=DATA,
        claims_data=True,
        config=ConfigFiles(
            # Whatever else writes to it within the stack's network, it keeps nothing more.
            files={RULES: dump([by_name("keep", SELECTION)])},
            validate=f"/victoria-metrics-prod -dryRun -relabelConfig={RULES}",
            reload="restart",  # changes with the project only
        ),
    )
