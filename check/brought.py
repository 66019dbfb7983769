"""Finds those of your rules, panels and metrics of services that can never have data on the running stack. This breaks no promise
of the stack, so each finding is kept and noted: a service may count its first job tomorrow.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from docker import DockerClient

from check.finding import Finding
from check.pages import ask_all
from check.queries import Brought, of_counted, of_dashboard, of_rules
from check.unanswered import Verdict, judged
from config.additions import Additions
from config.services.metrics import scrape
from config.settings import Settings

SHOWN = 12
"""How many names a line lists. `make unanswered` lists all of them."""


def findings(client: DockerClient, settings: Settings, additions: Additions) -> Iterator[Finding]:
    """Yields one for each rule file and each dashboard of yours, and for each service that the settings count."""
    files = [of_rules(f"the rules {name}", text) for name, text in additions.rules.items()]
    for dashboard in additions.dashboards.values():
        if dashboard.key:
            board = json.loads(dashboard.text)
            files.append(of_dashboard(f"the dashboard {board['title']}", board))
    files += map(of_counted, settings.metrics.golden_signals)
    try:
        verdicts = verdicts_of(client, settings, files) if files else []
    except LookupError as error:
        yield Finding("what you brought can be judged", kept=False, detail=str(error))
        return
    for verdict in verdicts:
        yield Finding(
            f"{verdict.name} can be judged",
            kept=True,
            detail=_detail(verdict),
            noted=bool(verdict.unanswered or verdict.plugins),
        )


def verdicts_of(client: DockerClient, settings: Settings, files: Sequence[Brought]) -> list[Verdict]:
    """What the running stack has of `files`.

    Raises:
        LookupError: the stack does not run.
    """

    def ask(service: str, paths: Sequence[str]) -> list[Any]:
        return ask_all(client, settings, service, paths)

    filtered = [
        job["job_name"]
        for job in scrape.jobs(settings)
        if any(rule.get("action") in {"drop", "keep"} for rule in job.get("metric_relabel_configs", ()))
    ]
    return judged(files, ask, filtered=filtered)


def _detail(verdict: Verdict) -> str:
    counted = f"{verdict.all - len(verdict.unanswered)} of {verdict.all} can have data"
    if verdict.plugins:
        counted += f"; Grafana has no plugin for its panels {', '.join(verdict.plugins)}"
    if not verdict.missing:
        return counted
    names = ", ".join(verdict.missing[:SHOWN])
    more = len(verdict.missing) - SHOWN
    return f"{counted}; nobody exposes {names}{f' and {more} more' if more > 0 else ''}"
