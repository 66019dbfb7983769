"""Alert rules: from a stack's settings and scrape jobs to Prometheus' rule files.

Each group has a module with a function `rules`, and a row in `_SOURCES`; that of a server which `exporters` names comes
from its row in the catalogue. To add an alert, copy one in its module, add two
cases to `tests/rules/<group>.test.yml` and a page to `docs/runbooks/`. `make rules` names what is still missing.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from config.alerts import (
    alertmanager,
    applications,
    containers,
    edges,
    evidence,
    golden_signals,
    host,
    hosts,
    links,
    loki,
    long_term,
    otlp,
    probes,
    prometheus,
    remote,
    response_times,
    scrape,
    shipper,
    slo,
    slo_budgets,
    slo_days,
    slo_indicators,
    traces,
)
from config.alerts.rule import EVERYTHING, HEADLINE, Alert, Group, Job, RecordingRule, Rule, Topic, Watched, plain
from config.alerts.scope import Scope
from config.catalogue import ROWS
from config.metrics_pages import METRICS_PAGES, MetricsPage
from config.row import Row
from config.settings import Settings
from config.settings.addresses import Addresses
from config.yaml_text import dump

__all__ = [
    "EVERYTHING",
    "Alert",
    "Group",
    "Job",
    "RecordingRule",
    "Rule",
    "Topic",
    "Watched",
    "as_yaml",
    "groups",
    "render",
]

_STACK = Topic("stack")
_SERVICE = Topic("golden-signals", traced=True)
_SLO = Topic("slo", traced=True)
_OVERVIEW = Topic("overview", one_service=False)


@dataclass(frozen=True, slots=True)
class _Source:
    """One group of alerts, before it is known what a stack watches."""

    name: str
    rules: Callable[[Scope], tuple[Rule, ...]]
    topic: Topic
    job: str | None = None
    """The job that all rules of the group read. A stack that does not scrape it has no such group."""
    interval: Callable[[Scope], str] | None = None


def _of_exporter(row: Row) -> _Source:
    assert row.watches and row.board  # noqa: S101,PT018 - those of exporters
    return _of_server(row.watches, row.board, row.name)


def _of_page(page: MetricsPage) -> _Source:
    return _of_server(page.key, page.board, next(iter(page.jobs)))


def _of_server(key: str, board: str, job: str) -> _Source:
    topic = _OVERVIEW if board == _OVERVIEW.dashboard else Topic(board)
    return _Source(key, import_module(f"config.alerts.{key}").rules, topic, job)


_SOURCES = (
    _Source("prometheus", prometheus.rules, _STACK),
    _Source("scrape", scrape.rules, _STACK),
    _Source("alertmanager", alertmanager.rules, _STACK, Job.ALERTMANAGER),
    _Source("host", host.rules, Topic("host", one_service=False)),
    _Source("containers", containers.rules, Topic("host", traced=True)),
    _Source("applications", applications.rules, _SERVICE, interval=golden_signals.interval),
    _Source("response-times", response_times.rules, _SERVICE, interval=response_times.interval),
    _Source("slo", slo.rules, _SLO, interval=slo_indicators.interval),
    _Source("slo-days", slo_days.rules, _SLO, interval=slo_days.interval),
    _Source("slo-budgets", slo_budgets.rules, _SLO, interval=slo_days.interval),
    _Source("probes", probes.rules, Topic("overview", traced=True), Job.PROBE),
    *(_of_exporter(row) for row in ROWS.values() if row.board),
    *map(_of_page, METRICS_PAGES),
    _Source("edges", edges.rules, _OVERVIEW),
    _Source("shipper", shipper.rules, _STACK),
    _Source("otlp", otlp.rules, _STACK, Job.OTLP),
    _Source("loki", loki.rules, _STACK, Job.LOKI),
    _Source("traces", traces.rules, _STACK),
    _Source("remote", remote.rules, _STACK),
    _Source("long-term", long_term.rules, _STACK, Job.LONG_TERM),
)
"""Every group of Prometheus' alerts. Those of Loki are in `config/services/logs/loki_rules.py`."""


def groups(settings: Settings, watched: Watched) -> tuple[Group, ...]:
    """The groups that have a rule for a stack that scrapes `watched`."""
    scope = Scope(settings, watched)
    all_groups = (
        Group(source.name, source.topic, source.rules(scope), source.interval(scope) if source.interval else None)
        for source in _SOURCES
        if source.job is None or source.job in watched
    )
    return tuple(group for group in all_groups if group.rules)


def render(settings: Settings, watched: Watched) -> dict[str, str]:
    """Prometheus' rule files: path such as ``rules/host.yml`` → text."""
    by_host = bool(settings.edges)
    return {
        f"rules/{group.name}.yml": _text(group, settings.addresses, watched, by_host=by_host)
        for group in groups(settings, watched)
    }


def _text(group: Group, addresses: Addresses, watched: Watched, *, by_host: bool) -> str:
    content = as_yaml(group, addresses, watched, by_host=by_host)
    body = dump({"groups": [content]}, width=10_000)  # nothing is folded
    return f"# Rendered by config/alerts/{group.name.replace('-', '_')}.py.\n{body}"


def as_yaml(
    group: Group, addresses: Addresses, watched: Watched = frozenset(), *, by_host: bool = False
) -> dict[str, Any]:
    """A group as Prometheus and Loki read it in YAML. `watched`: the jobs that its evidence may read; Loki has none.
    `by_host`: whether several hosts send what it reads."""
    if by_host:
        group = hosts.of_each(group)
    interval = {"interval": group.interval} if group.interval else {}
    return {"name": group.name, **interval, "rules": [_rule(rule, group, addresses, watched) for rule in group.rules]}


def _rule(rule: Rule, group: Group, addresses: Addresses, watched: Watched) -> dict[str, Any]:
    expr = inspect.cleandoc(rule.expr)
    if isinstance(rule, RecordingRule):
        return {"record": rule.record, "expr": expr}
    labels = {"severity": rule.severity} | ({"service": rule.service} if rule.service else {})
    return {
        "alert": rule.name,
        "expr": expr,
        **({} if rule.wait == "0s" else {"for": rule.wait}),
        "labels": labels,
        "annotations": {
            "summary": plain(rule.summary),
            HEADLINE: rule.summary,
            "description": rule.description,
            **links.annotations(rule, group, addresses),
            **evidence.annotations(rule, watched),
        },
    }
