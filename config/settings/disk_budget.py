"""The disk budget and its shares, all derived from one number, as with memory.

Each share is `default x budget / 100 GiB`, unless it is set. The rest of the budget (4 of 100 GiB) is for data without
a share: Grafana, positions in log files, and files that are rewritten before the old ones are deleted.
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.settings import remotes
from config.settings.units import seconds
from config.sizes import GIB, MIB

if TYPE_CHECKING:
    from config.settings import Settings

REFERENCE = 100 * GIB
"""The budget that the defaults are made for: half of the disk of the host in the README, and 62 % of one of 160 GiB, so that
images, the host's own services and its headroom have the rest."""
SMALLEST = 4 * GIB

METRICS, LOGS, TRACES, QUEUE = 45 * GIB, 30 * GIB, 20 * GIB, GIB
"""Defaults of the shares. 60 days of 150,000 series at 15 s and 1.3 bytes a sample are 64 GiB, of 100,000 are 42 (Prometheus
docs, storage: 1 to 2 bytes a sample); 30 days of 1 GB of logs are 28 GiB if nothing of it could be compressed."""
SHARES: Mapping[tuple[str, ...], int] = {
    ("metrics", "retention", "size"): METRICS,
    ("logs", "budget", "disk"): LOGS,
    ("traces", "disk"): TRACES,
    ("traces", "queue"): QUEUE,
}
"""Setting → its default."""

LOG_FILES = 3
LOG_FILE = 10 * MIB
"""Number and size in bytes of the files of each container's own log. Docker keeps them until Loki has the lines, and a little longer."""


def with_shares(values: Mapping[str, Any], budget: int) -> dict[str, Any]:
    """Stack config `values`, with the shares of `budget` (bytes) filled in where they are not set. Values that should
    be mappings but are not stay unchanged."""
    filled = copy.deepcopy(dict(values))
    for path, default in SHARES.items():
        place: Any = filled
        for key in path[:-1]:
            place = place.setdefault(key, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.setdefault(path[-1], default * budget // REFERENCE // MIB * MIB)
    return filled


def shares(settings: "Settings") -> dict[str, int]:
    """Setting → bytes of the host's disk. Data stored elsewhere has no share."""
    result: dict[str, int] = {"traces.queue": settings.traces.queue}
    if settings.role == "centre":
        result |= _kept(settings)
    result["the containers' own logs"] = LOG_FILES * LOG_FILE * len(settings.services)
    return result


def _kept(settings: "Settings") -> dict[str, int]:
    sizes: dict[str, int] = {"metrics.retention.size": settings.metrics.retention.size}
    if settings.logs.s3 is None or settings.logs.s3.since:
        sizes["logs.budget.disk"] = settings.logs.budget.disk
    if settings.traces.cluster is None:
        sizes["traces.disk"] = settings.traces.disk
    return sizes | remotes.disk_shares(settings.metrics.long_term, settings.logs.remote, settings.traces.remote)


def judge(settings: "Settings") -> None:
    """Raises ValueError if the shares, or the logs of their whole retention, do not fit. The message begins with a key."""
    named, budget, logs = shares(settings), settings.disk.budget, settings.logs
    if (total := sum(named.values())) > budget:
        listed = ", ".join(f"{name} {size / GIB:.1f}" for name, size in sorted(named.items(), key=lambda s: -s[1]))
        msg = (
            f"disk.budget: the shares add up to {total / GIB:.1f} GiB, the budget is {budget / GIB:.1f} GiB ({listed}): "
            "lower a share or raise the budget"
        )
        raise ValueError(msg)
    days, share = seconds(logs.retention.time) / 86_400, named.get("logs.budget.disk")
    if logs.s3 is None and share and (expected := days * logs.budget.per_day) > share:
        msg = (
            f"logs.retention.time: {days:g} days of {logs.budget.per_day / 10**9:g} GB (logs.budget.per_day) are "
            f"{expected / GIB:.1f} GiB, and logs.budget.disk is {share / GIB:.1f} GiB: keep them for a shorter time, or "
            "raise disk.budget or this share of it"
        )
        raise ValueError(msg)
