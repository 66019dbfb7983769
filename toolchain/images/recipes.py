"""What each image is made from, and the face that it shows: that of the official image, so that components need no branch.

A face is the entrypoint, the paths of the binaries, user and owners, volumes, and whether there is a shell.
"""

from dataclasses import dataclass, field
from typing import Any

NOBODY = 65534
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Go:
    """Binaries of the Go module that stands in the folder of the service's name."""

    packages: dict[str, str]
    """Path in the image → package."""
    tags: str = "netgo"
    version_variable: str = "github.com/prometheus/common/version.Version"
    """Which the linker sets: upstream's own builds do the same."""


@dataclass(frozen=True)
class Debian:
    """Files of distribution packages, with the libraries that they need."""

    packages: tuple[str, ...]
    files: dict[str, str]
    """Path in the image → path in the package."""


@dataclass(frozen=True)
class Recipe:
    version: str
    """Of what is built here; images.yaml has the official one."""
    source: Go | Debian
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    user: str = ""
    shell: bool = True
    folders: dict[str, int] = field(default_factory=dict)
    """Folder in the image → its owner."""
    files: dict[str, str] = field(default_factory=dict)
    """Scripts in the image → text."""
    users: dict[str, int] = field(default_factory=dict)
    """Names in /etc/passwd besides root and nobody → uid and gid."""
    config: dict[str, Any] = field(default_factory=dict)
    """More of the image's configuration, in the words of the OCI image specification."""


def _port(number: int) -> dict[str, Any]:
    return {"ExposedPorts": {f"{number}/tcp": {}}}


PROMETHEUS_TAGS = "netgo,remove_all_sd,enable_dns_sd,enable_moby_sd"
"""Discovery of other clouds is left out: one of its modules cannot be had from a module proxy."""

RECIPES = {
    "prometheus": Recipe(
        version="3.15.0",
        source=Go(
            {
                "/bin/prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
                "/bin/promtool": "github.com/prometheus/prometheus/cmd/promtool",
            },
            tags=PROMETHEUS_TAGS,
        ),
        entrypoint=("/bin/prometheus",),
        command=("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"),
        user="nobody",
        folders={"/prometheus": NOBODY, "/etc/prometheus": NOBODY},
        config={**_port(9090), "Volumes": {"/prometheus": {}}, "WorkingDir": "/prometheus"},
    ),
    "alertmanager": Recipe(
        version="0.28.1",
        source=Go(
            {
                "/bin/alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager",
                "/bin/amtool": "github.com/prometheus/alertmanager/cmd/amtool",
            },
            tags="netgo,timetzdata",  # mute time intervals name time zones
        ),
        entrypoint=("/bin/alertmanager",),
        command=("--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"),
        user="nobody",
        folders={"/alertmanager": NOBODY, "/etc/alertmanager": NOBODY},
        config={**_port(9093), "Volumes": {"/alertmanager": {}}, "WorkingDir": "/alertmanager"},
    ),
    "node_exporter": Recipe(
        version="1.12.1",
        source=Go({"/bin/node_exporter": "github.com/prometheus/node_exporter"}),
        entrypoint=("/bin/node_exporter",),
        user="nobody",
        config=_port(9100),
    ),
    "cadvisor": Recipe(
        version="0.53.0",
        source=Go({"/usr/bin/cadvisor": "."}, version_variable="github.com/google/cadvisor/version.Version"),
        entrypoint=("/usr/bin/cadvisor", "-logtostderr"),
        config={
            **_port(8080),
            "Healthcheck": {
                "Test": ["CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/healthz || exit 1"],
                "Interval": 30 * SECOND,
                "Timeout": 3 * SECOND,
            },
        },
    ),
    "postgres_exporter": Recipe(
        version="0.17.1",
        source=Go(
            {"/bin/postgres_exporter": "github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter"}
        ),
        entrypoint=("/bin/postgres_exporter",),
        user="nobody",
        config=_port(9187),
    ),
    "redis_exporter": Recipe(
        version="1.74.0",
        source=Go({"/redis_exporter": "github.com/oliver006/redis_exporter"}, version_variable="main.BuildVersion"),
        entrypoint=("/redis_exporter",),
        user="59000:59000",
        config=_port(9121),
    ),
    "blackbox_exporter": Recipe(
        version="0.27.0",
        source=Go({"/bin/blackbox_exporter": "github.com/prometheus/blackbox_exporter"}),
        entrypoint=("/bin/blackbox_exporter",),
        command=("--config.file=/etc/blackbox_exporter/config.yml",),
        folders={"/etc/blackbox_exporter": 0},
        config=_port(9115),
    ),
    "mongodb_exporter": Recipe(
        version="0.43.1",
        source=Go({"/mongodb_exporter": "github.com/percona/mongodb_exporter"}, version_variable="main.version"),
        entrypoint=("/mongodb_exporter",),
        user="65535:65535",
        shell=False,
        config=_port(9216),
    ),
    "elasticsearch_exporter": Recipe(
        version="1.11.0",
        source=Go({"/bin/elasticsearch_exporter": "github.com/prometheus-community/elasticsearch_exporter"}),
        entrypoint=("/bin/elasticsearch_exporter",),
        user="nobody",
        config=_port(9114),
    ),
    "nginx_exporter": Recipe(
        version="0.11.0",
        source=Debian(
            ("prometheus-nginx-exporter",), {"/usr/bin/nginx-prometheus-exporter": "/usr/bin/prometheus-nginx-exporter"}
        ),
        entrypoint=("/usr/bin/nginx-prometheus-exporter",),
        user="1001:1001",
        shell=False,
        config=_port(9113),
    ),
    "socket_proxy": Recipe(
        version="2.6",
        source=Debian(("haproxy",), {"/usr/local/sbin/haproxy": "/usr/sbin/haproxy"}),
        entrypoint=("docker-entrypoint.sh",),
        command=("haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"),
        user="haproxy",
        users={"haproxy": 99},
        folders={"/usr/local/etc/haproxy": 0, "/var/lib/haproxy": 99},
        files={
            "/usr/local/bin/docker-entrypoint.sh": """\
#!/bin/sh
# Options alone are options of haproxy; haproxy itself runs in the foreground, as master of its workers.
case "$1" in
-*) set -- haproxy "$@" ;;
esac
if [ "$1" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
"""
        },
        config={"StopSignal": "SIGUSR1", "WorkingDir": "/var/lib/haproxy"},
    ),
}
