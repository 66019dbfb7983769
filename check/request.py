"""Checks that a made-up failed request is found again as a trace, as a log line and in a metric, and that these lead to
each other.

It is the only thing that a check leaves behind: one trace, one line, and the count of one service.
"""

import json
import secrets
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient

from check.finding import Finding
from check.pages import asker, inside
from config.ports import JAEGER_PAGES, METRICS, OTLP_HTTP
from config.settings import Settings
from engine.docker_api import WGET, execute

SERVICE = "nervous-system-check"
"""Name of the service that seems to have made the request."""
LATEST_SECONDS = 600
"""How far back the check looks for the request."""


@dataclass
class Probe:
    """The request. It is sent once, and looked for until it is found."""

    trace: str = field(default_factory=lambda: secrets.token_hex(16))
    span: str = field(default_factory=lambda: secrets.token_hex(8))
    sent: bool = False


def findings(client: DockerClient, settings: Settings, probe: Probe) -> Iterator[Finding]:
    """Sends the request if it has not been sent yet; otherwise yields where it was found."""
    try:
        if not probe.sent:
            yield _sent(client, settings, probe)
            return
        yield _as_log(client, settings, probe)
        if settings.traces.sampling.errors == 100:  # noqa: PLR2004 - else chance decides
            yield _as_trace(client, settings, probe)
            yield _as_exemplar(client, settings, probe)
    except LookupError as error:
        yield Finding("a failed request can be looked for", kept=False, detail=str(error))


def _sent(client: DockerClient, settings: Settings, probe: Probe) -> Finding:
    what = "a failed request is found again"
    now = time.time_ns()
    name = {"key": "service.name", "value": {"stringValue": SERVICE}}
    resource = {"resource": {"attributes": [name]}}
    ids = {"traceId": probe.trace, "spanId": probe.span}
    span = {
        **ids,
        "name": "check",
        "kind": 1,  # internal: a server's span would be a request in the golden signals
        "startTimeUnixNano": str(now - 1_000_000),
        "endTimeUnixNano": str(now),
        "status": {"code": 2, "message": "made up by the post-deploy check"},
    }
    # Not at the level of an error: alerts count errors.
    line = {**ids, "timeUnixNano": str(now), "severityNumber": 9, "body": {"stringValue": "made up by the check"}}
    bodies = {
        "traces": {"resourceSpans": [{**resource, "scopeSpans": [{"spans": [span]}]}]},
        "logs": {"resourceLogs": [{**resource, "scopeLogs": [{"logRecords": [line]}]}]},
    }
    for signal, body in bodies.items():
        url = f"http://{settings.host('otel_collector')}:{OTLP_HTTP}/v1/{signal}"
        header = "Content-Type: application/json"
        command = [*WGET, "-O", "/dev/null", "--header", header, "--post-data", json.dumps(body), url]
        code, out = execute(asker(client, settings), command)
        if code:
            return Finding(what, kept=False, detail=f"the collector does not take its {signal}: {out.strip()}")
    probe.sent = True
    return Finding(what, kept=False, detail="sent")


def _as_trace(client: DockerClient, settings: Settings, probe: Probe) -> Finding:
    try:
        traces = inside(client, settings, f"http://jaeger:{JAEGER_PAGES}/api/traces/{probe.trace}")["data"]
    except LookupError:  # 404
        traces = []
    return Finding("a failed request is found again as a trace", kept=bool(traces), detail=probe.trace)


def _as_log(client: DockerClient, settings: Settings, probe: Probe) -> Finding:
    query = {"query": f'{{service="{SERVICE}"}} | trace_id="{probe.trace}"', "since": f"{LATEST_SECONDS}s"}
    streams = _asked(client, settings, "loki", "/loki/api/v1/query_range", query)["data"]["result"]
    return Finding("its log line is found by the id of its trace", kept=bool(streams), detail=_counted(streams, "line"))


def _as_exemplar(client: DockerClient, settings: Settings, probe: Probe) -> Finding:
    """Looks for an exemplar, which proves both: the metric counts the request, and leads to its trace."""
    now = time.time()
    query = {
        "query": f'traces_kept_duration_seconds_bucket{{service="{SERVICE}"}}',
        "start": f"{now - LATEST_SECONDS:.0f}",
        "end": f"{now + 60:.0f}",
    }
    series = _asked(client, settings, "prometheus", "/api/v1/query_exemplars", query)["data"]
    exemplars = [one for some in series for one in some["exemplars"] if one["labels"].get("trace_id") == probe.trace]
    return Finding("its metric leads to its trace", kept=bool(exemplars), detail=_counted(exemplars, "exemplar"))


def _counted(items: list[Any], what: str) -> str:
    return f"{len(items)} {what}{'' if len(items) == 1 else 's'}"


def _asked(client: DockerClient, settings: Settings, service: str, path: str, query: dict[str, str]) -> Any:
    return inside(client, settings, f"http://{service}:{METRICS[service]}{path}?{urllib.parse.urlencode(query)}")
