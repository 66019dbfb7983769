"""The real collector with a stack's file processes OTLP."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.collector import KINDS, Collector, attributes, collector, group, listed, record, span, until_true
from tests.support.program import settings_of
from tests.support.secret_lines import WITH_SECRETS, WITHOUT_SECRETS, clear_text, secrets

CONFIG: dict[str, Any] = {
    # What is neither an error nor slow is dropped: so all that is kept here was known to be one.
    "traces": {
        "sampling": {"rest": 0, "decision_wait": "1s"},
        "health_paths": ["/v1.0/up"],
    },
    "metrics": {"scrape_interval": "5s", "scrape_timeout": "5s"},
    "logs": {"mask": {"order": r"^(order-\d+)$"}},
}
ERROR = {"code": 2}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collector(settings_of(CONFIG), tmp_path_factory.mktemp("collector")) as started:
        yield started


@until_true
def spans_of(running: Collector, service: str, count: int) -> dict[str, dict[str, Any]]:
    by_name = {part["name"]: part for resource, part in running.stored("traces") if resource["service.name"] == service}
    assert len(by_name) >= count, by_name.keys()
    return by_name


@until_true
def records_of(running: Collector, service: str, count: int) -> list[dict[str, Any]]:
    records = [part for resource, part in running.stored("logs") if resource["service.name"] == service]
    assert len(records) == count, len(records)
    return records


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "attribute": lambda text: {"own": {"note": text}},
    "list": lambda text: {"own": {"notes": ["a", text]}},
    "map": lambda text: {"own": {"notes": {"deep": {"deeper": text}}}},
    "status": lambda text: {"status": {**ERROR, "message": text}},
    "state": lambda text: {"traceState": text},
    "event": lambda text: {"events": [{"name": text}]},
    "attribute of an event": lambda text: {
        "events": [{"name": "e", "attributes": [{"key": "note", "value": {"stringValue": text}}]}]
    },
}


def test_a_secret_is_masked_wherever_a_span_has_it_and_what_is_none_stays(running: Collector) -> None:
    texts = [*WITH_SECRETS, *WITHOUT_SECRETS]
    inputs = {
        f"{place} {number}": (text, span(f"{place} {number}", **{"status": ERROR, **shape(clear_text(text))}))
        for number, text in enumerate(texts)
        for place, shape in PLACES.items()
    }
    running.send("traces", group("traces", {"service.name": "masks"}, *(part for _, part in inputs.values())))
    outputs = spans_of(running, "masks", len(inputs))
    leaked = {
        name: text for name, (text, _) in inputs.items() for secret in secrets(text) if secret in plain(outputs[name])
    }
    assert leaked == {}
    changed = {
        name: outputs[name]
        for name, (text, part) in inputs.items()
        if not secrets(text) and plain(part) != plain(outputs[name])
    }
    assert changed == {}


TEXTS = ("name", "status", "traceState", "events", "attributes", "body", "eventName")
BODIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "text": lambda text: {"body": text},
    "map": lambda text: {"body": {"message": text}},
    "list": lambda text: {"body": ["a", {"message": text}]},
    "attribute": lambda text: {"body": "a line", "own": {"note": text}},
}


def test_a_secret_is_masked_wherever_a_log_record_has_it_and_what_is_none_stays(running: Collector) -> None:
    texts = [*WITH_SECRETS, *WITHOUT_SECRETS]
    inputs = {
        f"{place} {number}": (text, record(**shape(clear_text(text)), eventName=f"{place} {number}"))
        for number, text in enumerate(texts)
        for place, shape in BODIES.items()
    }
    running.send("logs", group("logs", {"service.name": "masks"}, *(part for _, part in inputs.values())))
    outputs = {part["eventName"]: part for part in records_of(running, "masks", len(inputs))}
    leaked = {
        name: text for name, (text, _) in inputs.items() for secret in secrets(text) if secret in plain(outputs[name])
    }
    assert leaked == {}
    changed = {
        name for name, (text, part) in inputs.items() if not secrets(text) and part["body"] != outputs[name]["body"]
    }
    assert changed == set()


SECRET_VALUES: dict[str, Any] = {
    "password": "x1",
    "pass": "x1",
    "db.pass": "x1",
    "http.request.header.authorization": ["x1"],
    "http.request.header.set-cookie": ["x1", "x1"],
    "X-API-Key": "x1",
    "sessionId": "x1",
    "login": {"password": "x1"},
    "account": "order-4711",  # by the stack's own expression
}


def test_a_value_is_masked_by_its_name_or_by_a_stacks_own_expression(running: Collector) -> None:
    shop = {"service.name": "named", "account": "order-4711"}
    named = [(key, {key: value}) for key, value in SECRET_VALUES.items()]
    running.send("traces", group("traces", shop, *(span(key, own, status=ERROR) for key, own in named)))
    running.send("logs", group("logs", shop, *(record(key, own) for key, own in named)))
    stored = [*spans_of(running, "named", len(named)).values(), *records_of(running, "named", len(named))]
    assert [part for part in stored if "x1" in plain(part) or "order-4711" in plain(part)] == []
    resources = [resource for kind in ("traces", "logs") for resource, _ in running.stored(kind)]
    assert {resource["account"] for resource in resources if resource["service.name"] == "named"} == {"****"}


SECRET = {"token": "x1"}
NO_NUMBERS = {"NaN": float("nan"), "a list": [1.0, float("nan")], "a map": {"a": [float("inf")]}}


def test_a_secret_beside_a_number_that_json_does_not_know_is_masked(running: Collector) -> None:
    beside = [(name, {"n": number, **SECRET}) for name, number in NO_NUMBERS.items()]
    shop = {"service.name": "beside"}
    running.send("traces", group("traces", shop, *(span(name, own, status=ERROR) for name, own in beside)))
    bodies = (record(value, {**SECRET}) for value in NO_NUMBERS.values())
    running.send("logs", group("logs", shop, *(record(name, own) for name, own in beside), *bodies))
    stored = [*spans_of(running, "beside", 3).values(), *records_of(running, "beside", 6)]
    assert [part for part in stored if "x1" in plain(part)] == []


def test_a_secret_of_a_resource_or_a_scope_is_masked_and_what_is_in_it_stays(running: Collector) -> None:
    resource = {
        "service.name": "owners",
        "process.command_args": ["tool", "--password", "x1"],
        "card": "4111 1111 1111 1111",
    }
    own = {"note": "a b", "list": ["a", "b"], "map": {"a": 1}, "number": 5, "account": "order-4711"}
    event = {"name": "an event", "attributes": listed({"note": "a b"})}
    parts = {"traces": span("a span", own, status=ERROR, events=[event]), "logs": record({"a": ["line", 1]}, own)}
    for kind, part in parts.items():
        batch = group(kind, resource, part)
        for scope in batch[KINDS[kind][1]]:
            scope["scope"] = {"name": "s", "attributes": listed(SECRET)}
        running.send(kind, batch)
    outputs = spans_of(running, "owners", 1)["a span"], records_of(running, "owners", 1)[0]
    everything = json.dumps(running.received)
    assert "x1" not in everything
    assert "4111 1111" not in everything
    for stored, part in zip(outputs, parts.values(), strict=True):
        stored["attributes"] = [each for each in stored["attributes"] if each["key"] != "level"]  # that Loki is told
        assert plain(stored) == plain(part).replace("order-4711", "****")


FAILED: dict[str, dict[str, Any]] = {
    "HTTP 500, present name": {"http.response.status_code": 500},
    "HTTP 503, old name": {"http.status_code": 503},
    "HTTP 502 as text": {"http.status_code": "502"},
    "gRPC internal": {"rpc.system": "grpc", "rpc.grpc.status_code": 13},
    "gRPC unavailable, present name": {"rpc.response.status_code": "UNAVAILABLE"},
    "gRPC deadline, of Envoy": {"grpc.status_code": "4"},
    "OpenTracing": {"error": True},
    "OpenTracing, text": {"error": "true"},
}
SUCCEEDED: dict[str, dict[str, Any]] = {
    "HTTP 404": {"http.response.status_code": 404},
    "HTTP of a strange kind": {"http.status_code": "n/a"},
    "gRPC not found, for a server": {"rpc.grpc.status_code": 5},
    "gRPC OK": {"rpc.response.status_code": "OK"},
    "OpenTracing, false": {"error": False},
}


def test_what_failed_is_kept_and_counted_as_an_error_though_its_library_left_the_status_unset(
    running: Collector,
) -> None:
    failed = [span(name, own) for name, own in FAILED.items()]
    failed.append(span("gRPC not found, for a client", {"rpc.grpc.status_code": 5}, kind=3))
    succeeded = [span(name, own) for name, own in SUCCEEDED.items()]
    succeeded.append(span("said to be right", {"http.status_code": 500}, status={"code": 1}))
    running.send("traces", group("traces", {"service.name": "failures"}, *failed, *succeeded))
    spans = spans_of(running, "failures", len(failed))
    assert spans.keys() == {part["name"] for part in failed}
    assert {name for name, part in spans.items() if part["status"].get("code") == 2} == spans.keys()
    counts = calls(running, "failures", len(failed) + len(succeeded))
    assert {name for name, code in counts if code == "STATUS_CODE_ERROR"} == spans.keys()


HEALTHY: dict[str, dict[str, Any]] = {
    "plain": {"url.path": "/healthz"},
    "with a slash": {"url.path": "/healthz/"},
    "path of one's own": {"url.path": "/v1.0/up"},
    "GET 200": {"url.path": "/healthz", "http.request.method": "GET", "http.response.status_code": 200},
    "HEAD, old names": {"http.target": "/ready?full=1", "http.method": "HEAD", "http.status_code": 204},
    "gRPC": {"rpc.service": "grpc.health.v1.Health", "rpc.grpc.status_code": 0},
}
NOT_HEALTHY: dict[str, dict[str, Any]] = {
    "503": {"url.path": "/healthz", "http.response.status_code": 503},
    "404": {"url.path": "/metrics", "http.response.status_code": 404},
    "404 as text": {"url.path": "/metrics", "http.status_code": "404"},
    "POST": {"url.path": "/healthz", "http.request.method": "POST"},
    "DELETE": {"http.target": "/ping", "http.method": "DELETE"},
    "below another path": {"url.path": "/category/health"},
    "above another path": {"url.path": "/healthz/deep"},
    "a longer name": {"url.path": "/healthzz"},
    "a point that is none": {"url.path": "/v1x0/up"},
    "gRPC, unavailable": {"rpc.service": "grpc.health.v1.Health", "rpc.grpc.status_code": 14},
}


def test_only_a_health_check_that_went_well_and_quickly_is_neither_kept_nor_counted(running: Collector) -> None:
    healthy = [span(name, own) for name, own in HEALTHY.items()]
    others = [span(name, own) for name, own in NOT_HEALTHY.items()]
    others.append(span("slow", {"url.path": "/live", "http.request.method": "GET"}, takes=30))
    running.send("traces", group("traces", {"service.name": "health"}, *healthy, *others))
    assert {name for name, _ in calls(running, "health", len(others))} == {part["name"] for part in others}
    assert spans_of(running, "health", 3).keys() == {"503", "slow", "gRPC, unavailable"}


NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "unknown_service"),
    "empty": ({"service.name": ""}, "unknown_service"),
    "number": ({"service.name": 4711}, "4711"),
    "slash": ({"service.name": "team-a/api"}, "team-a/api"),
    "default of Node": ({"service.name": "unknown_service:/usr/bin/node"}, "unknown_service:/usr/bin/node"),
    "other scripts": ({"service.name": "заказы 注文-Ünï_1.2@eu ☕"}, "заказы 注文-Ünï_1.2@eu ☕"),
    "message to everybody": (
        {"service.name": "<!channel> see <https://e.example|x>"},
        "__channel_ see _https:_e.example_x_",
    ),
    "markup": ({"service.name": "*a* `b` ~c~ [d](e)"}, "_a_ _b_ _c_ _d__e_"),
    "template": ({"service.name": "{{ .Labels }} ${x}"}, "__ .Labels __ __x_"),
    "lines": ({"service.name": "a\nb\r\tc\u2028d"}, "a_b__c_d"),
    "terminal": ({"service.name": "a\x1b[2J"}, "a__2J"),
    "direction": ({"service.name": "a\u202eb\u200bc"}, "a_b_c"),
    "quotes": ({"service.name": 'a"} or vector(1) #\\'}, "a__ or vector_1_ __"),
    "long": ({"service.name": 500 * "ü"}, 128 * "ü"),
    "as long as may be": ({"service.name": 128 * "注"}, 128 * "注"),
    "the stack's own": ({"service.name": "node_exporter"}, "application_node_exporter"),
    "begins like the stack's own": ({"service.name": "grafana-agent"}, "grafana-agent"),
}
"""What is sent, what is stored."""


def test_a_service_has_one_name_in_traces_logs_and_metrics(running: Collector) -> None:
    for mark, (name, _) in NAMES.items():
        resource = {"service.namespace": "shop", **name}
        running.send("traces", group("traces", resource, span(mark, status=ERROR)))
        running.send("logs", group("logs", resource, record(mark)))
        running.send("metrics", gauge(resource, "named", {"mark": mark}))

    @until_true
    def all_are_there() -> None:
        traces = {part["name"]: resource["service.name"] for resource, part in running.stored("traces")}
        logs = {str(part["body"].get("stringValue")): resource["service"] for resource, part in running.stored("logs")}
        counted = {labels.get("span_name"): labels.get("job") for labels in series(running.page("prometheus/spans"))}
        measured = {labels.get("mark"): labels.get("job") for labels in series(running.page("prometheus/otlp"))}
        for mark, (_, stored) in NAMES.items():
            names = traces.get(mark), logs.get(mark), counted.get(mark), measured.get(mark)
            assert names == (stored, stored, stored, stored), mark

    all_are_there()


HOUR = 3600
NOT_TAKEN = {"days ago": -48 * HOUR, "four hours ago": -4 * HOUR, "55 minutes ago": -55 * 60, "five minutes ahead": 300,
             "hours ahead": 4 * HOUR}  # fmt: skip
TAKEN = {"half an hour ago": -30 * 60, "now": 0}


def test_a_record_is_found_at_its_own_time_or_when_it_came_and_then_its_own_is_an_attribute(running: Collector) -> None:
    began = time.time_ns()
    times = {name: began + off * 10**9 for name, off in (NOT_TAKEN | TAKEN).items()}
    old = str(began - 4 * HOUR * 10**9)
    records = [
        *(record(name, timeUnixNano=str(at)) for name, at in times.items()),
        record("none", timeUnixNano="0"),
        record("none, but seen", timeUnixNano="0", observedTimeUnixNano=str(began - 10**9)),
        record("none, but seen hours ago", timeUnixNano="0", observedTimeUnixNano=old),
        record("hours ago, but seen", timeUnixNano=old, observedTimeUnixNano=str(began - 10**9)),
        record("beyond all times", timeUnixNano=str(2**64 - 1)),
    ]
    running.send("logs", group("logs", {"service.name": "times"}, *records))
    stored = {part["body"]["stringValue"]: part for part in records_of(running, "times", len(records))}
    at = {name: int(part["timeUnixNano"]) for name, part in stored.items()}
    own = {name: attributes(part["attributes"]).get("own_time") for name, part in stored.items()}
    assert {name: at[name] for name in TAKEN} == {name: times[name] for name in TAKEN}
    assert at["none, but seen"] == began - 10**9
    assert [name for name in (*TAKEN, "none", "none, but seen") if own[name]] == []
    come = stored.keys() - TAKEN.keys() - {"none, but seen"}
    assert [name for name in come if not began <= at[name] <= time.time_ns()] == []
    for name in NOT_TAKEN:
        moment = datetime.fromtimestamp(times[name] // 10**9, UTC)
        assert str(own[name]).startswith(f"{moment:%Y-%m-%dT%H:%M:%S}."), name


def gauge(resource: dict[str, Any], name: str, own: dict[str, Any]) -> dict[str, Any]:
    point = {"timeUnixNano": str(time.time_ns()), "asDouble": 1, "attributes": listed(own)}
    metric = {"name": name, "gauge": {"dataPoints": [point]}}
    return {
        "resource": {"attributes": listed(resource)},
        "scopeMetrics": [{"scope": {"name": "test"}, "metrics": [metric]}],
    }


def series(page: str) -> Iterator[dict[str, str]]:
    for line in page.splitlines():
        if match := re.match(r"(\w+)\{(.*)\} ", line):
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2])
            yield {"__name__": match[1], **{key: json.loads(f'"{value}"') for key, value in labels}}


@until_true
def calls(running: Collector, service: str, count: int) -> set[tuple[str, str]]:
    """Name and status of what was counted, when as much as `count`."""
    pairs = {
        (labels["span_name"], labels["status_code"])
        for labels in series(running.page("prometheus/spans"))
        if labels["__name__"] == "traces_span_metrics_calls_total" and labels.get("job") == service
    }
    assert len(pairs) >= count, pairs
    return pairs


def plain(part: dict[str, Any]) -> str:
    """All texts of a span or record, as they are."""
    return "\n".join(_texts({key: value for key, value in part.items() if key in TEXTS}))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key in sorted(node):
            yield from _texts(node[key])
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    else:
        yield str(node)
