"""The rules by which Grafana's web page makes links, tables and annotations, rewritten in Python because no API has them.

Sources: grafana/grafana of 12.4 and 13 (`public/app/features/explore/TraceView/createSpanLink.tsx` and `components/logsLink.ts`
there, `app/plugins/datasource/loki/getDerivedFields.ts`, `app/features/transformers/extractFields/extractFields.ts`,
`app/features/transformers/timeSeriesTable/timeSeriesTableTransformer.ts`,
`pkg/tsdb/jaeger/querydata.go`) and the packages @grafana/prometheus (`annotations`, `result_transformer`) and @grafana/data
12.4. The functions take the answers of data sources unchanged.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[\"?([^\]\"]+)\"?\]")
BUILT_IN = re.compile(r"__(from|to|interval|interval_ms|range|rate_interval|auto)")
"""Known everywhere, but filled in by the page or the data source only when it sends a query."""


def filled_in(text: str, variables: Mapping[str, Any]) -> tuple[str, bool]:
    """A text with its variables replaced, and whether all of them are known. Unknown variables stay in the text."""
    success = True

    def value(match: re.Match[str]) -> str:
        nonlocal success
        name, path = match[1] or match[2], match[3]
        part = variables.get(name)
        for step in _STEP.finditer(path or ""):
            part = part.get(step[1] or step[2]) if isinstance(part, Mapping) else None
        if part is None:
            success = success and bool(BUILT_IN.fullmatch(name))
            return match[0]
        return str(part)

    return _VARIABLE.sub(value, text), success


def span_variables(trace: Mapping[str, Any], span: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a span in an answer of Jaeger. Tags of the process come first, then those of the span."""
    process = trace["processes"][span["processID"]]
    tags = {tag["key"]: tag["value"] for tag in (*process["tags"], *span["tags"])}
    fields = {"spanId": span["spanID"], "traceId": span["traceID"], "name": span["operationName"], "tags": tags}
    return {"__span": fields, "__trace": {"traceId": trace["traceID"]}}


def _tags(link: Mapping[str, Any], trace: Mapping[str, Any], span: Mapping[str, Any]) -> str:
    names = {tag["key"]: tag.get("value") or tag["key"] for tag in link.get("tags", ())}
    tags = (*trace["processes"][span["processID"]]["tags"], *span["tags"])
    return ", ".join(f'{names[tag["key"]]}="{tag["value"]}"' for tag in tags if tag["key"] in names)


def related_logs(link: Mapping[str, Any], trace: Mapping[str, Any], span: Mapping[str, Any]) -> str | None:
    """The query behind the link "Related logs" of a span, by `tracesToLogsV2`.

    None if a variable is unknown: then Grafana shows no link. `__tags` is always known, and may be empty.
    """
    assert link["customQuery"], "this module knows custom queries only"
    query, success = filled_in(link["query"], {**span_variables(trace, span), "__tags": _tags(link, trace, span)})
    return query if success else None


def metrics(link: Mapping[str, Any], trace: Mapping[str, Any], span: Mapping[str, Any]) -> dict[str, str]:
    """The queries behind a span's links to metrics, by `tracesToMetrics`: title → query. Grafana always shows them."""
    variables = {**span_variables(trace, span), "__tags": _tags(link, trace, span)}
    return {one["name"]: filled_in(one["query"], variables)[0] for one in link["queries"]}


Target = tuple[str, Mapping[str, Any]]
"""Uid of a data source, and a query to it."""


def exemplar_links(destination: Mapping[str, Any], value: str, period: tuple[str, str]) -> list[tuple[str, Target]]:
    """The links of an exemplar's label, as title and target, by an entry of `exemplarTraceIdDestinations`."""
    pairs: list[tuple[str, Target]] = []
    title = destination.get("urlDisplayLabel", "")
    if uid := destination.get("datasourceUid"):
        pairs.append((title, (uid, {"query": value, "queryType": "traceql"})))
    if url := destination.get("url"):
        pairs.append((title, explore(url, value, period)))
    return pairs


def explore(url: str, value: str, period: tuple[str, str]) -> Target:
    """The target of a link to Explore, for a value and a time range."""
    assert url.startswith("/explore?"), "Grafana puts its own path before those that begin with a slash"
    address, success = filled_in(url, {"__value": {"raw": value}, "__from": period[0], "__to": period[1]})
    assert success
    [pane] = json.loads(parse_qs(urlsplit(address).query, strict_parsing=True)["panes"][0]).values()
    [query] = pane["queries"]
    assert pane["range"] == {"from": period[0], "to": period[1]}
    return pane["datasource"], query


def line_links(field: Mapping[str, Any], labels: Mapping[str, str]) -> list[tuple[str, Target]]:
    """The links of a log line, as title and target, by a derived field of Loki's data source."""
    assert field["matcherType"] == "label"
    raw = next((value for name, value in labels.items() if re.search(field["matcherRegex"], name)), None)
    if raw is None:
        return []
    query, _ = filled_in(field["url"], {"__value": {"raw": raw}})
    return [(field.get("urlDisplayLabel", ""), (field["datasourceUid"], {"query": query}))]


def trace_id(target: Target) -> str:
    """The trace that a target names. Apart from searches, Jaeger's data source answers only queries without a type."""
    uid, query = target
    assert uid == "jaeger"
    assert not query.get("queryType"), f"Jaeger's data source answers nothing to {query['queryType']}"
    return str(query["query"])


def events(annotation: Mapping[str, Any], samples: Iterable[tuple[int, float]], step_ms: int) -> list[tuple[int, int]]:
    """Beginning and end of the marks of a Prometheus annotation, in milliseconds. `samples`: time and value.

    Any text in `useValueForTime` counts as true. A mark whose end is after its beginning is a filled region, else a line.
    """
    marks: list[tuple[int, int]] = []
    for time, value in samples:
        moment, active = (int(value), 1.0) if annotation.get("useValueForTime") else (time, value)
        if active <= 0:
            continue
        if marks and marks[-1][1] + step_ms >= moment:
            marks[-1] = (marks[-1][0], moment)
        else:
            marks.append((moment, moment))
    return marks


LINES = ("labels", "Time", "Line", "tsNs", "labelTypes", "id")
"""Fields of Loki's answer with log lines (Loki's data source, `adjustFrame`)."""
TRACES = ("Trace ID", "Trace name", "Start time", "Duration")
"""Fields of Jaeger's answer to a search, by their shown names. The first has a link to the trace (pkg/tsdb/jaeger,
`TransformSearchResponse`)."""


def columns(panel: Mapping[str, Any], fields: Sequence[str], labels: Sequence[str] = ()) -> list[str]:
    """Titles of the columns of a table, for an answer with these fields. `labels`: the names in its field of labels."""
    titles = list(fields)
    for step in panel.get("transformations", ()):
        options = step["options"]
        if step["id"] == "extractFields":
            time = ["Time"] if options.get("keepTime") and "Time" in titles else []
            titles = [*([] if options.get("replace") else titles), *time, *labels]
        elif step["id"] == "timeSeriesTable":
            [refs] = re.findall(r"^/\^\((.+)\)\$/$", step["filter"]["options"])
            for ref in refs.split("|"):
                titles[titles.index(f"Value #{ref}")] = f"Trend #{ref}"
        elif step["id"] == "filterFieldsByName":
            titles = [name for name in titles if name in options["include"]["names"]]
        elif step["id"] == "organize":
            titles = [options["renameByName"].get(name) or name for name in titles]
        else:
            assert step["id"] == "merge"
            titles = list(dict.fromkeys(titles))
    return titles


def texts(part: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every text in JSON, after its path."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from texts(value, f"{at}.{key}")
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from texts(value, f"{at}[{number}]")
    elif isinstance(part, str):
        yield at, part
