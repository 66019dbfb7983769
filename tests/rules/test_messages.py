"""What Alertmanager makes of its templates, by its own amtool."""

import json
import subprocess
from pathlib import Path

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
    alert = {"status": "firing", "labels": {"service": "orders"}, "annotations": annotations}
    alert |= {"startsAt": "2026-11-24T12:00:00Z", "generatorURL": "http://p.example/graph"}
    told = {"receiver": "slack", "status": "firing", "alerts": [alert], "commonAnnotations": annotations}
    (folder / "told.json").write_text(json.dumps(told))
    (folder / "slack.tmpl").write_text(alertmanager.slack_template())
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
