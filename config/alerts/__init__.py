"""Alert rules: from thresholds, and from what a stack watches, to Prometheus' rule files.

One module per thing watched, each a function from thresholds to rules. To add an alert: copy one in its module, add two
cases to `tests/rules/<group>.test.yml` and a page to `docs/runbooks/`; `make rules` says what is still missing.
"""

import inspect
from typing import Any

from config.alerts import (
    alertmanager,
    applications,
    containers,
    elasticsearch,
    haproxy,
    host,
    links,
    loki,
    mongodb,
    nginx,
    otlp,
    postgres,
    probes,
    prometheus,
    redis,
    scrape,
    shipper,
    traces,
)
from config.alerts.links import Addresses
from config.alerts.rule import EVERYTHING, HEADLINE, Alert, Group, Job, RecordingRule, Rule, Watched, plain
from config.settings.logs import Logs
from config.settings.thresholds import Thresholds
from config.settings.traces import Traces
from config.yaml_text import dump

__all__ = [
    "EVERYTHING",
    "Addresses",
    "Alert",
    "Group",
    "Job",
    "RecordingRule",
    "Rule",
    "Thresholds",
    "Watched",
    "as_yaml",
    "groups",
    "render",
]

_GROUPS = (
    prometheus.group,
    scrape.group,
    alertmanager.group,
    host.group,
    containers.group,
    applications.group,
    probes.group,
    postgres.group,
    redis.group,
    nginx.group,
    mongodb.group,
    haproxy.group,
    elasticsearch.group,
    shipper.group,
    otlp.group,
)


def groups(thresholds: Thresholds, watched: Watched, logs: Logs, of_traces: Traces) -> tuple[Group, ...]:
    """All groups that have something to say about a stack that scrapes `watched`; the last two for their budgets."""
    made = (
        *(group(thresholds, watched) for group in _GROUPS),
        loki.group(thresholds, watched, logs),
        traces.group(thresholds, watched, of_traces),
    )
    return tuple(group for group in made if group.rules)


def render(
    thresholds: Thresholds, addresses: Addresses, watched: Watched, logs: Logs, of_traces: Traces
) -> dict[str, str]:
    """Prometheus' rule files: ``rules/<group>.yml`` → text."""
    made = groups(thresholds, watched, logs, of_traces)
    return {f"rules/{group.name}.yml": _text(group, addresses) for group in made}


def _text(group: Group, addresses: Addresses) -> str:
    body = dump(
        {"groups": [{"name": group.name, "rules": as_yaml(group, addresses)}]}, width=10_000
    )  # nothing is folded
    return f"# Rendered by config/alerts/{group.name}.py.\n{body}"


def as_yaml(group: Group, addresses: Addresses) -> list[dict[str, Any]]:
    """The entries of `rules`."""
    return [_rule(rule, group, addresses) for rule in group.rules]


def _rule(rule: Rule, group: Group, addresses: Addresses) -> dict[str, Any]:
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
        },
    }
