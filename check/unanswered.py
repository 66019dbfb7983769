"""Finds rules, panels and settings that can never have data on this stack, because nobody exposes what they ask for.

Prometheus itself reads each query (`/api/v1/parse_query`) and says whether it has series for each selector in it.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from check.queries import Brought, Query, filled_in, metric_of, selector_of, selectors_in, streams_of, written

Ask = Callable[[str, Sequence[str]], list[Any]]
"""Function from a service (`prometheus`, `loki`) and paths of its API to the JSON of each; None for no answer."""

LATEST_SECONDS = 24 * 3600
"""A series counts if it had samples within this time: jobs of a day are seen."""
_SUFFIX = re.compile(r"_(total|bucket|sum|count|created)$")
_ALWAYS = frozenset({"absent", "absent_over_time", "vector", "time", "scalar", "pi"})
"""Functions that answer even if nothing is found."""
_KNOWN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Metrics that Prometheus makes itself once an alert fires."""


@dataclass(frozen=True)
class Verdict:
    """What a running stack has of one file."""

    name: str
    all: int
    """How many rules, panels, variables and keys have a query."""
    unanswered: Mapping[str, tuple[str, ...]]
    """Rule, panel, variable or key without any data → selectors that no target exposes."""
    missing: tuple[str, ...]
    """All selectors that no target exposes, also of panels that have some data."""
    plugins: tuple[str, ...] = ()
    """Types of panels that this Grafana cannot show: it installs no plugins."""


def judged(files: Sequence[Brought], ask: Ask, *, filtered: Iterable[str] = ()) -> list[Verdict]:
    """What the stack behind `ask` has of each of `files`.

    `filtered`: jobs that keep only a part of their pages. Elsewhere, a metric that a page describes but has no series of
    yet counts as exposed: an error that has not happened.
    """
    answers = _Answers(files, ask, filtered)
    return [_verdict(file, answers) for file in files]


def _verdict(file: Brought, answers: "_Answers") -> Verdict:
    by_place: dict[str, list[tuple[bool, tuple[str, ...]]]] = {}
    for query in file.queries:
        by_place.setdefault(query.where, []).append(answers.of(query))
    without = {
        where: _all(lacks for _, lacks in of_one)
        for where, of_one in by_place.items()
        if not any(has for has, _ in of_one)
    }
    missing = _all(lacks for of_one in by_place.values() for _, lacks in of_one)
    return Verdict(file.name, len(by_place), without, missing, file.plugins)


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
        self._has = self._series({one for tree in self._trees.values() for one in selectors_in(tree)})
        self._lacks = self._explained({one for one, has in self._has.items() if not has})
        streams = {one for query in queries if query.source == "loki" for one in streams_of(query.expr)}
        self._streams = self._found("loki", "/loki/api/v1/series", streams)

    def of(self, query: Query) -> tuple[bool, tuple[str, ...]]:
        """Whether `query` can have data, and what it lacks. What cannot be judged can have data."""
        if query.source == "loki":
            lacks = tuple(one for one in streams_of(query.expr) if not self._streams.get(one, True))
            return not lacks, lacks
        tree = self._trees.get(query.expr) if query.source == "prometheus" else None
        if tree is None:
            return True, ()
        lacks = tuple(self._lacks[one] for one in selectors_in(tree) if not self._selected(one, frozenset()))
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
        """All metrics. One request instead of one for each selector that names only a metric.

        Raises:
            LookupError: Prometheus does not answer.
        """
        [answer] = self._ask("prometheus", [f"/api/v1/label/__name__/values?{urlencode({'start': _since()})}"])
        if not answer:
            raise LookupError("Prometheus does not say which metrics it has")
        return frozenset(answer["data"])

    def _series(self, selectors: Iterable[str]) -> dict[str, bool]:
        """Selector → whether it has series, or could have some as soon as something happens."""
        names = {one: metric_of(one) for one in selectors}
        has = {one: name in self._names for one, name in names.items() if one == written([("__name__", "=", name)])}
        unknown = {one for one, name in names.items() if one not in has and name and name not in self._names}
        rest = names.keys() - has.keys() - unknown
        has |= dict.fromkeys(unknown, False) | self._found("prometheus", "/api/v1/series", rest)
        described = self._described(
            {name for one, has_series in has.items() if not has_series and (name := metric_of(one))}
        )
        return {one: has_series or metric_of(one) in described for one, has_series in has.items()}

    def _found(self, service: str, page: str, selectors: Iterable[str]) -> dict[str, bool]:
        """Selector → whether it has series. What cannot be asked counts as found."""
        matches = sorted(selectors)
        paths = [f"{page}?{urlencode({'match[]': one, 'start': _since(), 'limit': '1'})}" for one in matches]
        answers = self._ask(service, paths)
        return {one: answer is None or bool(answer.get("data")) for one, answer in zip(matches, answers, strict=True)}

    def _described(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that a page describes, and that have no series yet."""
        spelled = {name: {name, _SUFFIX.sub("", name)} for name in names}
        metrics = sorted({one for several in spelled.values() for one in several})
        match = written([("job", "!~", self._filtered)] if self._filtered else [("job", "=~", ".+")])
        query = {"match_target": match, "limit": "1"}
        paths = [f"/api/v1/targets/metadata?{urlencode({**query, 'metric': one})}" for one in metrics]
        answers = self._ask("prometheus", paths)
        with_metadata = {one for one, answer in zip(metrics, answers, strict=True) if answer and answer["data"]}
        return {name for name, several in spelled.items() if several & with_metadata and name not in self._names}

    def _explained(self, missing: Iterable[str]) -> dict[str, str]:
        """Selector without series → how to name it: only its metric if nobody exposes that."""
        names = {one: metric_of(one) for one in missing}
        return {one: one if not name or name in self._names else name for one, name in names.items()}

    def _can(self, tree: Any, within: frozenset[str]) -> bool:
        """Whether an expression can have a value. `within`: recorded metrics on the way to it."""
        kind = tree["type"]
        if kind in {"vectorSelector", "matrixSelector"}:
            selector = selector_of(tree)
            return selector is None or self._selected(selector, within)
        if kind == "binaryExpr":
            left, right = self._can(tree["lhs"], within), self._can(tree["rhs"], within)
            return left or right if tree["op"] == "or" else left if tree["op"] == "unless" else left and right
        if kind == "call":
            return tree["func"]["name"] in _ALWAYS or all(self._can(one, within) for one in tree["args"])
        return "expr" not in tree or self._can(tree["expr"], within)

    def _selected(self, selector: str, within: frozenset[str]) -> bool:
        name = metric_of(selector)
        if self._has[selector] or name in _KNOWN:
            return True
        return any(
            name not in within and expr in self._trees and self._can(self._trees[expr], within | {name})
            for expr in self._records.get(name, ())
        )


def _since() -> str:
    return f"{time.time() - LATEST_SECONDS:.0f}"
