"""The service `incidents`: its description, and its program without any API."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from config.services.correlation import incidents
from config.services.correlation.incidents.program import compose, healing, logs, message, metrics, traces
from config.services.correlation.incidents.program.asking import MOST, Asker, NoAnswerError
from config.services.correlation.incidents.program.evidence import Evidence, collect
from config.services.correlation.incidents.program.page import serve
from config.services.correlation.incidents.program.rules import Rules, RulesError, read
from config.services.correlation.incidents.program.story import QUIET, SETTLED, TOGETHER, Alert, Incident, Key, Story
from config.services.correlation.incidents.program.text import duration, one_line, one_of, percent, quoted
from config.services.metrics.api_proxy import haproxy_cfg
from tests.support.program import config_of, refusal, settings_of

ON: dict[str, Any] = {"notifications": {"incidents": {}}}
JAEGER = "http://127.0.0.1:16686/trace"
NOW = 1_795_521_600.0
"""2026-11-24 12:00 UTC."""


def rules(**differs: Any) -> Rules:
    return read(json.dumps({**json.loads(incidents.rules_file(settings_of(ON))), **differs}))


# What is declared.


def test_it_runs_only_where_it_is_wanted() -> None:
    assert "incidents" not in settings_of().services
    assert "incidents" in settings_of(ON).services


@pytest.mark.parametrize(("key", "value"), [("lines", 0), ("lines", 21), ("traces", 11), ("traces", -1), ("words", 1)])
def test_a_wrong_number_is_refused(key: str, value: int) -> None:
    assert f"notifications.incidents.{key}" in refusal({"notifications": {"incidents": {key: value}}})


def test_it_has_no_secret_and_asks_by_the_ports_that_only_read() -> None:
    config = config_of("incidents", settings_of(ON, secrets=["slack_webhook", "grafana_password"]))
    assert not config.secrets
    apis = json.loads(config.files[incidents.RULES])["apis"]
    others = {name: url for name, url in apis.items() if "//api_proxy:" not in url}
    assert others == {"alerts": "http://alertmanager:9093", "docker": "http://socket_proxy:2375"}


def test_the_ports_that_only_read_are_there_without_a_grafana() -> None:
    front = haproxy_cfg(settings_of(ON))
    assert set(re.findall(r"frontend grafana\.(\w+)", front)) == {"prometheus", "loki", "jaeger", "alertmanager"}
    assert "backend grafana\n" not in front


def test_the_program_takes_the_rules_that_are_rendered_and_is_judged_as_it_arrives(tmp_path: Path) -> None:
    config = config_of("incidents", settings_of(ON))
    for name, text in config.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert judged(tmp_path).returncode == 0
    (tmp_path / incidents.RULES).write_text(config.files[incidents.RULES].replace('"lines": 5', '"lines": 500'))
    refused = judged(tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == "rules.json: lines: is not between 1 and 20\n"


def judged(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "program", "--check", "rules.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("differs", "complaint"),
    [
        ({"lines": "5"}, "lines: is not a int"),
        ({"more": 1}, "other keys than this version knows: more"),
        ({"apis": {"loki": "http://loki"}}, "apis: has other keys than"),
        ({"trace": "ftp://jaeger/"}, "trace: is not an address"),
        ({"links": {"evil_url": "http://x"}}, "links: has other keys than"),
        ({"own": [1]}, "own: is not a str"),
    ],
)
def test_rules_that_say_nonsense_are_refused(differs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RulesError, match=re.escape(complaint)):
        rules(**differs)


# Text from outside.


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        ("orders", '"orders"'),
        ('a"} or vector(1) #', r'"a\"} or vector(1) #"'),
        ("a\\", r'"a\\"'),
        ("a\nb", r'"a\nb"'),
        ("`a`", '"`a`"'),
        ("注文", '"注文"'),
        ("half \ud800", '"half ?"'),
    ],
)
def test_a_name_is_quoted_in_a_query(name: str, literal: str) -> None:
    assert quoted(name) == literal


def test_a_name_in_a_regular_expression_matches_only_itself() -> None:
    assert one_of(["a.b", "c|d"]) == r'"a\\.b|c\\|d"'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n\n> b\r\tc", "a > b c"),
        ("a\x1b[2Jb\u202egpj", "a [2Jb gpj"),
        ("long " * 10, "long long long long…"),
        ("注文", "注文"),
    ],
)
def test_text_from_outside_is_one_bounded_line(text: str, line: str) -> None:
    assert one_line(text, 20) == line


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.85, "850 ms"), (1.5, "1.5 s"), (90, "90 s"), (600, "10 min")]
)  # fmt: skip
def test_a_duration_is_readable(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_small_ratio_keeps_its_digit() -> None:
    assert [percent(0.4), percent(0.004)] == ["40 %", "0.4 %"]


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("payment of order 4711 refused after 30 ms", "payment of order … refused after … ms"),
        ('{"level":"error","msg":"no route to 10.0.0.1"}', "no route to ….….….…"),
        ("id 0f8fad5b-d9cb-469f-a165-70867728950e is unknown", "id … is unknown"),
        ("{" * 2000, "{" * 159 + "…"),
    ],
)
def test_lines_that_mean_the_same_are_counted_together(line: str, meaning: str) -> None:
    assert logs.meaning(line) == meaning


# Traces.


def span(identifier: str, parent: str, service: str, took: float = 1.0, *, failed: bool = False) -> traces.Span:
    return traces.Span(identifier, parent, service, f"work of {service}", took, failed)


FAILING = traces.Trace(
    "0af7651916cd43dd8448eb211c80319c",
    NOW,
    (
        span("a", "", "gateway", 1.2, failed=True),
        span("b", "a", "orders", 1.1, failed=True),
        span("c", "b", "users", 0.1),
        span("d", "b", "postgres", 0.2),
    ),
)
SLOW = traces.Trace(
    "1af7651916cd43dd8448eb211c80319c",
    NOW,
    (span("a", "", "gateway", 3.0), span("b", "a", "orders", 2.9), span("c", "b", "users", 0.1)),
)


def test_a_failure_begins_in_the_deepest_span_that_failed() -> None:
    failure = traces.origin(FAILING)
    assert failure
    assert failure.service == "orders"
    assert traces.origin(SLOW) is None


def test_the_slowest_span_is_the_one_that_waits_for_nobody() -> None:
    assert traces.slowest(SLOW).service == "orders"


def test_spans_in_a_circle_end() -> None:
    circle = traces.Trace("a" * 16, NOW, (span("a", "b", "x", failed=True), span("b", "a", "y", failed=True)))
    assert traces.origin(circle) is None
    assert circle.root.identifier == "a"


# Since when, and after which change.


def course(*values: float) -> list[tuple[float, float]]:
    """One value every 15 seconds until now."""
    return [(NOW - 15 * (len(values) - 1 - number), value) for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "began"),
    [
        ([0.0] * 200 + [0.1, 0.2, 0.4, 0.4], 3 * 15),
        ([0.01] * 200 + [0.012] * 4 + [0.2, 0.4], 1 * 15),
        ([0.0] * 100 + [0.4] * 5 + [0.0] * 100 + [0.3, 0.3], 1 * 15),
        ([0.0] * 200 + [0.4] * 20, 19 * 15),
    ],
    ids=["from nothing", "from a few", "after an earlier one that is over", "minutes ago"],
)
def test_an_incident_began_when_its_symptom_left_what_is_usual(values: list[float], began: float) -> None:
    judgement = metrics._judged(course(*values), NOW)
    assert judgement
    assert judgement.began == NOW - began
    assert judgement.worst == max(values[-20:])


@pytest.mark.parametrize("values", [[], [0.0] * 240], ids=["nothing counts it", "nothing happened"])
def test_nothing_began_if_nothing_is_worse(values: list[float]) -> None:
    judgement = metrics._judged(course(*values), NOW)
    assert judgement is None or judgement.began is None


NEW = metrics.Change(NOW - 90, "orders", "docker.io/shop/orders:1.8", "docker.io/shop/orders:1.7")
RESTARTED = metrics.Change(NOW - 10, "orders", "shop/orders:1.8", "")
ELSEWHERE = metrics.Change(NOW - 20, "users", "shop/users:2", "shop/users:1")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ([NEW, RESTARTED], NEW),
        ([ELSEWHERE, NEW], NEW),
        ([ELSEWHERE, RESTARTED], ELSEWHERE),
        ([RESTARTED], RESTARTED),
        ([replace(RESTARTED, service="users")], None),
        ([replace(RESTARTED, at=NOW - 1000)], None),
        ([replace(NEW, at=NOW - 4000), replace(NEW, at=NOW + 120)], None),
    ],
    ids=[
        "another image first",
        "its own image first",
        "an image elsewhere before its own start",
        "its own start",
        "no start elsewhere",
        "no start long before",
        "no image long before, nor afterwards",
    ],
)
def test_the_last_change_before_it_may_be_the_cause(
    changes: list[metrics.Change], cause: metrics.Change | None
) -> None:
    assert metrics.cause(changes, "orders", NOW) == cause


# The message.


def evidence(**differs: Any) -> Evidence:
    values: dict[str, Any] = {
        "errors": metrics.Course(0.4, NOW),
        "worse": {"errors": {"orders": 0.4, "gateway": 0.38}, "p95": {}},
        "lines": logs.Lines(
            (logs.Line(NOW + 2, "orders", "payment of order 4711 refused", FAILING.identifier),),
            (("payment of order … refused", 37),),
            50,
        ),
        "failing": [FAILING],
        "slow": [SLOW],
        "cause": NEW,
        "deployment": logs.Line(NOW - 60, "deployments", '{"message": "loki: memory 512 MiB → 1024 MiB"}', ""),
    }
    return Evidence("orders", NOW, **{**values, **differs})


ALERTS = [("ApplicationErrorsHigh", "orders"), ("ApplicationErrorsHigh", "gateway")]


def test_a_message_says_who_what_since_when_and_after_which_change() -> None:
    annotations = message.annotations(evidence(), ALERTS, rules())
    assert annotations["headline"] == (
        "orders: 40 % errors since 12:00:00 UTC; began 90 s after image shop/orders:1.8 replaced 1.7"
    )
    assert annotations["evidence"].splitlines() == [
        "Changed at 11:58:30 UTC in orders: image shop/orders:1.8 replaced 1.7",
        "To go back: run shop/orders:1.7 for orders again",
        "Most frequent (37 of 50 errors): payment of order … refused",
        "12:00:02 UTC orders: payment of order 4711 refused",
        f"Trace {JAEGER}/{FAILING.identifier} (work of gateway took 1.2 s, fails in orders: work of orders)",
        f"Trace {JAEGER}/{SLOW.identifier} (work of gateway took 3.0 s, most of it in orders: work of orders)",
        "Errors elsewhere: gateway 38 %",
        "Alerts: ApplicationErrorsHigh (gateway, orders)",
        "Deployment of the observability stack at 11:59:00 UTC: loki: memory 512 MiB → 1024 MiB",
    ]


def test_who_deploys_this_program_goes_back_to_the_commit_before() -> None:
    annotations = message.annotations(evidence(commit_before="4f2a1c9"), ALERTS, rules())
    assert annotations["evidence"].splitlines()[-1] == "To go back with it: git checkout 4f2a1c9 && make up STACK=test"


COMPOSED = compose.Deployed("orders", "orders-api", "shop", "/srv/shop", ("/srv/shop/a.yaml", "/srv/shop/b.yaml"), ())


def back(**differs: Any) -> str:
    return replace(COMPOSED, **differs).back_to("docker.io/shop/orders:1.7")


def test_who_was_deployed_by_compose_goes_back_by_one_command() -> None:
    annotations = message.annotations(evidence(composed=[COMPOSED]), ALERTS, rules())
    assert annotations["evidence"].splitlines()[1] == (
        """To go back: echo '{"services":{"orders-api":{"image":"docker.io/shop/orders:1.7"}}}' | docker compose -p shop """
        "--project-directory /srv/shop -f /srv/shop/a.yaml -f /srv/shop/b.yaml -f - up -d --no-deps --no-build orders-api"
    )


@pytest.mark.parametrize(
    "differs",
    [
        {"folder": "/srv/my shop"},
        {"folder": "/srv/$(reboot)"},
        {"project": "shop;reboot"},
        {"project": "-f"},
        {"files": ("/srv/shop/a.yaml'",)},
        {"files": ("/srv/shop/_a.yaml",)},
        {"files": ("/srv/shop/a.yaml\n",)},
        {"in_project": "orders`id`"},
        {"in_project": ""},
        {"files": tuple(f"/srv/shop/{number}/compose.yaml" for number in range(40))},
    ],
)
def test_what_would_need_quotes_makes_no_command(differs: dict[str, Any]) -> None:
    assert back()
    assert back(**differs) == ""
    annotations = message.annotations(evidence(composed=[replace(COMPOSED, **differs)]), ALERTS, rules())
    assert "To go back: run shop/orders:1.7 for orders again" in annotations["evidence"]


def test_an_image_without_a_name_makes_no_command() -> None:
    assert COMPOSED.back_to(f"sha256:{'a' * 64}") == ""


def test_two_projects_with_one_service_make_no_command() -> None:
    other = replace(COMPOSED, project="another")
    assert compose.of_service([COMPOSED, COMPOSED], "orders") == COMPOSED
    assert compose.of_service([COMPOSED, other], "orders") is None
    assert compose.of_service([COMPOSED], "orders-api") is None


def test_what_was_done_stands_first_once_and_leaves_room_for_the_rest() -> None:
    before = message.annotations(evidence(), ALERTS, rules())
    after = message.with_actions(before, ["done: a"])
    assert after["evidence"] == f"Self-healing: done: a\n{before['evidence']}"
    assert message.with_actions(after, ["done: a"]) == after
    many = message.with_actions(after, [f"denied: {number} " + "x" * 250 for number in range(30)])
    lines = many["evidence"].splitlines()
    assert [line.split()[2] for line in lines[:6]] == ["25", "26", "27", "28", "29", "11:58:30"]
    assert len(many["evidence"]) <= message.TOTAL


@pytest.mark.parametrize(
    ("decision", "alerts", "mention"),
    [
        ({}, {("A", "orders")}, True),
        ({"alert": "B"}, {("A", "orders")}, False),
        ({"service": "users"}, {("A", "orders")}, False),
        ({"at": NOW - 3600}, {("A", "orders")}, False),
        ({"alert": "B"}, set(), True),
        ({"service": "users"}, set(), False),
    ],
    ids=["its own", "another alert", "another service", "of an hour ago", "after a restart", "another one then"],
)
def test_an_incident_tells_what_was_done_about_its_own_alerts(
    api: tuple[type["_Api"], str], decision: dict[str, Any], alerts: set[Key], *, mention: bool
) -> None:
    handler, url = api
    entry = {"at": NOW, "event": "acted", "alert": "A", "service": "orders", "said": "done: restart x"}
    handler.body = json.dumps([entry | decision]).encode()
    incident = Incident("orders", "critical", NOW, {"evidence": "Alerts: A (orders)"}, alerts)
    healing.tell(Asker(), {"healer": url}, [incident])
    assert ("Self-healing: done: restart x (12:00:00 UTC)" in incident.annotations["evidence"]) is mention


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"[{}]", b"null", b"<"])
def test_a_healer_that_cannot_be_understood_is_no_news(api: tuple[type["_Api"], str], body: bytes) -> None:
    handler, url = api
    handler.body = body
    incident = Incident("orders", "critical", NOW, {"evidence": "x"}, set())
    healing.tell(Asker(), {"healer": url}, [incident])
    assert incident.annotations == {"evidence": "x"}


def test_a_message_links_to_the_service_that_is_to_blame() -> None:
    links = read(incidents.rules_file(settings_of(ON, secrets=["grafana_password"])))
    annotations = message.annotations(evidence(), ALERTS, links)
    assert "var-service=orders" in annotations["dashboard_url"]
    assert "service%3D%5C%22orders%5C%22" in annotations["logs_url"]
    assert "service=orders" in annotations["traces_url"]


def test_without_jaeger_the_newest_line_tells_the_trace() -> None:
    annotations = message.annotations(evidence(failing=[], slow=[]), ALERTS, rules())
    assert f"Trace {JAEGER}/{FAILING.identifier} (of a line)" in annotations["evidence"]


def test_a_change_elsewhere_says_where() -> None:
    annotations = message.annotations(evidence(cause=ELSEWHERE), ALERTS, rules())
    assert annotations["headline"].endswith("began 20 s after image shop/users:2 replaced 1 in users")


def test_a_start_is_told_too() -> None:
    annotations = message.annotations(evidence(cause=RESTARTED), ALERTS, rules())
    assert annotations["headline"].endswith("began 10 s after a container was started")
    assert "To go back" not in annotations["evidence"]


def test_a_message_says_what_is_missing() -> None:
    silent = ("Loki did not answer", "Jaeger did not answer")
    nothing = Evidence("orders", NOW, unanswered=silent)
    annotations = message.annotations(nothing, ALERTS, rules())
    assert annotations["headline"] == "orders: alerts since 12:00:00 UTC"
    assert annotations["evidence"].splitlines()[:2] == [f"{one}: what it knows is missing here." for one in silent]


def test_a_message_has_room_for_what_matters_whatever_comes_from_outside() -> None:
    long = "x\n" * 10_000
    lines = tuple(logs.Line(NOW, long, long, "") for _ in range(20))
    spans = (traces.Span("a", "", long, long, 1.0, failed=True),)
    flood = evidence(
        lines=logs.Lines(lines, ((one_line(long, 160), 1),), 20),
        failing=[traces.Trace("a" * 16, NOW, spans)] * 10,
        cause=metrics.Change(NOW, long, long, long),
        worse={"errors": {long + str(number): 1.0 for number in range(6)}, "p95": {}},
    )
    annotations = message.annotations(flood, [(long, long + str(number)) for number in range(1000)], rules())
    assert len(annotations["evidence"]) <= message.TOTAL
    assert len(annotations["headline"]) < 600
    assert "Changed" in annotations["evidence"]


# Which alerts are one incident.


class Recorder:
    """Stands for the evidence: blames as `blames` says, and remembers what was asked and reported."""

    def __init__(self, **blames: str) -> None:
        self.blames = blames
        self.requests: list[Alert] = []
        self.events: list[tuple[str, str, str]] = []
        self.story = Story(self.tell, self.report)

    def tell(self, alert: Alert, _: Iterable[Key]) -> tuple[str, dict[str, str]]:
        self.requests.append(alert)
        return self.blames.get(alert.service, alert.service), {"headline": alert.name}

    def report(self, event: str, incident: Incident) -> None:
        self.events.append((event, incident.service, incident.severity))

    def look(self, at: float, *alerts: Alert) -> None:
        self.story.look(alerts, at)


def alert(name: str, service: str, severity: str = "critical") -> Alert:
    return Alert(name, service, severity, NOW)


ERRORS = [alert("ApplicationErrorsHigh", "gateway"), alert("ApplicationErrorsHigh", "orders")]
BURST = alert("LogErrorBurst", "nginx", "warning")


def test_alerts_that_come_together_are_one_incident_and_blame_one_service() -> None:
    recorder = Recorder(gateway="orders")
    recorder.look(0, ERRORS[0])
    recorder.look(SETTLED, *ERRORS)
    recorder.look(SETTLED + 5, *ERRORS, BURST)
    assert recorder.events == [("began", "orders", "critical"), ("joined", "orders", "critical")]
    assert len(recorder.requests) == 1


def test_an_alert_that_comes_later_is_an_incident_of_its_own() -> None:
    recorder = Recorder()
    recorder.look(0, BURST)
    recorder.look(SETTLED, BURST)
    later = SETTLED + TOGETHER + 1
    recorder.look(later, BURST, ERRORS[1])
    recorder.look(later + SETTLED, BURST, ERRORS[1])
    assert [event for event, _, _ in recorder.events] == ["began", "began"]


def test_a_second_incident_of_a_service_joins_the_first() -> None:
    recorder = Recorder(gateway="orders")
    recorder.look(0, ERRORS[1])
    recorder.look(SETTLED, ERRORS[1])
    later = SETTLED + TOGETHER + 1
    recorder.look(later, *ERRORS)
    recorder.look(later + SETTLED, *ERRORS)
    assert [event for event, _, _ in recorder.events] == ["began", "joined"]
    assert [one.labels for one in recorder.story.open] == [
        {"alertname": "Incident", "service": "orders", "severity": "critical"}
    ]


def test_an_incident_that_becomes_worse_is_told_anew() -> None:
    recorder = Recorder(orders="orders")
    recorder.look(0, BURST)
    recorder.look(SETTLED, BURST)
    recorder.look(SETTLED + 5, BURST, *ERRORS[1:])
    assert recorder.events[-1] == ("rose", "orders", "critical")
    assert [(one.service, one.severity) for one in recorder.story.over] == [("nginx", "warning")]


def test_an_incident_ends_with_the_last_of_its_alerts() -> None:
    recorder = Recorder()
    recorder.look(0, BURST)
    recorder.look(SETTLED, BURST)
    recorder.look(SETTLED + QUIET)
    assert len(recorder.story.open) == 1
    recorder.look(SETTLED + QUIET + 1)
    assert recorder.events[-1][0] == "ended"
    assert [one.service for one in recorder.story.over] == ["nginx"]


def test_a_milder_alert_that_stays_keeps_no_incident_open_and_makes_none() -> None:
    recorder = Recorder()
    stays = alert("ContainerMemoryHigh", "orders", "warning")
    recorder.look(0, ERRORS[1], stays)
    recorder.look(SETTLED, ERRORS[1], stays)
    for after in (1, QUIET + 1, 2 * QUIET):
        recorder.look(SETTLED + after, stays)
    assert [event for event, *_ in recorder.events] == ["began", "ended"]
    again = SETTLED + 3 * QUIET
    recorder.look(again, ERRORS[1], stays)
    recorder.look(again + SETTLED, ERRORS[1], stays)
    assert recorder.events[-1] == ("began", "orders", "critical")


def test_what_was_told_before_a_restart_is_not_told_again() -> None:
    recorder = Recorder(gateway="orders")
    recorder.story.adopt([Incident("orders", "critical", -1000, {"headline": "known"}, seen=0)])
    recorder.look(1, *ERRORS)
    recorder.look(1 + SETTLED, *ERRORS)
    assert ("began", "orders", "critical") not in recorder.events
    assert [one.annotations for one in recorder.story.open] == [{"headline": "known"}]


def test_a_flood_of_alerts_is_bounded() -> None:
    recorder = Recorder()
    for number in range(100):
        now = number * (TOGETHER + 2 * SETTLED)
        flood = [alert("A", f"s{one}") for one in range(number + 1)]
        recorder.look(now, *flood)
        recorder.look(now + SETTLED, *flood)
    assert len(recorder.story.open) == 20
    assert recorder.story.left_out


def test_a_flood_of_alerts_of_one_incident_is_bounded() -> None:
    recorder = Recorder()
    recorder.look(0, BURST)
    recorder.look(SETTLED, BURST)
    for number in range(10):
        recorder.look(SETTLED + number, *(alert("A", f"s{100 * number + one}") for one in range(100)))
    [incident] = recorder.story.open
    assert len(incident.alerts) == 200
    assert recorder.story.left_out


# Questions to APIs.


class _Api(BaseHTTPRequestHandler):
    status, body, wait = 200, b"{}", 0.0

    def do_GET(self) -> None:
        time.sleep(self.wait)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[type[_Api], str]]:
    handler = type("Api", (_Api,), {})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "wait", "words"),
    [
        (503, b"", 0, "Loki answered with status 503"),
        (200, b"<html>", 0, "Loki answered with what is not JSON"),
        (200, b"[" * 100_000, 0, "Loki answered with what is not JSON"),
        (200, b" " * (MOST + 1), 0, "Loki answered more than 1 MiB"),
        (200, b"{}", 1, "Loki did not answer"),
    ],
    ids=["an error", "no JSON", "a deep nesting", "without end", "too late"],
)
def test_an_answer_that_cannot_be_used_is_told_in_words(
    api: tuple[type[_Api], str], status: int, body: bytes, wait: float, words: str
) -> None:
    handler, url = api
    handler.status, handler.body, handler.wait = status, body, wait
    asker = Asker()
    with pytest.raises(NoAnswerError, match=words):
        asker.get("Loki", url, "/", time.monotonic() + 0.5)
    assert dict(asker.counts) == {("Loki", False): 1}


def test_a_client_that_leaves_early_writes_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    def page() -> str:
        raise BrokenPipeError

    server = serve(0, {"/metrics": page}, lambda: True)
    with pytest.raises(NoAnswerError):
        Asker().get("it", f"http://127.0.0.1:{server.server_port}", "/metrics", time.monotonic() + 5)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": {"result": [1]}}', b'{"data": [{"spans": 1}]}', b"null"])
def test_an_answer_of_another_shape_is_missing_and_named(api: tuple[type[_Api], str], body: bytes) -> None:
    handler, url = api
    handler.body = body
    program_rules = rules(apis=dict.fromkeys(rules().apis, url))
    result = collect(Asker(), program_rules, "orders", NOW)
    assert set(result.unanswered) == {
        f"{whom} answered what is not understood" for whom in ("Loki", "Jaeger", "Prometheus")
    }
    assert result.service == "orders"


def test_who_is_not_there_is_told_at_once() -> None:
    with pytest.raises(NoAnswerError, match="Loki did not answer"):
        Asker().get("Loki", "http://127.0.0.1:1", "/", time.monotonic() + 5)
