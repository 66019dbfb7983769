"""Wrong inputs for a stack: settings, files, hosts, secrets, payloads, pages. Each is refused with a clear message
or a count, and nothing else is affected."""

import contextlib
import copy
import itertools
import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from check import pages
from drills import steady
from drills.frame import Drill
from drills.ground import SCRAPED_SECONDS, SERVICES, Ground, OnGround, reached
from drills.hostile import LABELS, MANY_SERIES, Page, bomb
from tests.support import remote, tracing
from tests.support.wait import until

LINES_OF_A_MESSAGE = 2
"""That say it, at most: Pulumi shows an error when it comes, and at its end once more."""
MIB = 2**20
JSON = "application/json"
RUNNING = "every container runs on, untouched"
STEADY = "steady lines, traces and samples all arrive, no service restarts, no other target is down"


def refused(ground: Ground, printed: str, *words: str) -> str:
    """The one message in what a command printed, which has these words."""
    assert "Traceback" not in printed, f"a traceback: {printed}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    told = [line for line in lines if words[0] in line]
    assert told, f"no word of “{words[0]}”: {printed}"
    assert len(told) <= LINES_OF_A_MESSAGE, f"said {len(told)} times: {printed}"
    for word in words:
        assert word in printed, f"no word of “{word}”: {printed}"
    return told[0].removeprefix("✗ ")[:160]


def running(ground: Ground) -> dict[str, str]:
    """Since when each service runs."""
    return {service: ground.stack.started(service) for service in SERVICES}


def untouched(ground: Ground, attempt: Callable[[], str]) -> str:
    """Makes an attempt, after which the stack file is as before and every container as it was."""
    stack = ground.stack
    config, text, before, since = (
        copy.deepcopy(stack.config),
        stack.file.read_bytes(),
        stack.containers(),
        running(ground),
    )
    try:
        told = attempt()
    finally:
        stack.config = config
        stack.file.write_bytes(text)
    assert stack.containers() == before, "containers were made or removed"
    assert running(ground) == since, "a service was restarted"
    return told


# Settings: `make up` with a stack file in which one thing is wrong

SETTINGS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "unknown-key": ("a misspelt key", {"metrics": {"scrape_intervall": "5s"}}, ("did you mean scrape_interval",)),
    "no-duration": ("`scrape_interval: soon`", {"metrics": {"scrape_interval": "soon"}}, ("is not a time span",)),
    "timeout": ("a timeout longer than its interval", {"metrics": {"scrape_timeout": "1h"}}, ("longer than scrape_interval",)),
    "retention": ("a retention of five minutes", {"metrics": {"retention": {"time": "5m"}}}, ("shorter than 1h",)),
    "ceiling": ("limits beyond the ceiling", {"memory": {"ceiling": "256MiB"}}, ("memory.ceiling",)),
    "no-size": ("`memory.prometheus: lots`", {"memory": {"prometheus": "lots"}}, ("memory.prometheus: is not a size",)),
    "port-twice": ("one port for two services", {"publish": {"prometheus": "127.0.0.1:9093", "alertmanager": "127.0.0.1:9093"}}, ("both want port 9093",)),
    "port-range": ("port 99999", {"publish": {"prometheus": "127.0.0.1:99999"}}, ("publish.prometheus",)),
    "mask": ("a mask that is not a regular expression", {"logs": {"mask": {"x": "("}}}, ("is not a regular expression",)),
    "percent": ("a sampling rate of 140 %", {"traces": {"sampling": {"rest": 140}}}, ("is not a percentage",)),
    "registry": ("a registry with `https://`", {"images": {"registry": "https://mirror.example/"}}, ("images.registry: is not host",)),
    "list": ("a text where a list belongs", {"networks": "shop_default"}, ("must be a list",)),
    "nested": ("a value nested 10,000 deep", {"metrics": "[" * 10_000}, ("must be a mapping",)),
    "secret-in-clear": ("a secret in clear", {"pagerduty_key": "0123456789"}, ("is a secret: store it with",)),
    "no-password": ("a user without a password", {"exporters": {"redis": {"address": "cache:6379", "user": "me"}}}, ("needs its password",)),
    "credentials": ("a password in a URI", {"exporters": {"mongodb": {"uri": "mongodb://me:hidden@mongo:27017"}}}, ("exporters.mongodb.uri",)),
    "host-scheme": ("an engine at `ftp://`", {"docker": {"host": "ftp://vps"}}, ("is not unix:///path",)),
    "rules-missing": ("a rule file that is not there", {"alerts": {"rule_files": ["nowhere.yml"]}}, ("nowhere.yml: No such file",)),
    "dashboard-missing": ("a dashboard that is not there", {"grafana": {"dashboards": ["nowhere.json"]}}, ("nowhere.json: No such file",)),
    "network-missing": ("a network that is not there", {"networks": ["nowhere"]}, ("nervous-system:networks: nowhere",)),
    "certificates-missing": ("a folder of certificates that is not there", {"docker": {"host": "tcp://127.0.0.1:9", "certificates": "nowhere"}}, ("nowhere/ca.pem",)),
    "host-socket": ("an engine's socket that is not there", {"docker": {"host": "unix:///nowhere/docker.sock"}}, ("/nowhere/docker.sock",)),
    "host-closed": ("an engine's port that is closed", {"docker": {"host": "tcp://127.0.0.1:9"}}, ("tcp://127.0.0.1:9", "docker.host")),
    "host-unknown": ("an ssh host that nobody knows", {"docker": {"host": "ssh://me@no-such-host.invalid"}}, ("no-such-host.invalid",)),
    "host-ssh-closed": ("an ssh port that is closed", {"docker": {"host": "ssh://me@127.0.0.1:9"}}, ("ssh://me@127.0.0.1:9",)),
}  # fmt: skip
"""Name → what is wrong, what the stack file says, words of the message."""


def setting(ground: Ground, *, config: Mapping[str, Any], words: tuple[str, ...]) -> str:
    def attempt() -> str:
        ground.stack.config = {**ground.stack.config, **config}
        return refused(ground, ground.make_up(fails=True), *words)

    return untouched(ground, attempt)


# Files

FILES: dict[str, tuple[str, str, bytes, tuple[str, ...]]] = {
    "rules-binary": ("a rule file that is not UTF-8", "bad.yml", b"groups: \xff\xfe\x00", ("bad.yml", "decode")),
    "rules-broken": ("a rule file that is not YAML", "bad.yml", b"groups: [", ("bad.yml: is not YAML",)),
    "rules-large": ("a rule file of 20 MiB", "bad.yml", b"groups: []\n" + b"#" * 20 * MIB, ("bad.yml: has 20.0 MiB",)),
    "dashboard-broken": ("a dashboard that is not JSON", "bad.json", b"{", ("bad.json: is not JSON",)),
    "dashboard-nested": ("a dashboard nested 10,000 deep", "bad.json", b"[" * 10_000, ("bad.json: is not JSON",)),
    "policies-broken": ("a config of the policies that is not JSON", "policies.drills.json", b"{", ("policies.drills.json: is not JSON",)),
    "policies-unknown": ("a misspelt policy in their config", "policies.drills.json", b'{"memory-ceilling": {"ceiling_mib": 28672}}', ("policies.drills.json: memory-ceilling", "did you mean memory-ceiling?")),
    "policies-key": ("a misspelt key of a policy in their config", "policies.drills.json", b'{"disk-budget": {"disk_gb": 500}}', ("policies.drills.json: disk-budget.disk_gb", "did you mean disk_gib?")),
    "policies-value": ("a text where a policy wants a number", "policies.drills.json", b'{"memory-ceiling": {"ceiling_mib": "lots"}}', ("ceiling_mib",)),
    "stack-file-broken": ("a stack file that is not YAML", "", b"config: [", ("is not YAML",)),
    "stack-file-binary": ("a stack file that is not UTF-8", "", b"\xff\xfe\x00\x01", ("is not YAML",)),
    "stack-file-list": ("a stack file that is a list", "", b"- config\n", ("holds no mapping",)),
}  # fmt: skip
"""Name → what is wrong, the file (the stack file itself for none), its bytes, words of the message."""
RULES: dict[str, tuple[str, str, bytes, tuple[str, ...]]] = {
    "rules-promql": (
        "a rule with wrong PromQL",
        "bad.yml",
        json.dumps({"groups": [{"name": "bad", "rules": [{"alert": "Bad", "expr": "rate(up[5m"}]}]}).encode(),
        ("its validator refuses", "parse error"),
    ),
    "rules-doubled": (
        "two groups of one name in a file",
        "bad.yml",
        json.dumps({"groups": [{"name": "bad", "rules": []}, {"name": "bad", "rules": []}]}).encode(),
        ("its validator refuses", "repeated"),
    ),
}
"""The same, of what only promtool sees."""


def file(ground: Ground, *, name: str, content: bytes, words: tuple[str, ...]) -> str:
    stack = ground.stack
    path = stack.folder / name if name else stack.file

    def attempt() -> str:
        if name.endswith(".yml"):
            stack.config["alerts"] = {**stack.config["alerts"], "rule_files": ["drills.yml", name]}
        elif name and name.startswith("bad"):
            stack.config["grafana"] = {"dashboards": [name]}
        stack.write()
        path.write_bytes(content)
        return refused(ground, ground.stack.operate("up", fails=True), *words)

    try:
        return untouched(ground, attempt)
    finally:
        if name:
            path.unlink()


def judged_late(ground: Ground, *, name: str, content: bytes, words: tuple[str, ...]) -> str:
    """promtool is asked at the update: the loader is replaced, and the running Prometheus keeps its files."""
    stack = ground.stack
    config, since = copy.deepcopy(stack.config), running(ground)
    path = stack.folder / name
    path.write_bytes(content)
    try:
        stack.config["alerts"] = {**stack.config["alerts"], "rule_files": ["drills.yml", name]}
        told = refused(ground, ground.make_up(fails=True), *words)
        assert running(ground) == since, "a service was restarted"
        assert "DrillRaised/warning" in stack.rules(), "the rules before are gone"
    finally:
        stack.config = config
        path.unlink()
        stack.up()
    return told


def ssh_host(ground: Ground, *, options: Callable[[remote.Sshd], Mapping[str, str]], words: tuple[str, ...]) -> str:
    """A host that is there, by settings of `docker.ssh` that are wrong."""
    folder = ground.stack.folder / "state" / "sshd"
    try:
        with remote.Sshd(folder) as sshd:
            return setting(ground, config={"docker": sshd.docker(**options(sshd))}, words=words)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


SSH: dict[str, tuple[str, Callable[[remote.Sshd], Mapping[str, str]], tuple[str, ...]]] = {
    "host-key": ("an ssh host with another key than the known one", lambda sshd: {"known_hosts": str(sshd.wrong_known_hosts)}, ("is not the one that is known",)),
    "host-nobody": ("a file of known hosts that is not there", lambda _: {"known_hosts": "nowhere"}, ("its host key is not known",)),
    "host-no-key": ("a private key that is not there", lambda _: {"key": "nowhere"}, ("nowhere",)),
}  # fmt: skip
"""Name → what is wrong, what `docker.ssh` says, words of the message."""


def secret(ground: Ground, *, value: str, words: tuple[str, ...]) -> str:
    def attempt() -> str:
        ground.stack.secret("slack_webhook", value)
        return refused(ground, ground.stack.operate("up", fails=True), *words)

    return untouched(ground, attempt)


def no_such_stack(ground: Ground) -> str:
    stack, kept = ground.stack, ground.stack.stack

    def attempt() -> str:
        stack.stack = "nowhere"
        try:
            return refused(ground, stack.operate("up", fails=True), "no file Pulumi.nowhere.yaml")
        finally:
            stack.stack = kept

    return untouched(ground, attempt)


# Payloads


def flows(ground: Ground, attempt: Callable[[Ground], str]) -> str:
    """Makes an attempt while the steady input goes on, and looks that all of that arrives."""
    flow, since = ground.steady, running(ground)
    first, began = flow.line(), steady.now()
    told = attempt(ground)
    time.sleep(3)
    last, ended = flow.line(), time.time() - 1
    ground.lines_arrive(first, last, began)
    wanted = flow.traces(began.timestamp(), ended)
    reached("all traces are found", lambda: wanted <= flow.traces_found().keys())
    samples = flow.samples(time.time() - began.timestamp() + 2)
    gap = max((later - sooner for sooner, later in itertools.pairwise(samples)), default=99.0)
    assert gap <= SCRAPED_SECONDS, f"{gap:.0f} s between two scrapes of another target"
    reached("no other target is down", lambda: not ground.stack.query('up{service!="hostile"} == 0'))
    again = running(ground)
    assert again == since, f"restarted: {', '.join(name for name in again if again[name] != since[name])}"
    return told


def post(ground: Ground, body: bytes, *, kind: str = JSON, signal: str = "traces", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{ground.stack.url('otlp_http')}/v1/{signal}"
    return requests.post(url, data=body, headers={"Content-Type": kind, **named}, timeout=60)


def told_by(answer: requests.Response) -> str:
    text = "".join(letter for letter in answer.text if letter.isprintable())
    return f"{answer.status_code} {text[:100].strip()}"


def answered(ground: Ground, body: bytes, code: int, *, kind: str = JSON, **headers: str) -> str:
    """Sends something to the collector, which answers with this code."""
    answer = post(ground, body, kind=kind, **headers)
    assert answer.status_code == code, told_by(answer)
    return told_by(answer)


def too_large(send: Callable[[], requests.Response]) -> str:
    """Sends something that is more than is taken: whoever reads it may have enough before the end."""
    try:
        answer = send()
    except requests.ConnectionError as error:
        return f"connection closed: {type(error).__name__}"
    assert answer.status_code in {400, 413}, told_by(answer)
    return told_by(answer)


def resource(service: str = "careless") -> dict[str, Any]:
    return {"attributes": [attribute("service.name", service)]}


def span(**changes: Any) -> tuple[str, bytes]:
    """A failed request of a service called `careless`, with changes; its trace id and the body of an OTLP request."""
    trace, now = secrets.token_hex(16), time.time_ns()
    made = {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": "careless",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now),
        "status": {"code": 2},
        **changes,
    }
    body = {"resourceSpans": [{"resource": resource(), "scopeSpans": [{"spans": [made]}]}]}
    return str(made["traceId"]), json.dumps(body).encode()


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def kept(ground: Ground, **changes: Any) -> str:
    """A span that is odd, but whole: it is taken, and found."""
    trace, body = span(**changes)
    return _found(ground, trace, post(ground, body))


def _found(ground: Ground, trace: str, answer: requests.Response) -> str:
    assert answer.ok, told_by(answer)
    reached("the trace is found", lambda: tracing.exists(ground.stack, trace))
    return "taken, and found"


def no_text(ground: Ground) -> str:
    """Bytes that are no UTF-8, where OTLP has texts: only protobuf can say so."""
    trace = secrets.token_bytes(16)
    name, now = "?" * 40, time.time_ns()
    failed = Span(
        trace_id=trace,
        span_id=secrets.token_bytes(8),
        name=name,
        start_time_unix_nano=now,
        end_time_unix_nano=now,
        status=Status(code=Status.STATUS_CODE_ERROR, message=name),
        attributes=[KeyValue(key=name, value=AnyValue(string_value=name))],
    )
    spans = [ResourceSpans(scope_spans=[ScopeSpans(spans=[failed])])]
    spans[0].resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="careless")))
    body = (
        ExportTraceServiceRequest(resource_spans=spans).SerializeToString().replace(b"?" * 40, b"\xff\xfe\xc0\x80" * 10)
    )
    answer = post(ground, body, kind="application/x-protobuf")
    return told_by(answer) if answer.status_code == 400 else _found(ground, trace.hex(), answer)


def collector(ground: Ground, metric: str) -> float:
    """One of the collector's counters."""
    return pages.metric(ground.client, ground.stack.settings, "otel_collector", metric)


def counted(ground: Ground, body: bytes, *metrics: str, signal: str = "traces") -> str:
    """Something that the collector takes and then drops: it is counted in one of these metrics."""
    before = {metric: collector(ground, metric) for metric in metrics}
    answer = post(ground, body, signal=signal)
    if answer.status_code == 400:
        return told_by(answer)
    assert answer.ok, told_by(answer)

    def grown() -> list[str]:
        return [metric for metric in metrics if collector(ground, metric) > before[metric]]

    reached(f"one of {', '.join(metrics)} grows", grown)
    return f"counted in {grown()[0]}"


def names(ground: Ground) -> str:
    """Ten thousand names of spans make no more series than are allowed: the others are counted together."""
    now, trace = (
        str(time.time_ns()),
        secrets.token_hex(16),
    )  # of one trace: more than wait at once would push others out
    spans = [
        {"traceId": trace, "spanId": secrets.token_hex(8), "name": f"GET /{number}"}
        | {"startTimeUnixNano": now, "endTimeUnixNano": now}
        for number in range(10_000)
    ]
    body = {"resourceSpans": [{"resource": resource("prolix"), "scopeSpans": [{"spans": spans}]}]}
    answer = post(ground, json.dumps(body).encode())
    assert answer.ok, told_by(answer)
    calls = 'traces_span_metrics_calls_total{service="prolix"%s}'
    reached("those without a series are counted", lambda: ground.stack.query(calls % ',otel_metric_overflow="true"'))
    series = len(ground.stack.query(calls % ""))
    most = ground.stack.settings.traces.span_metrics.operations + 1  # and that of all others
    assert series <= most, f"{series} series, {most} are allowed"
    total = f"sum({calls % ''}) == {len(spans)}"
    reached("every span is counted", lambda: ground.stack.query(total))
    return f"{series} series, all {len(spans):,} spans counted"


def gauge(service: str, name: str, labels: Mapping[str, str]) -> bytes:
    """The body of an OTLP request with one metric."""
    point = {
        "attributes": [attribute(key, value) for key, value in labels.items()],
        "timeUnixNano": str(time.time_ns()),
        "asDouble": 1,
    }
    metrics = [{"name": name, "gauge": {"dataPoints": [point]}}]
    body = {"resourceMetrics": [{"resource": resource(service), "scopeMetrics": [{"metrics": metrics}]}]}
    return json.dumps(body).encode()


def measured(ground: Ground, name: str, labels: Mapping[str, str]) -> str:
    """A metric that is odd, and beside it another application's: that one is there."""
    for service, metric, its in (("careless", name, labels), ("careful", "careful", {})):
        answer = post(ground, gauge(service, metric, its), signal="metrics")
        assert answer.ok, told_by(answer)
    reached("the other application's metric is there", lambda: ground.stack.query('careful{service="careful"}'))
    odd = f'{{service="careless",__name__="{name[:128]}"}}'
    reached("the odd one is there, cut", lambda: ground.stack.query(odd))
    [found] = ground.stack.query(odd)
    longest = max(map(len, found["metric"].values()))
    return f"taken with {len(found['metric'])} labels, the longest of {longest} letters"


def record(service: str, text: str, **changes: Any) -> dict[str, Any]:
    made = {"timeUnixNano": str(time.time_ns()), "severityNumber": 9, "body": {"stringValue": text}, **changes}
    return {"resource": resource(service), "scopeLogs": [{"logRecords": [made]}]}


def recorded(ground: Ground, odd: dict[str, Any]) -> str:
    """A log record that is odd, and after it one of another service: both are found."""
    careful, logs = f"careful{secrets.token_hex(2)}", ground.steady.logs
    logs.began = steady.now() - steady.BEFORE
    for one in (odd, record(careful, "after")):
        answer = post(ground, json.dumps({"resourceLogs": [one]}).encode(), signal="logs")
        assert answer.ok, told_by(answer)
    reached("another service's record is found", lambda: logs.found(careful))
    reached("it is found", lambda: logs.found("careless"))
    return f"found with {max(len(line.text) for line in logs.found('careless')):,} letters, and so is what came after"


ZERO = {"traceId": "0" * 32, "spanId": "0" * 16}
NANOSECONDS_A_DAY = 86_400 * 10**9
FOUND = "taken, and found"


def times(start: int, end: int) -> dict[str, str]:
    return {"startTimeUnixNano": str(start), "endTimeUnixNano": str(end)}


def otlp() -> dict[str, tuple[str, str, Callable[[Ground], str]]]:
    """Name → what is sent, what must come of it, how."""
    many = [attribute(f"attribute.{number}", "x") for number in range(10_000)]
    items = {"arrayValue": {"values": [{"stringValue": "4711"}] * 20_000}}
    year = time.time_ns() + 365 * NANOSECONDS_A_DAY
    return {
        "otlp-large": ("a request of 30 MiB", "refused (4xx)", lambda g: too_large(lambda: post(g, span(name="x" * 30 * MIB)[1]))),
        "otlp-bomb": ("256 MiB as 250 KiB of gzip", "refused (4xx)", lambda g: too_large(lambda: post(g, bomb(), Content_Encoding="gzip"))),
        "otlp-protobuf": ("bytes that are no protobuf", "refused (400)", lambda g: answered(g, b"\xff" * 1000, 400, kind="application/x-protobuf")),
        "otlp-json": ("JSON that is cut off", "refused (400)", lambda g: answered(g, span()[1][:-20], 400)),
        "otlp-type": ("a content type that is none of OTLP's", "refused (415)", lambda g: answered(g, span()[1], 415, kind="text/plain")),
        "otlp-gzip": ("a body that is not the gzip that it says", "refused (400)", lambda g: answered(g, span()[1], 400, Content_Encoding="gzip")),
        "otlp-nested": ("JSON nested 10,000 deep", "refused (400)", lambda g: answered(g, b'{"resourceSpans":' + b"[" * 10_000, 400)),
        "otlp-utf8": ("texts that are not UTF-8", f"refused (400), or {FOUND}", no_text),
        "otlp-attribute": ("an attribute of 1 MiB", FOUND, lambda g: kept(g, attributes=[attribute("filler", "x" * MIB)])),
        "otlp-value": ("an attribute of 100 KiB, which is no key for Badger", FOUND, lambda g: kept(g, attributes=[attribute("filler", "x" * 100 * 1024)])),
        "otlp-list": ("an attribute that is a list of 20,000", FOUND, lambda g: kept(g, attributes=[{"key": "ids", "value": items}])),
        "otlp-attributes": ("a span with 10,000 attributes", FOUND, lambda g: kept(g, attributes=many)),
        "otlp-name": ("a span whose name has 100 KiB", FOUND, lambda g: kept(g, name="x" * 100 * 1024)),
        "otlp-status": ("a status with a message of 100 KiB", FOUND, lambda g: kept(g, status={"code": 2, "message": "x" * 100 * 1024})),
        "otlp-past": ("a span of 1970", FOUND, lambda g: kept(g, **times(10**9, 10**9))),
        "otlp-future": ("a span of next year", FOUND, lambda g: kept(g, **times(year, year))),
        "otlp-backwards": ("a span that ends an hour before it starts", FOUND, lambda g: kept(g, **times(time.time_ns(), time.time_ns() - 3600 * 10**9))),
        "otlp-overflow": ("a span at the last nanosecond of 64 bits", FOUND, lambda g: kept(g, **times(2**64 - 2, 2**64 - 1))),
        "otlp-zero": ("a trace id of zeros", "refused (400), or counted", lambda g: counted(g, span(**ZERO)[1], "otelcol_processor_filter_spans_filtered_total")),
        "otlp-metric-label": ("a metric with a label of 10 KiB", "taken, its labels cut; another application's metrics arrive", lambda g: measured(g, "long_label", {"text": "x" * 10_240})),
        "otlp-metric-labels": (f"a metric with {LABELS} labels", "taken, its labels cut; another application's metrics arrive", lambda g: measured(g, "wide", {f"label{number}": "x" for number in range(LABELS)})),
        "otlp-metric-name": ("a metric whose name has 10 KiB", "taken, its labels cut; another application's metrics arrive", lambda g: measured(g, "x" * 10_240, {})),
        "otlp-log-long": ("a log record of 2 MiB", "cut, and found; what comes after it too", lambda g: recorded(g, record("careless", "x" * 2 * MIB))),
        "otlp-log-past": ("a log record of 1970", "found, at the time when it came; what comes after it too", lambda g: recorded(g, record("careless", "x", timeUnixNano=str(10**9)))),
    }  # fmt: skip


def lines_of(ground: Ground, script: str, wanted: Callable[[list[Any]], bool], *, seconds: float = 60) -> list[Any]:
    """What Loki has of a container that runs a script, once it is as wanted."""
    logs = ground.steady.logs
    name = f"careless{secrets.token_hex(2)}"
    logs.began = steady.now() - steady.BEFORE
    container = logs.run(name, f"{script}; sleep 300")
    try:
        with contextlib.suppress(Exception):  # told by who asked
            until(lambda: wanted(logs.lines(name)), seconds=seconds)
        return list(logs.lines(name))
    finally:
        logs.shop.remove(container)


def long_line(ground: Ground) -> str:
    """The shipper leaves it out, as the docs say; what follows it is there."""
    script = "head -c 10485760 /dev/zero | tr '\\0' x; echo; echo after"
    texts = [line.text for line in lines_of(ground, script, lambda found: any(line.text == "after" for line in found))]
    assert texts == ["after"], f"lengths of what is found: {[len(text) for text in texts]}"
    return "left out, the next line found"


def odd_lines(ground: Ground, script: str, texts: int) -> str:
    found = lines_of(ground, script, lambda lines: len(lines) >= texts)
    assert len(found) == texts, f"{len(found)} of {texts} lines: {[line.text[:60] for line in found]}"
    streams = {tuple(sorted(line.labels)) for line in found}
    assert streams == {("level", "service", "source")}, f"labels {streams}"
    return f"{texts} of {texts} lines found"


def push(ground: Ground, body: bytes, kind: str = JSON, **headers: str) -> requests.Response:
    """Straight to Loki."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{ground.stack.past_front('loki')}/loki/api/v1/push"
    return requests.post(url, data=body, headers={"Content-Type": kind, **named}, timeout=60)


def pushed(ground: Ground, labels: int, *, at: int = 0) -> str:
    """A line that Loki refuses, with a reason."""
    stream = {f"label{number}": "x" for number in range(labels)} | {"service": "careless"}
    body = {"streams": [{"stream": stream, "values": [[str(at or time.time_ns()), "careless"]]}]}
    answer = push(ground, json.dumps(body).encode())
    assert answer.status_code == 400, told_by(answer)
    assert answer.text.strip(), "no reason is told"
    return told_by(answer)


def log_lines() -> dict[str, tuple[str, str, Callable[[Ground], str]]]:
    """Name → what is written, what must come of it, how."""
    nested = "'" + '{"a":' * 10_000 + "1" + "}" * 10_000 + "'"
    many = "'" + json.dumps({"level": "info", **{f"key{number}": "x" for number in range(100)}}) + "'"
    year = 365 * NANOSECONDS_A_DAY
    one = "the line is found, under three labels"
    line = b'{"streams": [{"stream": {"service": "careless"}, "values": [["%d", "' % time.time_ns()
    claims = b"\xff\xff\xff\xff\x0f" + b"\0" * 20  # snappy: 4 GiB when unpacked
    return {
        "line-long": ("a line of 10 MiB", "it is left out; the next line is found", long_line),
        "line-binary": ("a line of control characters and bytes above 127", one, lambda g: odd_lines(g, "printf '\\001\\002\\377\\376\\200\\033[31m\\n'; echo after", 2)),
        "line-utf8": ("a line that is not UTF-8", one, lambda g: odd_lines(g, "printf 'caf\\351 \\303\\050\\n'; echo after", 2)),
        "line-open": ("a last line without its end", one, lambda g: odd_lines(g, "printf 'no end'; exec sleep 1", 1)),
        "line-nested": ("JSON nested 10,000 deep", one, lambda g: odd_lines(g, f"echo {nested}; echo after", 2)),
        "line-keys": ("JSON with 100 keys", one, lambda g: odd_lines(g, f"echo {many}", 1)),
        "line-future": ("a time in the year 2999", one, lambda g: odd_lines(g, """echo '{"time":"2999-01-01T00:00:00.5Z","msg":"x"}'""", 1)),
        "line-past": ("a time in the year 1970", one, lambda g: odd_lines(g, """echo '{"time":"1970-01-01T00:00:00.5Z","msg":"x"}'""", 1)),
        "push-labels": ("100 labels, straight to Loki", "refused (400)", lambda g: pushed(g, 100)),
        "push-past": ("a line of last year, straight to Loki", "refused (400)", lambda g: pushed(g, 0, at=time.time_ns() - year)),
        "push-future": ("a line of next year, straight to Loki", "refused (400)", lambda g: pushed(g, 0, at=time.time_ns() + year)),
        "push-bomb": ("a line of 256 MiB as 250 KiB of gzip, straight to Loki", "refused (4xx)", lambda g: too_large(lambda: push(g, bomb(line), Content_Encoding="gzip"))),
        "push-snappy": ("a request that says it has 4 GiB, straight to Loki", "refused (4xx)", lambda g: too_large(lambda: push(g, claims, "application/x-protobuf"))),
    }  # fmt: skip


TARGETS: dict[Page, tuple[str, str]] = {
    "broken": ("a page that is no exposition", ""),
    "binary": ("a page of every byte but 0", ""),
    "html": ("a page of HTML", ""),
    "redirect": ("a page that leads to itself without end", ""),
    "large": ("a page of 25 MiB", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "endless": ("a page of 1.2 GiB", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "bomb": ("a page of 256 MiB, as 250 KiB of gzip", "prometheus_target_scrapes_exceeded_body_size_limit_total"),
    "slow": ("a page that comes a line every half second", ""),
    "many": (f"{MANY_SERIES:,} series", "prometheus_target_scrapes_exceeded_sample_limit_total"),
    "wide": (f"a series with {LABELS} labels", ""),
}  # fmt: skip
"""Page → in words, and the counter of it where there is one."""
SAMPLES: dict[Page, tuple[str, str, str, int]] = {
    "twins": ("the same series twice", "prometheus_target_scrapes_sample_duplicate_timestamp_total", "twin", 1),
    "future": ("a sample of the year 2999", "prometheus_target_scrapes_sample_out_of_bounds_total", "late", 0),
}
"""Page → in words, the counter of the samples that are left out, a series of it and how often that is there. The target stays
up, and its other samples are taken."""
OTHER = '{service="hostile",__name__!~"up|hostile|scrape_.*|ALERTS.*|.*:.*"}'
"""Series of pages that are not the good one: not what Prometheus itself makes of them."""


@contextlib.contextmanager
def serving(ground: Ground, page: Page, counter: str) -> Iterator[Callable[[], bool]]:
    """The target serves this page, and afterwards the good one; gives what tells whether the counter has grown since."""

    def value() -> float:
        return sum(float(one["value"][1]) for one in ground.stack.query(counter)) if counter else 0

    before = value()
    ground.hostile.page = page
    try:
        yield lambda: value() > before
    finally:
        ground.hostile.page = "good"
    reached("the target is up again", lambda: ground.stack.query('up{service="hostile"} == 1'))


def target(ground: Ground, *, page: Page, counter: str) -> str:
    """The target is down, with a reason, and its samples are not taken."""
    with serving(ground, page, counter) as grown:
        reached("the target is down", lambda: ground.stack.query('up{service="hostile"} == 0'))
        targets = ground.stack.get("prometheus", "/api/v1/targets", state="active")["data"]["activeTargets"]
        [reason] = [one["lastError"] for one in targets if one["labels"].get("service") == "hostile"]
        assert reason, "no reason is told"
        if counter:
            reached(f"{counter} grows", grown)
        taken = ground.stack.query(f"count({OTHER})")
        assert not taken, f"{taken[0]['value'][1]} series were taken"
    return f"{reason[:120]}" + (f"; counted in {counter}" if counter else "")


def samples(ground: Ground, *, page: Page, counter: str, series: str, there: int) -> str:
    """The target is up; what is wrong is left out and counted, the rest is taken."""
    with serving(ground, page, counter) as grown:
        reached(f"{counter} grows", grown)
        reached("its other samples are taken", lambda: ground.stack.query('single{service="hostile"} == 3'))
        assert ground.stack.query('up{service="hostile"} == 1'), "the target is down"
        found = len(ground.stack.query(f'{series}{{service="hostile"}}'))
        assert found == there, f"{found} series {series}"
    return f"counted in {counter}"


def drills() -> list[OnGround]:
    """All of them; `ONLY=input` names them together."""
    made: list[OnGround] = []

    def add(name: str, cause: str, holds: str, run: Callable[[Ground], str]) -> None:
        made.append(Drill(f"input-{name}", cause, holds, run))

    message = f"`make up` refuses it in one message; {RUNNING}"
    for name, (what, config, words) in SETTINGS.items():
        add(name, what, message, partial(setting, config=config, words=words))
    for name, (what, path, content, words) in FILES.items():
        add(name, what, message, partial(file, name=path, content=content, words=words))
    for name, (what, path, content, words) in RULES.items():
        add(name, what, message, partial(judged_late, name=path, content=content, words=words))
    add("no-such-stack", "a stack that has no file", message, no_such_stack)
    for name, (what, options, words) in SSH.items():
        add(name, what, message, partial(ssh_host, options=options, words=words))
    add(
        "secret-blank",
        "a blank secret",
        message,
        partial(secret, value=" ", words=("slack_webhook: the secret is blank",)),
    )
    add(
        "secret-no-url",
        "a webhook that is not a URL",
        message,
        partial(secret, value="hooks.example", words=("slack_webhook: the secret is not a URL",)),
    )
    for name, (what, outcome, send) in {**otlp(), **log_lines()}.items():
        add(name, what, f"{outcome}; {STEADY}", partial(flows, attempt=send))
    for page, (what, counter) in TARGETS.items():
        outcome = "the target is down, with a reason" + (f", counted in `{counter}`" if counter else "")
        add(
            f"target-{page}",
            what,
            f"{outcome}; {STEADY}",
            partial(flows, attempt=partial(target, page=page, counter=counter)),
        )
    for page, (what, counter, series, there) in SAMPLES.items():
        run = partial(samples, page=page, counter=counter, series=series, there=there)
        outcome = f"the target stays up, what is wrong is left out and counted in `{counter}`"
        add(f"target-{page}", what, f"{outcome}; {STEADY}", partial(flows, attempt=run))
    # The last one: its series are there for an hour, and the check tells of so many values of a label.
    outcome = "no more series than are allowed, every span counted"
    add("otlp-names", "10,000 names of spans", f"{outcome}; {STEADY}", partial(flows, attempt=names))
    return made
