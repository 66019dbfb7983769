"""What both shippers have in common: where they read, and how they send."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from config import service_names
from config.container import Mount
from config.ports import METRICS
from config.scrape import LABEL
from config.settings import Settings

PUSH_URL = f"http://loki:{METRICS['loki']}/loki/api/v1/push"

BATCH_BYTES = 128 * 1024
"""What one request to Loki holds. Small, because it bounds what is lost with a shipper that is killed."""
BATCH_WAIT = "1s"
TIMEOUT = "30s"
FIRST_RETRY = "500ms"
LAST_RETRY = "10s"

REFRESH = "5s"
"""How often containers are looked for. The engine keeps the log of one that has ended meanwhile, unless it was removed. Both
shippers take over what they have found no more often than this (`MaxUpdateFrequency` in Alloy), so that a shorter time
would cost the engine more (up to 12 ms of CPU each, with 30 containers on a busy machine) than it brings."""
STATES = ("running", "paused", "restarting", "removing", "exited", "dead")
"""All that may have a log: without a filter, the engine lists only those that run."""

ADM = 4
"""Group that may read the host's logs, on Debian and Ubuntu."""
JOURNAL = "/var/log/journal"
JOURNAL_AGE = "12h"
HOST: Mapping[str, str] = {"source": "system", "service": "host"}

_META = "__meta_docker_container"

RELABELLING = (
    {"source_labels": [f"{_META}_name"], "regex": "/(.+)", "target_label": "container"},
    *service_names.rules("container", f"{_META}_label_"),
    {"target_label": "source", "replacement": "docker"},
    {"source_labels": [f"{_META}_log_stream"], "regex": "(.+)", "target_label": "stream"},
)
"""Labels of a container's lines: rules in Prometheus' words, the later one winning."""


def own_stack(settings: Settings) -> tuple[dict[str, Any], ...]:
    """Rules that leave out the services of other stacks on the same engine: those have shippers of their own.

    Promtail has no way to do so: it relabels lines, not containers.
    """
    return (
        {"target_label": "__tmp_stack", "replacement": settings.prefix},
        {"source_labels": [f"{_META}_label_{LABEL}_stack"], "regex": "(.+)", "target_label": "__tmp_stack"},
        {"source_labels": ["__tmp_stack"], "regex": settings.prefix, "action": "keep"},
    )


JOURNAL_RELABELLING = (
    {"source_labels": ["__journal__systemd_unit"], "regex": "(.+)", "target_label": "unit"},
    {"source_labels": ["__journal_syslog_identifier"], "regex": "(.+)", "target_label": "unit"},
    {"source_labels": ["__journal_priority_keyword"], "regex": "(.+)", "target_label": "level_of_journal"},
)


def files(settings: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """Glob of the files that are read → their labels."""
    yield f"{settings.logs.files.rstrip('/')}/**/*.log", {"source": "file"}
    if settings.logs.system == "syslog":
        yield "/var/log/syslog", dict(HOST)


def mounts(settings: Settings) -> tuple[Mount, ...]:
    """Folders and not files, whose rotation would not be seen. `/var/log` is there on every host, what is below may not be."""
    folders = {settings.logs.files.rstrip("/")}
    if settings.logs.system != "off":
        folders.add("/var/log")
    log = PurePosixPath("/var/log")
    seen = sorted({str(log) if log in PurePosixPath(folder).parents else folder for folder in folders})
    machine = (Mount("/etc/machine-id", "/etc/machine-id"),) if settings.logs.system == "journal" else ()
    return (*(Mount(folder, folder) for folder in seen), *machine)
