"""The post-deploy check: what the settings promise, read back from the engine and from the running services."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from check import containers, engine, files, grafana, logs, metrics, request, traces
from check.finding import Finding
from components.engine import connect
from config.settings import Settings
from config.units import seconds

__all__ = ["PATIENCE_SECONDS", "Finding", "run", "show"]

PATIENCE_SECONDS = 90
"""For what is on its way: the first scrapes and evaluations after 15 s.
A trace takes as long as its decision waits, besides."""


def run(
    settings: Settings,
    own_rules: Mapping[str, str],
    patience: float = PATIENCE_SECONDS,
    *,
    dashboards: Mapping[str, str] | None = None,
) -> list[Finding]:
    """All findings; waits up to `patience` seconds for the ones that are not kept yet.

    `own_rules`: file name → text of the user's own rule files; `dashboards`: uid → JSON. Nothing is changed; what is left is `request.Probe`.
    """
    client = connect(settings.docker.model_dump())
    deadline = time.monotonic() + patience + seconds(settings.traces.sampling.decision_wait)
    probe = request.Probe()
    while True:
        found = [
            *engine.findings(client, settings),
            *containers.findings(client, settings),
            *files.findings(client, settings, own_rules, dashboards or {}),
            *metrics.findings(client, settings),
            *logs.findings(client, settings),
            *traces.findings(client, settings),
            *grafana.findings(client, settings, dashboards or {}),
            *request.findings(client, settings, probe),
        ]
        if all(finding.kept for finding in found) or time.monotonic() > deadline:
            return found
        time.sleep(1)


def show(found: list[Finding], console: Console) -> None:
    """The report for people."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in found:
        table.add_row("[green]✓[/]" if finding.kept else "[bold red]✗[/]", finding.what, f"[dim]{finding.detail}[/]")
    console.print(table)
    broken = sum(not finding.kept for finding in found)
    console.print(f"{len(found)} promises, {broken} broken" if broken else f"{len(found)} promises, all kept")
