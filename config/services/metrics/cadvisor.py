"""cAdvisor: resource usage of each container."""

from typing import Any

from config import service_names
from config.container import Container, Mount, http_health
from config.ports import METRICS
from config.settings import Settings
from config.settings.units import go_duration, seconds

PORT = METRICS["cadvisor"]

# Disabled, because they are of no use on one host, or cost most per container (google/cadvisor issue 2523 measured 15 %
# of a core with the defaults, 3 % with longer housekeeping).
_DISABLED = "advtcp,app,cpu_topology,cpuLoad,cpuset,hugetlb,memory_numa,percpu,perf_event,process,referenced_memory,resctrl,sched,tcp,udp"
# Unused metrics, which come with used ones: a third of all its series.
_UNUSED = (
    "container_memory_failures_total|container_memory_failcnt|container_fs_io_.+|container_fs_sector_.+|"
    "container_fs_(reads|writes)_merged_total|container_fs_(read|write)_seconds_total|container_blkio_.+|container_tasks_state|"
    # since 0.57
    "container_memory_(events|file|pgscan|pgsteal|workingset_refault)_.+|container_health_state|container_cpu_cfs_burst_.+"
)

_HOST = "/rootfs"
"""Mount point of the host's file system, sockets included. cAdvisor looks for it here."""

KMSG = "/dev/kmsg"
"""Device in which the kernel reports the containers that it killed for memory."""


def container(settings: Settings) -> Container:
    """Reads the host's cgroups, the engine's API, and that of its containerd, which knows the containers whose images
    are in containerd's own store. It is not privileged and shares no namespace with the host."""
    interval = go_duration(seconds(settings.metrics.scrape_interval))
    return Container(
        service="cadvisor",
        command=(
            f"--port={PORT}",
            f"--docker=unix://{_seen(settings.docker.socket)}",
            f"--containerd={_seen(settings.docker.containerd)}",
            "--docker_only=true",
            # Once per scrape, because values in between would not be seen (the default is every second).
            f"--housekeeping_interval={interval}",
            f"--max_housekeeping_interval={interval}",
            "--allow_dynamic_housekeeping=false",
            "--storage_duration=1m",
            "--store_container_labels=false",
            f"--whitelisted_container_labels={','.join((*service_names.LABELS, service_names.COOLIFY))}",
            f"--disable_metrics={_DISABLED}",
        ),
        user="0:0",
        port=PORT,
        health=http_health(PORT, "/healthz"),
        mounts=(
            Mount("/", _HOST),
            Mount("/sys", "/sys"),
            Mount(settings.docker.data_root, "/var/lib/docker"),
        ),
        devices=(KMSG,) if settings.docker.kmsg else (),
        capabilities=("CAP_DAC_READ_SEARCH", "CAP_SYSLOG", "CAP_SYS_PTRACE"),
    )


def _seen(path: str) -> str:
    """Path inside the container of a `path` on the host. `/var/run` is a link to `/run`, which inside would lead to the
    container's own."""
    return _HOST + (path.removeprefix("/var") if path.startswith("/var/run/") else path)


def metric_relabel_configs() -> list[dict[str, Any]]:
    """Rules that leave one series per container and metric, labelled by container (`name`) and `service`."""
    return [
        # drops cgroups that are not containers
        {"source_labels": ["__name__", "name"], "regex": r"container_.+;", "action": "drop"},
        {"source_labels": ["__name__"], "regex": _UNUSED, "action": "drop"},
        *service_names.rules("name", "container_label_"),
        # An id changes at each restart, which would start a new series.
        {"source_labels": ["name"], "regex": ".+", "target_label": "id", "replacement": ""},
        # Keeps `image` on one metric: dashboards read from it when a service got another image.
        {
            "source_labels": ["__name__", "image"],
            "regex": "container_start_time_seconds;([^@]+).*",
            "target_label": "__tmp_image",
        },
        {"regex": "image|container_label_.+", "action": "labeldrop"},
        {"source_labels": ["__tmp_image"], "regex": "(.+)", "target_label": "image"},
        {"regex": "__tmp_image", "action": "labeldrop"},
    ]
