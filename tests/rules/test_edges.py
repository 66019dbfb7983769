"""What edges send reaches their centre, under their own name, whatever they claim: by the real binaries, over real TLS."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from bench import many_edges
from config.services.logs import loki_rules
from config.services.logs.edge_logs import PUSH
from config.services.metrics import edge_front
from config.services.metrics.prometheus_agent import WRITE
from config.settings.edges import UNKNOWN
from tests.rules.edges import PASSWORDS, TRACE, Edge, Site, otlp
from tests.support.collector import group, record, span, until_true
from tests.support.edge_requests import push_request, write_request

WEB_2, NEXT, DB_1 = (
    PASSWORDS[name] for name in ("edge_password_web-2", "edge_password_web-2_next", "edge_password_db-1")
)
JSON = {"Content_Type": "application/json"}
PROTOBUF = {"Content_Type": "application/x-protobuf", "Content_Encoding": "snappy"}
"""Of samples and of lines."""
OUTAGE = 30
"""Seconds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("centre")).running() as started:
        yield started


@pytest.fixture
def edge(site: Site, tmp_path: Path) -> Edge:
    return Edge(tmp_path, site.url, site.ca)


def pushed(service: str, *lines: str, **labels: str) -> bytes:
    return push_request(({"service": service, "level": "info", "source": "docker", **labels}, lines))


@until_true
def at_least(site: Site, expression: str, count: float) -> list[dict[str, Any]]:
    series = site.query(expression)
    assert series, f"no {expression}"
    assert float(series[0]["value"][1]) >= count, series
    return series


def scraped(site: Site, edge: Edge) -> list[int]:
    """All values of the counter on the edge's page that the centre has, in the order of their times."""
    [series] = site.query(f'scrapes_total{{instance="127.0.0.1:{edge.page.port}"}}[5m]')
    return [int(value) for _, value in series["values"]]


@until_true
def until_scraped(site: Site, edge: Edge, count: int) -> None:
    assert site.query(f'scrapes_total{{instance="127.0.0.1:{edge.page.port}"}}[5m]')
    assert scraped(site, edge)[-1] >= count


@until_true
def lines(site: Site, selector: str, count: int) -> list[tuple[dict[str, str], str]]:
    entries = site.lines(selector)
    assert len(entries) >= count, f"{len(entries)} of {count}"
    return entries


@until_true
def spans(site: Site, service: str, count: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    assert site.collector
    parts = [one for one in site.collector.stored("traces") if one[0]["service.name"] == service]
    assert len(parts) >= count, f"{len(parts)} of {count}"
    return parts


# Names


def test_metrics_arrive_with_the_name_that_the_credential_stands_for(site: Site, edge: Edge) -> None:
    edge.page.extra = 'forged{host="db-1"} 1\n'
    with edge.scraping():
        [series] = at_least(site, 'scrapes_total{job="shop"}', 3)
        assert series["metric"]["host"] == "web-2"
        [forged] = at_least(site, "forged", 1)
        assert (forged["metric"]["host"], forged["metric"]["exported_host"]) == ("web-2", "db-1")
        assert at_least(site, 'up{host="web-2"}', 1)
    assert not site.query('{host="db-1",__name__!=""}')


def test_exemplars_and_native_histograms_arrive_too(site: Site, edge: Edge) -> None:
    with edge.scraping():
        [counted] = at_least(site, 'histogram_count(prometheus_http_request_duration_seconds{handler="/metrics"})', 1)
        assert counted["metric"]["host"] == "web-2"
    page = f"http://127.0.0.1:{site.ports['prometheus']}/api/v1/query_exemplars"
    parameters = {"query": 'scrapes_total{host="web-2"}', "start": str(time.time() - 600), "end": str(time.time())}
    exemplars = requests.get(page, parameters, timeout=10).json()["data"]
    assert {one["labels"]["trace_id"] for series in exemplars for one in series["exemplars"]} == {TRACE}


def test_no_sender_can_write_metrics_under_another_name_or_those_that_rules_record(site: Site) -> None:
    now = time.time()
    for number, name in enumerate(("stolen", "ALERTS", "service:requests:rate5m")):
        body = write_request(({"__name__": name, "host": "db-1", "job": "node_exporter"}, number, now))
        assert site.send(WRITE, body, "web-2", WEB_2, **PROTOBUF).ok
    [series] = at_least(site, "stolen", 0)
    assert series["metric"] == {"__name__": "stolen", "host": "web-2", "job": "node_exporter"}
    assert not site.query('{__name__=~"ALERTS|service:requests:rate5m"}')


def test_no_sender_can_push_lines_under_another_name(site: Site) -> None:
    body = pushed("forger", "a line", host="db-1", pod="many")
    assert site.send(PUSH, body, "web-2", WEB_2, X_Scope_OrgID="other", **PROTOBUF).ok
    [(labels, _)] = lines(site, '{service="forger"}', 1)
    assert {key: labels.get(key) for key in ("host", "service", "pod")} == {
        "host": "web-2",
        "service": "forger",
        "pod": None,
    }


def test_no_sender_can_send_spans_or_records_under_another_name(site: Site) -> None:
    resource = {"service.name": "traced", "host": "db-1"}
    assert site.send(
        "/v1/traces", otlp("traces", group("traces", resource, span("one"))), "web-2", WEB_2, X_Edge="db-1", **JSON
    ).ok
    [(attributes, _)] = spans(site, "traced", 1)
    assert attributes["host"] == "web-2"
    assert site.send("/v1/logs", otlp("logs", group("logs", resource, record("one"))), "web-2", WEB_2, **JSON).ok
    assert site.collector

    @until_true
    def recorded() -> None:
        assert site.collector
        assert [one["host"] for one, _ in site.collector.stored("logs") if one["service"] == "traced"] == ["web-2"]

    recorded()


def test_a_service_beside_the_centre_cannot_pose_as_an_edge(site: Site) -> None:
    assert site.collector
    body = otlp("traces", group("traces", {"service.name": "beside", "host": "db-1"}, span("one")))
    headers = {"Content-Type": "application/json", "X-Edge": "db-1"}
    assert requests.post(f"{site.collector.url}/v1/traces", body, headers=headers, timeout=20).ok
    [(attributes, _)] = spans(site, "beside", 1)
    assert attributes["host"] == "centre"


# Who gets in, and where to


@pytest.mark.parametrize(
    ("user", "password"),
    [("web-2", "wrong"), ("web-2", DB_1), ("db-1", WEB_2), ("web-3", WEB_2), ("", ""), ("web-2", "")],
    ids=["wrong password", "password of another", "name of another", "unknown edge", "nobody", "no password"],
)
def test_a_stranger_is_refused_and_counted(site: Site, user: str, password: str) -> None:
    counter = f'haproxy_backend_http_requests_total{{proxy="{UNKNOWN}"'
    before = site.counted(counter)
    for path in (WRITE, PUSH, "/v1/traces"):
        assert site.send(path, b"{}", user, password).status_code == requests.codes.unauthorized
    assert site.counted(counter) - before == 3


@pytest.mark.parametrize("password", [WEB_2, NEXT])
def test_an_edge_has_two_credentials_while_one_replaces_the_other(site: Site, password: str) -> None:
    assert site.send(PUSH, pushed("rotated", password), "web-2", password, **PROTOBUF).ok
    lines(site, f'{{service="rotated"}} |= "{password}"', 1)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/query",
        "/api/v1/write/",
        "/api/v1/otlp/v1/metrics",
        "/loki/api/v1/query",
        "/loki/api/v1/raw",
        "/loki/api/v1/delete",
        "/v1/metrics",
        "/-/reload",
        "/",
        "/loki/api/v1/push/../query",
    ],
)
def test_an_edge_may_do_nothing_else(site: Site, path: str) -> None:
    assert site.send(path, b"{}", "web-2", WEB_2).status_code == requests.codes.forbidden


def test_an_edge_may_not_read(site: Site) -> None:
    answer = requests.get(f"{site.url}{WRITE}", auth=("web-2", WEB_2), verify=str(site.ca), timeout=20)
    assert answer.status_code == requests.codes.forbidden


# Bounds


def code(site: Site, body: bytes, user: str, password: str, **headers: str) -> int | None:
    """What a push of lines is answered; None if the answer came, and the connection ended, while the body was still being
    sent."""
    with suppress(requests.ConnectionError):
        return site.send(PUSH, body, user, password, **headers).status_code
    return None


def test_an_edge_that_sends_more_than_its_rate_waits_and_others_do_not(site: Site) -> None:
    body = pushed("flood", *("x" * 1000 for _ in range(400)))
    codes = [code(site, body, "db-1", DB_1, **PROTOBUF) for _ in range(4)]
    assert codes[0] == requests.codes.no_content, codes
    # Caddy says 502 if the answer comes while it is still sending. Edges try again after each of the three.
    assert codes[-1] in {requests.codes.too_many_requests, requests.codes.bad_gateway, None}, codes
    assert site.counted('haproxy_frontend_http_responses_total{proxy="edges",code="4xx"') > 0
    assert site.send(PUSH, pushed("calm", "a line"), "web-2", WEB_2, **PROTOBUF).ok

    @until_true
    def again() -> None:
        assert site.send(PUSH, pushed("flood", "later"), "db-1", DB_1, **PROTOBUF).ok

    again()


def test_an_edge_has_no_more_streams_than_its_bound_and_others_have_theirs(site: Site) -> None:
    body = push_request(*(({"service": f"s{number}"}, ["x"]) for number in range(40)))

    @until_true
    def forty_are_too_many() -> None:  # once the test before has been forgotten
        answer = site.send(PUSH, body, "db-1", DB_1, **PROTOBUF)
        # Not 429: it would be sent again, and all lines behind it would wait.
        assert (answer.status_code, "stream limit" in answer.text) == (400, True)

    forty_are_too_many()
    assert site.send(PUSH, body, "web-2", WEB_2, **PROTOBUF).ok
    assert len(lines(site, '{host="web-2", service=~"s[0-9]+"}', 40)) == 40
    assert len({labels["service"] for labels, _ in site.lines('{host="db-1"}')}) <= 10


def test_a_request_that_is_too_long_is_refused(site: Site) -> None:
    before = site.counted('haproxy_backend_bytes_in_total{proxy="edges.web-2.logs"')
    answer = code(site, b"x" * (edge_front.LARGEST + 1), "web-2", WEB_2)
    assert answer in {requests.codes.request_entity_too_large, None}
    assert site.counted('haproxy_backend_bytes_in_total{proxy="edges.web-2.logs"') == before


def test_the_centres_prometheus_takes_samples_that_have_waited_for_a_day(site: Site) -> None:
    now, page = time.time(), f"http://127.0.0.1:{site.ports['prometheus']}{WRITE}"
    for hours in (0, 23, 6, 2):
        body = write_request(({"__name__": "late", "host": "web-2"}, hours, now - hours * 3600))
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        assert requests.post(page, body, headers=headers, timeout=20).ok
    for hours in (0, 2, 6, 23):
        at_least(site, f"late offset {hours}h", hours)


def test_the_log_alerts_of_a_centre_can_be_read_by_loki(site: Site) -> None:
    page = f"http://127.0.0.1:{site.ports['loki']}/loki/api/v1/format_query"
    rules = [rule for group in loki_rules.rule_file(site.settings)["groups"] for rule in group["rules"]]
    assert rules
    unread = [rule["alert"] for rule in rules if not requests.get(page, {"query": rule["expr"]}, timeout=10).ok]
    assert unread == []
    assert all("host" in rule["expr"] for rule in rules)


def test_what_the_bench_sends_in_the_place_of_edges_is_taken(site: Site) -> None:
    edge, end = many_edges.Edge("web-2", site.url, WEB_2, site.ca), threading.Event()
    sender = threading.Thread(target=edge.run, args=(end, 0.0))
    sender.start()
    at_least(site, 'count(edge_metric{host="web-2"})', many_edges.SERIES / many_edges.REQUESTS)
    lines(site, '{host="web-2", service="shop"}', many_edges.LINES)
    spans(site, "shop-web-2", many_edges.SPANS)
    end.set()
    sender.join()
    assert edge.refused == []
    assert {*edge.traffic} == {"samples", "lines", "spans"}


# Outages

READ = {
    "prometheus": (
        "prometheus_remote_storage_samples_failed_total{",
        "prometheus_remote_storage_queue_highest_sent_timestamp_seconds{",
    ),
    "alloy": ("loki_write_sent_entries_total{", "loki_write_dropped_entries_total{"),
    "otel_collector": ("otelcol_exporter_queue_size{", "otelcol_exporter_queue_capacity{"),
}
"""What the alerts about edges and the check read on an edge."""


def test_a_series_above_an_edges_bound_is_lost_and_counted_and_those_that_there_were_come_in(site: Site) -> None:
    def send(names: range) -> None:
        now = time.time()
        body = write_request(*(({"__name__": "many", "number": f"{number}"}, 1.0, now) for number in names))

        @until_true
        def accepted() -> None:  # within its rate
            assert site.send(WRITE, body, "db-1", DB_1, **PROTOBUF).ok

        accepted()

    def counted(name: str) -> int:
        page = requests.get(f"http://127.0.0.1:{site.ports['edge_door']}/metrics", timeout=10).text
        [value] = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(f'{name}{{edge="db-1"}}')]
        return int(value)

    send(range(500))
    send(range(900, 1900))
    send(range(500))
    assert counted("edge_door_series_bound") == counted("edge_door_series") == 1000
    assert counted("edge_door_samples_above_bound_total") == 500
    at_least(site, 'count(many{host="db-1"})', 1000)
    [sample] = site.query('count(count_over_time(many{host="db-1"}[1h]) == 2)')
    assert sample["value"][1] == "500"


@pytest.mark.parametrize("path", [WRITE, PUSH])
@pytest.mark.parametrize("body", [b"", b"hello", b"\x04\x01\x08", b"\xff\xff\xff\xff\x0f\x00x"])
def test_what_the_door_cannot_read_is_refused_for_good(site: Site, path: str, body: bytes) -> None:
    """Nothing; a text; snappy that refers to what is not in it; snappy that says that it has 4 GiB."""
    assert site.send(path, body, "web-2", WEB_2, **PROTOBUF).status_code == requests.codes.bad_request


@pytest.mark.parametrize("kind", ["application/json", "application/x-protobuf;proto=io.prometheus.write.v2.Request"])
def test_the_door_takes_what_edges_send_and_in_no_other_form(site: Site, kind: str) -> None:
    answer = site.send(WRITE, b"{}", "web-2", WEB_2, Content_Type=kind)
    assert answer.status_code == requests.codes.unsupported_media_type


def test_nothing_is_missing_after_the_link_was_cut(site: Site, edge: Edge) -> None:
    with ExitStack() as parts:
        parts.enter_context(edge.scraping())
        apps = parts.enter_context(edge.shipping())
        address = parts.enter_context(edge.receiving())
        log = (apps / "orders.log").open("a")
        parts.enter_context(log)

        def happens(name: str) -> None:
            log.write(f"line {name}\n")
            log.flush()
            body = otlp("traces", group("traces", {"service.name": "orders"}, span(name)))
            headers = {"Content-Type": "application/json"}
            assert requests.post(f"{address}/v1/traces", body, headers=headers, timeout=20).ok

        happens("before")
        lines(site, '{host="web-2", service="orders"}', 1)
        spans(site, "orders", 1)
        until_scraped(site, edge, 1)
        site.end("caddy")
        for second in range(OUTAGE):
            happens(f"during {second}")
            time.sleep(1)
        cut = edge.page.count
        site.start("caddy")
        happens("after")
        entries = lines(site, '{host="web-2", service="orders"}', OUTAGE + 2)
        assert {line for _, line in entries} == {
            "line before",
            "line after",
            *(f"line during {n}" for n in range(OUTAGE)),
        }
        names = {part["name"] for _, part in spans(site, "orders", OUTAGE + 2)}
        assert names == {"before", "after", *(f"during {n}" for n in range(OUTAGE))}
        until_scraped(site, edge, cut + 2)
        missing = [
            f"{part}: {name}" for part, names in READ.items() for name in names if name not in edge.metrics(part)
        ]
        assert missing == []
    counts = scraped(site, edge)
    assert counts == [*range(counts[0], counts[-1] + 1)]


def test_nothing_is_missing_after_the_centres_prometheus_was_away(site: Site, edge: Edge) -> None:
    with edge.scraping():
        until_scraped(site, edge, 2)
        site.end("prometheus")
        time.sleep(8)
        away = edge.page.count
        site.start("prometheus")
        until_scraped(site, edge, away + 2)
    counts = scraped(site, edge)
    assert counts == [*range(counts[0], counts[-1] + 1)]


def test_nothing_is_missing_or_doubled_after_the_whole_centre_was_started_anew(site: Site, edge: Edge) -> None:
    parts = ("caddy", "api_proxy", "edge_door", "loki", "prometheus")
    with edge.scraping(), edge.shipping() as apps, (apps / "waited.log").open("a") as log:
        until_scraped(site, edge, 2)
        for part in parts:
            site.end(part)
        for number in range(8):
            log.write(f"line {number}\n")
            log.flush()
            time.sleep(1)
        away = edge.page.count
        for part in reversed(parts):
            site.start(part)
        until_scraped(site, edge, away + 2)
        texts = sorted(line for _, line in lines(site, '{host="web-2", service="waited"}', 8))
        assert texts == [f"line {number}" for number in range(8)]
    counts = scraped(site, edge)
    assert counts == [*range(counts[0], counts[-1] + 1)]


@pytest.mark.parametrize(("path", "store"), [(WRITE, "prometheus"), (PUSH, "loki")])
def test_an_edge_is_not_answered_before_what_it_sends_is_stored(site: Site, path: str, store: str) -> None:
    body = pushed("early", "x") if path == PUSH else write_request(({"__name__": "early"}, 1, time.time()))
    site.end(store)
    try:
        answer = site.send(path, body, "web-2", WEB_2, **PROTOBUF)
        assert answer.status_code == requests.codes.service_unavailable, answer.text
    finally:
        site.start(store)
    assert site.send(path, body, "web-2", WEB_2, **PROTOBUF).ok
