"""Sets aside, before a deployment, samples that Prometheus stored while the host's clock was ahead.

Prometheus takes no sample that is older than the newest one of its series, so it would be blind until the clock has caught up.
Nothing is removed: the data stays in the volume, in a separate folder.
"""

from datetime import UTC, datetime

from docker import DockerClient

from check import pages
from config.services import descriptions
from config.settings import Settings
from operate import volume_helper
from toolchain.report import Step, ToolchainError, note

AHEAD_SECONDS = 15 * 60
"""A smaller lead is over sooner than anybody would react to it, and Prometheus takes samples that are 10 minutes late
(`out_of_order_time_window`)."""
NEWEST_SAMPLE = "prometheus_tsdb_head_max_time_seconds"
"""Metric with the time of the newest sample, as Unix time in seconds. For exemplars there is only a metric of the
oldest."""
EXEMPLARS = "/api/v1/query_exemplars?query=traces_kept_duration_seconds_bucket&start={start}&end={end}"
"""Exemplars of the collector, which have the time of its own clock. An application whose clock is ahead affects no other one."""
FAR_SECONDS = 10 * 365 * 86_400
"""How far into the future exemplars are searched for: ten years."""
IN_NO_BLOCK = ("wal", "wbl", "chunks_head")
"""Parts of Prometheus' data that are in no block yet: the last two to three hours."""
SENDER = "otel_collector"
"""Service that shows Prometheus the exemplars with the wrong time again and again. It forgets them when it restarts."""


def set_aside(settings: Settings, client: DockerClient) -> None:
    """Sets the data aside if Prometheus has some from the future, and starts it with an empty database. Does
    nothing if Prometheus does not run.

    Raises:
        ToolchainError: the data cannot be moved.
    """
    now = datetime.fromisoformat(client.info()["SystemTime"]).timestamp()  # the engine's clock is the host's
    try:
        newest = _newest(settings, client, now + AHEAD_SECONDS)
    except LookupError:
        return
    if newest < now + AHEAD_SECONDS:
        return
    grace = {one.service: one.grace_seconds for one in descriptions.keepers(settings)}
    prometheus = client.containers.get(f"{settings.prefix}-prometheus")
    folder = f"ahead-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    script = f"mkdir {folder} && for part in {' '.join(IN_NO_BLOCK)}; do"
    script += f' [ ! -e "$part" ] || mv "$part" {folder}/ || exit; done'
    title = f"Prometheus stops, in up to {grace['prometheus']} s, and its samples from the future are set aside"
    with Step(title), volume_helper.stopped(prometheus, grace["prometheus"]):
        code, output = volume_helper.change(client, settings, "prometheus", script)
        client.containers.get(f"{settings.prefix}-{SENDER}").restart(timeout=grace[SENDER])
        if code:
            raise ToolchainError(
                f"Prometheus has samples from the future in its volume {settings.prefix}-prometheus: {output.strip()}"
            )
    note(
        f"Prometheus had samples or exemplars that are {(newest - now) / 3600:.1f} h ahead of the host's clock, and would take no others: "
        f"what came in within the last hours is set aside in its volume, in {folder}"
    )


def _newest(settings: Settings, client: DockerClient, since: float) -> float:
    """Unix time of the newest sample that is in no block yet, or of the newest exemplar later than `since`, whichever
    is later."""
    path = EXEMPLARS.format(start=since, end=since + FAR_SECONDS)
    series = pages.ask(client, settings, "prometheus", path)["data"]
    exemplars: list[float] = [exemplar["timestamp"] for one in series for exemplar in one["exemplars"]]
    return max([pages.metric(client, settings, "prometheus", NEWEST_SAMPLE), *exemplars])
