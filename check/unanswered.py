"""Finds rules and panels that can never have data on this stack, because nobody exposes what they ask for.

Prometheus itself reads each query (`/api/v1/parse_query`) and says whether it has series for each selector in it.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import yaml

from config.own_dashboards import panels, variables

Ask = Callable[[str, Sequence[str]], list[Any]]
"""Function from a service (`prometheus`, `loki`) and paths of its API to the JSON of each; None for no answer."""

LATEST_SECONDS = 24 * 3600
"""A series counts if it had samples within this time: jobs of a day are seen."""
_VARIABLE = "brought_variable"
"""Stands in a query for a variable that Grafana fills in."""
_SPELLED = re.compile(
    r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*|(\$\{[^}]+\}|\$\w+|\[\[\w+(?::\w+)?\]\])", re.DOTALL
)
"""A text or a comment of PromQL, or (group 1) a variable outside of these."""
_SPAN_BEFORE = re.compile(r"(\[|:|\boffset)\s*-?\s*$")
_NUMBERS = re.compile(r"\W*(__interval_ms|__range_s|__range_ms|__from|__to)\b")
_SPANS = re.compile(r"\W*(__interval|__rate_interval|__range|__auto\w*)\b")
_SUFFIX = re.compile(r"_(total|bucket|sum|count|created)$")
_ALWAYS = frozenset({"absent", "absent_over_time", "vector", "time", "scalar", "pi"})
"""Functions that answer even if nothing is found."""
_OF_TARGET = frozenset({"__name__", "job", "instance"})
"""Labels that a target has from its scrape, and the metric itself."""
_UNKNOWN = re.compile(r"\$\w|\$\{|\[\[")
"""A variable of Grafana within a text."""
_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KNOWN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Metrics that Prometheus makes itself once an alert fires."""
_OF_VARIABLE = re.compile(r"\s*(?:label_values\((.+),\s*[^,()]+\)|query_result\((.+)\))\s*", re.DOTALL)
_STREAMS = re.compile(r"\"(?:\\.|[^\"\\])*\"|`[^`]*`|(\{(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^}\"`])*\})", re.DOTALL)
"""A text of LogQL, or (group 1) a selector of streams: no other part of LogQL has braces."""


@dataclass(frozen=True)
class Query:
    """One query of a rule or a panel."""

    where: str
    """Rule, panel or variable, for people."""
    expr: str
    source: str = "prometheus"
    """Type of its data source."""


@dataclass(frozen=True)
class Brought:
    """A file that somebody brings, or a dashboard."""

    name: str
    queries: tuple[Query, ...]
    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Recorded metric → its expressions."""


@dataclass(frozen=True)
class Verdict:
    """What a running stack has of one file."""

    name: str
    all: int
    """How many rules, panels and variables have a query."""
    unanswered: Mapping[str, tuple[str, ...]]
    """Rule, panel or variable without any data → what nobody exposes."""
    missing: tuple[str, ...]
    """All that nobody exposes, also where a part of the panel has data."""


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


def of_dashboard(name: str, board: Mapping[str, Any]) -> Brought:
    """The queries of a dashboard, as `own_dashboards.adapted` returns it."""
    chosen = {one.get("name"): one.get("query") for one in variables(board) if one.get("type") == "datasource"}

    def source(*references: Any) -> str:
        for reference in references:
            name = reference.get("uid") if isinstance(reference, dict) else reference
            if name and not str(name).startswith("-- "):
                return str(chosen.get(re.sub(r"\W|:.*", "", str(name)), name))
        return "prometheus"

    queries = []
    for panel in panels(board):
        for target in panel.get("targets") or ():
            if isinstance(expr := target.get("expr"), str) and expr.strip():
                of_target = source(target.get("datasource"), panel.get("datasource"))
                queries.append(Query(f"panel {panel.get('title') or panel.get('id')}", expr, of_target))
    for variable in variables(board):
        asked = variable.get("query")
        asked = asked.get("query") if isinstance(asked, dict) else asked
        if variable.get("type") == "query" and (read := _OF_VARIABLE.fullmatch(str(asked))):
            of_variable = source(variable.get("datasource"))
            queries.append(Query(f"variable {variable.get('name')}", read[1] or read[2], of_variable))
    return Brought(name, tuple(queries))


def judged(files: Sequence[Brought], ask: Ask, *, filtered: Iterable[str] = ()) -> list[Verdict]:
    """What the stack behind `ask` has of each of `files`.

    `filtered`: jobs of whose pages only a part is kept. Elsewhere, a metric that a page describes but has no series of
    yet counts as exposed: an error that has not happened.
    """
    answers = _Answers(files, ask, filtered)
    return [_verdict(file, answers) for file in files]


def _verdict(file: Brought, answers: "_Answers") -> Verdict:
    found: dict[str, list[tuple[bool, tuple[str, ...]]]] = {}
    for query in file.queries:
        found.setdefault(query.where, []).append(answers.of(query))
    without = {
        where: _all(lacks for _, lacks in of_one)
        for where, of_one in found.items()
        if not any(has for has, _ in of_one)
    }
    return Verdict(file.name, len(found), without, _all(lacks for of_one in found.values() for _, lacks in of_one))


def _all(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({one for each in lists for one in each}))


class _Answers:
    """Asks for everything at once, because each question on its own would take a tenth of a second."""

    def __init__(self, files: Sequence[Brought], ask: Ask, filtered: Iterable[str]) -> None:
        self._ask = ask
        self._filtered = "|".join(map(re.escape, filtered))
        self._records: dict[str, list[str]] = {}
        for file in files:
            for name, exprs in file.records.items():
                self._records.setdefault(name, []).extend(exprs)
        queries = [query for file in files for query in file.queries]
        self._names = self._all_names()
        self._trees = self._parsed({query.expr for query in queries if query.source == "prometheus"})
        self._has = self._series({one for tree in self._trees.values() for one in _selectors(tree)})
        self._lacks = self._explained({one for one, has in self._has.items() if not has})
        streams = {one for query in queries if query.source == "loki" for one in _streams(query.expr)}
        self._streams = self._found("loki", "/loki/api/v1/series", streams)

    def of(self, query: Query) -> tuple[bool, tuple[str, ...]]:
        """Whether `query` can have data, and what it lacks. What cannot be judged can have data."""
        if query.source == "loki":
            lacks = tuple(one for one in _streams(query.expr) if not self._streams.get(one, True))
            return not lacks, lacks
        tree = self._trees.get(query.expr) if query.source == "prometheus" else None
        if tree is None:
            return True, ()
        lacks = tuple(self._lacks[one] for one in _selectors(tree) if not self._selected(one, frozenset()))
        return self._can(tree, frozenset()), lacks

    def _parsed(self, exprs: Iterable[str]) -> dict[str, Any]:
        """Expression → its tree, of those that Prometheus can read."""
        trees: dict[str, Any] = {}
        for number in (False, True):
            rest = [expr for expr in exprs if expr not in trees]
            paths = [f"/api/v1/parse_query?{urlencode({'query': filled_in(expr, number=number)})}" for expr in rest]
            answers = self._ask("prometheus", paths)
            trees |= {expr: answer["data"] for expr, answer in zip(rest, answers, strict=True) if answer}
        return trees

    def _all_names(self) -> frozenset[str]:
        """All metrics. One question spares those for selectors that name nothing but a metric.

        Raises:
            LookupError: Prometheus does not answer.
        """
        [answer] = self._ask("prometheus", [f"/api/v1/label/__name__/values?{urlencode({'start': _since()})}"])
        if not answer:
            raise LookupError("Prometheus does not say which metrics it has")
        return frozenset(answer["data"])

    def _series(self, selectors: Iterable[str]) -> dict[str, bool]:
        """Selector → whether it has series, or could have some as soon as something happens."""
        names = {one: _name(one) for one in selectors}
        has = {one: name in self._names for one, name in names.items() if one == _selector([("__name__", "=", name)])}
        unknown = {one for one, name in names.items() if one not in has and name and name not in self._names}
        rest = names.keys() - has.keys() - unknown
        has |= dict.fromkeys(unknown, False) | self._found("prometheus", "/api/v1/series", rest)
        described = self._described({name for one, found in has.items() if not found and (name := _name(one))})
        return {one: found or _name(one) in described for one, found in has.items()}

    def _found(self, service: str, page: str, selectors: Iterable[str]) -> dict[str, bool]:
        """Selector → whether it has series. What cannot be asked counts as found."""
        asked = sorted(selectors)
        paths = [f"{page}?{urlencode({'match[]': one, 'start': _since(), 'limit': '1'})}" for one in asked]
        answers = self._ask(service, paths)
        return {one: answer is None or bool(answer.get("data")) for one, answer in zip(asked, answers, strict=True)}

    def _described(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that a page describes, and that have no series yet."""
        spelled = {name: {name, _SUFFIX.sub("", name)} for name in names}
        asked = sorted({one for several in spelled.values() for one in several})
        match = f'{{job!~"{self._filtered}"}}' if self._filtered else '{job=~".+"}'
        query = {"match_target": match, "limit": "1"}
        paths = [f"/api/v1/targets/metadata?{urlencode({**query, 'metric': one})}" for one in asked]
        answers = self._ask("prometheus", paths)
        known = {one for one, answer in zip(asked, answers, strict=True) if answer and answer["data"]}
        return {name for name, several in spelled.items() if several & known and name not in self._names}

    def _explained(self, missing: Iterable[str]) -> dict[str, str]:
        """Selector without series → how to name it: only its metric if nobody exposes that."""
        names = {one: _name(one) for one in missing}
        return {one: one if not name or name in self._names else name for one, name in names.items()}

    def _can(self, tree: Any, within: frozenset[str]) -> bool:
        """Whether an expression can have a value. `within`: recorded metrics on the way to it."""
        kind = tree["type"]
        if kind in {"vectorSelector", "matrixSelector"}:
            selector = _of_tree(tree)
            return selector is None or self._selected(selector, within)
        if kind == "binaryExpr":
            left, right = self._can(tree["lhs"], within), self._can(tree["rhs"], within)
            return left or right if tree["op"] == "or" else left if tree["op"] == "unless" else left and right
        if kind == "call":
            return tree["func"]["name"] in _ALWAYS or all(self._can(one, within) for one in tree["args"])
        return "expr" not in tree or self._can(tree["expr"], within)

    def _selected(self, selector: str, within: frozenset[str]) -> bool:
        name = _name(selector)
        if self._has[selector] or name in _KNOWN:
            return True
        return any(
            name not in within and expr in self._trees and self._can(self._trees[expr], within | {name})
            for expr in self._records.get(name, ())
        )


def _since() -> str:
    return f"{time.time() - LATEST_SECONDS:.0f}"


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


def _selectors(tree: Any) -> Iterator[str]:
    """The selectors of an expression, without what only Grafana knows."""
    if isinstance(tree, dict):
        if tree.get("type") in {"vectorSelector", "matrixSelector"} and (selector := _of_tree(tree)):
            yield selector
        for part in tree.values():
            yield from _selectors(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _selectors(part)


def _of_tree(tree: Mapping[str, Any]) -> str | None:
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
    return _selector(matchers) if selects else None


def _matches_nothing(expression: str) -> bool:
    """Whether a regular expression matches a label that is not there."""
    try:
        return bool(re.fullmatch(expression, ""))
    except re.error:  # one of Go's
        return True


def _selector(matchers: Iterable[tuple[str, str, str]]) -> str:
    written = (
        f"{name if _PLAIN.fullmatch(name) else json.dumps(name)}{kind}{json.dumps(value, ensure_ascii=False)}"
        for name, kind, value in sorted(matchers)
    )
    return f"{{{','.join(written)}}}"


def _name(selector: str) -> str:
    """The metric that a selector of `_selector` names; empty if none."""
    named = re.match(r'\{(?:.*,)?__name__=("(?:\\.|[^"\\])*")', selector)
    return str(json.loads(named[1])) if named else ""


def _streams(expr: str) -> Iterator[str]:
    """The selectors of streams in a query of LogQL, without matchers that hold variables."""
    for found in _STREAMS.finditer(expr):
        if found[1] is None:
            continue
        matchers = re.findall(r"[\w.]+\s*(?:=~|!~|!=|=)\s*(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`)", found[1])
        known = [one for one in matchers if not _UNKNOWN.search(one)]
        if any(re.search(r"=~?\s*[\"`](?!(\.\*)?[\"`])", one) for one in known):
            yield f"{{{', '.join(known)}}}"
