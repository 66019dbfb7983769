"""Who hears of which alert: alertmanager.yml, routed and muted by a small interpreter of it."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import pytest
import yaml

from config.alerts import EVERYTHING as WATCHED
from config.alerts import render
from config.services.logs import loki_rules
from config.services.metrics import alertmanager, messages
from config.services.metrics.alertmanager import container, main_file
from config.settings import Settings
from config.settings.units import seconds
from tests.support.program import config_of, settings_of

STACK = settings_of({"slos": [{"name": "shop", "service": "shop", "objective": 99.9}]})
"""With all the alerts that there are."""
SLACK, PAGERDUTY, DEADMAN = "slack_webhook", "pagerduty_key", "deadman_url"

Labels = Mapping[str, str]


def matches(matchers: Collection[str], labels: Labels) -> bool:
    """Whether all of `matchers` hold; a missing label is an empty one."""

    def holds(matcher: str) -> bool:
        parsed = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)
        assert parsed, matcher
        name, operator, value = parsed.groups()
        label = labels.get(name, "")
        equal = bool(re.fullmatch(value, label)) if "~" in operator else label == value
        return equal is not operator.startswith("!")

    return all(holds(matcher) for matcher in matchers)


def routed(route: Mapping[str, Any], labels: Labels) -> list[str]:
    """The receivers of an alert, as Alertmanager's `Route.Match` finds them."""
    if not matches(route.get("matchers", ()), labels):
        return []
    receivers: list[str] = []
    for child in route.get("routes", ()):
        child_receivers = routed(child, labels)
        receivers += child_receivers
        if child_receivers and not child.get("continue"):
            break
    return receivers or [route["receiver"]]


def receivers_of(settings: Settings, labels: Labels) -> list[str]:
    """What an alert reaches that anybody hears of."""
    main = main_file(settings)
    configured = {receiver["name"] for receiver in main["receivers"] if len(receiver) > 1}
    return [name for name in routed(main["route"], labels) if name in configured]


def muted(labels: Labels, others: Collection[Labels]) -> bool:
    """Whether the alert with `labels` is inhibited by one of `others`, as Alertmanager's `InhibitRule` has it."""

    def by(rule: Mapping[str, Any], source: Labels) -> bool:
        both = matches(rule["source_matchers"], labels) and matches(rule["target_matchers"], source)
        same = all(labels.get(name, "") == source.get(name, "") for name in rule.get("equal", ()))
        return (
            matches(rule["source_matchers"], source) and matches(rule["target_matchers"], labels) and same and not both
        )

    return any(by(rule, other) for rule in alertmanager.inhibit_rules(STACK) for other in others)


CRITICAL = {"alertname": "RedisDown", "severity": "critical", "service": "redis"}
WARNING = {"alertname": "HostCpuHigh", "severity": "warning", "service": "host"}
INFO = {"alertname": "HostClockSkew", "severity": "info", "service": "host"}
WATCHDOG = {"alertname": "Watchdog", "severity": "none", "service": "prometheus"}


@pytest.mark.parametrize(
    ("secrets", "critical", "warning", "watchdog"),
    [
        ([], [], [], []),
        ([SLACK], ["slack"], ["slack"], []),
        ([PAGERDUTY], ["pagerduty"], [], []),
        ([SLACK, PAGERDUTY], ["pagerduty", "slack"], ["slack"], []),
        ([DEADMAN], [], [], ["deadman"]),
        ([SLACK, PAGERDUTY, DEADMAN], ["pagerduty", "slack"], ["slack"], ["deadman"]),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, list) else None,
)
def test_an_alert_reaches_whom_the_secrets_turn_on(
    secrets: list[str], critical: list[str], warning: list[str], watchdog: list[str]
) -> None:
    settings = settings_of(secrets=secrets)
    assert receivers_of(settings, CRITICAL) == critical
    assert receivers_of(settings, WARNING) == receivers_of(settings, INFO) == warning
    assert receivers_of(settings, WATCHDOG) == watchdog


@pytest.mark.parametrize("secrets", [[], [SLACK], [PAGERDUTY], [DEADMAN], [SLACK, PAGERDUTY, DEADMAN]])
def test_every_receiver_that_a_route_names_is_there_once(secrets: list[str]) -> None:
    main = main_file(settings_of(secrets=secrets))
    names = [receiver["name"] for receiver in main["receivers"]]
    assert len(names) == len(set(names))
    assert {route["receiver"] for route in [main["route"], *main["route"]["routes"]]} <= set(names)


def test_alerts_of_one_kind_and_service_come_as_one_message_as_often_as_the_settings_say() -> None:
    settings = settings_of({"notifications": {"group_wait": "10s", "group_interval": "2m", "repeat_interval": "12h"}})
    route = main_file(settings)["route"]
    assert route["group_by"] == ["alertname", "service", "severity"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("10s", "2m", "12h")


@pytest.mark.parametrize("interval", ["30s", "1m", "5m", "1h"])
def test_the_dead_mans_switch_pings_at_every_interval(interval: str) -> None:
    """An equal repeat_interval would let every second ping out (alertmanager issue 676)."""
    settings = settings_of({"notifications": {"deadman_interval": interval}}, secrets=[DEADMAN])
    route = main_file(settings)["route"]["routes"][0]
    assert route["group_wait"] == "0s"
    assert route["group_interval"] == interval
    assert 0 < seconds(route["repeat_interval"]) < seconds(interval)


def test_a_resolved_alert_is_told_to_people_and_not_to_the_monitor() -> None:
    receivers = {r["name"]: r for r in main_file(settings_of(secrets=[SLACK, DEADMAN]))["receivers"]}
    assert receivers["slack"]["slack_configs"][0]["send_resolved"] is True
    assert receivers["deadman"]["webhook_configs"][0]["send_resolved"] is False


def test_secrets_stand_in_files_that_the_main_file_names() -> None:
    settings = settings_of(secrets=[SLACK, PAGERDUTY, DEADMAN])
    receivers = {r["name"]: r for r in main_file(settings)["receivers"]}
    folder = "/config/current/secrets"
    assert receivers["slack"]["slack_configs"][0]["api_url_file"] == f"{folder}/{SLACK}"
    assert receivers["pagerduty"]["pagerduty_configs"][0]["routing_key_file"] == f"{folder}/{PAGERDUTY}"
    assert receivers["deadman"]["webhook_configs"][0]["url_file"] == f"{folder}/{DEADMAN}"
    secrets = config_of("alertmanager", settings).secrets
    assert {path: secret.render("x") for path, secret in secrets.items()} == {SLACK: "x", PAGERDUTY: "x", DEADMAN: "x"}


def test_slack_hears_in_the_channel_of_the_settings() -> None:
    settings = settings_of({"notifications": {"slack": {"channel": "#ops"}}}, secrets=[SLACK])
    [slack] = [r for r in main_file(settings)["receivers"] if r["name"] == "slack"]
    assert slack["slack_configs"][0]["channel"] == "#ops"


def test_every_template_that_is_used_is_defined_in_a_file_that_is_loaded() -> None:
    files = config_of("alertmanager", settings_of(secrets=[SLACK, PAGERDUTY])).files
    templates = "".join(
        text for name, text in files.items() if name.startswith("templates/") and name.endswith(".tmpl")
    )
    used = set(re.findall(r'template "([\w.]+)"', files["alertmanager.yml"] + templates))
    assert used == set(re.findall(r'define "([\w.]+)"', templates))
    assert yaml.safe_load(files["alertmanager.yml"])["templates"] == ["templates/*.tmpl"]


def test_a_message_links_the_runbook_and_the_query() -> None:
    template = config_of("alertmanager", settings_of(secrets=[SLACK])).files["templates/slack.tmpl"]
    for field in (
        ".Annotations.headline",
        ".Annotations.summary",
        ".Annotations.description",
        ".Annotations.runbook_url",
        ".GeneratorURL",
    ):
        assert field in template


# What mutes what.


@pytest.mark.parametrize(
    ("labels", "other"),
    [
        (
            {"alertname": "SloBudgetBurns", "severity": "critical", "service": "shop", "slo": "shop", "sli": "errors"},
            {
                "alertname": "SloBudgetBurnsFast",
                "severity": "critical",
                "service": "shop",
                "slo": "shop",
                "sli": "errors",
            },
        ),
        (
            {"alertname": "SloBudgetRunsOut", "severity": "warning", "service": "shop", "slo": "shop", "sli": "errors"},
            {
                "alertname": "SloBudgetBurnsSlowly",
                "severity": "warning",
                "service": "shop",
                "slo": "shop",
                "sli": "errors",
            },
        ),
        (
            {"alertname": "ApplicationErrorsHigh", "severity": "critical", "service": "shop"},
            {
                "alertname": "SloBudgetBurnsFast",
                "severity": "critical",
                "service": "shop",
                "slo": "shop",
                "sli": "errors",
            },
        ),
        (
            {"alertname": "ApplicationSlow", "severity": "warning", "service": "shop"},
            {"alertname": "SloBudgetBurns", "severity": "critical", "service": "shop", "slo": "fast", "sli": "latency"},
        ),
        (
            {
                "alertname": "SloBudgetBurnsFast",
                "severity": "critical",
                "service": "shop",
                "slo": "shop",
                "sli": "errors",
            },
            {"alertname": "ApplicationDown", "severity": "critical", "service": "shop"},
        ),
        (
            {"alertname": "HostDiskFull", "severity": "warning", "service": "host", "mountpoint": "/"},
            {"alertname": "HostDiskFull", "severity": "critical", "service": "host", "mountpoint": "/"},
        ),
        (
            {"alertname": "RedisMemoryHigh", "severity": "warning", "service": "redis"},
            {"alertname": "RedisDown", "severity": "critical", "service": "redis"},
        ),
        (
            {"alertname": "PostgresDeadlocks", "severity": "warning", "service": "postgres"},
            {"alertname": "TargetDown", "severity": "critical", "service": "postgres"},
        ),
        (
            {"alertname": "LogServiceSilent", "severity": "warning", "service": "orders"},
            {"alertname": "ContainerGone", "severity": "warning", "service": "orders"},
        ),
        (
            {"alertname": "ApplicationErrorsHigh", "severity": "critical", "service": "orders"},
            {"alertname": "ApplicationGone", "severity": "critical", "service": "orders"},
        ),
        (
            {"alertname": "LogServiceSilent", "severity": "warning", "service": "orders"},
            {"alertname": "TargetDown", "severity": "critical", "service": "alloy", "job": "alloy"},
        ),
    ],
    ids=[
        "a budget that burns more slowly",
        "a budget that burns much more slowly",
        "the errors that burn a budget",
        "the slowness that burns a budget",
        "the budget of what is gone",
        "the warning of what is critical",
        "what is wrong with a service that is down",
        "what an exporter cannot see",
        "the silence of what is gone",
        "the errors of an application that is gone",
        "the silence of all when nobody brings their lines",
    ],
)
def test_an_alert_that_only_repeats_another_is_muted(labels: Labels, other: Labels) -> None:
    assert muted(labels, [other])
    assert not muted(labels, [])


@pytest.mark.parametrize(
    ("labels", "other"),
    [
        (
            {"alertname": "SloBudgetBurns", "severity": "critical", "service": "shop", "slo": "fast", "sli": "latency"},
            {
                "alertname": "SloBudgetBurnsFast",
                "severity": "critical",
                "service": "shop",
                "slo": "shop",
                "sli": "errors",
            },
        ),
        (
            {"alertname": "SloBudgetBurns", "severity": "critical", "service": "shop", "slo": "shop", "sli": "errors"},
            {
                "alertname": "SloBudgetBurnsSlowly",
                "severity": "warning",
                "service": "shop",
                "slo": "shop",
                "sli": "errors",
            },
        ),
        (
            {"alertname": "ApplicationErrorsHigh", "severity": "critical", "service": "shop"},
            {
                "alertname": "SloBudgetBurnsFast",
                "severity": "critical",
                "service": "shop",
                "slo": "fast",
                "sli": "latency",
            },
        ),
        (
            {"alertname": "QueueLong", "severity": "warning", "queue": "invoices"},
            {"alertname": "QueueLong", "severity": "critical", "queue": "mails"},
        ),
        (
            {"alertname": "BackupOld", "severity": "warning", "service": "backup", "database": "crm"},
            {"alertname": "BackupOld", "severity": "critical", "service": "backup", "database": "shop"},
        ),
        (
            {"alertname": "HostDiskFull", "severity": "warning", "service": "host", "mountpoint": "/data"},
            {"alertname": "HostDiskFull", "severity": "critical", "service": "host", "mountpoint": "/"},
        ),
        (
            {"alertname": "LogServiceSilent", "severity": "warning", "service": "users"},
            {"alertname": "ContainerGone", "severity": "warning", "service": "orders"},
        ),
        (
            {"alertname": "HostCpuHigh", "severity": "warning", "service": "host"},
            {"alertname": "RedisDown", "severity": "critical", "service": "redis"},
        ),
        (
            {"alertname": "ContainerOomKilled", "severity": "warning", "service": "redis"},
            {"alertname": "RedisDown", "severity": "critical", "service": "redis"},
        ),
        (
            {"alertname": "RedisDown", "severity": "critical", "service": "redis"},
            {"alertname": "TargetDown", "severity": "critical", "service": "redis"},
        ),
        (
            {"alertname": "LokiStreamsHigh", "severity": "warning", "service": "loki", "job": "loki"},
            {"alertname": "ApplicationDown", "severity": "critical", "service": "loki"},
        ),
        (
            {"alertname": "ContainersNotSeen", "severity": "warning", "service": "cadvisor", "job": "cadvisor"},
            {"alertname": "ApplicationGone", "severity": "critical", "service": "cadvisor"},
        ),
    ],
    ids=[
        "the budget of another objective",
        "a budget that burns faster",
        "the errors of a service whose budget of slow requests burns",
        "another queue, by a rule of the user's own",
        "another database of the same service, by a rule of the user's own",
        "another disk",
        "the silence of another service",
        "another service",
        "why it is down",
        "what is critical itself",
        "one of the stack's, by an application of its name",
        "one of the stack's, by an application of its name that is gone",
    ],
)
def test_an_alert_that_says_more_is_not_muted(labels: Labels, other: Labels) -> None:
    assert not muted(labels, [other])


def test_a_pair_differs_by_no_label_that_muting_does_not_look_at() -> None:
    [rule] = [rule for rule in alertmanager.inhibit_rules(STACK) if "alertname" in rule.get("equal", ())]
    looked_at = {*rule["equal"], "job", "severity", "probe", "module"}  # an instance has one of each
    for of_pair in (alert for alert in _alerts() if alert["alert"] in alertmanager.pairs(settings_of())):
        by_labels = {label for by in re.findall(r"by \(([\w, ]+)\)", of_pair["expr"]) for label in by.split(", ")}
        assert by_labels - looked_at <= {"device_error"}, of_pair["alert"]  # the two are never of the same error


def test_no_alert_mutes_itself_or_the_dead_mans_switch() -> None:
    rules = [
        {
            "severity": rule["labels"]["severity"],
            "service": rule["labels"].get("service", "x"),
            "alertname": rule["alert"],
        }
        for rule in _alerts()
    ]
    assert len(rules) > 40
    assert [labels["alertname"] for labels in rules if muted(labels, [labels])] == []
    assert not muted(WATCHDOG, rules)


def test_muting_rules_speak_of_alerts_that_exist() -> None:
    alert_names = {rule["alert"] for rule in _alerts()}
    spoken = {
        name
        for rule in alertmanager.inhibit_rules(STACK)
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        for alternatives in re.findall(r'^alertname=~?"(.*)"$', matcher)
        for name in alternatives.split("|")
    }
    assert spoken
    assert spoken <= alert_names


def _alerts() -> list[dict[str, Any]]:
    """Of Prometheus and of Loki, whatever is watched."""
    files = render(STACK, WATCHED)
    groups = [group for text in files.values() for group in yaml.safe_load(text)["groups"]]
    groups += loki_rules.rule_file(settings_of())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


# How it runs.


def test_it_keeps_what_it_has_told_and_gossips_with_nobody() -> None:
    service = container(settings_of({"external_urls": {"alertmanager": "https://a.example"}}))
    assert "--storage.path=/alertmanager" in service.command
    assert service.data == "/alertmanager"
    assert "--cluster.listen-address=" in service.command
    assert "--web.external-url=https://a.example" in service.command
    assert service.grace_seconds >= 10


def version_of(settings: Settings) -> str:
    text = config_of("alertmanager", settings).files["alertmanager.yml"]
    [version] = [r["name"] for r in yaml.safe_load(text)["receivers"] if r["name"].startswith("version-")]
    return str(version)


def test_the_version_is_a_receiver_that_the_api_shows_and_nobody_uses() -> None:
    settings = settings_of(secrets=[SLACK])
    expect = config_of("alertmanager", settings).expect
    assert expect["http://127.0.0.1:9093/api/v2/receivers"] == f'"{version_of(settings)}"'
    assert "version-" not in str(main_file(settings)["route"])


def test_any_change_makes_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = version_of(settings_of())
    assert version_of(settings_of({"notifications": {"group_wait": "10s"}})) != usual
    assert version_of(settings_of(secrets=[SLACK])) != usual
    monkeypatch.setattr(messages, "_SLACK", '{{ define "slack.title" }}other{{ end }}')
    assert version_of(settings_of()) != usual
