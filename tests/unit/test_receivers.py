"""Receivers of a stack file: what is refused, who is told of what and when, and where the secrets are."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from config.services.metrics import alertmanager_receivers, messages
from config.services.metrics.alertmanager import container, main_file
from config.settings import Settings
from config.settings.loading import SettingsError, judge_secrets
from config.settings.secret_keys import SECRETS
from operate import alert_test, pull_request
from tests.support.program import PROJECT, RECEIVER_SECRETS, STACK, config_of, refusal, settings_of
from tests.unit.test_alertmanager import CRITICAL, INFO, WARNING, WATCHDOG, matches
from toolchain.report import ToolchainError

EVERY_KIND: dict[str, dict[str, Any]] = {
    "email": {"to": ["ops@example.com"], "sender": "alerts@example.com", "server": "smtp.example.com:587", "user": "a"},
    "telegram": {"chat": -100123},
    "discord": {},
    "teams": {},
    "ntfy": {},
    "pushover": {},
    "opsgenie": {},
    "incidentio": {"url": "https://api.incident.io/v2/alert_events/alertmanager/01ABC"},
    "webhook": {},
    "slack": {},
    "pagerduty": {},
}
WORKING = {"days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "start": "08:00", "end": "18:00"}
NIGHT = {"start": "22:00", "end": "07:00"}


def with_receivers(
    *items: Mapping[str, Any], hours: Mapping[str, Any] | None = None, secrets: tuple[str, ...] = ()
) -> Settings:
    """Settings with these receivers, and with a secret for each."""
    config = {"notifications": {"receivers": list(items), "hours": hours or {}}}
    return settings_of(config, secrets=[*(f"receiver_{item['name']}" for item in items), *secrets])


def item(kind: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name or f"my-{kind}", "kind": kind, **EVERY_KIND[kind], **more}


ALL = with_receivers(*(item(kind) for kind in EVERY_KIND))


# Refusals.


@pytest.mark.parametrize(
    ("notifications", "secrets", "words"),
    [
        ({"receivers": [item("discord", "chat")]}, [], "chat: needs the address of its webhook: pulumi config set --secret receiver_chat"),
        ({"receivers": [item("email", "mail")]}, [], "mail: needs the password of `user`"),
        ({}, ["chat"], "there is none called chat: name one so, or  pulumi config rm receiver_chat"),
        ({"receivers": [item("discord", "a"), item("teams", "a")]}, ["a"], "two have the name a"),
        ({"receivers": [item("slack", "slack")]}, ["slack"], "slack is the name of a receiver that the stack has itself"),
        ({"receivers": [{"name": "a", "kind": "telegramm"}]}, ["a"], "receivers.0: no kind is called telegramm; known are 'email', 'telegram'"),
        ({"receivers": [{"name": "a"}]}, ["a"], "receivers.0: needs its kind"),
        ({"receivers": [item("telegram", "a", chatt=1)]}, ["a"], "receivers.0.chatt: unknown key; did you mean chat?"),
        ({"receivers": [item("telegram", "a", chat=0)]}, ["a"], "there is no chat 0"),
        ({"receivers": [item("email", "a", server="smtp.example.com")]}, ["a"], "receivers.0.server: is not host:port"),
        ({"receivers": [item("email", "a", to=["ops"])]}, ["a"], "receivers.0.to.0: is not an e-mail address"),
        ({"receivers": [item("email", "a", sender="a@b.example,c@d.example")]}, ["a"], "receivers.0.sender: is not an e-mail address"),
        ({"receivers": [item("incidentio", "a", url="ftp://x")]}, ["a"], "receivers.0.url: is not a URL"),
        ({"receivers": [item("discord", "a", when=[{}])]}, ["a"], "receivers.0.when.0: is empty"),
        ({"receivers": [item("discord", "a", when=[{"hours": "night"}])]}, ["a"], "a: no notifications.hours.night: there are none"),
        ({"receivers": [item("discord", "a", when=[{"labels": {"team": 'x"} or {y="'}}])]}, ["a"], "receivers.0.when.0.labels.team"),
        ({"hours": {"night": {"zone": "Mars/Olympus"}}}, [], "hours.night.zone: is not a time zone"),
        ({"hours": {"night": {"start": "25:00"}}}, [], "hours.night.start"),
        ({"hours": {"night": {"days": ["mon"]}}}, [], "hours.night.days.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_name(notifications: dict[str, Any], secrets: list[str], words: str) -> None:
    assert words in refusal({"notifications": notifications}, secrets=[f"receiver_{name}" for name in secrets])


def test_a_secret_in_clear_is_refused() -> None:
    config = {"notifications": {"receivers": [item("discord", "chat")]}, "receiver_chat": "https://discord.com/x"}
    assert "receiver_chat: is a secret: store it with  pulumi config set --secret receiver_chat" in refusal(config)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    {
        "email": "",
        "telegram": "AA-x_y",
        "discord": "discord.com/x",
        "teams": "x",
        "ntfy": "topic",
        "pushover": "u" * 30,
        "opsgenie": "1 2",
        "incidentio": "to ken",
        "webhook": "x",
        "slack": "x",
        "pagerduty": "abc 123",
    }.items(),
)
def test_the_value_of_a_secret_is_judged_by_its_kind_and_never_repeated(kind: str, wrong: str) -> None:
    [receiver] = with_receivers(item(kind)).notifications.receivers

    def judge(value: str) -> None:
        key = f"{PROJECT}:{receiver.secret}"
        judge_secrets({key: value}, receivers=[receiver], secret_keys=[key], project=PROJECT, stack=STACK)

    judge(f" {RECEIVER_SECRETS[receiver.secret]}\n")
    with pytest.raises(SettingsError) as caught:
        judge(wrong)
    assert f"receiver_my-{kind}: the secret" in str(caught.value)
    assert f"pulumi config set --secret receiver_my-{kind}" in str(caught.value)
    assert not wrong or f": {wrong}" not in str(caught.value)


def test_a_preview_without_secrets_has_a_placeholder_that_each_kind_takes() -> None:
    placeholders = pull_request.of_receivers({"receivers": [item(kind) for kind in EVERY_KIND]})
    assert placeholders == pull_request.of_receivers(json.dumps({"receivers": [item(kind) for kind in EVERY_KIND]}))
    assert placeholders.keys() == RECEIVER_SECRETS.keys()
    for receiver in ALL.notifications.receivers:
        assert receiver.takes(placeholders[receiver.secret]), receiver.name
    unreadable: list[Any] = [
        None,
        "{",
        {"receivers": 7},
        {"receivers": [{}]},
        {"receivers": [{"name": "a", "kind": []}]},
        {},
    ]
    assert [pull_request.of_receivers(one) for one in unreadable] == [{}] * len(unreadable)


def test_without_a_user_a_mail_server_gets_no_password() -> None:
    mail = {name: value for name, value in item("email").items() if name != "user"}
    settings = settings_of({"notifications": {"receivers": [mail]}})
    [config] = alertmanager_receivers.configured(settings)
    assert not {name for name in config["email_configs"][0] if name.startswith("auth")}
    assert config["email_configs"][0]["require_tls"] is True
    assert alertmanager_receivers.secrets(settings) == {}


# Secrets.


def test_secrets_stand_in_files_only() -> None:
    files = container(ALL).config
    assert files
    named = {text for path in files.files for text in files.files[path].split() if "/config/current/secrets/" in text}
    assert named == {f"/config/current/secrets/{name}" for name in files.secrets}
    assert {secret.key for secret in files.secrets.values()} == {f"receiver_my-{kind}" for kind in EVERY_KIND}


def test_a_secret_becomes_what_alertmanager_reads() -> None:
    files = alertmanager_receivers.secrets(ALL)
    pair = " user-key:app-token\n"
    assert files["receiver_my-pushover_user"].render(pair) == "user-key"
    assert files["receiver_my-pushover_token"].render(pair) == "app-token"
    topic = files["receiver_my-ntfy"].render("https://:tk@ntfy.example.com/topic?priority=4\n")
    assert topic == (
        "https://:tk@ntfy.example.com/topic?priority=4&template=yes&title=%7B%7B.title%7D%7D&message=%7B%7B.message%7D%7D"
    )
    assert files["receiver_my-email"].render("a b\n") == "a b"
    assert files["receiver_my-telegram"].render("1:x\n") == "https://api.telegram.org/bot1:x/sendMessage"


# Who is told of what, and when.


def active(main: Mapping[str, Any], name: str, at: datetime) -> bool:
    """Whether `at` is within a time interval, as Alertmanager's `TimeInterval.ContainsTime` has it."""
    [named] = [one for one in main["time_intervals"] if one["name"] == name]
    for interval in named["time_intervals"]:
        there = at.astimezone(ZoneInfo(interval["location"]))
        clock = f"{there:%H:%M}"
        within = any(time["start_time"] <= clock < time["end_time"] for time in interval["times"])
        if within and f"{there:%A}".lower() in interval["weekdays"]:
            return True
    return False


def receivers_of(settings: Settings, labels: Mapping[str, str], at: datetime) -> list[str]:
    """Receivers that send a message about an alert at a time."""
    main = main_file(settings)

    def walk(route: Mapping[str, Any]) -> list[str]:
        if not matches(route.get("matchers", ()), labels):
            return []
        receivers: list[str] = []
        for child in route.get("routes", ()):
            below = walk(child)
            receivers += below
            if below and not child.get("continue"):
                break
        hours = route.get("active_time_intervals")
        here = [route["receiver"]] if not hours or any(active(main, name, at) for name in hours) else ["muted"]
        return receivers or here

    return [name for name in walk(main["route"]) if name not in {"nowhere", "muted"}]


MONDAY_NOON = datetime(2026, 11, 30, 12, tzinfo=ZoneInfo("Europe/Berlin"))
MONDAY_NIGHT = datetime(2026, 11, 30, 23, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_receiver_is_told_of_everything_unless_it_pages() -> None:
    paging = ["my-opsgenie", "my-incidentio", "my-pagerduty"]
    assert receivers_of(ALL, CRITICAL, MONDAY_NOON) == [f"my-{kind}" for kind in EVERY_KIND]
    for mild in (WARNING, INFO):
        assert receivers_of(ALL, mild, MONDAY_NOON) == [
            f"my-{kind}" for kind in EVERY_KIND if f"my-{kind}" not in paging
        ]
    assert receivers_of(ALL, WATCHDOG, MONDAY_NOON) == []


def test_the_stacks_own_slack_and_pagerduty_are_told_beside_them() -> None:
    settings = with_receivers(item("discord", "chat"), secrets=("slack_webhook", "pagerduty_key", "deadman_url"))
    assert receivers_of(settings, CRITICAL, MONDAY_NOON) == ["pagerduty", "chat", "slack"]
    assert receivers_of(settings, WARNING, MONDAY_NOON) == ["chat", "slack"]
    assert receivers_of(settings, WATCHDOG, MONDAY_NOON) == ["deadman"]


@pytest.mark.parametrize(
    ("when", "labels", "at", "is_told"),
    [
        ([{"severity": ["critical"]}], CRITICAL, MONDAY_NOON, True),
        ([{"severity": ["critical"]}], WARNING, MONDAY_NOON, False),
        ([{"severity": ["critical", "warning"]}], WARNING, MONDAY_NOON, True),
        ([{"services": ["orders.eu"]}], {"service": "orders.eu"}, MONDAY_NOON, True),
        ([{"services": ["orders.eu"]}], {"service": "ordersxeu"}, MONDAY_NOON, False),
        ([{"labels": {"team": "shop"}}], {"team": "shop"}, MONDAY_NOON, True),
        ([{"labels": {"team": "shop"}}], {"team": "shopping"}, MONDAY_NOON, False),
        ([{"services": ["redis"], "severity": ["critical"]}], CRITICAL, MONDAY_NOON, True),
        ([{"services": ["orders"], "severity": ["critical"]}], CRITICAL, MONDAY_NOON, False),
        ([{"severity": ["critical"]}, {"hours": "working"}], CRITICAL, MONDAY_NIGHT, True),
        ([{"severity": ["critical"]}, {"hours": "working"}], WARNING, MONDAY_NIGHT, False),
        ([{"severity": ["critical"]}, {"hours": "working"}], WARNING, MONDAY_NOON, True),
        ([{"hours": "working", "severity": ["info"]}, {"hours": "night"}], INFO, MONDAY_NIGHT, True),
        ([{"hours": "working", "severity": ["info"]}, {"hours": "night"}], INFO, MONDAY_NOON, True),
        ([{"hours": "working", "severity": ["info"]}, {"hours": "night"}], WARNING, MONDAY_NOON, False),
        ([{"hours": "working"}, {"severity": ["critical"]}], CRITICAL, MONDAY_NIGHT, True),
    ],
)
def test_an_alert_is_sent_if_it_fits_one_of_the_conditions(
    when: list[dict[str, Any]], labels: dict[str, str], at: datetime, *, is_told: bool
) -> None:
    zone = {"zone": "Europe/Berlin"}
    settings = with_receivers(
        item("telegram", "phone", when=when), hours={"working": WORKING | zone, "night": NIGHT | zone}
    )
    assert receivers_of(settings, {"alertname": "X", **labels}, at) == (["phone"] if is_told else [])
    test = {"alertname": alertmanager_receivers.TEST_ALERT, "severity": "critical"}
    assert receivers_of(settings, test, at) == ["phone"], "the test reaches everybody at any time"


@pytest.mark.parametrize(
    ("hours", "begin", "minutes"),
    [
        (WORKING, "2026-11-30T08:00", 600),
        (NIGHT, "2026-11-30T22:00", 540),
        ({**NIGHT, "days": ["sunday"]}, "2026-11-29T22:00", 540),
        ({"days": ["saturday"]}, "2026-11-28T00:00", 1440),
        ({"days": ["friday"], "start": "18:00"}, "2026-11-27T18:00", 360),
    ],
    ids=["within a day", "over midnight", "over midnight into the next week", "a whole day", "to midnight"],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"])
def test_hours_begin_and_end_where_they_say(hours: dict[str, Any], begin: str, minutes: int, zone: str) -> None:
    condition = [{"hours": "these"}]
    settings = with_receivers(item("discord", "a", when=condition), hours={"these": {**hours, "zone": zone}})
    main = main_file(settings)
    start = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone))
    last = start + timedelta(minutes=minutes - 1)
    assert active(main, "these", start)
    assert active(main, "these", last)
    assert not active(main, "these", start - timedelta(minutes=1))
    assert not active(main, "these", last + timedelta(minutes=1))


def test_an_alert_is_sent_once_to_each_receiver_whatever_it_fits() -> None:
    when = [
        {"severity": ["critical"]},
        {"services": ["redis"]},
        {"hours": "working"},
        {"hours": "night"},
        {"hours": "all"},
    ]
    hours = {"working": WORKING, "night": NIGHT, "all": {}}
    settings = with_receivers(item("telegram", "phone", when=when), hours=hours)
    for hour in range(24):
        assert receivers_of(settings, CRITICAL, MONDAY_NOON + timedelta(hours=hour)) == ["phone"]
        assert receivers_of(settings, WARNING, MONDAY_NOON + timedelta(hours=hour)) == ["phone"]


# What was there before.


def test_without_receivers_alertmanagers_file_is_as_it_always_was() -> None:
    """Byte for byte, but for the digest of the templates."""
    settings = settings_of(
        {"notifications": {"slack": {"channel": "#ops"}}, "external_urls": {"grafana": "https://g.example"}},
        secrets=["slack_webhook", "pagerduty_key", "deadman_url"],
    )
    main = yaml.safe_load(config_of("alertmanager", settings).files["alertmanager.yml"])
    assert [*main] == ["global", "templates", "route", "inhibit_rules", "receivers"]
    assert main["route"]["routes"] == [
        {
            "matchers": ['alertname="Watchdog"'],
            "receiver": "deadman",
            "group_wait": "0s",
            "group_interval": "5m",
            "repeat_interval": "240s",
        },
        {"matchers": ['severity="critical"'], "receiver": "pagerduty", "continue": True},
        {"receiver": "slack"},
    ]
    assert [one["name"] for one in main["receivers"]][:-1] == ["nowhere", "deadman", "pagerduty", "slack"]
    assert main["receivers"][3] == {
        "name": "slack",
        "slack_configs": [
            {
                "api_url_file": "/config/current/secrets/slack_webhook",
                "channel": "#ops",
                "send_resolved": True,
                "title": '{{ template "slack.title" . }}',
                "title_link": "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}",
                "text": '{{ template "slack.text" . }}',
            }
        ],
    }
    assert config_of("alertmanager", settings).files.keys() == {"alertmanager.yml", "templates/slack.tmpl"}
    assert "--enable-feature=auto-gomemlimit" in container(settings).command


def test_alert_test_of_a_stack_without_receivers_says_that_nobody_hears_of_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_test, "load_settings", lambda _: settings_of(secrets=["deadman_url"]))
    with pytest.raises(ToolchainError, match="no receiver is set, so nobody gets any alert"):
        alert_test.alert_test("prod")


def test_only_templates_that_are_used_are_delivered() -> None:
    text = alertmanager_receivers.templates(with_receivers(item("telegram")))["templates/receivers.tmpl"]
    assert "telegram.json" in text
    assert "teams" not in text
    assert alertmanager_receivers.templates(with_receivers(item("slack"), item("webhook"))) == {}
    assert messages.templates()
    assert not any(name.startswith("receiver_") for name in SECRETS)
