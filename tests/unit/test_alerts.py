"""The rendered rule files. tests/rules checks when their alerts fire."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from config.alerts import EVERYTHING, Alert, Group, Job, RecordingRule, Rule, Watched, groups, render
from config.catalogue import ROWS
from config.metrics_pages import METRICS_PAGES
from config.services.logs import loki_rules
from config.services.metrics import alertmanager, scrape
from config.settings.thresholds import Thresholds
from tests.support.program import settings_of

URL = "https://example.org/runbooks/"
SETTINGS = settings_of({"alerts": {"runbooks": URL}, "external_urls": {"grafana": "https://grafana.example"}})
ALWAYS: Watched = frozenset(
    {Job.PROMETHEUS, Job.ALERTMANAGER, Job.NODE_EXPORTER, Job.CADVISOR, Job.SOCKET_PROXY, Job.APPLICATION}
)


def rules(watched: Watched = EVERYTHING, *, thresholds: Mapping[str, float | str] | None = None) -> list[Rule]:
    """The rules of Prometheus and of Loki."""
    settings = settings_of({"alerts": {"thresholds": thresholds or {}}})
    rule_groups = (*groups(settings, watched), *loki_rules.groups(settings))
    return [rule for group in rule_groups for rule in group.rules]


def alerts(name: str, **thresholds: float | str) -> list[Alert]:
    return [rule for rule in rules(thresholds=thresholds) if isinstance(rule, Alert) and rule.name == name]


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    """Every rule as Prometheus reads it."""
    files = render(SETTINGS, EVERYTHING)
    return [rule for text in files.values() for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    ("field", "value", "alert", "expected"),
    [
        ("cpu", 73, "HostCpuHigh", "> 0.73"),
        ("cpu_steal", 12.5, "HostCpuStolen", "> 0.125"),
        ("io_stalled", 41, "HostIoPressure", "> 0.41"),
        ("memory", 71, "HostMemoryHigh", "> 0.71"),
        ("memory_stalled", 7, "HostMemoryPressure", "> 0.07"),
        ("swap_pages", 1234, "HostSwapping", "> 1234"),
        ("disk", 77, "HostDiskFull", "> 0.77"),
        ("disk_critical", 99, "HostDiskFull", "> 0.99"),
        ("disk_fills", "36h", "HostDiskFillsUp", "[6h], 36h)"),
        ("disk_fills_critical", "90m", "HostDiskFillsUp", "[1h], 90m)"),
        ("inodes", 66, "HostInodesLow", "> 0.66"),
        ("file_descriptors", 67, "HostFileDescriptorsLow", "> 0.67"),
        ("clock_offset", "120ms", "HostClockSkewed", "> 120ms"),
        ("network_errors", 2, "HostNetworkErrors", "> 0.02"),
        ("network_used", 97, "HostNetworkSaturated", "> 0.97"),
        ("conntrack", 61, "HostConntrackFull", "> 0.61"),
        ("tcp_retransmits", 7, "HostTcpRetransmits", "> 0.07"),
        ("listen_drops", 2.5, "HostListenQueueFull", "> 2.5"),
        ("unit_restarts", 8, "HostUnitRestarting", ">= 8"),
        ("threads", 63, "HostThreadsHigh", "> 0.63"),
        ("container_memory", 83, "ContainerMemoryHigh", "> 0.83"),
        ("container_throttled", 35, "ContainerThrottled", "> 0.35"),
        ("container_restarts", 9, "ContainerRestarting", ">= 9"),
        ("error_ratio", 0.5, "ApplicationErrorsHigh", "> 0.005"),
        ("min_requests", 3, "ApplicationErrorsHigh", "rate5m) > 3"),
        ("min_requests", 3, "ApplicationSlow", "rate5m) > 3"),
        ("min_requests", 3, "ApplicationTrafficDropped", "> 3)"),
        ("latency_p95", "300ms", "ApplicationSlow", "> 300ms"),
        ("traffic_left", 25, "ApplicationTrafficDropped", "< 0.25"),
        ("probe_duration", "1500ms", "ProbeSlow", "> 1500ms"),
        ("certificate", "14d", "CertificateEndsSoon", "< 14d"),
        ("certificate_critical", "2d", "CertificateEndsSoon", "< 2d"),
        ("db_connections", 62, "PostgresConnectionsHigh", "> 0.62"),
        ("db_connections", 62, "MongodbConnectionsHigh", "> 0.62"),
        ("postgres_deadlocks", 8, "PostgresDeadlocks", ">= 8"),
        ("postgres_transaction", "2h", "PostgresTransactionLong", "> 2h"),
        ("postgres_replication_lag", "5m", "PostgresReplicationLag", "> 5m"),
        ("postgres_cache_hits", 95, "PostgresCacheHitsLow", "< 0.95"),
        ("redis_memory", 64, "RedisMemoryHigh", "> 0.64"),
        ("redis_evictions", 500, "RedisEvictsKeys", "> 500"),
        ("elasticsearch_heap", 76, "ElasticsearchHeapHigh", "> 0.76"),
        ("scrape_duration", "8s", "ScrapeSlow", "> 8s"),
        ("series", 1_500_000, "PrometheusTooManySeries", "> 1500000"),
        ("disk_budget", 70, "PrometheusDiskBudgetLow", "> 0.7"),
        ("disk_budget", 70, "LogDiskBudgetLow", "* 0.7"),
        ("log_streams", 65, "LokiStreamsHigh", "> 0.65"),
        ("log_backlog", 4096, "LogShipperBehind", "> 4096"),
    ],
)
def test_threshold_reaches_the_expression(field: str, value: float | str, alert: str, expected: str) -> None:
    assert any(expected in rule.expr for rule in alerts(alert, **{field: value}))
    assert not any(expected in rule.expr for rule in alerts(alert))


@pytest.mark.parametrize(
    "alert", ["TargetDown", "ApplicationDown", "ApplicationInstanceDown", "ApplicationGone", "ProbeNotRunning"]
)
def test_an_alert_waits_as_long_as_a_target_may_be_down(alert: str) -> None:
    assert [rule.wait for rule in alerts(alert, target_down="7m")] == ["7m"]


def test_every_threshold_reaches_some_rule() -> None:
    usual = rules()
    others = {"disk_fills_critical": "2h", "certificate": "9d", "certificate_critical": "2h"}
    for field, info in Thresholds.model_fields.items():
        other = others.get(field, "5h" if isinstance(info.default, str) else info.default + 1)
        assert rules(thresholds={field: other}) != usual, field


@pytest.mark.parametrize(
    ("job", "group"),
    [
        *((row.name, row.watches) for row in ROWS.values() if row.board),
        *((next(iter(page.jobs)), page.key) for page in METRICS_PAGES),
        (Job.PROBE, "probes"),
        (Job.ALERTMANAGER, "alertmanager"),
        (Job.CADVISOR, "containers"),
        (Job.LOKI, "loki"),
    ],
)
def test_a_job_that_is_not_deployed_has_no_rules(job: str, group: str) -> None:
    assert f"rules/{group}.yml" in render(SETTINGS, EVERYTHING)
    without = render(SETTINGS, EVERYTHING - {job})
    assert f"rules/{group}.yml" not in without
    others = rules(watched=EVERYTHING - {job})
    assert not [rule for rule in others if f'="{job}"' in rule.expr and "absent" not in rule.expr]


COUNT_REQUESTS = (Job.APPLICATION, Job.OTLP, Job.SPANS, Job.HAPROXY, Job.TRAEFIK, Job.CADDY_PAGE)


def test_without_what_counts_requests_there_are_no_golden_signals() -> None:
    watched = EVERYTHING - {*COUNT_REQUESTS, Job.ALLOY, Job.PROMTAIL}
    assert "rules/applications.yml" not in render(SETTINGS, watched)


@pytest.mark.parametrize("job", COUNT_REQUESTS)
def test_a_way_to_count_requests_that_is_not_deployed_is_not_asked(job: Job) -> None:
    text = render(SETTINGS, EVERYTHING - {job})["rules/applications.yml"]
    assert "service:requests:rate5m" in text
    assert f'job="{job}"' not in text


def test_only_a_declared_job_can_be_missing() -> None:
    (missing,) = (rule for rule in rules(watched=ALWAYS) if isinstance(rule, Alert) and rule.name == "TargetMissing")
    assert re.findall(r'job="(\w+)"', missing.expr) == [
        "alertmanager",
        "cadvisor",
        "node_exporter",
        "prometheus",
        "socket_proxy",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"cpu": 0},
        {"cpu": 101},
        {"memory": -5},
        {"error_ratio": "many"},
        {"latency_p95": "1"},
        {"latency_p95": "0s"},
        {"target_down": "two minutes"},
        {"target_down": ""},
        {"container_restarts": 0},
        {"container_restarts": 2.5},
        {"min_requests": -1},
        {"series": 10},
        {"swap_pages": 0},
        {"disk": 96},
        {"disk_critical": 90},
        {"disk_fills_critical": "24h"},
        {"certificate_critical": "30d"},
        {"cpu_percent": 80},
    ],
)
def test_impossible_thresholds_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Thresholds.model_validate(values)


def test_the_message_names_both_conflicting_thresholds() -> None:
    with pytest.raises(ValidationError, match=r"certificate_critical: 30d must be shorter than certificate \(10d\)"):
        Thresholds(certificate_critical="30d")


def test_thresholds_cannot_be_changed_later() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Thresholds().cpu = 90  # type: ignore[misc]


def test_every_threshold_is_described() -> None:
    assert not [name for name, field in Thresholds.model_fields.items() if not field.description]


def test_every_alert_has_its_texts_and_a_link_to_its_runbook(rendered: list[dict[str, Any]]) -> None:
    for rule in rendered:
        if "alert" not in rule:
            continue
        name = rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}, name
        assert {"summary", "headline", "description", "runbook_url"} <= set(rule["annotations"]), name
        assert rule["annotations"]["runbook_url"] == f"https://example.org/runbooks/{name}.md"
        assert len(rule["annotations"]["headline"]) <= 120, name


def test_the_page_of_a_rule_shows_no_template(rendered: list[dict[str, Any]]) -> None:
    for annotations in (rule["annotations"] for rule in rendered if "alert" in rule):
        assert not re.search(r"[{}$]", annotations["summary"] + annotations["description"])
        # Messages show the same sentence, filled in.
        parts = re.split(r"\[\w+\]", annotations["summary"])
        assert re.split(r"\{\{.*?\}\}", annotations["headline"]) == parts


def test_every_alert_says_which_service_it_is_about(rendered: list[dict[str, Any]]) -> None:
    for rule in rendered:
        grouped = re.search(r"by \(([\w, ]+)\)", rule["expr"])
        assert (
            "alert" not in rule or "service" in rule["labels"] or grouped is None or "service" in grouped[1].split(", ")
        ), rule["alert"]


def test_no_rule_keeps_a_label_without_bound(rendered: list[dict[str, Any]]) -> None:
    unbounded = {"id", "path", "user", "trace_id", "query", "pid", "client_addr", "url"}
    for rule in rendered:
        by_labels = {label for labels in re.findall(r"by \(([\w, ]+)\)", rule["expr"]) for label in labels.split(", ")}
        assert not by_labels & unbounded, rule


def test_names_are_used_once_for_each_severity(rendered: list[dict[str, Any]]) -> None:
    pairs = [(rule["alert"], rule["labels"]["severity"]) for rule in rendered if "alert" in rule]
    assert len(pairs) == len(set(pairs))


def test_records_are_named_by_level_metric_and_operations(rendered: list[dict[str, Any]]) -> None:
    records = [rule["record"] for rule in rendered if "record" in rule]
    assert records
    assert all(re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", record) for record in records)


def test_rendering_is_deterministic() -> None:
    assert render(SETTINGS, EVERYTHING) == render(SETTINGS, frozenset(sorted(EVERYTHING, reverse=True)))


def test_the_text_can_be_read_by_people() -> None:
    text = render(SETTINGS, EVERYTHING)["rules/redis.yml"]
    assert text.startswith(
        "# Rendered by config/alerts/redis.py.\ngroups:\n- name: redis\n  rules:\n  - alert: RedisDown\n"
    )
    assert (
        "    expr: |-\n"
        '      redis_memory_used_bytes{job="redis_exporter"} / (redis_memory_max_bytes{job="redis_exporter"} > 0)\n'
        "        > 0.9\n"
    ) in text


def test_a_file_names_the_module_that_made_it() -> None:
    for text in render(SETTINGS, EVERYTHING).values():
        module = re.match(r"# Rendered by (config/alerts/\w+[.]py)[.]\n", text)
        assert module
        assert (Path(__file__).parents[2] / module[1]).exists()


@pytest.mark.parametrize(
    ("evaluation_interval", "requests", "response_times"),
    [
        ("15s", "30s", "120s"),
        ("2s", "4s", "16s"),
        ("1s600ms", "3s", "12s"),
        ("20s", "30s", "120s"),
        ("1m", "60s", "120s"),
    ],
)
def test_what_is_recorded_for_services_is_evaluated_less_often_than_alerts(
    evaluation_interval: str, requests: str, response_times: str
) -> None:
    rule_groups = groups(settings_of({"metrics": {"evaluation_interval": evaluation_interval}}), EVERYTHING)
    intervals = {group.name: group.interval for group in rule_groups if group.interval}
    assert intervals == {"applications": requests, "response-times": response_times}


def test_rules_are_plain_data() -> None:
    rule_groups = groups(SETTINGS, EVERYTHING)
    assert all(isinstance(group, Group) for group in rule_groups)
    assert all(isinstance(rule, Alert | RecordingRule) for group in rule_groups for rule in group.rules)
    assert len({group.name for group in rule_groups}) == len(rule_groups)


SELECTOR = re.compile(r'(?P<name>[a-zA-Z_:][\w:]*)?\s*\{(?P<matchers>(?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}')
LISTS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
WORDS = re.compile(r"\b\w+(?=\s*\()|\b(?:and|or|unless|bool|offset)\b|(?<![\w:])\d[\w.]*")
OF_EVERY_TARGET = {("TargetDown", "up"), ("ScrapeSlow", "scrape_duration_seconds")}
"""Metrics that Prometheus itself creates for each target. No target may serve them (`OWN_METRICS` in `config/services/metrics/scrape.py`)."""


def test_every_rule_reads_the_metrics_of_jobs_that_it_names() -> None:
    """A sender chooses the names of its metrics, but Prometheus sets their job."""
    looked_at = 0
    all_rules = [rule for group in groups(SETTINGS, EVERYTHING) for rule in group.rules]
    recorded = {rule.record for rule in all_rules if isinstance(rule, RecordingRule)}
    for rule in all_rules:
        called = rule.name if isinstance(rule, Alert) else rule.record
        for selector in SELECTOR.finditer(rule.expr):
            looked_at += 1
            fixed = re.search(r'\bjob=~?"([\w|]+)"', selector["matchers"])
            ours = selector["name"] in recorded or (called, selector["name"]) in OF_EVERY_TARGET
            assert fixed or ours, (called, selector[0])
        rest = re.sub(r"\[[^\]]*\]|\"[^\"]*\"", "", SELECTOR.sub("", rule.expr))
        for name in re.findall(r"[a-zA-Z_:][\w:]*", WORDS.sub("", LISTS.sub("", rest))):
            assert name in recorded or (called, name) in OF_EVERY_TARGET, (called, name)
    assert looked_at > 100
    assert all(re.fullmatch(scrape.OWN_METRICS, name) for name in recorded)


def test_inhibition_asks_for_no_label_that_a_sender_chooses() -> None:
    """Names and severities come from the rules, jobs from Prometheus."""
    label_names = {
        re.split(r"[=!~]", matcher, maxsplit=1)[0]
        for rule in alertmanager.inhibit_rules(SETTINGS)
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    }
    assert label_names == {"alertname", "severity", "job"}
    of_senders = {rule.name for rule in _about("otlp") if isinstance(rule, Alert)}
    sources = " ".join(matcher for rule in alertmanager.inhibit_rules(SETTINGS) for matcher in rule["source_matchers"])
    assert of_senders
    assert not [name for name in of_senders if name in sources]


def _about(job: str) -> list[Rule]:
    """Rules that read the metrics of a job, not only Prometheus' own `up` for it."""
    all_rules = [rule for group in groups(SETTINGS, EVERYTHING) for rule in group.rules]
    return [rule for rule in all_rules if f'job="{job}"' in re.sub(r"up\{[^}]*\}", "", rule.expr)]
