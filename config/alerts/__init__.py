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
    mongodb,
    nginx,
    postgres,
    probes,
    prometheus,
    redis,
    scrape,
)
from config.alerts.rule import EVERYTHING, Alert, Group, Job, RecordingRule, Rule, Watched
from config.alerts.thresholds import Thresholds
from config.yaml_text import dump

__all__ = ["EVERYTHING", "Alert", "Group", "Job", "RecordingRule", "Rule", "Thresholds", "Watched", "groups", "render"]

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
)


def groups(thresholds: Thresholds, watched: Watched) -> tuple[Group, ...]:
    """All groups that have something to say about a stack that scrapes `watched`."""
    made = (group(thresholds, watched) for group in _GROUPS)
    return tuple(group for group in made if group.rules)


def render(thresholds: Thresholds, runbooks_url: str, watched: Watched) -> dict[str, str]:
    """Prometheus' rule files: ``rules/<group>.yml`` → text."""
    return {f"rules/{group.name}.yml": _text(group, runbooks_url) for group in groups(thresholds, watched)}


def _text(group: Group, runbooks_url: str) -> str:
    rules = [_rule(rule, runbooks_url) for rule in group.rules]
    body = dump({"groups": [{"name": group.name, "rules": rules}]}, width=10_000)  # expressions are not folded
    return f"# Rendered by config/alerts/{group.name}.py.\n{body}"


def _rule(rule: Rule, runbooks_url: str) -> dict[str, Any]:
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
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{runbooks_url.rstrip('/')}/{rule.name}.md",
        },
    }
