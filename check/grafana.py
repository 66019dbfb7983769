"""Checks that Grafana shows what is declared, and that every data source that a dashboard names answers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docker import DockerClient
from docker.errors import NotFound

from check.containers import container
from check.finding import Finding
from config.additions import Dashboard
from config.container import DIRECTORY
from config.services.correlation import dashboard_files, grafana, long_term
from config.settings import Settings
from engine.docker_api import execute

PROBES = {
    "prometheus": "/api/v1/query?query=up",
    "loki": "/loki/api/v1/labels",
    "jaeger": "/api/v3/services",  # 2.21 no longer has /api/services
    "alertmanager": "/api/v2/status",
}
"""Uid of a data source → path of the request that it must answer."""


def findings(client: DockerClient, settings: Settings, dashboards: Mapping[str, Dashboard]) -> Iterator[Finding]:
    """Yields what Grafana shows its admin. `dashboards`: uid → dashboard, as declared."""
    if "grafana" not in settings.services:
        return
    try:
        yield _sources(client, settings)
        yield _answers(client, settings)
        yield from _dashboards(client, settings, dashboards)
    except LookupError as error:
        yield Finding("Grafana answers", kept=False, detail=str(error))


def _ask(client: DockerClient, settings: Settings, path: str) -> Any:
    """The JSON that Grafana answers at `path`, asked inside its container, where its password is.

    Raises:
        LookupError: no container, or no answer.
    """
    command = ["/bin/sh", f"{DIRECTORY}/{grafana.SCRIPT.name}", "ask", path]
    try:
        code, text = execute(container(client, settings, "grafana"), command)
    except NotFound as error:
        raise LookupError(str(error)) from None
    try:
        return json.loads(text if code == 0 else "")
    except ValueError:
        raise LookupError(f"Grafana does not answer {path}: {text.strip()[:200]}") from None


def _sources(client: DockerClient, settings: Settings) -> Finding:
    wanted = {source["uid"]: source["jsonData"][grafana.REVISION] for source in grafana.data_sources(settings)}
    running = {
        source["uid"]: source["jsonData"].get(grafana.REVISION)
        for source in _ask(client, settings, "/api/datasources")
        if source["readOnly"]
    }
    wrong = sorted(uid for uid in {*wanted, *running} if wanted.get(uid) != running.get(uid))
    return Finding(
        "Grafana has the data sources that are declared",
        kept=not wrong,
        detail=f"missing or different: {', '.join(wrong)}" if wrong else ", ".join(sorted(running)),
    )


def _answers(client: DockerClient, settings: Settings) -> Finding:
    silent = []
    probes = PROBES | ({long_term.UID: PROBES["prometheus"]} if settings.metrics.long_term else {})
    for uid, path in probes.items():
        try:
            _ask(client, settings, f"/api/datasources/proxy/uid/{uid}{path}")
        except LookupError:
            silent.append(uid)
    return Finding(
        "every data source answers through Grafana",
        kept=not silent,
        detail=f"silent: {', '.join(silent)}" if silent else ", ".join(probes),
    )


def _dashboards(client: DockerClient, settings: Settings, dashboards: Mapping[str, Dashboard]) -> Iterator[Finding]:
    wanted = {uid: grafana.marked(dashboard.text)[1] for uid, dashboard in dashboards.items()}
    running = {board["uid"] for board in _ask(client, settings, "/api/search?type=dash-db")}
    boards = {uid: _ask(client, settings, f"/api/dashboards/uid/{uid}")["dashboard"] for uid in sorted(running)}
    wrong = sorted(uid for uid, revision in wanted.items() if revision not in json.dumps(boards.get(uid)))
    yield Finding(
        "Grafana shows the dashboards that are declared",
        kept=not wrong,
        detail=f"missing or different: {', '.join(wrong)}" if wrong else f"{len(wanted)} of {len(running)} that it has",
    )
    lost = {
        uid: ", ".join(unknown) for uid, board in boards.items() if (unknown := dashboard_files.unknown_sources(board))
    }
    yield Finding(
        "every panel asks a data source that is there",
        kept=not lost,
        detail="; ".join(f"{uid} asks {names}" for uid, names in lost.items()) or f"{len(boards)} dashboards",
    )
