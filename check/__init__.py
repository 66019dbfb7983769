"""The post-deploy check: compares what the settings promise with what the engine and the services report."""

import re
import time
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from check import containers, engine, files, grafana, logs, metrics, request, separation, traces
from check.finding import Finding
from components.engine import connect
from config.settings import Settings
from config.settings.units import seconds

__all__ = ["PATIENCE_SECONDS", "Finding", "run", "show"]

PATIENCE_SECONDS = 90
"""Seconds for what is still on its way after a deployment: the first scrapes and evaluations come after 15 s. The time
that a trace waits for its sampling decision is added."""


def run(
    settings: Settings,
    own_rules: Mapping[str, str],
    patience: float = PATIENCE_SECONDS,
    *,
    dashboards: Mapping[str, str] | None = None,
    with_request: bool = True,
    waits: Callable[[Finding], None] = lambda _: None,
) -> list[Finding]:
    """Checks every promise, and waits up to `patience` seconds for those that are not kept yet. Returns all findings.

    The check changes nothing, and leaves only `request.Probe` behind.

    Args:
        own_rules: file name → text of the user's own rule files.
        dashboards: uid → JSON.
        with_request: whether to send the request and to look for it. It takes up to three scrapes until it is found
            everywhere.
        waits: is told of the first promise that is not kept yet, at each round.
    """
    client = connect(settings.docker.model_dump())
    deadline = time.monotonic() + patience + seconds(settings.traces.sampling.decision_wait)
    subjects: list[Callable[[], Iterable[Finding]]] = [
        lambda: engine.findings(client, settings),
        lambda: containers.findings(client, settings),
        lambda: files.findings(client, settings, own_rules, dashboards or {}),
        lambda: metrics.findings(client, settings),
        lambda: logs.findings(client, settings),
        lambda: traces.findings(client, settings),
        lambda: separation.findings(client, settings),
        lambda: grafana.findings(client, settings, dashboards or {}),
    ]
    if with_request:
        probe = request.Probe()
        subjects.append(lambda: request.findings(client, settings, probe))
        list(subjects[-1]())  # sends it: it is on its way while the others are checked
    found = [list(subject()) for subject in subjects]
    # Kept promises are not checked again: a round costs the host seconds of CPU, and the wait may be for a trace.
    while waiting := [number for number, of_subject in enumerate(found) if not _kept(of_subject)]:
        if time.monotonic() > deadline:
            break
        waits(next(finding for finding in found[waiting[0]] if not finding.kept))
        time.sleep(1)
        for number in waiting:
            found[number] = list(subjects[number]())
    return [finding for of_subject in found for finding in of_subject]


def _kept(found: list[Finding]) -> bool:
    return all(finding.kept for finding in found)


def show(found: list[Finding], console: Console) -> None:
    """Prints the findings as a table, and how many promises are broken."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in found:
        what, detail = _plain(finding.what), _plain(finding.detail)
        table.add_row("[green]✓[/]" if finding.kept else "[bold red]✗[/]", what, f"[dim]{detail}[/]")
    console.print(table)
    broken = sum(not finding.kept for finding in found)
    console.print(f"{len(found)} promises, {broken} broken" if broken else f"{len(found)} promises, all kept")


def _plain(text: str) -> str:
    """The text without characters that a terminal would obey, and with the report's markup escaped: names and errors
    come from services."""
    return escape(re.sub(r"[^\n\t -~\u00a1-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\U0010ffff]", " ", text))
