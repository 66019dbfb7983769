"""What each image is made from, and the face that it shows: that of the official image, so that components need no branch.

A face is the entrypoint, the paths of the binaries, user and owners, volumes, and whether there is a shell.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NOBODY = 65534
LOKI = OTELCOL = JAEGER = 10001
ALLOY = 473
GRAFANA = 472
"""Users of the official images."""
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Go:
    """Binaries of a Go module that stands in this folder."""

    packages: dict[str, str]
    """Path in the image → package."""
    tags: str = "netgo"
    version_variable: str = "github.com/prometheus/common/version.Version"
    """Which the linker sets: upstream's own builds do the same."""
    module: str = field(default="", repr=False)
    """The module's folder, where it is not called as the service is; its content is what counts for the key."""
    wired: str = ""
    """A package in which wire writes code before the build."""
    c: bool = False
    """Whether some of it is written in C, so that a compiler is needed."""
    data_of: str = ""
    """A module among the dependencies, of which the image has some files that are no code."""
    data: tuple[str, ...] = ()
    """Which: patterns in that module."""
    data_folder: str = ""
    """Where they are in the image."""


@dataclass(frozen=True)
class Debian:
    """Files of distribution packages, with the libraries that they need."""

    packages: tuple[str, ...]
    files: dict[str, str]
    """Path in the image → path in the package."""


@dataclass(frozen=True)
class Assembled:
    """Files that a function puts together, with the libraries that they need."""

    make: Callable[[Path], None] = field(repr=False)
    """Fills a folder."""
    made_from: tuple[Path, ...] = field(repr=False)
    """Files and folders of ours that decide what comes out."""
    files: dict[str, str]
    """Path in the image → path in the folder."""


@dataclass(frozen=True)
class Recipe:
    version: str
    """Of what is built here; images.yaml has the official one."""
    source: Go | Debian | Assembled
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
    differs: str = field(default="", repr=False)
    """What the official image of the same version has or does otherwise: for docs/toolchain.md (`versions.py`)."""


def _port(number: int) -> dict[str, Any]:
    return {"ExposedPorts": {f"{number}/tcp": {}}}


OWN = "nervous-system/toolchain/images"
"""What the names of the modules here begin with."""

PROMETHEUS_TAGS = "netgo,remove_all_sd,enable_dns_sd,enable_moby_sd"
"""Discovery of other clouds is left out: one of its modules cannot be had from a module proxy."""

GRAFANA_MODULE = "github.com/grafana/grafana"
GRAFANA_HOME = "/usr/share/grafana"

JAEGER_VERSION = "github.com/jaegertracing/jaeger/internal/version.latestVersion"

RECIPES = {
    "prometheus": Recipe(
        version="3.15.0",
        differs="no web pages; service discovery by file, DNS and Docker only",
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
        version="0.34.1",
        differs="one page in place of the web pages",
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
        differs=(
            "metrics and `/healthz`, no pages or JSON API; containerd's image store (default of Docker 29) is "
            "not understood"
        ),
        source=Go(
            {"/usr/bin/cadvisor": f"{OWN}/cadvisor"}, version_variable="github.com/google/cadvisor/version.Version"
        ),
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
        version="0.19.1",
        source=Go(
            {"/bin/postgres_exporter": "github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter"}
        ),
        entrypoint=("/bin/postgres_exporter",),
        user="nobody",
        config=_port(9187),
    ),
    "redis_exporter": Recipe(
        version="1.88.0",
        source=Go({"/redis_exporter": "github.com/oliver006/redis_exporter"}, version_variable="main.BuildVersion"),
        entrypoint=("/redis_exporter",),
        user="59000:59000",
        config=_port(9121),
    ),
    "blackbox_exporter": Recipe(
        version="0.28.0",
        differs="no `/etc/blackbox_exporter/config.yml` of its own",
        source=Go({"/bin/blackbox_exporter": "github.com/prometheus/blackbox_exporter"}),
        entrypoint=("/bin/blackbox_exporter",),
        command=("--config.file=/etc/blackbox_exporter/config.yml",),
        folders={"/etc/blackbox_exporter": 0},
        config=_port(9115),
    ),
    "mongodb_exporter": Recipe(
        version="0.47.2",
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
        version="1.5.1",
        source=Go({"/usr/bin/nginx-prometheus-exporter": "github.com/nginx/nginx-prometheus-exporter"}),
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
    "loki": Recipe(
        version="3.7.8",
        differs="no `/etc/loki/local-config.yaml` of its own",
        source=Go(
            {"/usr/bin/loki": "github.com/grafana/loki/v3/cmd/loki"},
            version_variable="github.com/grafana/loki/v3/pkg/util/build.Version",
        ),
        entrypoint=("/usr/bin/loki",),
        command=("-config.file=/etc/loki/local-config.yaml",),
        user=str(LOKI),
        shell=False,
        folders=dict.fromkeys(("/etc/loki", "/loki", "/loki/rules", "/loki/rules-temp"), LOKI),
        users={"loki": LOKI},
        config={**_port(3100), "WorkingDir": "/"},
    ),
    "promtail": Recipe(
        version="3.6.8",
        differs="no journal; no `/etc/promtail/config.yml` of its own",
        source=Go(
            {"/usr/bin/promtail": "github.com/grafana/loki/v3/clients/cmd/promtail"},
            tags="netgo,timetzdata",  # a timestamp's location is the name of a time zone
            version_variable="github.com/grafana/loki/v3/pkg/util/build.Version",
        ),
        entrypoint=("/usr/bin/promtail",),
        command=("-config.file=/etc/promtail/config.yml",),
        folders={"/etc/promtail": 0},
    ),
    "alloy": Recipe(
        version="1.19.0",
        differs=(
            "only the components that ship logs (see below); no journal, web pages, cluster, converters; no "
            "`/etc/alloy/config.alloy` of its own; its shell is busybox, not bash"
        ),
        source=Go(
            {"/bin/alloy": "github.com/grafana/alloy/internal/cmd/alloy"},
            version_variable="github.com/grafana/alloy/internal/build.Version",
        ),
        entrypoint=("/bin/alloy",),
        command=("run", "/etc/alloy/config.alloy", "--storage.path=/var/lib/alloy/data"),
        folders=dict.fromkeys(("/etc/alloy", "/var/lib/alloy", "/var/lib/alloy/data"), ALLOY),
        users={"alloy": ALLOY},
        config={"Env": ["ALLOY_DEPLOY_MODE=docker"]},
    ),
    "busybox": Recipe(
        # Nothing of its own: the shell that other images have besides their service.
        version="debian",
        source=Debian(("busybox-static",), {}),
        entrypoint=(),
        command=("sh",),
    ),
    "otel_collector": Recipe(
        version="0.161.0",
        differs=(
            "21 components of more than 200 (`images/otel_collector/main.go`), `servicegraph` of 0.158; no "
            "`/etc/otelcol-contrib/config.yaml` of its own"
        ),
        source=Go({"/otelcol-contrib": f"{OWN}/otel_collector"}, version_variable="main.version"),
        entrypoint=("/otelcol-contrib",),
        command=("--config", "/etc/otelcol-contrib/config.yaml"),
        user=f"{OTELCOL}:{OTELCOL}",
        shell=False,
        folders={"/etc/otelcol-contrib": 0},
        config={"ExposedPorts": {f"{port}/tcp": {} for port in (4317, 4318, 55679)}},
    ),
    "jaeger": Recipe(
        version="2.13.0",
        differs=(
            "no web pages; none of the keys that came later (`rotation` and `max_trace_duration` in 2.20, "
            "`write_mode` in 2.21), while 2.20 refuses `use_aliases`, `use_ilm`, `max_actions` and others; no "
            "`sampling-strategies.json` of its own"
        ),
        source=Go(
            {"/cmd/jaeger/jaeger-linux": "github.com/jaegertracing/jaeger/cmd/jaeger"},
            version_variable=JAEGER_VERSION,
        ),
        entrypoint=("/cmd/jaeger/jaeger-linux",),
        user=str(JAEGER),
        config={
            "Env": ["JAEGER_LISTEN_HOST=0.0.0.0"],
            "ExposedPorts": {
                f"{port}/tcp": {} for port in (4317, 4318, 5778, 5779, 9411, 13132, 13133, 14250, 14268, 16686)
            },
            "Volumes": {"/tmp": {}},  # noqa: S108  # a path in the image
        },
    ),
    "jaeger_es_index_cleaner": Recipe(
        version="2.13.0",
        differs="goes by the time of an index's creation",
        source=Go(
            {"/go/bin/es-index-cleaner-linux": "github.com/jaegertracing/jaeger/cmd/es-index-cleaner"},
            version_variable=JAEGER_VERSION,
            module="jaeger",
        ),
        entrypoint=("/go/bin/es-index-cleaner-linux",),
        user=str(JAEGER),
    ),
    "grafana": Recipe(
        version="10.0.0-preview",
        differs=(
            "no web pages; no data sources or panels as plugins of their own; health of the data sources Loki "
            "and Jaeger is not told"
        ),
        source=Go(
            {f"{GRAFANA_HOME}/bin/grafana": f"{GRAFANA_MODULE}/pkg/cmd/grafana"},
            tags="oss,netgo,osusergo,sqlite_omit_load_extension",
            version_variable="main.version",
            wired=f"{GRAFANA_MODULE}/pkg/server",
            c=True,  # SQLite
            data_of=GRAFANA_MODULE,
            # What the server reads when it runs. There are no web pages in the module: they are not committed upstream.
            data=(
                "conf/defaults.ini",
                "public/img/user_profile.png",
                "public/emails/*.*",
                "public/views/*-template.html",
                "public/dashboards/home.json",
                "public/app/plugins/*/*/plugin.json",
                "public/app/plugins/datasource/*/*/plugin.json",
            ),
            data_folder=GRAFANA_HOME,
        ),
        entrypoint=(f"{GRAFANA_HOME}/bin/grafana",),
        command=("server", f"--homepath={GRAFANA_HOME}"),
        user=str(GRAFANA),
        users={"grafana": GRAFANA},
        folders={
            f"{GRAFANA_HOME}/public/build": 0,
            **dict.fromkeys(
                ("/var/lib/grafana", "/var/lib/grafana/plugins", "/var/log/grafana", "/etc/grafana"), GRAFANA
            ),
        },
        config={**_port(3000), "WorkingDir": GRAFANA_HOME},
    ),
    "caddy": Recipe(
        version="2.11.7",
        differs="no databases for an authority (`nobadger`, as upstream builds it)",
        source=Go(
            {"/usr/bin/caddy": "github.com/caddyserver/caddy/v2/cmd/caddy"},
            tags="netgo,nobadger,nomysql,nopgx",  # databases of an authority for others, which upstream leaves out too
            version_variable="github.com/caddyserver/caddy/v2.CustomVersion",
        ),
        entrypoint=(),
        command=("caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"),
        folders=dict.fromkeys(("/etc/caddy", "/config/caddy", "/data/caddy"), 0),
        config={**_port(443), "Env": ["XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"], "WorkingDir": "/srv"},
    ),
}
