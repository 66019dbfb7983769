"""The contents of each image. Its interface is not defined here: it is that of the official image (`faces.yaml`)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from config.catalogue import ROWS
from toolchain.images import python
from toolchain.images.faces import Face, official

FOLDER = Path(__file__).parent
SCRIPTS = FOLDER / "scripts"
"""Our own scripts, which replace those of the official images."""


@dataclass(frozen=True)
class Go:
    """Binaries of a Go module in this folder."""

    packages: dict[str, str]
    """Path in the image → package."""
    tags: str = "netgo"
    version_variable: str = "github.com/prometheus/common/version.Version"
    """The variable that the linker sets to the version, as upstream's own builds do."""
    module: str = field(default="", repr=False)
    """Folder of the module, if its name is not the service's. The folder's content is part of the cache key, not its
    name."""
    wired: str = ""
    """The package in which wire generates code before the build."""
    c: bool = False
    """Whether some of the code is C, so that a compiler is needed."""
    data_of: str = ""
    """The dependency from which the image takes files other than code."""
    data: tuple[str, ...] = ()
    """Patterns of these files, relative to that dependency."""
    data_folder: str = ""
    """Folder of these files in the image."""


@dataclass(frozen=True)
class Debian:
    """Files from distribution packages, and the libraries that they need."""

    packages: tuple[str, ...]
    files: dict[str, str]
    """Path in the image → path in the package."""


@dataclass(frozen=True)
class Assembled:
    """Files that a function puts together, and the libraries that they need."""

    make: Callable[[Path], None] = field(repr=False)
    """Fills the folder that it is given."""
    made_from: tuple[Path, ...] = field(repr=False)
    """Our own files and folders that determine the result: they are the cache key."""
    files: dict[str, str]
    """Path in the image → path in the folder."""


@dataclass(frozen=True)
class Recipe:
    version: str
    """Version of what is built here. The version of the official image is in config/catalogue.py."""
    source: Go | Debian | Assembled
    files: dict[str, str] = field(default_factory=dict)
    """Path in the image → text."""
    face: Face | None = None
    """None: the face of the official image of this service."""
    differs: str = field(default="", repr=False)
    """What differs in the official image of the same version, for docs/toolchain.md (`versions.py`)."""


def _script(name: str) -> str:
    return (SCRIPTS / name).read_text()


OWN = "nervous-system/toolchain/images"
"""Prefix of the Go modules in this folder."""

PROMETHEUS_TAGS = "netgo,remove_all_sd,enable_dns_sd,enable_moby_sd"
"""Discovery for other clouds is left out: one of its modules is not available from module proxies."""

GRAFANA_MODULE = "github.com/grafana/grafana"
GRAFANA_HOME = "/usr/share/grafana"

JAEGER_VERSION = "github.com/jaegertracing/jaeger/internal/version.latestVersion"

_HAPROXY = Recipe(
    version="2.6",
    source=Debian(("haproxy",), {"/usr/local/sbin/haproxy": "/usr/sbin/haproxy"}),
    files={"/usr/local/bin/docker-entrypoint.sh": _script("haproxy.sh")},
)

_PYTHON = Recipe(
    version="debian",
    differs="the distribution's Python (3.11 or later), without pip",
    source=Assembled(
        python.fill,
        (Path(python.__file__),),
        {"/usr/local/bin/python3": "/usr/bin/python3", "/usr/lib": "/usr/lib"},
    ),
)


def _exporter(service: str) -> Recipe:
    """The recipe of an exporter, from its `go.mod`: the `tool` is built to the entrypoint of the official image."""
    package, version = tool(FOLDER / service / "go.mod")
    source = Go(
        {official()[service].entrypoint[0]: package},
        version_variable=_VERSION_VARIABLES.get(service, Go.version_variable),
    )
    return Recipe(version, source, differs=_EXPORTERS_DIFFER.get(service, ""))


def tool(go_mod: Path) -> tuple[str, str]:
    """Package and version of the program that a `go.mod` names by its directive `tool`."""
    text = go_mod.read_text(encoding="utf-8")
    [package] = re.findall(r"^tool (\S+)$", text, re.MULTILINE)
    required: dict[str, str] = dict(re.findall(r"^(?:require)?\s+(\S+) v(\S+)", text, re.MULTILINE))
    module = max((path for path in required if f"{package}/".startswith(f"{path}/")), key=len)
    return package, required[module]


_VERSION_VARIABLES = {
    "redis_exporter": "main.BuildVersion",
    "mongodb_exporter": "main.version",
}
_EXPORTERS_DIFFER = {"blackbox_exporter": "no `/etc/blackbox_exporter/config.yml` of its own"}

RECIPES = {
    **{service: _exporter(service) for service, row in ROWS.items() if row.watches},
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
    ),
    "alertmanager": Recipe(
        version="0.34.1",
        differs="one page in place of the web pages",
        source=Go(
            {
                "/bin/alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager",
                "/bin/amtool": "github.com/prometheus/alertmanager/cmd/amtool",
            },
            tags="netgo,timetzdata",  # mute time intervals use names of time zones
        ),
    ),
    "node_exporter": Recipe(
        version="1.12.1",
        source=Go({"/bin/node_exporter": "github.com/prometheus/node_exporter"}),
    ),
    "cadvisor": Recipe(
        version="0.60.6",
        differs="metrics and `/healthz`, no pages or JSON API; no Podman or CRI-O",
        source=Go(
            {"/usr/bin/cadvisor": f"{OWN}/cadvisor"}, version_variable="github.com/google/cadvisor/lib/version.Version"
        ),
        files={
            "/usr/bin/entrypoint.sh": _script("cadvisor.sh"),
            "/usr/bin/healthcheck.sh": _script("cadvisor-health.sh"),
        },
    ),
    "socket_proxy": _HAPROXY,
    "scrape_proxy": _HAPROXY,
    "api_proxy": _HAPROXY,
    "loki": Recipe(
        version="3.7.8",
        differs="no `/etc/loki/local-config.yaml` of its own",
        source=Go(
            {"/usr/bin/loki": "github.com/grafana/loki/v3/cmd/loki"},
            version_variable="github.com/grafana/loki/v3/pkg/util/build.Version",
        ),
    ),
    "promtail": Recipe(
        version="3.6.8",
        differs="no journal; no `/etc/promtail/config.yml` of its own",
        source=Go(
            {"/usr/bin/promtail": "github.com/grafana/loki/v3/clients/cmd/promtail"},
            tags="netgo,timetzdata",  # the location of a timestamp is the name of a time zone
            version_variable="github.com/grafana/loki/v3/pkg/util/build.Version",
        ),
    ),
    "alloy": Recipe(
        version="1.19.0",
        differs=(
            "only the components that ship logs (see below); no journal, web pages, cluster, converters; no "
            "`/etc/alloy/config.alloy` of its own"
        ),
        source=Go(
            {"/bin/alloy": "github.com/grafana/alloy/internal/cmd/alloy"},
            version_variable="github.com/grafana/alloy/internal/build.Version",
        ),
    ),
    "edge_door": _PYTHON,
    "busybox": Recipe(
        # No files of its own: the shell that other images have beside their service.
        version="debian",
        source=Debian(("busybox",), {}),
    ),
    "long_term": Recipe(
        version="1.151.0",
        source=Go(
            {"/victoria-metrics-prod": "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics"},
            version_variable="github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version",
        ),
    ),
    "otel_collector": Recipe(
        version="0.161.0",
        differs=(
            "21 components of more than 200 (`images/otel_collector/main.go`), `servicegraph` of 0.158; no "
            "`/etc/otelcol-contrib/config.yaml` of its own"
        ),
        source=Go({"/otelcol-contrib": f"{OWN}/otel_collector"}, version_variable="main.version"),
    ),
    "jaeger": Recipe(
        version="2.13.0",
        differs="no web pages; no `sampling-strategies.json` of its own",
        source=Go(
            {"/cmd/jaeger/jaeger-linux": "github.com/jaegertracing/jaeger/cmd/jaeger"},
            version_variable=JAEGER_VERSION,
        ),
    ),
    "jaeger_es_index_cleaner": Recipe(
        version="2.13.0",
        differs="goes by the time of an index's creation",
        source=Go(
            {"/go/bin/es-index-cleaner-linux": "github.com/jaegertracing/jaeger/cmd/es-index-cleaner"},
            version_variable=JAEGER_VERSION,
            module="jaeger",
        ),
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
            # What the server reads at run time. The module has no web pages: upstream does not commit them.
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
        files={"/run.sh": _script("grafana.sh"), "/etc/grafana/grafana.ini": ""},
    ),
    "incidents": _PYTHON,
    "engine_door": _HAPROXY,
    "rollback_door": _PYTHON,
    "healer": _PYTHON,
    "caddy": Recipe(
        version="2.11.7",
        differs="no databases for an authority (`nobadger`, as upstream builds it)",
        source=Go(
            {"/usr/bin/caddy": "github.com/caddyserver/caddy/v2/cmd/caddy"},
            tags="netgo,nobadger,nomysql,nopgx",  # no databases of a certificate authority, as upstream builds it
            version_variable="github.com/caddyserver/caddy/v2.CustomVersion",
        ),
    ),
}
