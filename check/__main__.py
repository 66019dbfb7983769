"""python -m check STACK: is what is deployed what was declared? Ends with 1 when it is not."""

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from toolchain.stacks import load_settings

from check import containers, metrics
from check.finding import Finding
from components.activate import connect
from config.settings import Settings
from toolchain.report import readable_errors

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


def main(stack: str, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:  # noqa: FBT002
    """Read back from the engine and the services what STACK's settings promise."""
    with readable_errors():
        found = run(load_settings(stack))
    if as_json:
        print(json.dumps([vars(finding) for finding in found], indent=2))
    else:
        show(found, Console(highlight=False))
    if not all(finding.kept for finding in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
