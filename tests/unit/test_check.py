"""The post-deploy check finds what is broken; the services' answers are recorded here, the real ones are in e2e."""

import io
import json
import re
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from docker.errors import NotFound
from rich.console import Console

import check
from check import containers, files, logs, metrics, request, traces
from check.finding import Finding
from config.additions import Additions
from config.own_jobs import OwnJob
from config.services import descriptions
from config.services.metrics import scrape
from config.services.traces import jaeger, otel_collector
from config.settings import Settings
from config.settings.logs import Logs
from config.settings.traces import Traces
from config.sizes import MIB
from engine import docker_api
from operate import commands
from tests.support.fetched_pages import answer_pages
from tests.support.program import PINNED_STORAGE

SETTINGS = Settings.model_validate({"environment": "test", "prefix": "ns", "metrics": {"retention": {"time": "60d"}}})


@pytest.fixture(autouse=True)
def _fakes_run_commands_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api, "run_inside", lambda service, command: service.exec_run(command))
    answer_pages(monkeypatch, lambda service, url: service.exec_run([url]))


def ago(seconds: float) -> str:
    """A time as the engine writes it."""
    return f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.123456789Z"


def container(**changes: Any) -> dict[str, Any]:
    """What the engine says of a container that keeps every promise, but for `changes`."""
    limit = changes.pop("limit", 2048)
    state = {"Status": "running", "Health": {"Status": "healthy"}, **changes}
    asks = {"Healthcheck": {"Test": ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9090/-/ready"]}}
    return {"State": state, "HostConfig": {"Memory": limit * MIB, "MemorySwap": limit * MIB}, "Config": asks}


class Engine:
    """Stands for the Docker client: one container per service, and one answer per path."""

    def __init__(
        self,
        *,
        answers: dict[str, Any] | None = None,
        files: dict[tuple[str, str], str] | None = None,
        **services: dict[str, Any] | None,
    ) -> None:
        self.services, self.answers, self.files = services, answers or {}, files or {}
        self.containers = self

    def get(self, name: str) -> Any:
        service = name.removeprefix("ns-")
        attributes = self.services.get(service, container(limit=SETTINGS.memory_mib(service)))
        if attributes is None:
            raise NotFound(name)
        return SimpleNamespace(
            id=service,
            attrs=attributes,
            exec_run=self.exec_run,
            get_archive=partial(self.get_archive, service),
        )

    def get_archive(self, service: str, path: str) -> tuple[list[bytes], None]:
        folder = path.removeprefix("/config/current/").removesuffix(".")
        of_service = ((name, text) for (of, name), text in self.files.items() if of == service)
        texts = {name.removeprefix(folder): text for name, text in of_service if name.startswith(folder)}
        if not texts:
            raise NotFound(path)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in texts.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        return [packed.getvalue()], None

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        for path, answer in self.answers.items():
            if path in command[-1]:
                return 0, (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        return 1, b"wget: server returned error: HTTP/1.1 404 Not Found"


def broken(findings: Any) -> list[str]:
    return [finding.what for finding in findings if not finding.kept]


def test_containers_that_keep_every_promise_are_not_complained_of() -> None:
    assert broken(containers.findings(Engine(), SETTINGS)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prometheus", "complaint"),
    [
        (None, "prometheus runs"),
        (container(Status="exited"), "prometheus is healthy"),
        (container(Status="paused"), "prometheus is healthy"),
        (container(Health={"Status": "unhealthy", "FailingStreak": 3}), "prometheus is healthy"),
        (container(Health={"Status": "starting"}), "prometheus is healthy"),
        # Made when the test runs: minutes may pass between that and now.
        (lambda: container(OOMKilled=True, StartedAt=ago(10)), "prometheus is healthy"),
        (container(OOMKilled=True, StartedAt=ago(100), Status="restarting"), "prometheus is healthy"),
        (container(limit=4096), "prometheus is limited to 2048 MiB"),
        (container(limit=0), "prometheus is limited to 2048 MiB"),
        (container(limit=-1), "prometheus is limited to 2048 MiB"),
    ],
    ids=[
        "gone",
        "exited",
        "paused",
        "unhealthy",
        "not healthy yet",
        "killed for memory",
        "killed for memory again",
        "limit raised by hand",
        "no limit",
        "limit lifted by hand",
    ],
)
def test_a_container_that_breaks_a_promise_is_named(
    prometheus: dict[str, Any] | Callable[[], dict[str, Any]] | None, complaint: str
) -> None:
    service = prometheus() if callable(prometheus) else prometheus
    assert broken(containers.findings(Engine(prometheus=service), SETTINGS)) == [complaint]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("health", "complaints"),
    [
        ({"Status": "starting", "FailingStreak": 0}, []),
        ({"Status": "starting", "FailingStreak": 1}, []),
        ({"Status": "unhealthy", "FailingStreak": 0}, []),
        ({"Status": "unhealthy", "FailingStreak": 3}, ["prometheus is healthy"]),
    ],
    ids=["young", "young, and was slow", "was paused", "has failed"],
)
def test_a_container_that_the_engine_has_not_asked_yet_is_asked_the_same(
    health: dict[str, Any], complaints: list[str]
) -> None:
    engine = Engine(prometheus=container(Health=health), answers={"/-/ready": "ok"})
    assert broken(containers.findings(engine, SETTINGS)) == complaints  # type: ignore[arg-type]


def test_a_kill_for_memory_counts_until_the_container_runs_for_a_minute_again() -> None:
    again = Engine(prometheus=container(OOMKilled=True, StartedAt=ago(100)))
    assert broken(containers.findings(again, SETTINGS)) == []  # type: ignore[arg-type]


# Files.

OWN_RULES = {"shop.yml": "groups: []\n"}


def delivered(changes: dict[tuple[str, str], str | None]) -> Engine:
    """Services that have all their files; `changes`: what is in one of them instead."""
    texts = {
        (service, name): text
        for service in SETTINGS.services
        if (config := descriptions.describe(service, SETTINGS, Additions(rules=OWN_RULES)).config)
        for name, text in config.files.items()
    }
    assert changes.keys() <= texts.keys()
    return Engine(files={key: text for key, text in {**texts, **changes}.items() if text is not None})


def test_files_that_are_as_declared_are_not_complained_of() -> None:
    findings = list(files.findings(delivered({}), SETTINGS, Additions(rules=OWN_RULES)))  # type: ignore[arg-type]
    assert {"prometheus", "loki", "alloy", "otel_collector", "jaeger"} <= {
        finding.what.split()[3] for finding in findings
    }
    assert broken(findings) == []


@pytest.mark.parametrize(
    ("service", "file", "text"),
    [
        ("otel_collector", "collector.yml", "receivers: {}"),
        ("otel_collector", "collector.yml", None),
        ("prometheus", "rules/own-shop.yml", "groups: [] "),
    ],
    ids=["other text", "not there", "the user's own"],
)
def test_a_file_that_was_changed_by_hand_is_named(service: str, file: str, text: str | None) -> None:
    engine: Any = delivered({(service, file): text})
    [finding] = [
        finding for finding in files.findings(engine, SETTINGS, Additions(rules=OWN_RULES)) if not finding.kept
    ]
    assert finding.what == f"the files of {service} are as declared"
    assert finding.detail.endswith(f": {file}")


# Metrics.

HOSTS_TRAFFIC = "/api/v1/query?query=node_netstat_IpExt_InOctets"


def bytes_received(count: int) -> dict[str, Any]:
    return {"data": {"result": [{"metric": {}, "value": [0, str(count)]}]}}


WELL: dict[str, Any] = {
    "/api/v1/targets": {
        "data": {
            "activeTargets": [
                {"labels": {"job": job, "instance": job}, "health": "up", "lastError": ""}
                for job in sorted(scrape.watched(SETTINGS) - {"application"}, key=lambda job: job != "prometheus")
            ]
        }
    },
    "/api/v1/status/runtimeinfo": {"data": {"storageRetention": "60d or 45GiB"}},
    "/api/v1/rules": {"data": {"groups": [{"rules": [{"name": "Watchdog", "health": "ok"}]}]}},
    "/api/v1/alertmanagers": {"data": {"activeAlertmanagers": [{"url": "http://alertmanager:9093"}]}},
    "/api/v2/alerts": [{"labels": {"alertname": "Watchdog"}}],
    HOSTS_TRAFFIC: bytes_received(7_000_000),
    "/api/v1/query?query=process_network_receive_bytes_total": bytes_received(2_000_000),
    "/api/v1/query": {"data": {"result": [{"metric": {"name": f"ns-{name}"}} for name in SETTINGS.services]}},
    "/api/v1/status/tsdb": {
        "data": {"labelValueCountByLabelName": [{"name": "le", "value": 500}, {"name": "id", "value": 101}]}
    },
    "/api/v1/label/id/values?match[]=": {"data": ["of the stack's own"]},
}


def complaints(path: str, answer: Any) -> list[str]:
    others = {other: text for other, text in WELL.items() if other != path}
    return broken(metrics.findings(Engine(answers={path: answer, **others}), SETTINGS))  # type: ignore[arg-type]


def test_services_that_keep_every_promise_are_not_complained_of() -> None:
    assert broken(metrics.findings(Engine(answers=WELL), SETTINGS)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        ("/api/v1/status/runtimeinfo", {"data": {"storageRetention": "15d or 45GiB"}}, "metrics are kept 60d, at most 45GiB"),
        ("/api/v1/status/runtimeinfo", {"data": {"storageRetention": "60d"}}, "metrics are kept 60d, at most 45GiB"),
        (
            "/api/v1/rules",
            {"data": {"groups": [{"rules": [{"name": "Sick", "health": "err", "lastError": "many-to-many"}]}]}},
            "every rule can be evaluated",
        ),
        ("/api/v1/alertmanagers", {"data": {"activeAlertmanagers": []}}, "Prometheus knows its Alertmanager"),
        ("/api/v2/alerts", [], "the dead man's switch reaches Alertmanager"),
        (
            "/api/v1/query?query=container_memory_working_set_bytes",
            {"data": {"result": []}},
            "cAdvisor sees every container",
        ),
        (HOSTS_TRAFFIC, bytes_received(1_999_000), "node_exporter counts the traffic of the host"),
        (HOSTS_TRAFFIC, {"data": {"result": []}}, "node_exporter counts the traffic of the host"),
        (
            "/api/v1/label/id/values?match[]=",
            {"data": [f"user-{number}" for number in range(101)]},
            "no label of applications' metrics has more than 100 values",
        ),
    ],
    ids=[
        "shorter time", "no size", "a rule that fails", "no Alertmanager", "no Watchdog", "cAdvisor blind",
        "node_exporter in another network", "node_exporter without network",
        "a label without bound",
    ],
)  # fmt: skip
def test_a_promise_that_prometheus_breaks_is_named(path: str, answer: Any, complaint: str) -> None:
    assert complaints(path, answer) == [complaint]


def test_a_target_that_is_down_is_told_with_its_error() -> None:
    targets = [dict(target) for target in WELL["/api/v1/targets"]["data"]["activeTargets"]]
    targets[0] |= {"health": "down", "lastError": "connection refused"}
    answers = {**WELL, "/api/v1/targets": {"data": {"activeTargets": targets}}}
    findings = [f for f in metrics.findings(Engine(answers=answers), SETTINGS) if not f.kept]  # type: ignore[arg-type]
    assert findings == [Finding("targets of prometheus are up", kept=False, detail="prometheus: connection refused")]


def test_a_prometheus_that_does_not_answer_is_one_broken_promise() -> None:
    assert broken(metrics.findings(Engine(), SETTINGS)) == ["Prometheus and Alertmanager answer"]  # type: ignore[arg-type]


def test_a_job_of_the_users_own_is_told_and_breaks_no_promise() -> None:
    own = [
        {"scrapePool": "shop", "labels": {"job": "x", "instance": address}, "health": health, "lastError": error}
        for address, health, error in (("a:1", "up", ""), ("b:1", "down", "refused"))
    ]
    well = WELL["/api/v1/targets"]["data"]["activeTargets"]
    others = [{**target, "scrapePool": target["labels"]["job"]} for target in well]
    answers = {**WELL, "/api/v1/targets": {"data": {"activeTargets": [*others, *own]}}}
    findings = metrics.findings(Engine(answers=answers), SETTINGS, [OwnJob({"job_name": "shop"})])  # type: ignore[arg-type]
    [finding] = [one for one in findings if "your job" in one.what]
    assert (finding.what, finding.kept, finding.detail) == (
        "your job shop is scraped",
        True,
        "1 of 2 targets are up; b:1: refused",
    )


# Logs.

LIMITS = "retention_period: 4w2d\nmax_global_streams_per_user: 1000\nretention_stream: []\n"
LOGS_WELL: dict[str, Any] = {
    "/config/tenant/v1/limits": LIMITS,
    "loki:3100/config": "compactor: {retention_enabled: true}\n",
    "/prometheus/api/v1/rules": {"data": {"groups": [{"rules": [{"name": "LogErrorBurst", "health": "ok"}]}]}},
    "loki:3100/metrics": 'loki_prometheus_notifications_alertmanagers_discovered{user="fake"} 1\n',
    "alloy:12345/metrics": 'loki_write_sent_entries_total{host="loki:3100"} 7\nother 1\n',
    "/loki/api/v1/labels": {"status": "success", "data": ["service"]},
    "/loki/api/v1/label/service/values": {"status": "success", "data": ["orders"]},
}


def complaints_of_logs(answers: dict[str, Any], settings: Settings = SETTINGS) -> list[str]:
    return broken(logs.findings(Engine(answers={**answers}), settings))  # type: ignore[arg-type]


def test_logs_that_keep_every_promise_are_not_complained_of() -> None:
    findings = list(logs.findings(Engine(answers=LOGS_WELL), SETTINGS))  # type: ignore[arg-type]
    assert len(findings) == 6
    assert broken(findings) == []


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        ("/config/tenant/v1/limits", LIMITS.replace("4w2d", "1w"), "logs are kept 30d"),
        (
            "/config/tenant/v1/limits",
            LIMITS.replace("[]", "[{selector: '{level=\"debug\"}', priority: 1, period: 3d}]"),
            "logs are kept 30d",
        ),
        ("loki:3100/config", "compactor: {retention_enabled: false}\n", "logs are kept 30d"),
        ("/config/tenant/v1/limits", LIMITS.replace("1000", "5000"), "logs make at most 1000 streams"),
        (
            "/prometheus/api/v1/rules",
            {"data": {"groups": [{"rules": [{"name": "LogErrorBurst", "health": "err", "lastError": "timeout"}]}]}},
            "every log alert can be evaluated",
        ),
        ("/prometheus/api/v1/rules", {"data": {"groups": []}}, "every log alert can be evaluated"),
        (
            "loki:3100/metrics",
            'loki_prometheus_notifications_alertmanagers_discovered{user="fake"} 0\n',
            "Loki knows its Alertmanager",
        ),
        (
            "/loki/api/v1/label/service/values",
            {"data": [f"user-{number}" for number in range(101)]},
            "no label of the logs has more than 100 values",
        ),
        ("alloy:12345/metrics", 'loki_write_sent_entries_total{host="loki:3100"} 0\n', "the log shipper brings lines"),
    ],
    ids=[
        "shorter time", "a rule of before", "nothing deletes", "more streams", "a rule that fails", "no rules",
        "no Alertmanager", "a label without bound", "nothing sent",
    ],
)  # fmt: skip
def test_a_promise_that_loki_or_the_shipper_breaks_is_named(path: str, answer: Any, complaint: str) -> None:
    assert complaints_of_logs({**LOGS_WELL, path: answer}) == [complaint]


def test_retention_of_levels_and_services_is_read_back_too() -> None:
    retention = {"levels": {"debug": "3d"}, "services": {"batch": "7d"}}
    settings = SETTINGS.model_copy(update={"logs": Logs.model_validate({"retention": retention})})
    streams = [
        {"selector": '{level="debug"}', "priority": 1, "period": "3d"},
        {"selector": '{service="batch"}', "priority": 2, "period": "1w"},
    ]
    answer = LIMITS.replace("[]", json.dumps(streams))
    assert complaints_of_logs({**LOGS_WELL, "/config/tenant/v1/limits": answer}, settings) == []
    assert complaints_of_logs(LOGS_WELL, settings) == ["logs are kept 30d, debug 3d, batch 7d"]


def test_a_loki_that_does_not_answer_is_one_broken_promise() -> None:
    assert complaints_of_logs({}) == ["Loki and the log shipper answer"]


# Traces.


def answers_of_traces(settings: Settings, **changes: Any) -> dict[str, Any]:
    """Pages of a TraceStack that keeps every promise, but for `changes`."""
    info = 'target_info{config_version="%s",service_name="x"} 1\n'
    ran = {"data": {"result": [{"value": [0, str(time.time() - 60)]}]}}
    return {
        "otel_collector:8888/metrics": info % otel_collector.version(settings),
        "jaeger:8888/metrics": info % jaeger.version(settings),
        "/api/v1/query?query=nervous_system_trace_retention": ran,
        "/_cat/indices/": [{"index": "jaeger-span-1", "creation.date": str(int((time.time() - 86400) * 1000))}],
    } | changes


STORED = Settings.model_validate(
    {"environment": "test", "prefix": "ns", "traces": {"storage": "elasticsearch"}, "images": PINNED_STORAGE}
)


def complaints_of_traces(settings: Settings, **changes: Any) -> list[str]:
    engine = Engine(answers=answers_of_traces(settings, **changes))
    return broken(traces.findings(engine, settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [SETTINGS, STORED], ids=["badger", "elasticsearch"])
def test_traces_that_keep_every_promise_are_not_complained_of(settings: Settings) -> None:
    assert complaints_of_traces(settings) == []


SAMPLING = "of traces, 100 % of the failed, 100 % of those over 1s and 10 % of the rest are kept"
KEPT = "traces are kept 7d"


@pytest.mark.parametrize(
    ("settings", "changes", "complaint"),
    [
        (SETTINGS, {"otel_collector:8888/metrics": 'target_info{config_version="abc"} 1\n'}, SAMPLING),
        (SETTINGS, {"jaeger:8888/metrics": "up 1\n"}, KEPT),
        (STORED, {"jaeger:8888/metrics": 'target_info{config_version="abc"} 1\n'}, KEPT),
        (STORED, {"/api/v1/query?query=nervous_system_trace_retention": {"data": {"result": []}}}, KEPT),
        (
            STORED,
            {"/api/v1/query?query=nervous_system_trace_retention": {"data": {"result": [{"value": [0, "100"]}]}}},
            KEPT,
        ),
        (
            STORED,
            {"/_cat/indices/": [{"index": "jaeger-span-0", "creation.date": "1000"}]},
            "no traces are older than that",
        ),
    ],
    ids=["other rates", "unknown files", "another retention", "never ran", "ran long ago", "too old"],
)
def test_a_promise_about_traces_that_is_broken_is_named(
    settings: Settings, changes: dict[str, Any], complaint: str
) -> None:
    assert complaints_of_traces(settings, **changes) == [complaint]


def test_a_collector_that_does_not_answer_is_one_broken_promise() -> None:
    assert broken(traces.findings(Engine(), SETTINGS)) == ["the collector and Jaeger answer"]  # type: ignore[arg-type]


# The request that the check makes up.

PROBE = request.Probe(sent=True)
EXEMPLAR = {"exemplars": [{"labels": {"trace_id": PROBE.trace}}]}
FOUND: dict[str, Any] = {
    "/api/traces/": {"data": [{}]},
    "/loki/api/v1/query_range?": {"data": {"result": [{"values": [["1", "x"]]}]}},
    "/api/v1/query_exemplars?": {"data": [EXEMPLAR]},
    "/v1/traces": "",
    "/v1/logs": "",
}


def missed(probe: request.Probe, settings: Settings = SETTINGS, **changes: Any) -> list[Finding]:
    engine: Any = Engine(answers=FOUND | changes)
    return [finding for finding in request.findings(engine, settings, probe) if not finding.kept]


def test_the_request_is_sent_once_and_then_looked_for() -> None:
    probe = request.Probe()
    [finding] = missed(probe)
    assert finding.detail == "sent"
    assert [finding.what for finding in missed(probe)] == ["its metric leads to its trace"]  # which has another trace
    assert missed(PROBE) == []


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        ("/api/traces/", {"data": []}, "a failed request is found again as a trace"),
        ("/loki/api/v1/query_range?", {"data": {"result": []}}, "its log line is found by the id of its trace"),
        ("/api/v1/query_exemplars?", {"data": [{"exemplars": []}]}, "its metric leads to its trace"),
    ],
)
def test_a_request_that_is_not_found_in_one_of_the_three_is_told(path: str, answer: Any, complaint: str) -> None:
    assert [finding.what for finding in missed(PROBE, **{path: answer})] == [complaint]


def test_where_chance_decides_about_traces_only_the_line_is_looked_for() -> None:
    half = SETTINGS.model_copy(update={"traces": Traces.model_validate({"sampling": {"errors": 50}})})
    assert missed(PROBE, half, **{"/api/traces/": {"data": []}, "/api/v1/query_exemplars?": {"data": []}}) == []


def test_a_collector_that_takes_nothing_is_told() -> None:
    engine: Any = Engine()
    [finding] = request.findings(engine, SETTINGS, request.Probe())
    assert finding.detail.startswith("the collector does not take its traces: ")


@pytest.mark.parametrize(
    ("patience", "outcome", "log_calls"),
    [(60, True, 3), (0, False, 1)],
    ids=["what_is_not_kept_yet_is_read_again_alone", "nothing_is_waited_for_without_patience"],
)
def test_only_what_is_on_its_way_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, patience: float, *, outcome: bool, log_calls: int
) -> None:
    calls: Counter[str] = Counter()

    def subject(name: str, after: int = 1) -> Callable[..., list[Finding]]:
        def findings(*_: object) -> list[Finding]:
            calls[name] += 1
            return [Finding(name, kept=calls[name] >= after)]

        return findings

    names = ("engine", "containers", "files", "metrics", "traces", "separation", "grafana", "request")
    for name in names:
        monkeypatch.setattr(f"check.{name}.findings", subject(name))
    monkeypatch.setattr("check.logs.findings", subject("logs", after=3))
    monkeypatch.setattr(check, "connect", lambda _: None)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(check, "seconds", lambda _: 0)
    waited_for: list[str] = []
    results = check.run(SETTINGS, patience=patience, waits=lambda finding, _: waited_for.append(finding.what))
    assert [finding.what for finding in results] == [
        "engine",
        "containers",
        "files",
        "metrics",
        "logs",
        "traces",
        "separation",
        "grafana",
        "request",
    ]
    assert all(finding.kept for finding in results) == outcome
    assert calls == {**dict.fromkeys(names, 1), "logs": log_calls, "request": 2}  # sent first, then looked for
    assert waited_for == ["logs"] * (log_calls - 1)
    calls.clear()
    assert "request" not in [finding.what for finding in check.run(SETTINGS, patience=0, with_request=False)]
    assert "request" not in calls


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("\x1b[2Jgone", " [2Jgone"),
        ("\x9b2Jgone", " 2Jgone"),
        ("a\u202eb", "a b"),
        ("[/] [bold]x[/bold]", "[/] [bold]x[/bold]"),
        ("заказы: 5 → 3", "заказы: 5 → 3"),
    ],
    ids=["a command to the terminal", "a short one", "a turned direction", "markup", "letters"],
)
def test_the_report_shows_text_of_services_as_text(text: str, output: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    check.show([Finding(text, kept=False, detail=text, subject="logs")], console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count(output) == 2


ALL_KEPT = [
    Finding("prometheus is healthy", kept=True, detail="running", subject="containers"),
    Finding("loki is healthy", kept=True, detail="running", subject="containers"),
    Finding("every rule can be evaluated", kept=True, detail="99 rules", subject="metrics"),
]
ONE_BROKEN = [
    *ALL_KEPT,
    Finding("the log shipper brings lines", kept=False, detail="0 since its start", subject="logs"),
]


@pytest.mark.parametrize(
    ("findings", "everything", "lines"),
    [
        (ALL_KEPT, False, ["  ✓ containers: 2", "  ✓ metrics: 99 rules", "3 promises, all kept"]),
        (
            ONE_BROKEN,
            False,
            [
                "  ✓ containers: 2",
                "  ✓ metrics: 99 rules",
                "  ✗ logs: 1 broken of 1",
                "    ✗ the log shipper brings lines 0 since its start",
                "4 promises, 1 broken",
            ],
        ),
        (
            [Finding("the rules a.yml can be judged", kept=True, detail="0 of 1", subject="yours", noted=True)],
            False,
            ["  ! yours: 1", "    ! the rules a.yml can be judged 0 of 1", "1 promises, all kept"],
        ),
        (
            [Finding("hook takes the test alert", kept=True, detail="")],
            True,
            ["    ✓ hook takes the test alert", "1 promises, all kept"],
        ),
        (
            ALL_KEPT,
            True,
            [
                "  ✓ containers: 2",
                "    ✓ prometheus is healthy running",
                "    ✓ loki is healthy running",
                "  ✓ metrics: 1",
                "    ✓ every rule can be evaluated 99 rules",
                "3 promises, all kept",
            ],
        ),
    ],
    ids=[
        "a line for each subject",
        "what is broken is told in full",
        "what is noted is told in full and breaks nothing",
        "what has no subject has no heading",
        "everything is told in full if you ask for it",
    ],
)
def test_the_report_is_grouped(findings: list[Finding], everything: bool, lines: list[str]) -> None:  # noqa: FBT001
    console = Console(file=io.StringIO(), width=200)
    check.show(findings, console, everything=everything)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue().splitlines()
    assert [re.sub(r"(?<=\S) +", " ", line).rstrip() for line in printed] == lines


def test_programs_get_what_they_always_got(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(commands, "findings", lambda *_: ONE_BROKEN)
    with pytest.raises(typer.Exit):
        commands.check_stack("dev", as_json=True, patience=0)
    *_, last = json.loads(capsys.readouterr().out)
    assert last == {"what": "the log shipper brings lines", "kept": False, "detail": "0 since its start"}
