"""Every kind of receiver gets messages that its service takes: by the real Alertmanager, through the real protocols."""

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from markdown_it import MarkdownIt

from check import receivers as receiver_test
from config.services.metrics.alertmanager import container
from config.settings import Settings
from tests.rules.internet import HOSTS, Internet, Message, TelegramHtml, internet
from tests.rules.test_messages import HOSTILE
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from toolchain import images

SECRETS = {
    "mail": "secret of the mail",
    "bot": "12345678:AA-secret_of_the_bot",
    "discord": "https://discord.com/api/webhooks/1/secret-of-discord",
    "teams": "https://prod.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=secret-of-teams",
    "ntfy": "https://ntfy.example.com/secret-topic?priority=4",
    "pushover": f"{'u' * 30}:{'a' * 30}",
    "jira": "secret-of-jira",
    "incident": "secret-of-incident",
    "hook": "https://hooks.example.com/secret-path",
    "open-hook": "secret-of-the-hook",
    "chat": "https://hooks.slack.com/services/T1/B1/secret-of-slack",
    "pager": "secretofpagerduty",
}
"""Receiver → its secret."""
ADDRESSES = ("runbook_url", "dashboard_url", "logs_url", "traces_url")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("receivers")


@pytest.fixture(scope="module")
def outside(folder: Path) -> Iterator[Internet]:
    with internet(folder) as running:
        yield running


@pytest.fixture(scope="module")
def settings(outside: Internet) -> Settings:
    mail = {"to": ["ops@example.com", "me@example.com"], "sender": "alerts@example.com", "user": "alerts"}
    receivers: list[dict[str, Any]] = [
        {"name": "mail", "kind": "email", "server": f"localhost:{outside.mail_port}", **mail},
        {"name": "bot", "kind": "telegram", "chat": -100123, "thread": 7},
        {"name": "discord", "kind": "discord"},
        {"name": "teams", "kind": "teams"},
        {"name": "ntfy", "kind": "ntfy"},
        {"name": "pushover", "kind": "pushover"},
        {"name": "jira", "kind": "opsgenie"},
        {
            "name": "incident",
            "kind": "incidentio",
            "url": "https://api.incident.io/v2/alert_events/alertmanager/01ABC",
        },
        {"name": "hook", "kind": "webhook"},
        {"name": "open-hook", "kind": "webhook", "url": "https://hooks.example.com/open"},
        {"name": "chat", "kind": "slack", "channel": "#ops"},
        {"name": "pager", "kind": "pagerduty"},
    ]
    config = {
        "notifications": {"receivers": receivers, "group_wait": "1s", "group_interval": "1s"},
        "external_urls": {"grafana": "https://grafana.example.com", "jaeger": "https://jaeger.example.com"},
    }
    return settings_of(config, secrets=[f"receiver_{name}" for name in SECRETS])


@pytest.fixture(scope="module")
def alertmanager(settings: Settings, folder: Path, outside: Internet) -> Iterator[str]:
    """The address of a real Alertmanager with the files of a stack. Only the way to the internet is another."""
    files = container(settings).config
    assert files
    (folder / "secrets").mkdir()
    for name, secret in files.secrets.items():
        (folder / "secrets" / name).write_text(secret.render(SECRETS[secret.key.removeprefix("receiver_")]))
    for path, text in files.files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.replace("/config/current", str(folder)))
    main = yaml.safe_load((folder / "alertmanager.yml").read_text())
    main["global"]["http_config"] = {"proxy_url": outside.proxy}
    for receiver in main["receivers"]:
        for one in (item for items in receiver.values() if isinstance(items, list) for item in items):
            if "http_config" in one:
                one["http_config"]["proxy_url"] = outside.proxy
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(main, allow_unicode=True))
    port = free_port()
    command = [str(images.binary("alertmanager")), f"--config.file={folder / 'alertmanager.yml'}"]
    command += [f"--storage.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    command += [flag for flag in container(settings).command if flag.startswith(("--cluster", "--enable-feature"))]
    address, environment = f"http://127.0.0.1:{port}", {**os.environ, "SSL_CERT_FILE": str(folder / "ca.pem")}
    with running(command, f"{address}/-/ready", folder / "log", seconds=30, environment=environment):
        yield address


Deliver = Callable[..., dict[str, Message]]


@pytest.fixture
def deliver(alertmanager: str, outside: Internet, folder: Path) -> Deliver:
    def tell(alerts: list[dict[str, Any]]) -> dict[str, Message]:
        """Sends alerts of one group. Returns for each service the last message that it took about them."""
        outside.deliveries.clear()
        outside.refused.clear()
        end = datetime.now(UTC) + timedelta(hours=1)
        batch = [
            {"endsAt": end.isoformat(), "generatorURL": "https://p.example/graph?g0.expr=up", **alert}
            for alert in alerts
        ]
        requests.post(f"{alertmanager}/api/v2/alerts", json=batch, timeout=10).raise_for_status()
        wanted = {"mail", *HOSTS}
        limit = time.monotonic() + 40
        while {name for name, _ in outside.deliveries} != wanted or len(outside.messages("hooks.example.com")) < 2:
            assert not outside.refused
            missing = wanted - {name for name, _ in outside.deliveries}
            assert time.monotonic() < limit, (missing, outside.refused, (folder / "log").read_text()[-3000:])
            time.sleep(0.1)
        assert not outside.refused
        return dict(outside.deliveries)

    return tell


def alert(name: str, annotations: dict[str, str], **labels: str) -> dict[str, Any]:
    own = {"alertname": name, "severity": "critical", "service": "orders", "environment": "prod"}
    return {"labels": {**own, **labels}, "annotations": annotations}


SLOW = {
    "headline": "orders: 95 % of requests take up to 1.2 s",
    "summary": "[service]: 95 % of requests take up to [value]",
    "description": "Users wait.",
    **{name: f"https://{name.partition('_')[0]}.example/x?from=now-1h&to=now&a=1" for name in ADDRESSES},
}


def test_every_service_takes_an_alert_and_shows_what_it_is_about(deliver: Deliver) -> None:
    messages = deliver([alert("ApplicationSlow", SLOW)])
    for name, message in messages.items():
        text = f"{message.title}\n{plain(name, message)}"
        if name not in {"api.incident.io", "hooks.example.com"}:  # they get the alert itself
            assert "orders: 95 % of requests take up to 1.2 s" in text, name
        assert "ApplicationSlow" in text, name


def plain(name: str, message: Message) -> str:
    """The text of a message as its service shows it."""
    if name == "api.telegram.org":
        return TelegramHtml(message.text).text.replace("\u200b", "")
    if name == "mail":
        return re.sub(r"<[^>]*>", "", message.text)
    if name in {"discord.com", "prod.westeurope.logic.azure.com"}:
        return re.sub(r"<[^>]*>", "", MarkdownIt().render(message.text)).replace("\u200b", "")
    return message.text


def test_links_stand_first_where_they_are_short(deliver: Deliver) -> None:
    messages = deliver([alert("Links", SLOW)])
    telegram = TelegramHtml(messages["api.telegram.org"].text)
    assert list(telegram.links) == ["Runbook", "Dashboard", "Logs", "Traces", "Query"]
    assert re.fullmatch(r"https://dashboard.example/x\?from=\d+&to=\d+&a=1", telegram.links["Dashboard"])
    second = telegram.text.splitlines()[1]
    assert second == "Runbook Dashboard Logs Traces Query "
    discord = messages["discord.com"].text
    assert discord.startswith("[Runbook](https://runbook.example/x?from=")
    assert "<a href=" in MarkdownIt().render(messages["prod.westeurope.logic.azure.com"].text).splitlines()[0]
    ntfy = messages["ntfy.example.com"].text
    assert ntfy.index("Users wait.") < ntfy.index("Dashboard: https://dashboard.example/x?from=1")
    assert messages["api.pushover.net"].raw["url"].startswith("https://dashboard.example/x?from=1")


@pytest.mark.parametrize("attack", HOSTILE)
def test_foreign_text_becomes_no_markup_and_no_mention(deliver: Deliver, attack: str) -> None:
    text, _ = HOSTILE[attack]
    text = f"{text} @everyone #tag /cmd {{{{DATE(2026-01-01T00:00:00Z)}}}} <b>x</b> [a](https://evil.example) &#64;here '\""
    messages = deliver([alert("Hostile", {"summary": text, "description": text}, service=text[:100], queue=attack)])
    wanted = re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", " ", text)).strip()
    telegram = TelegramHtml(messages["api.telegram.org"].text)
    assert wanted in telegram.text.replace("\u200b", "")
    assert {"Query"} == telegram.links.keys()
    assert re.findall(r"<(\w+)", messages["api.telegram.org"].text) == ["b", "a", "b"]
    assert not re.search(r"[@#]\w|(?<![^\W_])/\w", telegram.text.split("Query", 1)[1])
    for name in ("discord.com", "prod.westeurope.logic.azure.com"):
        message = messages[name]
        for markdown in (message.title, message.text):
            rendered = MarkdownIt().render(markdown)
            assert set(re.findall(r"<(\w+)", rendered)) <= {"p", "strong", "a", "br"}, name
            assert re.findall(r'href="([^"]*)"', rendered) in ([], ["https://p.example/graph?g0.expr=up"]), name
            assert not re.search(r"@\w|\{\{|(?<!\\)<[@#:t]", markdown), name
            assert "://evil" not in markdown, name
    assert messages["discord.com"].raw["content"] == ""
    html = messages["mail"].text
    assert set(re.findall(r"<(\w+)", html)) <= {"html", "head", "meta", "body", "b", "br", "a"}
    assert re.findall(r'href="([^"]*)"', html) == ["https://p.example/graph?g0.expr=up"]
    assert "\n" not in messages["mail"].title
    for name in ("ntfy.example.com", "api.pushover.net", "api.atlassian.com"):
        assert wanted in messages[name].text, name


LONG = dict.fromkeys(("summary", "description", "culprits", "changed"), 400 * '<&"@/*ю ') | dict.fromkeys(
    ADDRESSES, "https://" + 2000 * "a&"
)


@pytest.mark.parametrize("many", [1, 60])
def test_endless_alerts_fit_and_none_is_lost_unsaid(deliver: Deliver, many: int) -> None:
    long = {**LONG, **{name: LONG[name][:2400] for name in ADDRESSES}}
    messages = deliver(
        [alert(f"Long{many}", long, queue=f"{number} {100 * 'q'}", service=200 * "<") for number in range(many)]
    )
    for name in ("mail", *HOSTS):
        if many > 1 and name not in {
            "api.incident.io",
            "hooks.example.com",
            "events.pagerduty.com",
            "api.pushover.net",
        }:
            assert re.search(r"and \d+ more", plain(name, messages[name])), name
    text = messages["api.pushover.net"].text
    assert text.startswith("<&")


def test_no_secret_is_in_a_file_that_is_not_one(settings: Settings) -> None:
    files = container(settings).config
    assert files
    for text in files.files.values():
        for secret in SECRETS.values():
            for part in re.split(r"[:/?]", secret):
                assert len(part) < 12 or part.endswith((".com", ".net")) or part not in text, part


def test_alert_test_says_which_receiver_took_it_and_what_the_others_said(
    settings: Settings, alertmanager: str, outside: Internet, folder: Path
) -> None:
    manager = receiver_test.Manager(
        metrics=lambda: requests.get(f"{alertmanager}/metrics", timeout=10).text,
        post=lambda path, text: requests.post(
            f"{alertmanager}{path}", text, headers={"Content-Type": "application/json"}, timeout=10
        ).raise_for_status(),
        log=(folder / "log").read_text,
    )
    outside.broken = {
        "discord.com": 404,
        "api.telegram.org": 0,
        "ntfy.example.com": 0,
        "api.pushover.net": 0,
        "hooks.slack.com": 500,
    }
    try:
        findings = receiver_test.findings(manager, settings, patience=4)
    finally:
        outside.broken = {}
    words = {finding.what.split()[0]: finding.detail for finding in findings if not finding.kept}
    assert words.keys() == {"discord", "bot", "ntfy", "pushover", "chat"}
    assert "404" in words["discord"]
    assert "out of order" in words["discord"]
    assert "500" in words["chat"]
    assert "EOF" in words["bot"]
    assert len(findings) == len(SECRETS)
    assert all(finding.kept for finding in receiver_test.findings(manager, settings, patience=20))
    for text in (*(finding.detail for finding in findings), (folder / "log").read_text()):
        assert not re.search(f"secret[-_ ]|{30 * 'a'}", text)
