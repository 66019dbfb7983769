"""What Grafana's page makes of settings and answers: the rules of its web code in words of our own, for what no API tells.

Read in grafana/grafana of 12.4 and 13 (`public/app/features/explore/TraceView/createSpanLink.tsx` and `components/logsLink.ts`
there, `app/plugins/datasource/loki/getDerivedFields.ts`, `app/features/transformers/extractFields/extractFields.ts`,
`pkg/tsdb/jaeger/querydata.go`) and in the packages @grafana/prometheus (`annotations`, `result_transformer`) and @grafana/data
12.4. Nothing is added to what a source has answered.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[\"?([^\]\"]+)\"?\]")
BUILT_IN = re.compile(r"__(from|to|interval|interval_ms|range|rate_interval|auto)")
"""Known everywhere, but filled in by the page or the data source only when it asks."""


def filled_in(text: str, variables: Mapping[str, Any]) -> tuple[str, bool]:
    """A text with its variables replaced, and whether all of them are known. Others are left as they stand."""
    known = True

    def value(found: re.Match[str]) -> str:
        nonlocal known
        name, path = found[1] or found[2], found[3]
        there = variables.get(name)
        for step in _STEP.finditer(path or ""):
            there = there.get(step[1] or step[2]) if isinstance(there, Mapping) else None
        if there is None:
            known = known and bool(BUILT_IN.fullmatch(name))
            return found[0]
        return str(there)

    return _VARIABLE.sub(value, text), known


def of_span(trace: Mapping[str, Any], span: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a span in an answer of Jaeger: tags are those of its process, then its own."""
    process = trace["processes"][span["processID"]]
    tags = {tag["key"]: tag["value"] for tag in (*process["tags"], *span["tags"])}
    of_it = {"spanId": span["spanID"], "traceId": span["traceID"], "name": span["operationName"], "tags": tags}
    return {"__span": of_it, "__trace": {"traceId": trace["traceID"]}}


def _tags(link: Mapping[str, Any], trace: Mapping[str, Any], span: Mapping[str, Any]) -> str:
    wanted = {tag["key"]: tag.get("value") or tag["key"] for tag in link.get("tags", ())}
    there = (*trace["processes"][span["processID"]]["tags"], *span["tags"])
    return ", ".join(f'{wanted[tag["key"]]}="{tag["value"]}"' for tag in there if tag["key"] in wanted)


def related_logs(link: Mapping[str, Any], trace: Mapping[str, Any], span: Mapping[str, Any]) -> str | None:
    """The query behind "Related logs" of a span, by `tracesToLogsV2`; None where there is no such link: one with a variable
    that is not known is not shown. `__tags` is always known, and empty if there is none of them."""
    assert link["customQuery"], "only these are known here"
    query, known = filled_in(link["query"], {**of_span(trace, span), "__tags": _tags(link, trace, span)})
    return query if known else None


def metrics(link: Mapping[str, Any], trace: Mapping[str, Any], span: Mapping[str, Any]) -> dict[str, str]:
    """The queries behind a span's links to metrics, by `tracesToMetrics`: title → query. They are always shown."""
    variables = {**of_span(trace, span), "__tags": _tags(link, trace, span)}
    return {one["name"]: filled_in(one["query"], variables)[0] for one in link["queries"]}


Target = tuple[str, Mapping[str, Any]]
"""Uid of a data source, and what it is asked."""


def of_exemplar(destination: Mapping[str, Any], value: str, shown: tuple[str, str]) -> list[tuple[str, Target]]:
    """The links of an exemplar's label, as title and what they ask, by an entry of `exemplarTraceIdDestinations`."""
    made: list[tuple[str, Target]] = []
    title = destination.get("urlDisplayLabel", "")
    if uid := destination.get("datasourceUid"):
        made.append((title, (uid, {"query": value, "queryType": "traceql"})))
    if url := destination.get("url"):
        made.append((title, explore(url, value, shown)))
    return made


def explore(url: str, value: str, shown: tuple[str, str]) -> Target:
    """What an address of Explore in a link asks, for a value and a time that is shown."""
    assert url.startswith("/explore?"), "Grafana puts its own path before those that begin with a slash"
    address, known = filled_in(url, {"__value": {"raw": value}, "__from": shown[0], "__to": shown[1]})
    assert known
    [pane] = json.loads(parse_qs(urlsplit(address).query, strict_parsing=True)["panes"][0]).values()
    [query] = pane["queries"]
    assert pane["range"] == {"from": shown[0], "to": shown[1]}
    return pane["datasource"], query


def of_line(field: Mapping[str, Any], labels: Mapping[str, str]) -> list[tuple[str, Target]]:
    """The links of a log line, as title and what they ask, by a derived field of Loki's data source."""
    assert field["matcherType"] == "label"
    found = next((value for name, value in labels.items() if re.search(field["matcherRegex"], name)), None)
    if found is None:
        return []
    query, _ = filled_in(field["url"], {"__value": {"raw": found}})
    return [(field.get("urlDisplayLabel", ""), (field["datasourceUid"], {"query": query}))]


def asks_for_trace(target: Target) -> str:
    """The trace that Jaeger's data source is asked for. It knows searches, and otherwise only queries of no type; to any
    other it answers nothing."""
    uid, query = target
    assert uid == "jaeger"
    assert not query.get("queryType"), f"Jaeger's data source answers nothing to {query['queryType']}"
    return str(query["query"])


def events(annotation: Mapping[str, Any], samples: Iterable[tuple[int, float]], step_ms: int) -> list[tuple[int, int]]:
    """Beginning and end of what Prometheus' annotation marks, in milliseconds, for samples of time and value: any text in
    `useValueForTime` is a yes. An end after the beginning is a filled region, else it is a line."""
    found: list[tuple[int, int]] = []
    for time, value in samples:
        moment, active = (int(value), 1.0) if annotation.get("useValueForTime") else (time, value)
        if active <= 0:
            continue
        if found and found[-1][1] + step_ms >= moment:
            found[-1] = (found[-1][0], moment)
        else:
            found.append((moment, moment))
    return found


LINES = ("labels", "Time", "Line", "tsNs", "labelTypes", "id")
"""Fields of an answer of Loki with lines (Loki's data source, `adjustFrame`)."""
TRACES = ("Trace ID", "Trace name", "Start time", "Duration")
"""Fields of an answer of Jaeger to a search, by the names that are shown. The first has a link to the trace (pkg/tsdb/jaeger,
`TransformSearchResponse`)."""


def columns(panel: Mapping[str, Any], fields: Sequence[str], labels: Sequence[str] = ()) -> list[str]:
    """What stands above the columns of a table, of an answer with these fields. `labels`: what its field of labels holds."""
    shown = list(fields)
    for step in panel.get("transformations", ()):
        options = step["options"]
        if step["id"] == "extractFields":
            time = ["Time"] if options.get("keepTime") and "Time" in shown else []
            shown = [*([] if options.get("replace") else shown), *time, *labels]
        elif step["id"] == "filterFieldsByName":
            shown = [name for name in shown if name in options["include"]["names"]]
        elif step["id"] == "organize":
            shown = [options["renameByName"].get(name) or name for name in shown]
        else:
            assert step["id"] == "merge"
            shown = list(dict.fromkeys(shown))
    return shown


def texts(part: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every text in JSON, with its place."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from texts(value, f"{at}.{key}")
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from texts(value, f"{at}[{number}]")
    elif isinstance(part, str):
        yield at, part
