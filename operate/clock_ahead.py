"""What Prometheus has by a clock that was ahead, set aside before a deployment.

Of each series it takes nothing older than what it has, so it would be blind until that time has come. Nothing is removed: it
stays in the volume, in a folder of its own.
"""

from datetime import UTC, datetime

from docker import DockerClient

from check import pages
from config import services
from config.settings import Settings
from operate import volume_helper
from toolchain.report import ToolchainError, note

AHEAD_SECONDS = 15 * 60
"""What is less is over sooner than anybody would see to it, and Prometheus takes samples that are 10 minutes late
(`out_of_order_time_window`)."""
NEWEST_SAMPLE = "prometheus_tsdb_head_max_time_seconds"
"""As a Unix time. Of exemplars there is a metric of the oldest only."""
EXEMPLARS = "/api/v1/query_exemplars?query=traces_kept_duration_seconds_bucket&start={start}&end={end}"
"""The collector's, which have the time of its own clock. An application whose clock is ahead spoils no one else's."""
FAR_SECONDS = 10 * 365 * 86_400
IN_NO_BLOCK = ("wal", "wbl", "chunks_head")
"""Parts of Prometheus' data: what it got within the last two to three hours."""
SENDER = "otel_collector"
"""Shows Prometheus the exemplars that it got by the wrong clock, again and again: it forgets them by a start."""


def set_aside(settings: Settings, client: DockerClient) -> None:
    """Lets Prometheus begin anew where it has something of a time to come; does nothing while it does not run.

    Raises:
        ToolchainError: it cannot be moved.
    """
    now = datetime.fromisoformat(client.info()["SystemTime"]).timestamp()  # the engine's clock is the host's
    try:
        newest = _newest(settings, client, now + AHEAD_SECONDS)
    except LookupError:
        return
    if newest < now + AHEAD_SECONDS:
        return
    grace = {one.service: one.grace_seconds for one in services.keepers(settings)}
    prometheus = client.containers.get(f"{settings.prefix}-prometheus")
    folder = f"ahead-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    script = f"mkdir {folder} && for part in {' '.join(IN_NO_BLOCK)}; do"
    script += f' [ ! -e "$part" ] || mv "$part" {folder}/ || exit; done'
    with volume_helper.stopped(prometheus, grace["prometheus"]):
        code, said = volume_helper.change(client, settings, "prometheus", script)
        client.containers.get(f"{settings.prefix}-{SENDER}").restart(timeout=grace[SENDER])
    if code:
        raise ToolchainError(
            f"Prometheus has something of a time to come in its volume {settings.prefix}-prometheus: {said.strip()}"
        )
    note(
        f"Prometheus had samples or exemplars that are {(newest - now) / 3600:.1f} h ahead of the host's clock, and took none before: what it got "
        f"within the last hours is set aside in its volume, in {folder}"
    )


def _newest(settings: Settings, client: DockerClient, since: float) -> float:
    """Time of the newest sample that Prometheus has in no block yet, or of the newest exemplar, where that is later than `since`."""
    path = EXEMPLARS.format(start=since, end=since + FAR_SECONDS)
    series = pages.ask(client, settings, "prometheus", path)["data"]
    exemplars: list[float] = [exemplar["timestamp"] for one in series for exemplar in one["exemplars"]]
    return max([pages.metric(client, settings, "prometheus", NEWEST_SAMPLE), *exemplars])
