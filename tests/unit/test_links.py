"""Addresses of dashboards, logs and traces, and the links of every alert."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from config import links
from config.alerts import EVERYTHING, Alert, groups, render
from config.services.logs import loki_rules
from config.settings.addresses import Addresses
from tests.support import dashboard_queries
from tests.support.program import config_of, settings_of

GRAFANA, JAEGER = "https://g.example/grafana", "https://j.example"
EXTERNAL = {"external_urls": {"grafana": f"{GRAFANA}/", "jaeger": JAEGER}}
WITH_SERVICE = "{{ $labels.service | urlquery }}"


def pane(url: str) -> dict[str, Any]:
    """The pane that an address in Explore opens."""
    parameters = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert parameters["schemaVersion"] == ["1"]
    [only] = json.loads(parameters["panes"][0]).values()
    return dict(only)


def annotations() -> dict[str, dict[str, str]]:
    """Name → annotations, for every alert of Prometheus and of Loki."""
    settings = settings_of(EXTERNAL)
    files = render(settings, EVERYTHING)
    rule_groups = [group for text in files.values() for group in yaml.safe_load(text)["groups"]]
    rule_groups += loki_rules.rule_file(settings)["groups"]
    return {rule["alert"]: rule["annotations"] for group in rule_groups for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize(
    "query",
    ['{service="orders"}', '{service=~"a|b"} |= `50 % & "more" + #1`', '{service="ä"} | json | status >= 500'],
)
def test_an_address_keeps_its_query(query: str) -> None:
    url = links.logs(query, "1764000000000", "now", base=GRAFANA)
    assert url.startswith(f"{GRAFANA}/explore?")
    assert pane(url) == {
        "datasource": "loki",
        "queries": [
            {"refId": "A", "datasource": {"type": "loki", "uid": "loki"}, "expr": query, "queryType": "range"},
        ],
        "range": {"from": "1764000000000", "to": "now"},
    }


def test_traces_are_searched_by_service_and_opened_by_id() -> None:
    assert pane(links.traces("orders", "now-1h", "now"))["queries"][0]["service"] == "orders"
    assert pane(links.trace("4bf92f", "now-1h", "now"))["queries"][0]["query"] == "4bf92f"
    assert links.jaeger_search(JAEGER, "a b") == f"{JAEGER}/search?service=a%20b&lookback=1h"
    assert links.jaeger_search(JAEGER, "") == f"{JAEGER}/search?lookback=1h"


@pytest.mark.parametrize("later", ["${service:pipe}", "${__field.labels.service}", WITH_SERVICE])
def test_an_address_keeps_its_placeholders(later: str) -> None:
    for url in (links.logs(f'{{service="{later}"}}', "a", "b"), links.dashboard("host", "a", "b", service=later)):
        assert url.count(later) == 1
        assert unquote(url).count(later) == 1
        assert not re.search(r'[{}" ]', url.replace(later, ""))


def test_every_kind_of_address_can_show_an_exact_time() -> None:
    exactly = links.exactly()
    for url in (
        links.dashboard("host", *links.LAST_HOUR),
        links.logs("{}", *links.LAST_HOUR),
        links.jaeger_search("", "orders"),
    ):
        [(relative, (form, method))] = [(one, exact) for one, exact in exactly.items() if one in url]
        assert re.sub(relative, form % (17, 18), url) != url  # it is used as a regular expression
        assert method == ("UnixMicro" if "lookback" in url else "UnixMilli")
    panes = {relative: form for relative, (form, _) in exactly.items() if relative.startswith("%")}
    [(relative, form)] = panes.items()
    assert pane(links.logs("{}", *links.LAST_HOUR).replace(relative, form % (17, 18)))["range"] == {
        "from": "17",
        "to": "18",
    }


@pytest.mark.parametrize(("name", "links_of_alert"), annotations().items(), ids=list(annotations()))
def test_every_alert_links_to_its_dashboard_logs_and_traces(name: str, links_of_alert: dict[str, str]) -> None:
    if name == "Watchdog":  # says that nothing is wrong
        assert links_of_alert.keys() == {"summary", "headline", "description", "runbook_url"}
        return
    board, _, parameters = links_of_alert["dashboard_url"].removeprefix(f"{GRAFANA}/d/").partition("?")
    variables = {variable["name"] for variable in dashboard_queries.boards()[board]["templating"]["list"]}
    assert {key.removeprefix("var-") for key in parse_qs(parameters) if key.startswith("var-")} <= variables
    assert pane(links_of_alert["logs_url"])["range"] == {"from": "now-1h", "to": "now"}
    assert links_of_alert["traces_url"].startswith(f"{JAEGER}/search?")


@pytest.mark.parametrize(
    ("name", "board", "lines", "search"),
    [
        ("ApplicationErrorsHigh", f"golden-signals:{WITH_SERVICE}", f'{{service="{WITH_SERVICE}"}}', WITH_SERVICE),
        ("LogErrorBurst", f"logs:{WITH_SERVICE}", f'{{service="{WITH_SERVICE}"}}', WITH_SERVICE),
        ("ContainerOomKilled", f"host:{WITH_SERVICE}", f'{{service="{WITH_SERVICE}"}}', WITH_SERVICE),
        ("HostCpuHigh", "host:", '{level=~"error|fatal"}', ""),
        ("RedisDown", f"databases:{WITH_SERVICE}", f'{{service="{WITH_SERVICE}"}}', ""),
        ("ContainersNotSeen", "host:cadvisor", '{service="cadvisor"}', "cadvisor"),
        ("TargetMissing", "stack:{{ $labels.job | urlquery }}", '{service="{{ $labels.job | urlquery }}"}', ""),
    ],
)
def test_an_alert_links_to_its_subject(name: str, board: str, lines: str, search: str) -> None:
    links_of_alert = annotations()[name]
    url = urlsplit(links_of_alert["dashboard_url"])
    service = parse_qs(url.query).get("var-service", [""])[0]
    assert f"{url.path.removeprefix('/grafana/d/')}:{service}" == board
    assert pane(links_of_alert["logs_url"])["queries"][0]["expr"] == lines
    assert parse_qs(urlsplit(links_of_alert["traces_url"]).query).get("service", [""])[0] == search


def test_every_group_of_alerts_has_links() -> None:
    rule_groups = (*groups(settings_of(), EVERYTHING), *loki_rules.groups(settings_of()))
    named = {rule.name for group in rule_groups for rule in group.rules if isinstance(rule, Alert)}
    assert named == annotations().keys()


def test_without_a_grafana_alerts_link_to_their_runbooks_only() -> None:
    assert settings_of().addresses == Addresses(settings_of().alerts.runbooks, None, "http://127.0.0.1:16686")
    text = config_of("prometheus", settings_of()).files["rules/applications.yml"]
    assert "runbook_url" in text
    assert "dashboard_url" not in text
