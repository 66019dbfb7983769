"""Messages of Alertmanager: its templates rendered by its own amtool."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config import links
from config.alerts import EVERYTHING, as_yaml, groups
from config.services.metrics import alertmanager, messages
from tests.support.program import settings_of
from toolchain import images

GRAFANA, JAEGER = "https://g.example", "https://j.example"
BEGAN = 1795521600
"""2026-11-24 12:00, in seconds."""
HALF_AN_HOUR = 1800


@pytest.fixture
def annotations() -> dict[str, str]:
    """The annotations of an alert about the service `orders`, as Prometheus would send them."""
    urls = {"grafana": GRAFANA, "jaeger": JAEGER}
    settings = settings_of({"alerts": {"runbooks": "https://r.example"}, "external_urls": urls})
    [applications] = [group for group in groups(settings, EVERYTHING) if group.name == "applications"]
    rules = as_yaml(applications, settings.addresses)["rules"]
    [slow] = [rule["annotations"] for rule in rules if rule.get("alert") == "ApplicationSlow"]
    return {name: text.replace("{{ $labels.service | urlquery }}", "orders") for name, text in slow.items()}


def rendered(folder: Path, text: str, annotations: dict[str, str]) -> str:
    return message(folder, text, [alert(annotations, service="orders")])


def alert(annotations: dict[str, str], *, status: str = "firing", **labels: str) -> dict[str, Any]:
    times = {"startsAt": "2026-11-24T12:00:00Z", "generatorURL": "http://p.example/graph"}
    return {"status": status, "labels": labels, "annotations": annotations, **times}


def message(folder: Path, text: str, alerts: list[dict[str, Any]], more: dict[str, Any] | None = None) -> str:
    """The template `text` rendered for a group of alerts. `more`: further data of the group."""
    data = {"receiver": "slack", "status": "firing", "alerts": alerts, "commonAnnotations": alerts[0]["annotations"]}
    data |= more or {}
    (folder / "data.json").write_text(json.dumps(data))
    (folder / "slack.tmpl").write_text(messages.templates())
    command: list[str | Path] = [images.binary("amtool"), "template", "render", "--template.text", text]
    command += ["--template.glob", folder / "slack.tmpl", "--template.data", folder / "data.json"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def expected() -> dict[str, str]:
    """Name of a link → its address, for half an hour around the start of the alert."""
    start, end = BEGAN - HALF_AN_HOUR, BEGAN + HALF_AN_HOUR
    period = (f"{start}000", f"{end}000")
    search = f"{JAEGER}/search?service=orders&lookback=custom&start={start}000000&end={end}000000"
    return {
        "Dashboard": links.dashboard("golden-signals", *period, base=GRAFANA, service="orders"),
        "Logs": links.logs('{service="orders"}', *period, base=GRAFANA),
        "Traces": search,
    }


def test_a_message_in_slack_links_to_the_time_of_the_alert(tmp_path: Path, annotations: dict[str, str]) -> None:
    text = rendered(tmp_path, '{{ template "slack.text" . }}', annotations)
    for name, address in {"Runbook": "https://r.example/ApplicationSlow.md", **expected()}.items():
        assert f"<{address}|{name}>" in text


def test_a_message_without_links_has_none(tmp_path: Path, annotations: dict[str, str]) -> None:
    only = {name: text for name, text in annotations.items() if name in {"summary", "description"}}
    text = rendered(tmp_path, '{{ template "slack.text" . }}', only)
    assert text.count("<") == 1
    assert "<http://p.example/graph|Query>" in text


def test_pagerduty_links_to_the_time_of_the_alert(tmp_path: Path, annotations: dict[str, str]) -> None:
    settings = settings_of({"external_urls": {"grafana": GRAFANA}}, secrets=["pagerduty_key"])
    [receiver] = [one for one in alertmanager.main_file(settings)["receivers"] if one["name"] == "pagerduty"]
    hrefs = {link["text"]: link["href"] for link in receiver["pagerduty_configs"][0]["links"]}
    assert hrefs.keys() == {"Runbook", *expected()}
    for name, address in expected().items():
        assert rendered(tmp_path, hrefs[name], annotations).strip() == address


TEXT = '{{ template "slack.text" . }}'


@pytest.mark.parametrize(
    ("annotations", "labels", "first_lines"),
    [
        pytest.param({"headline": "h", "summary": "s"}, {"queue": "mails"}, "*h*", id="its headline"),
        pytest.param({"summary": "s", "message": "m"}, {"queue": "mails"}, "*s*\nm", id="a summary, and what it means"),
        pytest.param(
            {},
            {"alertname": "QueueLong", "severity": "page", "queue": "mails"},
            "*queue=mails*",
            id="its labels without any",
        ),
        pytest.param(
            {"description": "d"},
            {"alertname": "QueueLong", "queue": "mails"},
            "*queue=mails*\nd",
            id="no summary but a description",
        ),
        pytest.param({}, {"alertname": "QueueLong", "severity": "page"}, "*QueueLong*", id="no label either"),
        pytest.param(
            {"summary": "p99 < 5 ms & p50 > 3 of <shop>"},
            {},
            "*p99 &lt; 5 ms &amp; p50 &gt; 3 of &lt;shop&gt;*",
            id="Slack's signs",
        ),
    ],
)
def test_a_message_says_what_an_alert_is_about_by(
    tmp_path: Path, annotations: dict[str, str], labels: dict[str, str], first_lines: str
) -> None:
    text = message(tmp_path, TEXT, [alert(annotations, **labels)])
    assert text.startswith(f"{first_lines}\n")
    assert " · <" not in text
    assert "\n <" not in text


def test_a_title_without_severity_has_no_gap(tmp_path: Path) -> None:
    assert message(tmp_path, '{{ template "slack.title" . }}', [alert({}, alertname="Q")]).startswith("[FIRING:1] ")
    assert " ·" not in message(tmp_path, '{{ template "slack.title" . }}', [alert({}, alertname="Q")])


ADDRESSES = ("runbook_url", "dashboard_url", "logs_url", "traces_url")
LONG = dict.fromkeys(("summary", "description"), 1000 * "words ") | dict.fromkeys(ADDRESSES, "https://" + 2492 * "a")


def test_a_message_of_many_long_alerts_fits_into_slack(tmp_path: Path) -> None:
    both = [alert(LONG, queue=str(number), status=status) for number in range(200) for status in ("firing", "resolved")]
    text = message(tmp_path, TEXT, both)
    assert len(text) < 40_000
    assert LONG["logs_url"] in text
    assert text.count("and 190 more") == 2


@pytest.mark.parametrize(
    ("number", "count", "rest"), [(1, 1, ""), (10, 10, ""), (11, 10, "and 1 more"), (400, 10, "and 390 more")]
)
@pytest.mark.parametrize("template", [TEXT, '{{ template "plain.alerts" .Alerts.Firing }}'], ids=["Slack", "PagerDuty"])
def test_a_message_shows_ten_alerts_and_counts_the_others(
    tmp_path: Path, template: str, number: int, count: int, rest: str
) -> None:
    alerts = [alert({"summary": f"queue customer-{one} is long"}, queue=str(one)) for one in range(number)]
    text = message(tmp_path, template, alerts)
    assert text.count("is long") == count
    assert rest in text
    assert (" more" in text) is bool(rest)


def test_the_evidence_of_an_incident_keeps_its_lines_and_has_an_end(tmp_path: Path) -> None:
    one = alert({"headline": "h", "evidence": "first *bold* <!here>\nsecond " + 3000 * "x"})
    text = message(tmp_path, TEXT, [one])
    assert "\nfirst +bold+ &lt;!here&gt;\nsecond x" in text
    assert 1900 < text.count("x") < 2000
    assert "first" not in message(tmp_path, TEXT, [one | {"status": "resolved"}], {"status": "resolved"})


def test_a_message_omits_an_endless_address(tmp_path: Path) -> None:
    assert "Runbook" not in message(tmp_path, TEXT, [alert({"runbook_url": "https://" + 2493 * "a"})])


def test_resolved_alerts_do_not_hide_firing_ones(tmp_path: Path) -> None:
    over = [alert({"summary": f"old {one}"}, status="resolved", queue=str(one)) for one in range(30)]
    text = message(tmp_path, TEXT, [*over, alert({"summary": "new"}, queue="x")])
    assert text.startswith("*new*")
    assert text.count("Over: *old") == 10


HOSTILE = {
    "a name for everybody": ("<!channel> disk is failing", "&lt;!channel&gt; disk is failing"),
    "a person": ("<@U0AAAAAAA>", "&lt;@U0AAAAAAA&gt;"),
    "a link with another text": ("<https://evil.example|Open>", "&lt;https://evil.example|Open&gt;"),
    "signs that are written already": ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
    "bold": ("a *b* c", "a +b+ c"),
    "italics": ("_a_ but node_exporter_2", "ˍa_ but node_exporter_2"),
    "struck": ("~a~", "-a-"),
    "code": ("```a``` `b`", "'''a''' 'b'"),
    "lines of its own": ("a\n\n> *[RESOLVED]*\r\nb", "a &gt; +[RESOLVED]+ b"),
    "lines that only some see": ("a\u2028b\u0085c", "a b c"),
    "a terminal": ("a\x1b[2Jb", "a [2Jb"),
    "letters that turn the direction": ("a\u202egpj.exe", "a gpj.exe"),
    "a template": ("{{ .ExternalURL }} $labels", "{{ .ExternalURL }} $labels"),
    "letters of another script": ("заказы 注文", "заказы 注文"),
}
"""Attack → text of a label, and the text sent to Slack."""


@pytest.mark.parametrize("attack", HOSTILE)
def test_slack_shows_untrusted_text_as_plain_text(tmp_path: Path, attack: str) -> None:
    text, rendering = HOSTILE[attack]
    [one] = [alert({"headline": f"{text} fails"}, alertname="A", service=text, severity=text)]
    assert message(tmp_path, TEXT, [one]).startswith(f"*{rendering} fails*\n")
    common = {"commonLabels": one["labels"]}
    assert f"{rendering} · A · {rendering}" in message(tmp_path, '{{ template "slack.title" . }}', [one], common)


@pytest.mark.parametrize("attack", ["a name for everybody", "lines of its own", "a terminal"])
def test_pagerduty_gets_untrusted_text_in_one_line(tmp_path: Path, attack: str) -> None:
    text, _ = HOSTILE[attack]
    one = alert({"headline": text}, alertname="A", service=text)
    plain = re.sub(r"[\s\x1b]+", " ", text)
    assert json.loads(message(tmp_path, '{{ template "plain.alerts" .Alerts.Firing }}', [one])) == [plain]
    common = {"commonLabels": one["labels"]}
    assert message(tmp_path, '{{ template "plain.title" . }}', [one], common) == f"[FIRING:1] A · {plain}"


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://r.example/a>b|c <!here>", "<https://r.example/a%3Eb%7Cc%20%3C!here%3E|Runbook>"),
        ("!channel", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_an_address_cannot_leave_its_link(tmp_path: Path, address: str, link: str) -> None:
    text = message(tmp_path, TEXT, [alert({"summary": "s", "runbook_url": address})])
    assert link in text
    assert text.count("<") == 1 + bool(link)
