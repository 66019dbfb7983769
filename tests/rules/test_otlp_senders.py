"""The bounds of each sender of OTLP, with the real collector, and the real Prometheus that reads its page."""

import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from config.services.metrics import scrape
from config.services.metrics.prometheus import main_file
from config.services.traces import otlp_senders
from config.yaml_text import dump
from tests.support.collector import Collector, collector, group, listed, record, until_true
from tests.support.ports import free_port
from tests.support.program import settings_of
from toolchain import images

SAMPLES = 400
CONFIG: dict[str, Any] = {
    "metrics": {"scrape_interval": "5s", "scrape_timeout": "5s", "limits": {"samples": SAMPLES}},
}
Build = Callable[..., dict[str, Any]]
PLAIN, OF_HISTOGRAM = otlp_senders.points(settings_of(CONFIG).metrics.limits)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collector(settings_of(CONFIG), tmp_path_factory.mktemp("collector")) as started:
        yield started


def metrics(resource: dict[str, Any], *content: dict[str, Any]) -> dict[str, Any]:
    return {"resource": {"attributes": listed(resource)}, "scopeMetrics": [{"metrics": content}]}


def points(count: int, value: dict[str, Any]) -> list[dict[str, Any]]:
    """Each at a time of its own, and with an attribute that is another one for each."""
    now = time.time_ns()
    return [
        {
            "startTimeUnixNano": str(now - 10**10),
            "timeUnixNano": str(now + each),
            "attributes": listed({"u": f"{each}"}),
        }
        | {key: each if one is None else one for key, one in value.items()}
        for each in range(count)
    ]


def counter(name: str, count: int, value: int = 1) -> dict[str, Any]:
    total = {"aggregationTemporality": 2, "isMonotonic": True}
    return {"name": name, "sum": {**total, "dataPoints": points(count, {"asInt": str(value)})}}


def gauge(name: str, count: int) -> dict[str, Any]:
    return {"name": name, "gauge": {"dataPoints": points(count, {"asDouble": None})}}


def histogram(name: str, count: int) -> dict[str, Any]:
    value = {"count": "3", "sum": 4.5, "bucketCounts": ["1", "1", "1"], "explicitBounds": [1, 10]}
    return {"name": name, "histogram": {"aggregationTemporality": 2, "dataPoints": points(count, value)}}


def series(running: Collector, name: str) -> dict[str, float]:
    """Labels of the series of a metric, without what names its scope, → value."""
    values = {}
    for line in running.page("prometheus/otlp").splitlines():
        if line.startswith(f"{name}{{"):
            labels, _, value = line.partition("{")[2].rpartition("} ")
            own_labels = sorted(
                label for label in labels.split(",") if not label.startswith(("otel_scope", "job=", "instance="))
            )
            values[",".join(own_labels)] = float(value.split()[0])
    return values


@pytest.mark.parametrize(
    ("build", "suffix", "count", "value"),
    [
        (gauge, "", PLAIN + 1, PLAIN),
        (gauge, "", 25_000, 24_999),
        (counter, "_total", PLAIN + 1, PLAIN + 1),
        (histogram, "_count", OF_HISTOGRAM + 1, 3 * (OF_HISTOGRAM + 1)),
    ],
)
def test_a_metric_with_more_points_than_one_process_may_have_is_one_point_that_says_so(
    running: Collector, build: Build, suffix: str, count: int, value: float
) -> None:
    name = f"many_{count}_{len(suffix)}"
    resource = {"service.name": "noisy"}
    running.send("metrics", metrics(resource, build(name, count), gauge(f"beside_{name}", 1)))

    @until_true
    def judge() -> None:
        assert series(running, name + suffix) == {'otel_metric_overflow="true"': value}
        assert series(running, f"beside_{name}") == {'u="0"': 0}

    judge()


@pytest.mark.parametrize(("build", "count", "suffix"), [(gauge, PLAIN, ""), (histogram, OF_HISTOGRAM, "_count")])
def test_the_greatest_number_of_points_of_one_process_is_left_as_it_is(
    running: Collector, build: Build, count: int, suffix: str
) -> None:
    name = f"full_{count}"
    running.send("metrics", metrics({"service.name": "full"}, build(name, count)))

    @until_true
    def judge() -> None:
        assert series(running, name + suffix).keys() == {f'u="{each}"' for each in range(count)}

    judge()


WORKERS: dict[str, tuple[dict[str, Any], str]] = {
    "its own id": ({"service.instance.id": "mine", "host.name": "h", "process.pid": 7}, "mine"),
    "host and process": ({"host.name": "h", "process.pid": 11}, "h:11"),
    "another process": ({"host.name": "h", "process.pid": 12}, "h:12"),
    "a process only": ({"process.pid": 11}, "127.0.0.1:11"),
    "a host only": ({"host.name": "h"}, "h"),
    "nothing": ({}, "127.0.0.1"),
    "an empty id": ({"service.instance.id": "", "host.name": "other"}, "other"),
}


def test_processes_of_a_service_that_do_not_say_their_id_are_series_of_their_own(running: Collector) -> None:
    for value, (attributes, _) in enumerate(WORKERS.values()):
        running.send("metrics", metrics({"service.name": "worker", **attributes}, counter("jobs_done", 1, value)))

    @until_true
    def judge() -> None:
        lines = [line for line in running.page("prometheus/otlp").splitlines() if line.startswith("jobs_done_total{")]
        values = {
            label.partition("=")[2].strip('"'): float(line.rpartition("} ")[2].split()[0])
            for line in lines
            for label in line.partition("{")[2].split(",")
            if label.startswith("instance=")
        }
        assert values == {instance: float(value) for value, (_, instance) in enumerate(WORKERS.values())}

    judge()


def test_a_log_record_says_from_which_address_it_came(running: Collector) -> None:
    batch = group("logs", {"service.name": "writer", "sender": "forged"}, record("hello"))
    running.send("logs", batch)

    @until_true
    def judge() -> None:
        assert {resource["sender"] for resource, _ in running.stored("logs")} == {"127.0.0.1"}

    judge()


@pytest.fixture(scope="module")
def prometheus(running: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    settings = settings_of(CONFIG)
    [job] = [job for job in scrape.jobs(settings) if job["job_name"] == "otlp"]
    for target in job["static_configs"]:
        target["targets"] = [running.pages["prometheus/otlp"].split("/")[2]]
    main = {"global": {**main_file(settings)["global"], "scrape_interval": "3s", "scrape_timeout": "3s"}}
    (folder / "prometheus.yml").write_text(dump({**main, "scrape_configs": [job]}))
    command = [str(images.binary("prometheus")), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def ask(prometheus: str, query: str) -> dict[str, float]:
    """Service, or part, → value."""
    answer = requests.get(f"{prometheus}/api/v1/query", params={"query": query}, timeout=10).json()
    return {
        each["metric"].get("otlp_part") or each["metric"].get("service", ""): float(each["value"][1])
        for each in answer["data"]["result"]
    }


OWN = {
    "up": "up",
    "ends as nobody sees": "up.",
    "begins as nobody sees": "_up",
    "alerts": "ALERTS",
    "alerts that fired": "ALERTS_FOR_STATE",
    "a scrape": "scrape.samples_scraped",
    "what a rule has recorded": "instance:node_cpu_used:ratio_rate5m",
    "which rules are live": "nervous_system_config_info",
}
"""Metrics that this stack's alerts trust, as a sender might call its own."""


def test_what_alerts_trust_cannot_be_sent(running: Collector, prometheus: str) -> None:
    gauges = [gauge(name, 1) for name in (*OWN.values(), "uploads", "scrapes")]

    @until_true
    def all_are_there() -> None:
        for number, one in enumerate(gauges):  # each by a service of its own: some are one name to Prometheus
            running.send("metrics", metrics({"service.name": f"forger-{number}"}, one))
        counts = ask(prometheus, 'count by (service) ({service=~"forger-.*"})')
        assert len(counts) == len(gauges)

    all_are_there()
    others = 'service=~"forger-.*",__name__!~"application_.*"'
    assert ask(prometheus, f"count by (service) ({{{others}}})").keys() == {
        f"forger-{len(OWN)}",
        f"forger-{len(OWN) + 1}",
    }
    assert len(ask(prometheus, 'count by (service) ({service=~"forger-.*",__name__=~"application_.*"})')) == len(OWN)
    assert set(ask(prometheus, "up").values()) == {1.0}


GOOD = [f"good-{number}" for number in range(40)]


def test_many_metrics_of_one_service_stop_no_other_but_those_in_its_part(running: Collector, prometheus: str) -> None:
    def send() -> None:
        running.send("metrics", *(metrics({"service.name": name}, counter("orders", 1)) for name in GOOD))

    @until_true
    def all_there() -> None:
        send()
        assert ask(prometheus, "count by (service) (orders_total)").keys() == set(GOOD)
        assert len(ask(prometheus, 'up{job="otlp"} == 1')) == otlp_senders.PARTS

    all_there()
    flood = [gauge(f"noise_{number}", PLAIN) for number in range(SAMPLES // PLAIN + 1)]
    running.send("metrics", metrics({"service.name": "flooding"}, *flood))

    @until_true
    def one_part_is_refused() -> None:
        send()
        refused = ask(prometheus, "scrape_samples_post_metric_relabeling > 0 and up == 0")
        assert [count > SAMPLES for count in refused.values()] == [True]
        services = ask(prometheus, "count by (service) (orders_total)").keys()
        assert len(GOOD) * 3 / 4 < len(services) < len(GOOD)

    one_part_is_refused()
    assert ask(prometheus, "count({__tmp_part!=''} or {otlp_part!='',__name__!~'up|scrape_.*'})") == {}
