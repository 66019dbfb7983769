"""What Prometheus has by a clock that was ahead, set aside before a deployment.

Of each series it takes nothing older than what it has, so it would be blind until that time has come. Nothing is removed: it
stays in the volume, in a folder of its own.
"""

from datetime import UTC, datetime

from docker import DockerClient

from check import pages
from components.engine import execute
from config import services
from config.settings import Settings
from toolchain import volume_helper
from toolchain.report import ToolchainError, note

AHEAD_SECONDS = 15 * 60
"""What is less is over sooner than anybody would see to it, and Prometheus takes samples that are 10 minutes late
(`out_of_order_time_window`)."""
NEWEST = ("prometheus_tsdb_head_max_time_seconds", "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds")
"""Of samples and exemplars, as Unix times."""
IN_NO_BLOCK = ("wal", "wbl", "chunks_head")
"""Parts of Prometheus' data: what it got within the last two to three hours."""
SENDER = "otel_collector"
"""Shows Prometheus the exemplars that it got by the wrong clock, again and again: it forgets them by a start."""


def set_aside(settings: Settings, client: DockerClient) -> None:
    """Lets Prometheus begin anew where it has something of a time to come; does nothing while it does not run.

    Raises:
        ToolchainError: it cannot be moved.
    """
    try:
        newest = max(pages.metric(client, settings, "prometheus", name) for name in NEWEST)
    except LookupError:
        return
    ahead = newest - datetime.fromisoformat(client.info()["SystemTime"]).timestamp()  # the engine's clock is the host's
    if ahead < AHEAD_SECONDS:
        return
    grace = {one.service: one.grace_seconds for one in services.keepers(settings)}
    prometheus = client.containers.get(f"{settings.prefix}-prometheus")
    prometheus.stop(timeout=grace["prometheus"])
    folder = f"ahead-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    script = f"cd {volume_helper.DATA} && mkdir {folder} && for part in {' '.join(IN_NO_BLOCK)}; do"
    script += f' [ ! -e "$part" ] || mv "$part" {folder}/ || exit; done'
    busybox, name = volume_helper.image(client, settings.image("busybox")), f"{settings.prefix}-prometheus"
    try:
        with volume_helper.helper(client, busybox, prefix=settings.prefix, volume=name, writes=True) as helper:
            code, said = execute(helper, ["sh", "-c", script])
        client.containers.get(f"{settings.prefix}-{SENDER}").restart(timeout=grace[SENDER])
    finally:
        prometheus.start()
    if code:
        raise ToolchainError(f"Prometheus has samples of a time to come in its volume {name}: {said.strip()}")
    note(
        f"Prometheus had samples that are {ahead / 3600:.1f} h ahead of the host's clock, and took none before: what it got "
        f"within the last hours is set aside in its volume, in {folder}"
    )
