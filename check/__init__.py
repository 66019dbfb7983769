"""The post-deploy check: what the settings promise, read back from the engine and from the running services."""

import time

from rich.console import Console
from rich.table import Table

from check import containers, metrics
from check.finding import Finding
from components.engine import connect
from config.settings import Settings

PATIENCE_SECONDS = 90
"""For what is on its way: the first health check comes after 30 s, the first scrapes and evaluations after 15 s."""


def run(settings: Settings, patience: float = PATIENCE_SECONDS) -> list[Finding]:
    """All findings; waits up to `patience` seconds for the ones that are not kept yet."""
    client = connect(settings.docker.model_dump())
    deadline = time.monotonic() + patience
    while True:
        found = [*containers.findings(client, settings), *metrics.findings(client, settings)]
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
