"""SLOs: which are refused and why, what is read of OpenSLO, and what stands beside their rules. tests/rules has the rules and the
report."""

import json
import re
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml

from check import slos as of_slos
from config.alerts import EVERYTHING, RecordingRule, groups, slo
from config.alerts.scope import Scope
from config.alerts.slo_indicators import indicators
from config.settings import openslo
from config.settings.loading import SettingsError, load
from config.settings.units import seconds
from operate import slo as budgets
from operate import upgrade
from operate.slo_budgets import Budget
from tests.support.fetched_pages import answer_pages
from tests.support.program import PROJECT, pulumi_config, refusal, settings_of
from toolchain.report import ToolchainError

SHOP: dict[str, Any] = {"name": "shop", "service": "shop", "objective": 99.9}
PROBES = {"probes": [{"name": "front", "target": "https://shop.example"}]}


@pytest.mark.parametrize(
    ("slo_", "complaint"),
    [
        ({"objective": 100}, "shop: objective: 100 leaves no error budget"),
        ({"objective": 0.999}, "shop: objective: 0.999 is in percent"),
        ({"objective": 101}, "less than or equal to 100"),
        ({"window": "6d"}, "shop: window: 6d is shorter than 7d"),
        ({"window": "61d"}, "shop: window: 61d is longer than metrics are kept (metrics.retention.time 60d)"),
        ({"latency": "0s"}, "shop: latency: 0s must be longer than zero"),
        ({"latency": "fast"}, "is not a time span"),
        ({"service": None}, "shop: needs service"),
        ({"service": 'a"b'}, "String should match pattern"),
        ({"name": "Shop"}, "String should match pattern"),
        ({"min_errors": 0}, "greater than or equal to 1"),
        ({"latency": "1s", "probe": "front"}, "shop: must count one thing, but names latency and probe"),
        ({"good": "rate(a[5m])"}, "shop: good and errors are shares of total"),
        ({"total": "rate(a[5m])"}, "shop: total needs either good or errors beside it"),
        ({"total": "rate(a[5m])", "good": "b", "errors": "c"}, "shop: total needs either good or errors beside it"),
        ({"total": "jobs_total", "good": "b"}, "is a counter, which only grows: write its events per second"),
        ({"total": 'jobs_total{a="}"}', "good": "b"}, "is a counter, which only grows"),
        ({"total": "rate(a[5m]", "good": "b"}, "is not PromQL: a quote or a bracket does not close"),
        ({"total": 'rate(a{b="c)[5m])', "good": "b"}, "is not PromQL"),
        ({"total": "rate(a[5m]) # all", "good": "b"}, "has a comment"),
        ({"total": "rate(a[5m])\nor b", "good": "b"}, "has a line break"),
        ({"total": "{{ a }}", "good": "b"}, "has {{, with which a template begins"),
        ({"service": None, "probe": "back"}, "shop: probe: exporters.probes has no back, there are front"),
        ({"service": None, "database": "redis"}, "shop: database: no exporter watches redis: set exporters.redis"),
        ({"service": None, "database": "haproxy"}, "Input should be 'postgres'"),
        ({"probe": "front"}, "shop: leave service out: the probe has it"),
        ({"service": None, "probe": "front", "objective": 99.9995}, "of the 172,800 tries in 30d leaves a budget of less than one"),
        ({"latencies": "1s"}, "unknown key; did you mean latency?"),
    ],
)  # fmt: skip
def test_an_slo_that_cannot_be_kept_or_counted_is_refused(slo_: Mapping[str, Any], complaint: str) -> None:
    entry = {key: value for key, value in {**SHOP, **slo_}.items() if value is not None}
    assert complaint in refusal({"slos": [entry], "exporters": PROBES})


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"slos": [SHOP, SHOP]}, "slos: shop is there twice"),
        ({"slos": [SHOP, {**SHOP, "name": "shop-2", "min_errors": 3}]}, "slos: shop-2 is the same as shop"),
        ({"slos": SHOP}, "slos: must be a list"),
        ({"slos": [SHOP], "metrics": {"retention": {"time": "15d"}}}, "window: 30d is longer than metrics are kept"),
        (
            {"slos": [SHOP], "metrics": {"golden_signals": [{"service": "shop", "requests": "jobs_total"}]}},
            "shop: nothing counts that: metrics.golden_signals names no errors of shop",
        ),
        ({"slo_files": ["../shop.yaml"]}, "slo_files.0: is not inside the project"),
        ({"slo_files": ["none.yaml"]}, "slo_files: none.yaml: No such file"),
    ],
)
def test_slos_that_do_not_fit_the_rest_are_refused(config: Mapping[str, Any], complaint: str) -> None:
    assert complaint in refusal(config)


def test_an_slo_of_a_probe_or_a_database_is_about_the_service_of_that() -> None:
    settings = settings_of(
        {
            "exporters": {**PROBES, "redis": {"address": "cache:6379", "service": "cache"}},
            "slos": [
                {"name": "a", "probe": "front", "objective": 99},
                {"name": "b", "database": "redis", "objective": 99},
                SHOP,
            ],
        }
    )
    assert [one.service for one in indicators(Scope(settings, EVERYTHING))] == ["front", "cache", "shop"]


def test_without_slos_there_is_nothing_of_them() -> None:
    assert not [group.name for group in groups(settings_of(), EVERYTHING) if group.name.startswith("slo")]


def test_there_are_as_many_rules_for_twenty_slos_as_for_one() -> None:
    def names(count: int) -> list[str]:
        slos = [{**SHOP, "name": f"shop-{number}", "service": f"shop-{number}"} for number in range(count)]
        rule_groups = groups(settings_of({"slos": slos}), EVERYTHING)
        return [
            rule.record if isinstance(rule, RecordingRule) else rule.name
            for group in rule_groups
            for rule in group.rules
        ]

    assert names(20) == names(1)


SLOTH = {  # long, short: share of the budget, severity
    ("1h", "5m"): (0.02, "page"),
    ("6h", "30m"): (0.05, "page"),
    ("1d", "2h"): (0.10, "ticket"),
    ("3d", "6h"): (0.10, "ticket"),
}
"""The windows of sloth 0.16.0 (`internal/alert/windows/google-30d.yaml`), which makes an alert of each pair of one severity."""
AS_SLOTH = {"page": "critical", "ticket": "warning"}


def test_windows_factors_and_severities_are_those_of_sloth() -> None:
    ours = {(tier.long, tier.short): (tier.factor, tier.severity) for tier in slo.TIERS}
    theirs: dict[Any, Any] = {
        windows: (pytest.approx(share * seconds("30d") / seconds(windows[0])), AS_SLOTH[severity])
        for windows, (share, severity) in SLOTH.items()
    }
    assert ours == theirs


OPENSLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout}
spec:
  service: shop
  indicator:
    metadata: {name: ratio}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'http_requests_total{code!~"5.."}'}}}
        total: {metricSource: {spec: {query: sum(http_requests_total)}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.9995}]
"""
THRESHOLD = {"thresholdMetric": {"metricSource": {"spec": {"query": "queue_length"}}}}


def changed(path: str, value: Any) -> str:
    """The document with another value at the dotted `path`; None removes it."""
    document = yaml.safe_load(OPENSLO)
    *parents, last = path.split(".")
    owner = document
    for parent in parents:
        owner = owner[parent]
    if value is None:
        del owner[last]
    else:
        owner[last] = value
    return yaml.safe_dump(document)


def read(folder: Path, *texts: str) -> list[dict[str, Any]]:
    """What is read of files with these texts, without defaults."""
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    slos = openslo.read([f"{number}.yaml" for number in range(len(texts))], folder)
    return [one.model_dump(exclude_defaults=True) for one in slos]


CHECKOUT = {
    "name": "checkout",
    "service": "shop",
    "objective": 99.95,
    "window": "4w",
    "total": "sum(rate(http_requests_total[5m]))",
    "good": 'sum(rate(http_requests_total{code!~"5.."}[5m]))',
}


def test_a_ratio_of_openslo_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, OPENSLO) == [CHECKOUT]
    assert read(tmp_path, yaml.safe_dump([yaml.safe_load(OPENSLO)])) == [CHECKOUT]  # as its own examples are


def test_an_indicator_of_another_file_is_found_and_other_kinds_are_left_alone(tmp_path: Path) -> None:
    spec = yaml.safe_load(OPENSLO)["spec"]["indicator"]["spec"]
    documents = [
        {"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": {}},
        {"apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "ratio"}, "spec": spec},
    ]
    referring = yaml.safe_load(OPENSLO)
    del referring["spec"]["indicator"]
    referring["spec"]["indicatorRef"] = "ratio"
    assert read(tmp_path, yaml.safe_dump(referring), yaml.safe_dump_all(documents)) == [CHECKOUT]


@pytest.mark.parametrize(
    ("ratio", "total", "errors"),
    [
        ("sum(rate(a_total[{{.window}}]))", "sum(rate(a_total[5m]))", "sum(rate(b[5m]))"),
        ("sum(\n  rate(a_total[5m])\n)", "sum( rate(a_total[5m]) )", "sum(rate(b[5m]))"),
    ],
    ids=["as sloth writes it", "over several lines"],
)
def test_a_rate_of_bad_events_is_read(tmp_path: Path, ratio: str, total: str, errors: str) -> None:
    sources = {"total": ratio, "bad": "sum(rate(b[5m]))"}
    metric = {key: {"metricSource": {"spec": {"query": query}}} for key, query in sources.items()}
    [objective] = read(tmp_path, changed("spec.indicator.spec", {"ratioMetric": metric}))
    assert (objective["total"], objective["errors"]) == (total, errors)


def test_a_threshold_and_several_objectives_are_read(tmp_path: Path) -> None:
    document = yaml.safe_load(changed("spec.indicator.spec", THRESHOLD))
    document["spec"]["objectives"] = [
        {"op": "lte", "value": 100, "targetPercent": 99},
        {"op": "lt", "value": 10, "target": 0.9},
    ]
    first, second = read(tmp_path, yaml.safe_dump(document))
    assert (first["name"], first["objective"], first["good"]) == ("checkout", 99, "(queue_length) <= bool 100")
    assert (second["name"], second["objective"], second["good"]) == ("checkout-2", 90, "(queue_length) < bool 10")
    assert first["total"] == "(queue_length) * 0 + 1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "0.yaml: is not YAML"),
        ("slos: []", "0.yaml: document 1: is not apiVersion: openslo/v1"),
        (changed("apiVersion", "openslo/v1alpha"), "is not apiVersion: openslo/v1"),
        (changed("kind", "SLOs"), "kind: SLOs is none of OpenSLO's"),
        (changed("metadata", {}), "has no metadata.name"),
        (changed("metadata.name", "Check Out"), "0.yaml: Check Out: name: String should match"),
        (changed("spec.budgetingMethod", "Timeslices"), "checkout: spec.budgetingMethod: Timeslices is not supported"),
        (changed("spec.timeWindow", None), "spec.timeWindow: needs one window"),
        (changed("spec.timeWindow", [{"duration": "1M", "isRolling": True}]), "'1M' has no fixed length"),
        (changed("spec.timeWindow", [{"duration": "30d", "isRolling": False}]), "for calendar months use make slo REPORT="),
        (changed("spec.timeWindow", [{"duration": "1d", "isRolling": True}]), "window: 1d is shorter than 7d"),
        (changed("spec.indicator", None), "checkout: indicator: is missing"),
        (changed("spec.indicator.spec", {"ratioMetric": {"raw": {}}}), "ratioMetric.raw: is not read"),
        (changed("spec.indicator.spec", {"ratioMetric": {"good": {}}}), "ratioMetric: needs total, and good or bad"),
        (changed("spec.indicator.spec", THRESHOLD), "a threshold needs op (lt, lte, gt, gte) and value"),
        (changed("spec.indicator.spec.ratioMetric.total", {"metricSource": {"type": "Datadog"}}), "Datadog is not supported"),
        (
            changed("spec.indicator.spec.ratioMetric.total", {"metricSource": {"spec": {"query": "max(a_total) / 2"}}}),
            "is neither a counter nor the sum of one",
        ),
        (changed("spec.objectives", []), "spec.objectives: needs at least one"),
        (changed("spec.objectives", [{"target": 0.9, "compositeWeight": 1}]), "a composite is not read"),
        (changed("spec.objectives", [{"target": "high"}]), "needs either target, like 0.999, or targetPercent"),
        (changed("spec.objectives", [{"target": 99.9}]), "objective: Input should be less than or equal to 100"),
        (changed("spec.service", None), "checkout: checkout: needs service"),
    ],
)  # fmt: skip
def test_what_openslo_says_and_cannot_be_counted_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        read(tmp_path, text)


def test_slos_of_files_are_judged_with_those_of_the_stack(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(OPENSLO)
    whose: dict[str, Any] = {"secret_keys": (), "project": PROJECT, "stack": "test", "root": tmp_path}
    config = {"slo_files": ["shop.yaml"], "slos": [SHOP]}
    assert [one.name for one in load(pulumi_config(config), **whose).slos] == ["shop", "checkout"]
    config["slos"] = [{**SHOP, "name": "checkout"}]
    with pytest.raises(SettingsError, match="slos: checkout is there twice"):
        load(pulumi_config(config), **whose)


def test_a_file_outside_of_the_project_is_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "shop.yaml").write_text(OPENSLO)
    (tmp_path / "in" / "shop.yaml").symlink_to(tmp_path / "shop.yaml")
    with pytest.raises(ValueError, match="is a link that leads out of the project"):
        openslo.read(["shop.yaml"], tmp_path / "in")


def answered(monkeypatch: pytest.MonkeyPatch, *results: Mapping[str, Any]) -> Any:
    """An engine whose Prometheus answers every query with these series."""
    body = json.dumps({"status": "success", "data": {"result": results}}).encode()
    answer_pages(monkeypatch, lambda *_: (0, body))
    return SimpleNamespace(containers=SimpleNamespace(get=lambda _: SimpleNamespace(id="prometheus")))


@pytest.mark.parametrize(
    ("latency", "bounds", "outcome"),
    [
        ("500ms", ["0.25", "0.5", "1.0", "+Inf"], True),
        ("500ms", ["0.250", "0.500", "1.000", "+Inf"], True),
        ("1s", ["0.5", "1", "+Inf"], True),
        ("10s", ["1", "10.0", "100", "+Inf"], True),
        ("1s", ["0.1", "10", "11", "+Inf"], False),
        ("300ms", ["0.25", "0.5", "+Inf"], False),
        ("50ms", ["0.5", "0.005", "+Inf"], False),
        ("300ms", [], True),
    ],
)
def test_the_check_finds_a_latency_that_is_no_bound(
    monkeypatch: pytest.MonkeyPatch, latency: str, bounds: list[str], *, outcome: bool
) -> None:
    client = answered(monkeypatch, *({"metric": {"le": bound}} for bound in bounds))
    settings = settings_of({"slos": [{**SHOP, "latency": latency}]})
    [finding] = of_slos.findings(client, settings)
    assert finding.kept is outcome
    assert outcome or "shop has the bounds " in finding.detail


def counted(failed: float, requests: float) -> tuple[dict[str, Any], ...]:
    parts = {"requests": requests, "failed": failed, "covered": 1}
    return tuple({"metric": {"part": part}, "value": [0, str(value)]} for part, value in parts.items())


@pytest.mark.parametrize(
    ("failed", "requests", "spent"),
    [(2000, 1e6, True), (999, 1e6, False), (9, 10, False), (0, 0, False)],
    ids=["more than may", "less than may", "nine at night", "no requests"],
)
def test_a_spent_budget_stops_an_upgrade(
    monkeypatch: pytest.MonkeyPatch, failed: float, requests: float, *, spent: bool
) -> None:
    client = answered(monkeypatch, *counted(failed, requests))
    monkeypatch.setattr(upgrade, "load_settings", lambda _: settings_of({"slos": [SHOP]}))
    monkeypatch.setattr("toolchain.engine_setup.connect", lambda _: client)
    if not spent:
        upgrade.must_have_budget("test")
        return
    with pytest.raises(ToolchainError, match=r"shop: 2,000 of 1,000,000 failed, 1,000 may, in 30d") as caught:
        upgrade.must_have_budget("test")
    assert "DESPITE_BUDGET=1" in caught.value.fix


def test_a_prometheus_that_does_not_answer_stops_no_upgrade(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = answered(monkeypatch)
    answer_pages(monkeypatch, lambda *_: (1, b"wget: can't connect"))
    assert budgets.spent(client, settings_of({"slos": [SHOP]})) == []
    assert "so they do not stop this" in " ".join(capsys.readouterr().out.split())


def test_a_budget_without_data_is_not_said_to_be_kept() -> None:
    [one] = indicators(Scope(settings_of({"slos": [SHOP]}), EVERYTHING))
    unknown = Budget(one, None, 0, 0, {datetime(2026, 10, 1): 0})  # noqa: DTZ001
    assert (unknown.spent, unknown.is_spent, unknown.worst_day, unknown.spent_on) == (None, False, None, None)


@pytest.mark.parametrize(
    ("failed", "code", "words"),
    [(2000, 1, "99.800 % 2,000 1,000 200 % spent"), (500, 0, "99.950 % 500 1,000 50 % kept")],
)
def test_make_slo_shows_the_budgets_whole_and_fails_if_one_is_spent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failed: float, code: int, words: str
) -> None:
    client = answered(monkeypatch, *counted(failed, 1e6))
    settings = settings_of({"slos": [{**SHOP, "name": "availability-of-the-shop-for-its-customers"}]})
    monkeypatch.setattr(budgets, "load_settings", lambda _: settings)
    monkeypatch.setattr("toolchain.engine_setup.connect", lambda _: client)
    with pytest.raises(typer.Exit) if code else nullcontext():
        budgets.slo("test", "")
    line = f"availability-of-the-shop-for-its-customers shop errors 99.9 % 30d {words}"
    assert line in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("slos", "report", "complaint"),
    [([], "", "test has no SLOs"), ([SHOP], "2026-13", "REPORT: '2026-13' is not a month")],
)
def test_make_slo_says_what_it_cannot_tell(
    monkeypatch: pytest.MonkeyPatch, slos: list[Any], report: str, complaint: str
) -> None:
    monkeypatch.setattr(budgets, "load_settings", lambda _: settings_of({"slos": slos}))
    client = answered(monkeypatch)
    monkeypatch.setattr("toolchain.engine_setup.connect", lambda _: client)
    with pytest.raises(ToolchainError, match=re.escape(complaint)):
        budgets.slo("test", report)


def test_a_report_is_csv_if_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    client = answered(monkeypatch)
    monkeypatch.setattr(budgets, "load_settings", lambda _: settings_of({"slos": [SHOP]}))
    monkeypatch.setattr("toolchain.engine_setup.connect", lambda _: client)
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    budgets.slo("test", f"{last:%Y-%m}", "csv")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("slo,service,counts,objective_percent,")
    assert lines[1].startswith("shop,shop,errors,99.9,")
