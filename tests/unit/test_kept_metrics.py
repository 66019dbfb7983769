"""Which metrics are kept with `metrics.keep: used`."""

import json
import re

import pytest
import yaml

from config.additions import Additions, Dashboard
from config.services.correlation import dashboard_files
from config.services.descriptions import describe
from config.services.metrics import kept_metrics
from config.services.metrics.prometheus import container
from config.settings import Settings
from tests.support.program import EVERYTHING, settings_of
from tests.unit.relabel import relabelled

USED = {"metrics": {"keep": "used"}}


def jobs(settings: Settings, rules: dict[str, str], dashboards: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Scrape job → its rules for metrics."""
    config = container(
        settings, Additions(rules=rules, dashboards={uid: Dashboard(text) for uid, text in dashboards.items()})
    ).config
    assert config
    main = yaml.safe_load(config.files["prometheus.yml"])
    return {job["job_name"]: job.get("metric_relabel_configs", []) for job in main["scrape_configs"]}


def keeps(
    metric: str, job: str, *, rules: str = "", dashboard: str = "", config: dict[str, object] | None = None
) -> bool:
    """Whether `metric` of `job` stays. `rules` and `dashboard`: a query in a rule or panel of the user's own."""
    own_rules = {"own.yml": json.dumps({"groups": [{"name": "own", "rules": [{"expr": rules}]}]})} if rules else {}
    boards = {"own": json.dumps({"panels": [{"targets": [{"expr": dashboard}]}]})} if dashboard else {}
    scrape_jobs = jobs(settings_of(USED if config is None else config), own_rules, boards)
    return relabelled({"__name__": metric, "job": job, "name": "x"}, scrape_jobs[job]) is not None


@pytest.mark.parametrize(
    ("metric", "job"),
    [
        ("node_memory_MemAvailable_bytes", "node_exporter"),
        ("container_start_time_seconds", "cadvisor"),
        ("traces_span_metrics_calls_total", "spans"),
    ],
)
def test_what_a_rule_or_the_stack_itself_reads_stays(metric: str, job: str) -> None:
    assert keeps(metric, job)


def test_what_nobody_reads_is_dropped_and_by_default_it_is_not() -> None:
    assert not keeps("node_memory_Bounce_bytes", "node_exporter")
    assert keeps("node_memory_Bounce_bytes", "node_exporter", config={})


@pytest.mark.parametrize(
    ("query", "metric", "stays"),
    [
        ("rate(shop_orders_total[5m])", "shop_orders_total", True),
        ("rate(shop_orders_total[5m])", "shop_orders_created", False),
        ("rate(shop_orders_total[5m])", "other_shop_orders_total", False),
        ("requests", "requests", True),
        ('{__name__="shop_stock"}', "shop_stock", True),
        ('{__name__=~"shop_(stock|price)"}', "shop_price", True),
        ('{__name__=~"shop_(stock|price)"}', "shop_size", False),
        ("count by (__name__) ({__name__=~'.+'})", "shop_size", False),
        ("shop_${kind}_total", "shop_orders_total", True),
        ("shop_[[kind]]_total", "shop_orders_total", True),
        ("shop_$kind", "shop_orders", True),
        ("shop_$kind", "stock_orders", False),
        ("rate($metric[$__rate_interval])", "shop_orders_total", False),
    ],
)
def test_a_metric_that_a_query_names_stays(query: str, metric: str, stays: bool) -> None:  # noqa: FBT001
    assert keeps(metric, "application-containers", dashboard=query) is stays
    assert keeps(metric, "application-containers", rules=query) is stays


@pytest.mark.parametrize(
    "dashboard",
    [
        {"panels": [{"panels": [{"targets": [{"expr": "shop_stock"}]}]}]},
        {"panels": [], "templating": {"list": [{"query": "label_values(shop_stock, item)"}]}},
        {"panels": [], "templating": {"list": [{"query": {"query": "label_values(shop_stock, item)", "refId": "x"}}]}},
        {"panels": [], "templating": {"list": [{"definition": "label_values(shop_stock, item)"}]}},
        {"panels": [], "annotations": {"list": [{"expr": "changes(shop_stock[5m])"}]}},
    ],
)
def test_a_query_is_found_wherever_a_dashboard_has_one(dashboard: dict[str, object]) -> None:
    assert "shop_stock" in kept_metrics.patterns([], [json.dumps(dashboard)])


def test_words_of_a_dashboard_that_are_no_query_do_not_count() -> None:
    board = {"title": "shop_stock", "panels": [{"description": "reads shop_stock", "targets": []}]}
    assert "shop_stock" not in kept_metrics.patterns([], [json.dumps(board)])


def test_a_pattern_that_is_none_is_left_out() -> None:
    assert "shop_(" not in kept_metrics.patterns([], [json.dumps({"expr": '{__name__=~"shop_("}'})])


def test_every_metric_that_the_stacks_own_dashboards_and_rules_read_stays() -> None:
    settings = settings_of({**EVERYTHING, "metrics": {**EVERYTHING.get("metrics", {}), "keep": "used"}})
    boards = {file.stem: Dashboard(file.read_text()) for file in dashboard_files.OURS.glob("*.json")}
    config = describe("prometheus", settings, Additions(dashboards=boards)).config
    assert config
    main = yaml.safe_load(config.files["prometheus.yml"])
    for job in main["scrape_configs"]:
        [*_, last] = job["metric_relabel_configs"]
        assert last["action"] == "keep", job["job_name"]
        for name in ("node_disk_written_bytes_total", "loki_write_dropped_entries_total", "engine_container_running"):
            assert re.fullmatch(last["regex"], name), (job["job_name"], name)
        for name in ("node_memory_Bounce_bytes", "go_memstats_lookups_total", "up_to_date"):
            assert not re.fullmatch(last["regex"], name), (job["job_name"], name)


def test_the_list_of_names_stands_once_in_the_file() -> None:
    config = container(settings_of(USED)).config
    assert config
    assert config.files["prometheus.yml"].count("node_memory_MemAvailable_bytes") == 1


@pytest.mark.parametrize("text", ["groups:", "groups: [x]", "groups: [{name: a}]", "groups: [{rules: [{alert: A}]}]"])
def test_a_rule_file_without_queries_is_left_for_promtool_to_judge(text: str) -> None:
    assert kept_metrics.patterns([text], []) == kept_metrics.patterns([], [])
