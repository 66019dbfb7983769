"""Settings that both shippers share: what they read, and how they send."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from config import service_names
from config.container import STACK_LABEL, Mount, discovered_label
from config.metric_names import ACCESS_LOG_PREFIX
from config.ports import METRICS
from config.settings import Settings

PUSH_URL = f"http://loki:{METRICS['loki']}/loki/api/v1/push"

BATCH_BYTES = 128 * 1024
"""Maximum size of a request to Loki. It is small, because a shipper that is killed loses up to one request."""
BATCH_WAIT = "1s"
TIMEOUT = "30s"
FIRST_RETRY = "500ms"
LAST_RETRY = "10s"

REFRESH = "5s"
"""Interval at which containers are discovered. The engine keeps the log of a container that ended meanwhile, unless it
was removed. Both shippers apply discovered targets only this often (`MaxUpdateFrequency` in Alloy), so a shorter
interval would cost the engine CPU (up to 12 ms each time, with 30 containers on a busy machine) for little gain."""
STATES = ("running", "paused", "restarting", "removing", "exited", "dead")
"""All states in which a container may have a log. Without a filter, the engine lists only running containers."""

ADM = 4
"""Id of the group that may read the host's logs, on Debian and Ubuntu."""
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
"""Rules for the labels of a container's lines, in Prometheus' terms; a later one overrides an earlier one."""


def own_stack(settings: Settings) -> tuple[dict[str, Any], ...]:
    """Rules that exclude the services of other stacks on the same engine, because those have their own shippers.

    Promtail cannot do this: it relabels lines, not containers.
    """
    return (
        {"target_label": "__tmp_stack", "replacement": settings.prefix},
        {
            "source_labels": [f"{_META}_label_{discovered_label(STACK_LABEL)}"],
            "regex": "(.+)",
            "target_label": "__tmp_stack",
        },
        {"source_labels": ["__tmp_stack"], "regex": settings.prefix, "action": "keep"},
    )


JOURNAL_RELABELLING = (
    {"source_labels": ["__journal__systemd_unit"], "regex": "(.+)", "target_label": "unit"},
    {"source_labels": ["__journal_syslog_identifier"], "regex": "(.+)", "target_label": "unit"},
    {"source_labels": ["__journal_priority_keyword"], "regex": "(.+)", "target_label": "level_of_journal"},
)


def files(settings: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """Glob of log files, and the labels of their lines."""
    yield f"{settings.logs.files.rstrip('/')}/**/*.log", {"source": "file"}
    if settings.logs.system == "syslog":
        yield "/var/log/syslog", dict(HOST)


def mounts(settings: Settings) -> tuple[Mount, ...]:
    """Folders, because the rotation of a mounted file would go unnoticed. `/var/log` exists on every host, folders
    below it may not."""
    folders = {settings.logs.files.rstrip("/")}
    if settings.logs.system != "off":
        folders.add("/var/log")
    log = PurePosixPath("/var/log")
    roots = sorted({str(log) if log in PurePosixPath(folder).parents else folder for folder in folders})
    machine = (Mount("/etc/machine-id", "/etc/machine-id"),) if settings.logs.system == "journal" else ()
    return (*(Mount(folder, folder) for folder in roots), *machine)


def metric_relabel_configs() -> list[dict[str, Any]]:
    """Rules that give the requests in access logs to the services that wrote them, instead of to the shipper."""
    requests = f"{ACCESS_LOG_PREFIX}.+"
    return [
        {
            "source_labels": ["__name__", "exported_service"],
            "regex": f"{requests};(.+)",
            "target_label": "service",
        },
        {"source_labels": ["__name__"], "regex": requests, "target_label": "exported_service", "replacement": ""},
    ]
