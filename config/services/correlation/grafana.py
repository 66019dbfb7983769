"""Grafana: shows metrics, logs and traces, and links them to each other.

Tested with 10.0, the newest version that can be built where no image can be pulled; the settings also exist in 12 and
13. Files alone define what it shows and how it is set up: `grafana.sh` keeps the image's own settings out. Data sources
and dashboards change while it runs; a change of `MAIN` needs a restart. `grafana.sh` explains how.
"""

import json
from collections.abc import Mapping
from configparser import ConfigParser
from io import StringIO
from pathlib import Path
from typing import Any

from config import links
from config.additions import Dashboard
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.services.correlation import long_term
from config.services.metrics import api_proxy
from config.settings import Settings
from config.settings.grafana import FOLDER
from config.settings.secret_keys import GRAFANA_PASSWORD, GRAFANA_SECRET_KEY
from config.yaml_text import digest, dump

PORT = METRICS["grafana"]
DATA = "/var/lib/grafana"
MAIN = "grafana.ini"
SCRIPT = Path(__file__).with_suffix(".sh")
SECRET_KEY = f"{DATA}/secret_key"
"""File with the key that the script generates if the stack sets none."""
COPIES, FOLDER_COPIES = "/tmp/dashboards", "/tmp/folders"  # noqa: S108 - in the container
"""Where the script copies the dashboards to, and the folders of your own dashboards."""
BUNDLED = (
    "elasticsearch",
    "grafana-postgresql-datasource",
    "grafana-pyroscope-datasource",
    "influxdb",
    "jaeger",
    "loki",
    "mssql",
    "mysql",
    "opentsdb",
    "prometheus",
    "stackdriver",
    "tempo",
    "zipkin",
)
"""Data sources that are separate processes in the official image of 13.2.3, each of which takes memory even if unused
(`plugins-bundled` there; `defaultPreinstallPlugins` of its `pkg/setting/setting_plugins.go` without the apps)."""
TO_TRACE = "Open the trace"
REVISION = "revision"
"""Name of the hidden variable that shows whether Grafana serves the declared version of a dashboard."""


def container(settings: Settings, dashboards: Mapping[str, Dashboard]) -> Container:
    """`dashboards`: uid → dashboard."""
    return Container(
        service="grafana",
        # Replaces the image's start script: files do here what that script does with environment variables.
        entrypoint=("/bin/sh",),
        command=(f"{DIRECTORY}/{SCRIPT.name}", "start"),
        user="472:0",
        port=PORT,
        health=http_health(PORT, "/api/health"),
        grace_seconds=30,
        data=DATA,
        # Its data sources are separate processes, which do not know the limit.
        go_memory_percent=60,
        # Collects garbage twice as often as by default: nobody waits for it, and it takes 25 MiB less (docs/performance.md).
        environment={"GOGC": "50"},
        config=_config(settings, dashboards),
    )


def _config(settings: Settings, dashboards: Mapping[str, Dashboard]) -> ConfigFiles:
    sources = data_sources(settings)
    delivered = {uid: marked(dashboard.text) for uid, dashboard in sorted(dashboards.items())}
    main = main_file(settings, dashboards)
    running = digest({MAIN: _ini(main)})
    main["metrics.environment_info"] = {"config": running}
    declared = [f"/api/datasources {source['jsonData'][REVISION]}" for source in sources]
    declared += [f"/api/dashboards/uid/{uid} {revision}" for uid, (_, revision) in delivered.items()]
    version = {f"http://127.0.0.1:{PORT}/metrics": f'grafana_environment_info{{config="{running}"'}
    return ConfigFiles(
        files={
            MAIN: _ini(main),
            SCRIPT.name: SCRIPT.read_text(),
            "provisioning/datasources/stack.yml": dump({"apiVersion": 1, "datasources": sources}),
            # A missing folder would be logged as an error at every start.
            **{f"provisioning/{kind}/none.yml": "apiVersion: 1\n" for kind in ("alerting", "notifiers", "plugins")},
            "provisioning/dashboards/stack.yml": dump({"apiVersion": 1, "providers": _providers(settings)}),
            **{f"{_room(dashboards[uid])}/{uid}.json": text for uid, (text, _) in delivered.items()},
            "declared": "".join(f"{line}\n" for line in declared),
        },
        # Grafana has no validator, and only logs a dashboard that it cannot read. So `dashboard_files.py` checks them,
        # and the script asks the running Grafana for each.
        secrets={key: Secret(key) for key in (GRAFANA_PASSWORD, GRAFANA_SECRET_KEY) if key in settings.secrets}
        | long_term.secrets(settings),
        reload=("/bin/sh", f"{DIRECTORY}/{SCRIPT.name}", "reload"),
        since_start=version,
        expect=version,
    )


def main_file(settings: Settings, dashboards: Mapping[str, Dashboard]) -> dict[str, dict[str, str]]:
    """`grafana.ini`, as far as it differs from the image's defaults: section → key → value."""
    url = settings.url("grafana")
    no, yes = "false", "true"
    used = {source["type"] for source in data_sources(settings)}
    home = settings.grafana.home
    return {
        "paths": {
            "data": DATA,
            "logs": "/var/log/grafana",
            "plugins": f"{DATA}/plugins",
            "provisioning": f"{DIRECTORY}/provisioning",
        },
        "server": {
            "http_port": str(PORT),
            "root_url": f"{url}/",
            "enable_gzip": no,  # version 13 compresses with a library that holds on to memory (upstream issue 123017)
        },
        "database": {"wal": yes},  # the command that changes the password writes while the server runs
        "security": {
            "admin_user": "admin",
            "admin_password": f"$__file{{{DIRECTORY}/secrets/{GRAFANA_PASSWORD}}}",
            "secret_key": f"$__file{{{_secret_key(settings)}}}",
            # Its limit is per user, so strangers could lock out the admin, and with it each deployment. `api_proxy`
            # bounds guessing.
            "disable_brute_force_login_protection": yes,
            "cookie_secure": yes if url.startswith("https:") else no,
            # Not `strict`: a link in an alert would lead to the login page. Other requests that a foreign site may
            # start are refused by `api_proxy`.
            "cookie_samesite": "lax",
            "allow_embedding": no,
            "disable_gravatar": yes,
            "angular_support_enabled": no,
        },
        "users": {
            "allow_sign_up": no,
            "allow_org_create": no,
            "viewers_can_edit": no,
            "default_theme": settings.grafana.theme,
        },
        "date_formats": {
            "default_timezone": settings.grafana.time_zone,
            "default_week_start": settings.grafana.week_start,
        },
        "auth.anonymous": {"enabled": no},
        "analytics": {
            "reporting_enabled": no,
            "check_for_updates": no,
            "check_for_plugin_updates": no,
            "feedback_links_enabled": no,
        },
        "news": {"news_feed_enabled": no},
        "plugins": {
            "plugin_admin_enabled": no,
            "public_key_retrieval_disabled": yes,
            # Otherwise it downloads unpinned apps and newer data sources from the internet at every start.
            "preinstall_disabled": yes,
            "disable_plugins": ",".join(kind for kind in BUNDLED if kind not in used),
        },
        "cloud_migration": {"enabled": no},
        "snapshots": {"enabled": no, "external_enabled": no},
        "public_dashboards": {"enabled": no},
        "dashboards": {
            "min_refresh_interval": "10s",
            **(
                {"default_home_dashboard_path": f"{_copies(dashboards[home].folder)}/{home}.json"}
                if home in dashboards
                else {}
            ),
        },
        "log": {"mode": "console", "level": "warn"},
        "log.console": {"format": "json"},
    }


def _secret_key(settings: Settings) -> str:
    return f"{DIRECTORY}/secrets/{GRAFANA_SECRET_KEY}" if GRAFANA_SECRET_KEY in settings.secrets else SECRET_KEY


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    parser = ConfigParser(interpolation=None)
    parser.read_dict(sections)
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _providers(settings: Settings) -> list[dict[str, Any]]:
    """One provider for each folder. Grafana takes the folder's name from the provider, and nothing from the paths."""
    return [
        {
            "name": "nervous-system" if folder == FOLDER else f"folder-{_slug(folder)}",
            "type": "file",
            "folder": folder,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 60,
            "options": {"path": _copies(folder)},
        }
        for folder in (FOLDER, *sorted(settings.grafana.folders))
    ]


def _slug(folder: str) -> str:
    return digest({"": folder})[:12]


def _room(dashboard: Dashboard) -> str:
    """Where a dashboard is delivered."""
    return "dashboards" if dashboard.folder == FOLDER else f"folders/{_slug(dashboard.folder)}"


def _copies(folder: str) -> str:
    """Where Grafana reads the dashboards of one of its folders."""
    return COPIES if folder == FOLDER else f"{FOLDER_COPIES}/{_slug(folder)}"


def data_sources(settings: Settings) -> list[dict[str, Any]]:
    """The data sources that dashboards and links query, under fixed uids. `$$` is a literal `$`: Grafana replaces
    variables of its environment in these files."""
    sources: list[dict[str, Any]] = [
        _source(
            "Prometheus",
            api_proxy.for_grafana("prometheus"),
            isDefault=True,
            jsonData={
                "httpMethod": "POST",
                "prometheusType": "Prometheus",
                "timeInterval": settings.metrics.scrape_interval,
                "exemplarTraceIdDestinations": [_exemplar_to_trace()],
                "alertmanagerUid": "alertmanager",
            },
        ),
        _source(
            "Loki",
            api_proxy.for_grafana("loki"),
            jsonData={
                "maxLines": 1000,
                "alertmanagerUid": "alertmanager",
                "derivedFields": [_line_to_trace()],
            },
        ),
        _source(
            "Jaeger",
            api_proxy.for_grafana("jaeger"),
            jsonData={
                "nodeGraph": {"enabled": True},
                "spanBar": {"type": "Duration"},
                "traceIdTimeParams": {"enabled": True},
                "tracesToLogsV2": _traces_to_logs(),
                "tracesToMetrics": _traces_to_metrics(),
            },
        ),
        _source(
            "Alertmanager",
            api_proxy.for_grafana("alertmanager"),
            jsonData={"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
        ),
    ]
    if long_term_source := long_term.source(settings):
        sources.append(long_term_source)
    for source in sources:
        source["jsonData"][REVISION] = digest({"": dump(source)})
    return sources


def _source(name: str, url: str, **more: Any) -> dict[str, Any]:
    kind = name.lower()
    return {"name": name, "uid": kind, "type": kind, "access": "proxy", "url": url, "editable": False, **more}


def _exemplar_to_trace() -> dict[str, str]:
    """Link from an exemplar to its trace, by URL. A link to a data source would be a query in Tempo's language,
    which Jaeger's data source does not answer (`getDataLinks` of the package @grafana/prometheus, 12.4 and 13)."""
    address = links.trace("${__value.raw}", *links.SHOWN)
    return {"name": "trace_id", "url": address.replace("$", "$$"), "urlDisplayLabel": TO_TRACE}


def _line_to_trace() -> dict[str, str]:
    """A separate field that links a log line to its trace. Under the label's name it would replace the label in tables,
    whose cells would then have two links to the trace."""
    return {
        "name": "Trace",
        "matcherType": "label",  # structured metadata counts as labels
        "matcherRegex": "^trace_id$$",
        "url": "$${__value.raw}",
        "datasourceUid": links.JAEGER,
        "urlDisplayLabel": TO_TRACE,
    }


_OF_SPAN = f'service=`$${{__span.tags["{links.SERVICE_TAG}"]}}`'
"""Matcher for the service of a span. Spans stored before the tag existed have no value for it, and Grafana then shows
no link to logs; its `__tags` would be empty, and Loki refuses an empty selector. Backticks, so that a quote in a name
does not end the string."""


def _traces_to_logs() -> dict[str, Any]:
    """Link from a span to the log lines that its service wrote for its trace."""
    return {
        "datasourceUid": links.LOKI,
        "spanStartTimeShift": "-5m",
        "spanEndTimeShift": "5m",
        "customQuery": True,
        "query": f'{{{_OF_SPAN}}} | trace_id="$${{__trace.traceId}}"',
    }


def _traces_to_metrics() -> dict[str, Any]:
    """Link from a span to the collector's span metrics of its service."""
    calls, failed = (
        f"traces_span_metrics_calls_total{{{_OF_SPAN}{more}}}" for more in ("", ',status_code="STATUS_CODE_ERROR"')
    )
    seconds = f"traces_span_metrics_duration_seconds_bucket{{{_OF_SPAN}}}"
    return {
        "datasourceUid": links.PROMETHEUS,
        "spanStartTimeShift": "-15m",
        "spanEndTimeShift": "15m",
        "queries": [
            {"name": "Requests/s", "query": f"sum(rate({calls}[5m]))"},
            {"name": "Error ratio", "query": f"sum(rate({failed}[5m])) / sum(rate({calls}[5m]))"},
            {"name": "p95", "query": f"histogram_quantile(0.95, sum by (le) (rate({seconds}[5m])))"},
        ],
    }


def marked(text: str) -> tuple[str, str]:
    """The dashboard with its digest in a hidden variable, and the digest."""
    dashboard = json.loads(text)
    revision = digest({"": text})
    # In exports both may be null.
    templating = dashboard["templating"] = dashboard.get("templating") or {}
    variables = templating["list"] = templating.get("list") or []
    name = REVISION
    while name in {variable.get("name") for variable in variables}:
        name += "_"
    variables.append({"type": "constant", "name": name, "hide": 2, "query": revision, "skipUrlSync": True})
    return _in_lines(dashboard), revision


def _in_lines(dashboard: Mapping[str, Any]) -> str:
    """JSON with a line for each key and each panel, so a preview shows the panel that changes. Indented text would be
    nearly twice as long, and Pulumi keeps and compares each text several times."""

    def written(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)

    def lines(value: Any) -> str:
        return "[\n" + ",\n".join(map(written, value)) + "\n]" if isinstance(value, list) else written(value)

    return "{\n" + ",\n".join(f"{written(key)}:{lines(dashboard[key])}" for key in sorted(dashboard)) + "\n}\n"
