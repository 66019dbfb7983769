"""The queries of docs/troubleshooting.md, and the services that their answers must name.

Each is a fenced block whose first line is a comment, `# names orders`: the services that its answer has to be about, all
of them and no other; or `# names nobody`, for an answer that has to be empty.
"""

import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from examples.shop.load.faults import Fault
from tests.support import leftovers
from tests.support.deployment import ROOT, Deployment

PAGE = ROOT / "docs" / "troubleshooting.md"
JAEGER = "127.0.0.1:16686"
A_TRACE = "<trace id>"
"""What the page writes where its reader puts the id of a trace that went wrong."""

Language = Literal["promql", "logql", "sh"]


@dataclass(frozen=True)
class Query:
    language: Language
    names: frozenset[str]
    text: str


@dataclass(frozen=True)
class Scenario:
    """A section of the page: how to make it happen, and how to find out."""

    title: str
    fault: Fault
    queries: tuple[Query, ...]


def scenarios(page: Path = PAGE) -> list[Scenario]:
    """The sections that make something happen."""
    return list(_scenarios(page.read_text()))


def _scenarios(text: str) -> Iterator[Scenario]:
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        fault = re.search(r"^make shop-load PROFILE=incident FAULT=(\S+)$", section, flags=re.MULTILINE)
        if fault:
            yield Scenario(section.splitlines()[0], Fault.parse(fault[1]), tuple(_queries(section)))


def _queries(section: str) -> Iterator[Query]:
    blocks = re.findall(r"^```(promql|logql|sh)\n# names (.+)\n((?:.*\n)+?)```$", section, flags=re.MULTILINE)
    for language, names, text in blocks:
        services = frozenset() if names == "nobody" else frozenset(names.split(", "))
        yield Query(cast("Language", language), services, text)


def named(stack: Deployment, query: Query, *, at: datetime, trace_id: str) -> set[str]:
    """The services that the answer is about. Numbers are those of the time `at`, lines and traces those until now.

    Numbers of five minutes are those of half a minute: the incidents of the tests are as short, and one after the other.
    Traces are about whom most of them blame: on a machine without CPU single requests fail for other reasons.
    """
    text = query.text.replace(A_TRACE, trace_id)
    if query.language == "promql":
        text = text.replace("[5m]", "[30s]")
        samples = stack.get("prometheus", "/api/v1/query", query=text, time=str(at.timestamp()))["data"]["result"]
        # The shipper reads the lines of other tests' containers too, and counts them.
        return {name for sample in samples if not (name := sample["metric"]["service"]).startswith(leftovers.PREFIX)}
    if query.language == "logql" and text.lstrip().startswith("{"):
        streams = stack.get("loki", "/loki/api/v1/query_range", query=text, since="1h")["data"]["result"]
        return {stream["stream"]["service"] for stream in streams}
    if query.language == "logql":
        samples = stack.get("loki", "/loki/api/v1/query", query=text, time=str(at.timestamp()))["data"]["result"]
        return {sample["metric"]["service"] for sample in samples}
    command = text.replace(JAEGER, str(stack.config["publish"]["jaeger"]))
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    traces = json.loads(result.stdout)["data"]
    votes = Counter(culprit for trace in traces for culprit in culprits(trace))
    return {culprit for culprit, of in votes.items() if of > len(traces) / 2}


def culprits(trace: dict[str, Any]) -> set[str]:
    """Whom the waterfall of a trace blames: the failed spans below which nothing has failed; if none has, the longest
    time that is not the time of a span below."""
    spans = {span["spanID"]: span for span in trace["spans"]}
    children = defaultdict[str, list[dict[str, Any]]](list)
    for span in spans.values():
        if parent(span):
            children[str(parent(span))].append(span)
    failed = {identifier for identifier, span in spans.items() if _failed(span)}
    deepest = {one for one in failed if not any(_failed(child) for child in children[one])}
    if not deepest:
        deepest = {max(spans, key=lambda one: _own_time(spans[one], children[one]))}
    return {service(trace, spans[one]) for one in deepest}


def parent(span: dict[str, Any]) -> str | None:
    """Its parent's id."""
    return next((one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"), None)


def service(trace: dict[str, Any], span: dict[str, Any]) -> str:
    return str(trace["processes"][span["processID"]]["serviceName"])


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def _failed(span: dict[str, Any]) -> bool:
    return bool(tags(span).get("error"))


def _own_time(span: dict[str, Any], children: list[dict[str, Any]]) -> int:
    """Microseconds in which none of the spans below was under way."""
    end = span["startTime"] + span["duration"]
    own, reached = 0, span["startTime"]
    for child in sorted(children, key=lambda one: int(one["startTime"])):
        own += max(0, min(child["startTime"], end) - reached)
        reached = max(reached, min(child["startTime"] + child["duration"], end))
    return int(own + end - reached)
