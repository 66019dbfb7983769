"""What alerts bring with them: `culprits` and `changed`, filled in by the real promtool."""

from pathlib import Path
from typing import Any

import yaml

from config.alerts import EVERYTHING, Job, evidence, groups, render
from config.alerts.rule import Alert
from tests.rules.run import SETTINGS, complaints, write
from toolchain import images

EVIDENCE = {evidence.CULPRITS, evidence.CHANGED}
WATCHED = frozenset({Job.APPLICATION, Job.SPANS, Job.CADVISOR, Job.NODE_EXPORTER})
FILES = ["rules/response-times.yml", "rules/applications.yml", "rules/host.yml"]
ALERTS = [rule for group in groups(SETTINGS, EVERYTHING) for rule in group.rules if isinstance(rule, Alert)]
Labels = tuple[tuple[str, str], ...]


def only_evidence(text: str) -> str:
    document: dict[str, Any] = yaml.safe_load(text)
    for rule in document["groups"][0]["rules"]:
        if "alert" in rule:
            rule["annotations"] = {key: one for key, one in rule["annotations"].items() if key in EVIDENCE}
    return yaml.safe_dump(document, sort_keys=False)


def unmet(folder: Path, series: dict[str, str], alert: str, expected: dict[Labels, dict[str, str]]) -> list[str]:
    """What promtool finds after 100 minutes of `series`, when `alert` should fire with these labels and this evidence."""
    rendered = {name: only_evidence(text) for name, text in render(SETTINGS, WATCHED).items() if name in FILES}
    every = evidence.annotations(next(one for one in ALERTS if one.name == alert), WATCHED)
    firing = [
        {"exp_labels": dict(labels), "exp_annotations": {**dict.fromkeys(every, ""), **texts}}
        for labels, texts in expected.items()
    ]
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "100m", "alertname": alert, "exp_alerts": firing}],
    }
    document = {"rule_files": FILES, "evaluation_interval": "1m", "tests": [case]}
    write(folder, {**rendered, "evidence.test.yml": yaml.safe_dump(document)})
    return [*complaints([images.binary("promtool"), "test", "rules", folder / "evidence.test.yml"], folder)]


def failing(service: str) -> dict[str, str]:
    """One of ten requests to `service` fails."""
    counter = 'http_server_request_duration_seconds_count{job="application",instance="x:1",service=%s,http_response_status_code="%s"}'
    quoted = quote(service)
    return {counter % (quoted, 200): "0+900x100", counter % (quoted, 500): "0+100x100"}


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def container(metric: str, name: str, service: str, more: str = "") -> str:
    return f'{metric}{{job="cadvisor",instance="c:8080",name="{name}",service={quote(service)}{more}}}'


def calls(what: str, server: str, client: str = "orders") -> str:
    return f'traces_service_graph_request_{what}{{job="spans",client="{client}",server="{server}"}}'


START, LIMIT = "container_start_time_seconds", "container_spec_memory_limit_bytes"
DEPLOYED = {
    container(START, "orders-1", "orders", ',image="shop/orders:1.7"'): "100x60 _x40",
    container(START, "orders-1", "orders", ',image="shop/orders:1.8"'): "_x60 3660x40",
    container(START, "users-1", "users", ',image="shop/users:2.1"'): "_x60 3720x40",
    container(LIMIT, "orders-1", "orders"): "134217728x60 67108864x40",
    container(LIMIT, "users-1", "users"): "0x60 33554432x40",
    container(LIMIT, "db", "db"): "67108864x100",
}
OF_ORDERS = (
    "orders runs shop/orders:1.8 since 1970-01-01 01:01:00 +0000 UTC. "
    "The memory limit of orders-1 is 64MiB, and was 128MiB. "
)


def labels(severity: str, service: str, **more: str) -> Labels:
    return tuple({"severity": severity, "service": service, **more}.items())


def test_errors_come_with_what_fails_below_and_what_was_deployed(tmp_path: Path) -> None:
    graph = {
        calls("failed_total", "payments"): "0+120x100",
        calls("failed_total", "stock"): "0+30x100",
        calls("failed_total", "mail"): "0x100",
        calls("failed_total", "elsewhere", client="users"): "0+999x100",
    }
    expected = {
        "culprits": "payments fails 2 calls a second, stock fails 0.5 calls a second",
        "changed": OF_ORDERS,
    }
    assert not unmet(
        tmp_path,
        {**failing("orders"), **graph, **DEPLOYED},
        "ApplicationErrorsHigh",
        {labels("critical", "orders"): expected},
    )


def test_slowness_comes_with_what_is_slow_below(tmp_path: Path) -> None:
    bucket = 'http_server_request_duration_seconds_bucket{job="application",instance="x:1",service="orders",le="%s"}'
    series = {
        bucket % "1.0": "0+0x100",
        bucket % "2.5": "0+100x100",
        bucket % "+Inf": "0+100x100",
        'http_server_request_duration_seconds_count{job="application",instance="x:1",service="orders",http_response_status_code="200"}': "0+100x100",
        calls("client_seconds_sum", "payments"): "0+150x100",
        calls("client_seconds_count", "payments"): "0+100x100",
        calls("client_seconds_sum", "stock"): "0+1x100",
        calls("client_seconds_count", "stock"): "0+100x100",
    }
    expected = {"culprits": "payments takes 1.5s a call, stock takes 10ms a call"}
    assert not unmet(tmp_path, series, "ApplicationSlow", {labels("warning", "orders"): expected})


def test_a_full_host_comes_with_the_three_largest_containers_and_all_that_was_deployed(tmp_path: Path) -> None:
    series = {
        'node_memory_MemAvailable_bytes{job="node_exporter",instance="n:9100",service="node_exporter"}': "4x100",
        'node_memory_MemTotal_bytes{job="node_exporter",instance="n:9100",service="node_exporter"}': "100x100",
        'node_pressure_memory_stalled_seconds_total{job="node_exporter",instance="n:9100",service="node_exporter"}': "0x100",
        **{
            container("container_memory_working_set_bytes", name, name): f"{size * 2**20}x100"
            for name, size in {"small": 10, "orders-1": 2048, "db": 512, "users-1": 300}.items()
        },
        **DEPLOYED,
    }
    of_host = labels("warning", "host", job="node_exporter", instance="n:9100")
    expected = {
        "culprits": "orders-1 2GiB, db 512MiB, users-1 300MiB",
        "changed": "users runs shop/users:2.1 since 1970-01-01 01:02:00 +0000 UTC. "
        "orders runs shop/orders:1.8 since 1970-01-01 01:01:00 +0000 UTC. "
        "The memory limit of orders-1 is 64MiB, and was 128MiB. The memory limit of users-1 is 32MiB, and was none. ",
    }
    assert not unmet(tmp_path, series, "HostMemoryHigh", {of_host: expected})


def test_a_tag_that_moves_shows_as_a_start(tmp_path: Path) -> None:
    again = {container(START, "mail-1", "mail", ',image="mail:latest"'): "100x80 4860x20"}
    expected = {"changed": "mail with mail:latest was started again at 1970-01-01 01:21:00 +0000 UTC. "}
    series = {**failing("mail"), **again, **DEPLOYED}
    assert not unmet(tmp_path, series, "ApplicationErrorsHigh", {labels("critical", "mail"): expected})


HOSTILE = ('x"} or vector(1) or up{job="', "%s %d %!q", "a\\", "{{ .Labels }}", "`", "line\nbreak")


def test_a_name_of_a_service_is_no_part_of_a_query(tmp_path: Path) -> None:
    series = {**DEPLOYED}
    expected = {}
    for number, service in enumerate(HOSTILE):
        series |= failing(service)
        series[container(START, f"x-{number}", service, f',image="evil:{number}"')] = "_x60 3660x40"
        change = f"{service} runs evil:{number} since 1970-01-01 01:01:00 +0000 UTC. "
        expected[labels("critical", service)] = {"changed": change}
    assert not unmet(tmp_path, series, "ApplicationErrorsHigh", expected)


def test_a_stack_that_is_younger_than_an_hour_knows_of_no_change(tmp_path: Path) -> None:
    young = {container(START, "orders-1", "orders", ',image="shop/orders:1.8"'): "_x60 3660x40"}
    assert not unmet(
        tmp_path, {**failing("orders"), **young}, "ApplicationErrorsHigh", {labels("critical", "orders"): {}}
    )


def test_about_fifteen_alerts_have_evidence_where_its_metrics_are_scraped() -> None:
    def of(watched: frozenset[str]) -> set[str]:
        return {alert.name for alert in ALERTS if evidence.annotations(alert, watched)}

    assert len(of(EVERYTHING)) == 16
    assert of(EVERYTHING - {Job.CADVISOR}) == {"ApplicationErrorsHigh", "ApplicationSlow"}
    assert of(EVERYTHING - {Job.CADVISOR, Job.SPANS}) == set()
