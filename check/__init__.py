"""The post-deploy check: compares what the settings promise with what the engine and the services report."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from check import (
    brought,
    containers,
    edges,
    engine,
    files,
    grafana,
    healing,
    logs,
    metrics,
    pages,
    remotes,
    request,
    separation,
    slos,
    traces,
)
from check.finding import Finding
from config.additions import NONE, Additions
from config.settings import Settings
from config.settings.units import seconds
from engine.docker_api import connect, pauses
from toolchain.report import MARKS, plain

__all__ = ["PATIENCE_SECONDS", "Finding", "Waits", "in_silence", "run", "show"]

PATIENCE_SECONDS = 90
"""Seconds for what is still on its way after a deployment: the first scrapes and evaluations come after 15 s. The time
that a trace waits for its sampling decision is added."""

_AT_ONCE = 4
"""Subjects that are checked at the same time: each mostly waits for the engine to start a command in a container."""

Waits = Callable[[Finding, float], None]


def in_silence(_: Finding, __: float) -> None:
    """Reports nothing."""


def run(
    settings: Settings,
    additions: Additions = NONE,
    patience: float = PATIENCE_SECONDS,
    *,
    with_request: bool = True,
    waits: Waits = in_silence,
) -> list[Finding]:
    """Checks every promise, and waits up to `patience` seconds for those that are not kept yet. Returns all findings.

    The check changes nothing, and leaves only `request.Probe` behind.

    Args:
        additions: what the stack was deployed with.
        with_request: whether to send the request and to look for it. It takes up to three scrapes until it is found
            everywhere.
        waits: is called in each round with the first promise that is not kept yet, and the seconds that the check still
            waits for it.
    """
    client = connect(settings.docker.model_dump())
    deadline = time.monotonic() + patience + seconds(settings.traces.sampling.decision_wait)
    subjects: dict[str, Callable[[], Iterable[Finding]]] = {
        "engine": lambda: engine.findings(client, settings),
        "containers": lambda: containers.findings(client, settings),
        "files": lambda: files.findings(client, settings, additions),
        "metrics": lambda: metrics.findings(client, settings, additions.jobs),
        "objectives": lambda: slos.findings(client, settings),
        "logs": lambda: logs.findings(client, settings),
        "traces": lambda: traces.findings(client, settings),
        "actions": lambda: healing.findings(client, settings),
        "networks": lambda: separation.findings(client, settings),
        "dashboards": lambda: grafana.findings(client, settings, additions.dashboards),
    }
    if settings.role == "edge":
        subjects = {name: subjects[name] for name in ("engine", "containers", "files", "metrics", "networks")}
        subjects["the centre"] = lambda: edges.of_an_edge(client, settings)
    elif settings.edges:
        subjects["edges"] = lambda: edges.of_a_centre(client, settings)
    for name in remotes.names(settings):
        subjects[f"copy for {name}"] = partial(remotes.findings, client, settings, name)
    if with_request and settings.role == "centre":  # an edge has no page on which it could be found
        probe = request.Probe()
        subjects["a request"] = lambda: request.findings(client, settings, probe)
        list(subjects["a request"]())  # sends it: it is on its way while the others are checked
    pool = ThreadPoolExecutor(_AT_ONCE)
    rounds = pauses(1, 5)
    try:
        by_subject = dict(zip(subjects, pool.map(_about, subjects, subjects.values()), strict=True))
        # Kept promises are not checked again: a round costs the host seconds of CPU, and the wait may be for a trace.
        while waiting := [subject for subject, findings in by_subject.items() if not _kept(findings)]:
            time_left = deadline - time.monotonic()
            if time_left < 0:
                break
            waits(next(finding for finding in by_subject[waiting[0]] if not finding.kept), time_left)
            time.sleep(next(rounds))
            by_subject |= zip(waiting, pool.map(_about, waiting, map(subjects.__getitem__, waiting)), strict=True)
        # Last, because what is not scraped yet would count as missing.
        if settings.role == "centre":
            yours = "what you brought"
            by_subject[yours] = _about(yours, lambda: brought.findings(client, settings, additions))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        pages.hang_up()
    return [finding for findings in by_subject.values() for finding in findings]


def _about(subject: str, judge: Callable[[], Iterable[Finding]]) -> list[Finding]:
    return [dataclasses.replace(finding, subject=subject) for finding in judge()]


def _kept(findings: list[Finding]) -> bool:
    return all(finding.kept for finding in findings)


def show(findings: list[Finding], console: Console, *, everything: bool = False) -> None:
    """Prints a line for each subject, below it what is not kept or noted (or `everything`), and how many promises are broken.
    Findings without a subject have no line of that kind."""
    for subject, group in itertools.groupby(findings, lambda finding: finding.subject):
        of_subject = list(group)
        broken = sum(not finding.kept for finding in of_subject)
        count = f"{broken} broken of {len(of_subject)}" if broken else str(len(of_subject))
        worst = min(map(_mark, of_subject), key="✗!✓".index)
        only = (
            plain(of_subject[0].detail) if len(of_subject) == 1 and worst == "✓" and not everything else ""
        )  # the engine, for example
        if subject:
            console.print(f"  {MARKS[worst]} {subject}: {only or count}")
        rows = of_subject if everything else [finding for finding in of_subject if _mark(finding) != "✓"]
        if rows:
            console.print(Padding(_table(rows), (0, 0, 0, 4)))
    broken = sum(not finding.kept for finding in findings)
    console.print(f"{len(findings)} promises, {broken} broken" if broken else f"{len(findings)} promises, all kept")


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(MARKS[_mark(finding)], plain(finding.what), f"[dim]{plain(finding.detail)}[/]")
    return table


def _mark(finding: Finding) -> str:
    return "✗" if not finding.kept else "!" if finding.noted else "✓"
