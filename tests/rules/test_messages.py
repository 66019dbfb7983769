"""What Alertmanager makes of its templates, by its own amtool."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config import alertmanager, links
from config.alerts import Addresses, Thresholds, as_yaml
from config.alerts.applications import group
from config.alerts.rule import EVERYTHING
from tests.unit.conftest import settings_of
from toolchain import images

GRAFANA, JAEGER = "https://g.example", "https://j.example"
BEGAN = 1795521600
"""2026-11-24 12:00, in seconds."""
HALF_AN_HOUR = 1800


@pytest.fixture
def annotations() -> dict[str, str]:
    """Of an alert about the service `orders`, as Prometheus would send them."""
    rules = as_yaml(group(Thresholds(), EVERYTHING), Addresses("https://r.example", GRAFANA, JAEGER))
    [slow] = [rule["annotations"] for rule in rules if rule.get("alert") == "ApplicationSlow"]
    return {name: text.replace("{{ $labels.service | urlquery }}", "orders") for name, text in slow.items()}


def rendered(folder: Path, text: str, annotations: dict[str, str]) -> str:
    return message(folder, text, [alert(annotations, service="orders")])


def alert(annotations: dict[str, str], *, status: str = "firing", **labels: str) -> dict[str, Any]:
    times = {"startsAt": "2026-11-24T12:00:00Z", "generatorURL": "http://p.example/graph"}
    return {"status": status, "labels": labels, "annotations": annotations, **times}


def message(folder: Path, text: str, alerts: list[dict[str, Any]]) -> str:
    """What Alertmanager makes of `text` for a group of alerts."""
    told = {"receiver": "slack", "status": "firing", "alerts": alerts, "commonAnnotations": alerts[0]["annotations"]}
    (folder / "told.json").write_text(json.dumps(told))
    (folder / "slack.tmpl").write_text(alertmanager.templates())
    command: list[str | Path] = [images.binary("amtool"), "template", "render", "--template.text", text]
    command += ["--template.glob", folder / "slack.tmpl", "--template.data", folder / "told.json"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def expected() -> dict[str, str]:
    """What links to → address, half an hour around the beginning of the alert."""
    start, end = BEGAN - HALF_AN_HOUR, BEGAN + HALF_AN_HOUR
    shown = (f"{start}000", f"{end}000")
    search = f"{JAEGER}/search?service=orders&lookback=custom&start={start}000000&end={end}000000"
    return {
        "Dashboard": links.dashboard("golden-signals", *shown, base=GRAFANA, service="orders"),
        "Logs": links.logs('{service="orders"}', *shown, base=GRAFANA),
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
    made = {link["text"]: link["href"] for link in receiver["pagerduty_configs"][0]["links"]}
    assert made.keys() == {"Runbook", *expected()}
    for name, address in expected().items():
        assert rendered(tmp_path, made[name], annotations).strip() == address


TEXT = '{{ template "slack.text" . }}'


@pytest.mark.parametrize(
    ("annotations", "labels", "said"),
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
    tmp_path: Path, annotations: dict[str, str], labels: dict[str, str], said: str
) -> None:
    text = message(tmp_path, TEXT, [alert(annotations, **labels)])
    assert text.startswith(f"{said}\n")
    assert " · <" not in text
    assert "\n <" not in text


def test_a_title_without_severity_has_no_gap(tmp_path: Path) -> None:
    assert message(tmp_path, '{{ template "slack.title" . }}', [alert({}, alertname="Q")]).startswith("[FIRING:1] ")
    assert " ·" not in message(tmp_path, '{{ template "slack.title" . }}', [alert({}, alertname="Q")])


ADDRESSES = ("runbook_url", "dashboard_url", "logs_url", "traces_url")
LONG = dict.fromkeys(("summary", "description"), 1000 * "words ") | dict.fromkeys(ADDRESSES, 2500 * "a")


def test_a_message_of_many_long_alerts_is_no_longer_than_slack_takes(tmp_path: Path) -> None:
    both = [alert(LONG, queue=str(number), status=status) for number in range(200) for status in ("firing", "resolved")]
    text = message(tmp_path, TEXT, both)
    assert len(text) < 40_000
    assert LONG["logs_url"] in text
    assert text.count("and 190 more") == 2


@pytest.mark.parametrize(
    ("number", "shown", "rest"), [(1, 1, ""), (10, 10, ""), (11, 10, "and 1 more"), (400, 10, "and 390 more")]
)
@pytest.mark.parametrize("template", [TEXT, '{{ template "plain.alerts" .Alerts.Firing }}'], ids=["Slack", "PagerDuty"])
def test_the_first_ten_alerts_are_told_and_the_others_counted(
    tmp_path: Path, template: str, number: int, shown: int, rest: str
) -> None:
    alerts = [alert({"summary": f"queue customer-{one} is long"}, queue=str(one)) for one in range(number)]
    text = message(tmp_path, template, alerts)
    assert text.count("is long") == shown
    assert rest in text
    assert (" more" in text) is bool(rest)


def test_an_address_without_end_is_left_out(tmp_path: Path) -> None:
    assert "Runbook" not in message(tmp_path, TEXT, [alert({"runbook_url": 2501 * "a"})])


def test_alerts_that_are_over_do_not_hide_those_that_fire(tmp_path: Path) -> None:
    over = [alert({"summary": f"old {one}"}, status="resolved", queue=str(one)) for one in range(30)]
    text = message(tmp_path, TEXT, [*over, alert({"summary": "new"}, queue="x")])
    assert text.startswith("*new*")
    assert text.count("Over: *old") == 10
