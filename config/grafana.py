"""Grafana: shows metrics, logs and traces, and leads from each to the others.

Tried with 10.0, the newest that can be built where no image can be pulled; the settings are those of 12 and 13 too. What
it shows and how it is set up comes from files only: `grafana.sh` keeps an image's own settings from it. Data sources and
dashboards change while it runs; what stands in `MAIN` needs a restart. `grafana.sh` says how.
"""

import json
from collections.abc import Mapping
from configparser import ConfigParser
from io import StringIO
from pathlib import Path
from typing import Any

from config import api_proxy, links
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.settings import Settings
from config.settings.secret_keys import GRAFANA_PASSWORD, GRAFANA_SECRET_KEY
from config.yaml_text import digest, dump

PORT = METRICS["grafana"]
DATA = "/var/lib/grafana"
MAIN = "grafana.ini"
SCRIPT = Path(__file__).with_suffix(".sh")
SECRET_KEY = f"{DATA}/secret_key"
"""The key that the script makes where the stack has none."""
FOLDER = "Nervous System"
"""Where the dashboards are, in Grafana."""
COPIES = "/tmp/dashboards"  # noqa: S108 - in the container
"""Where the script puts the dashboards."""
HOME = "overview"
"""The dashboard that is shown first, if it is there."""
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
"""Data sources that are programs of their own in the official image of 13.2.3: each one runs, used or not, and takes memory
(`plugins-bundled` there; `defaultPreinstallPlugins` of its `pkg/setting/setting_plugins.go` without the apps)."""
TO_TRACE = "Open the trace"
REVISION = "revision"
"""Name of the hidden variable by which a dashboard that Grafana serves is known as the declared one."""


def container(settings: Settings, dashboards: Mapping[str, str]) -> Container:
    """`dashboards`: uid → JSON."""
    return Container(
        service="grafana",
        # Not the image's own start script: what that does with the environment is done with files here.
        entrypoint=("/bin/sh",),
        command=(f"{DIRECTORY}/{SCRIPT.name}", "start"),
        user="472:0",
        port=PORT,
        health=http_health(PORT, "/api/health"),
        grace_seconds=30,
        data=DATA,
        # Its data sources are processes beside it, which hear nothing of the limit.
        go_memory_percent=60,
        config=_config(settings, dashboards),
    )


def _config(settings: Settings, dashboards: Mapping[str, str]) -> ConfigFiles:
    sources = data_sources(settings)
    delivered = {uid: marked(text) for uid, text in sorted(dashboards.items())}
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
            # Whose folders are missing, it calls an error at every start.
            **{f"provisioning/{kind}/none.yml": "apiVersion: 1\n" for kind in ("alerting", "notifiers", "plugins")},
            "provisioning/dashboards/stack.yml": dump({"apiVersion": 1, "providers": [_provider()]}),
            **{f"dashboards/{uid}.json": text for uid, (text, _) in delivered.items()},
            "declared": "".join(f"{line}\n" for line in declared),
        },
        # It has no validator: a dashboard that it cannot read is an entry in its log. So `dashboard_files.py` judges them,
        # and the script asks the running one for each.
        secrets={key: Secret(key) for key in (GRAFANA_PASSWORD, GRAFANA_SECRET_KEY) if key in settings.secrets},
        reload=("/bin/sh", f"{DIRECTORY}/{SCRIPT.name}", "reload"),
        since_start=version,
        expect=version,
    )


def main_file(settings: Settings, dashboards: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`grafana.ini`: what differs from the image's own defaults."""
    url = settings.url("grafana")
    no, yes = "false", "true"
    used = {source["type"] for source in data_sources(settings)}
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
            "enable_gzip": no,  # 13 compresses by a library that keeps memory (upstream issue 123017)
        },
        "database": {"wal": yes},  # the command that changes the password writes beside the server
        "security": {
            "admin_user": "admin",
            "admin_password": f"$__file{{{DIRECTORY}/secrets/{GRAFANA_PASSWORD}}}",
            "secret_key": f"$__file{{{_secret_key(settings)}}}",
            # It is by user: strangers would lock the admin out, and with it each deployment. `api_proxy` bounds guessing.
            "disable_brute_force_login_protection": yes,
            "cookie_secure": yes if url.startswith("https:") else no,
            # Not `strict`: a link in an alert would lead to the page for the password. What another site may start beside
            # such a link, `api_proxy` refuses.
            "cookie_samesite": "lax",
            "allow_embedding": no,
            "disable_gravatar": yes,
            "angular_support_enabled": no,
        },
        "users": {"allow_sign_up": no, "allow_org_create": no, "viewers_can_edit": no},
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
            # Else it takes apps and newer data sources from the internet at every start, which nobody has pinned.
            "preinstall_disabled": yes,
            "disable_plugins": ",".join(kind for kind in BUNDLED if kind not in used),
        },
        "cloud_migration": {"enabled": no},
        "snapshots": {"enabled": no, "external_enabled": no},
        "public_dashboards": {"enabled": no},
        "dashboards": {
            "min_refresh_interval": "10s",
            **({"default_home_dashboard_path": f"{COPIES}/{HOME}.json"} if HOME in dashboards else {}),
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


def _provider() -> dict[str, Any]:
    return {
        "name": "nervous-system",
        "type": "file",
        "folder": FOLDER,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": COPIES},
    }


def data_sources(settings: Settings) -> list[dict[str, Any]]:
    """What dashboards and links ask, by uids that never change. `$$` is a `$` that Grafana does not take for a variable of
    its environment."""
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
    for source in sources:
        source["jsonData"][REVISION] = digest({"": dump(source)})
    return sources


def _source(name: str, url: str, **more: Any) -> dict[str, Any]:
    kind = name.lower()
    return {"name": name, "uid": kind, "type": kind, "access": "proxy", "url": url, "editable": False, **more}


def _exemplar_to_trace() -> dict[str, str]:
    """By an address: as a link of a data source it would be a query in the language of Tempo, which Jaeger's does not answer
    (`getDataLinks` of the package @grafana/prometheus, 12.4 and 13)."""
    address = links.trace("${__value.raw}", *links.SHOWN)
    return {"name": "trace_id", "url": address.replace("$", "$$"), "urlDisplayLabel": TO_TRACE}


def _line_to_trace() -> dict[str, str]:
    """A field of its own. Called like the label it would take the label's place in tables, whose cells would then have two
    links to the trace."""
    return {
        "name": "Trace",
        "matcherType": "label",  # which structured metadata counts as
        "matcherRegex": "^trace_id$$",
        "url": "$${__value.raw}",
        "datasourceUid": links.JAEGER,
        "urlDisplayLabel": TO_TRACE,
    }


_OF_SPAN = f'service=`$${{__span.tags["{links.SERVICE_TAG}"]}}`'
"""Matcher for the service of a span. Spans from before the tag have no such value: then Grafana shows no link to logs, while
its `__tags` would be empty, and a selector of nothing is refused. In backticks, so that a quote in a name ends nothing."""


def _traces_to_logs() -> dict[str, Any]:
    """From a span to the lines of its service that were written for its trace."""
    return {
        "datasourceUid": links.LOKI,
        "spanStartTimeShift": "-5m",
        "spanEndTimeShift": "5m",
        "customQuery": True,
        "query": f'{{{_OF_SPAN}}} | trace_id="$${{__trace.traceId}}"',
    }


def _traces_to_metrics() -> dict[str, Any]:
    """From a span to what the collector counts of the spans of its service."""
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
    """A dashboard with its digest as a variable that nobody sees, and that digest."""
    dashboard = json.loads(text)
    revision = digest({"": text})
    variables = dashboard.setdefault("templating", {}).setdefault("list", [])
    variables.append({"type": "constant", "name": REVISION, "hide": 2, "query": revision, "skipUrlSync": True})
    return json.dumps(dashboard, indent=1, ensure_ascii=False, sort_keys=True) + "\n", revision
