"""The queries of rule files, dashboards and settings: the series and streams that they select, without the variables that only Grafana fills in."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from config.services.correlation.own_dashboards import PANELS, panels, variables
from config.settings.golden_signals import CountedService

_VARIABLE = "brought_variable"
"""Stands in a query for a variable that Grafana fills in."""
_SPELLED = re.compile(
    r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*|(\$\{[^}]+\}|\$\w+|\[\[\w+(?::\w+)?\]\])", re.DOTALL
)
"""A text or a comment of PromQL, or (group 1) a variable outside of these."""
_SPAN_BEFORE = re.compile(r"(\[|:|\boffset)\s*-?\s*$")
_NUMBERS = re.compile(r"\W*(__interval_ms|__range_s|__range_ms|__from|__to)\b")
_SPANS = re.compile(r"\W*(__interval|__rate_interval|__range|__auto\w*)\b")
_OF_TARGET = frozenset({"__name__", "job", "instance"})
"""Labels that a target has from its scrape, and the metric itself."""
_UNKNOWN = re.compile(r"\$\w|\$\{|\[\[")
"""A variable of Grafana within a text."""
_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OF_VARIABLE = re.compile(r"\s*(?:label_values\((.+),\s*[^,()]+\)|query_result\((.+)\))\s*", re.DOTALL)
_STREAMS = re.compile(r"\"(?:\\.|[^\"\\])*\"|`[^`]*`|(\{(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^}\"`])*\})", re.DOTALL)
"""A text of LogQL, or (group 1) a selector of streams: no other part of LogQL has braces."""


@dataclass(frozen=True)
class Query:
    """One query of a rule or a panel."""

    where: str
    """Rule, panel, variable or key, for people."""
    expr: str
    source: str = "prometheus"
    """Type of its data source."""


@dataclass(frozen=True)
class Brought:
    """A file that somebody brings, a dashboard, or an entry of the settings."""

    name: str
    queries: tuple[Query, ...]
    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Recorded metric → its expressions."""
    plugins: tuple[str, ...] = ()
    """Types of its panels that this Grafana cannot show."""


def of_rules(name: str, text: str) -> Brought:
    """The queries of a rule file, as `own_rules.read` returns it."""
    queries, records = [], dict[str, tuple[str, ...]]()
    for group in (yaml.load(text, yaml.CSafeLoader) or {}).get("groups") or ():
        for rule in group.get("rules") or ():
            expr, recorded = str(rule.get("expr", "")), rule.get("record")
            queries.append(Query(f"{'record' if recorded else 'alert'} {recorded or rule.get('alert')}", expr))
            if recorded:
                records[recorded] = (*records.get(recorded, ()), expr)
    return Brought(name, tuple(queries), records)


def of_counted(counted: CountedService) -> Brought:
    """The metrics that count a service, by the settings."""
    histogram, _, matchers = (counted.duration or "").partition("{")
    labels = f"{{{matchers}" if matchers else ""
    exprs = {
        "requests": counted.requests,
        "errors": counted.errors,
        "duration": histogram and f"{histogram}_bucket{labels} or {histogram}{labels}",  # classic or native
    }
    queries = (Query(key, expr) for key, expr in exprs.items() if expr)
    return Brought(f"metrics.golden_signals of {counted.service}", tuple(queries))


def of_dashboard(name: str, board: Mapping[str, Any]) -> Brought:
    """The queries of a dashboard, as `own_dashboards.adapted` returns it."""
    sources = {one.get("name"): one.get("query") for one in variables(board) if one.get("type") == "datasource"}

    def source(*references: Any) -> str:
        for reference in references:
            name = reference.get("uid") if isinstance(reference, dict) else reference
            if name and not str(name).startswith("-- "):
                return str(sources.get(re.sub(r"\W|:.*", "", str(name)), name))
        return "prometheus"

    queries = []
    for panel in panels(board):
        for target in panel.get("targets") or ():
            if isinstance(expr := target.get("expr"), str) and expr.strip():
                of_target = source(target.get("datasource"), panel.get("datasource"))
                # Rows often repeat the titles of their panels.
                queries.append(Query(f"panel {panel.get('title', '')} ({panel.get('id')})", expr, of_target))
    for variable in variables(board):
        query = variable.get("query")
        query = query.get("query") if isinstance(query, dict) else query
        if variable.get("type") == "query" and (read := _OF_VARIABLE.fullmatch(str(query))):
            of_variable = source(variable.get("datasource"))
            queries.append(Query(f"variable {variable.get('name')}", read[1] or read[2], of_variable))
    types = {str(panel["type"]) for panel in panels(board) if panel.get("type")}  # rows of schema 14 have none
    return Brought(name, tuple(queries), plugins=tuple(sorted(types - PANELS)))


def filled_in(expr: str, *, number: bool) -> str:
    """`expr` with Grafana's variables outside of texts replaced: times by spans, others by a name, or by a number."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        if _NUMBERS.match(match[1]):
            return "60000"
        if _SPAN_BEFORE.search(expr[: match.start()]) or _SPANS.match(match[1]):
            return "5m"
        return "1" if number else _VARIABLE

    return _SPELLED.sub(value, expr)


def selectors_in(tree: Any) -> Iterator[str]:
    """The selectors of an expression, without what only Grafana knows."""
    if isinstance(tree, dict):
        if tree.get("type") in {"vectorSelector", "matrixSelector"} and (selector := selector_of(tree)):
            yield selector
        for part in tree.values():
            yield from selectors_in(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from selectors_in(part)


def selector_of(tree: Mapping[str, Any]) -> str | None:
    """The series that a selector could ever find, as a selector. None if it selects by nothing but variables.

    Only the labels that a target has from its scrape are compared by value: other values, such as a status, may come
    with the next request, but a metric without the label never gets it.
    """
    matchers = []
    for one in tree["matchers"]:
        name, kind, value = one["name"], one["type"], one["value"]
        if _VARIABLE in f"{name} {value}":
            return None
        if _UNKNOWN.search(value):
            continue
        if name in _OF_TARGET or (kind in {"=", "!="} and not value):
            matchers.append((name, kind, value))
        elif kind == "=" or (kind == "=~" and not _matches_nothing(value)):
            matchers.append((name, "!=", ""))
    selects = any(
        (kind in {"=", "=~"} and value and value != ".*") or (kind, value) == ("!=", "") for _, kind, value in matchers
    )
    return written(matchers) if selects else None


def _matches_nothing(expression: str) -> bool:
    """Whether a regular expression matches a label that is not there."""
    try:
        return bool(re.fullmatch(expression, ""))
    except re.error:  # one of Go's
        return True


def written(matchers: Iterable[tuple[str, str, str]]) -> str:
    """Matchers (label, operator, value) as a selector. The same matchers make the same text."""
    each = (
        f"{name if _PLAIN.fullmatch(name) else json.dumps(name)}{kind}{json.dumps(value, ensure_ascii=False)}"
        for name, kind, value in sorted(matchers)
    )
    return f"{{{','.join(each)}}}"


def metric_of(selector: str) -> str:
    """The metric that a selector of `written` names; empty if none."""
    named = re.match(r'\{(?:.*,)?__name__=("(?:\\.|[^"\\])*")', selector)
    return str(json.loads(named[1])) if named else ""


def streams_of(expr: str) -> Iterator[str]:
    """The selectors of streams in a query of LogQL, without matchers that hold variables."""
    for match in _STREAMS.finditer(expr):
        if match[1] is None:
            continue
        matchers = re.findall(r"[\w.]+\s*(?:=~|!~|!=|=)\s*(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`)", match[1])
        literals = [one for one in matchers if not _UNKNOWN.search(one)]
        if any(re.search(r"=~?\s*[\"`](?!(\.\*)?[\"`])", one) for one in literals):
            yield f"{{{', '.join(literals)}}}"
