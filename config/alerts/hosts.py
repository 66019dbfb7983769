"""Rules of a centre with edges: each is about one host, as on a stack without edges."""

import re
from dataclasses import replace

from config.alerts.rule import Group, RecordingRule, Rule

OF_SERVICES = frozenset({"slo", "slo-days", "slo-budgets", "edges"})
"""Groups about services as a whole, on whichever hosts they run; and the one that names hosts itself."""
_BARE = re.compile(r"\b(sum|count|min|max|avg|group)\s*\(")
_GROUPED = re.compile(r"\b(by|on)\s*\(\s*")


def of_each(group: Group) -> Group:
    """`group`, whose rules group and match by `host` too, and whose alerts name it first."""
    return group if group.name in OF_SERVICES else replace(group, rules=tuple(map(_of_each, group.rules)))


def by_host(expr: str) -> str:
    """An expression of PromQL or LogQL: ``sum by (job) (x)`` → ``sum by (host, job) (x)``."""
    whole = _BARE.sub(r"\1 by () (", expr)  # an aggregation over everything is one over a host
    return _GROUPED.sub(r"\1 (host, ", whole).replace("(host, )", "(host)")


def _of_each(rule: Rule) -> Rule:
    if isinstance(rule, RecordingRule):
        return replace(rule, expr=by_host(rule.expr))
    headline = rule.summary if "$labels.host" in rule.summary else _HOST + rule.summary
    return replace(rule, expr=by_host(rule.expr), summary=headline)


_HOST = "{{ with $labels.host }}{{ . }}: {{ end }}"
