"""Every dashboard works with no service, with one and with forty: the real Prometheus and the real Loki answer all its queries, and
what they answer fits the panels."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from config.alerts import golden_signals, response_times
from config.services.metrics.prometheus import container
from dashboards import legends
from dashboards.queries import FEW, OTHERS, PAST, TOP
from tests.rules import logql
from tests.support import dashboard_queries
from tests.support.dashboard_queries import DashboardQuery
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from toolchain import images

MINUTES, STEP = 20, 15
NAMES = (
    "orders",
    "products",
    "gateway",
    "user-accounts",
    "payment-worker",
    "search-indexer",
    "mail",
    "postgresql-main",
)
COUNTS = (0, 1, 40)
QUERIES = [
    (panel, DashboardQuery(uid, panel["title"], target["datasource"]["uid"], target, target["refId"]))
    for uid, board in dashboard_queries.boards().items()
    for panel in dashboard_queries.panels(board)
    for target in panel.get("targets", ())
    if target["datasource"]["uid"] != "jaeger"
]
GRAPHS = [(panel, query) for panel, query in QUERIES if panel["type"] == "timeseries"]
BY_SERVICE = re.compile(r"and on \((service|client)\) topk\((\d+),")
EVERYWHERE = {
    "overview: Requests by service: A",
    "overview: Errors by service: A",
    "host: CPU by service: A",
    "logs: Failed requests by service: A",
}


def services(count: int) -> list[str]:
    """Names of as many services, the busiest last."""
    return [
        NAMES[number] if number < len(NAMES) else f"{NAMES[number % len(NAMES)]}-{number}" for number in range(count)
    ]


def gauges(service: str, rank: int) -> Iterator[tuple[str, float]]:
    """Series of a service, and their value."""
    own = f'service="{service}"'
    counted = f'{own},source="http"'
    yield f"{golden_signals.REQUESTS}{{{counted}}}", rank
    yield f"{golden_signals.ERRORS}{{{counted}}}", rank / 100
    yield f"{golden_signals.ERROR_RATIO}{{{counted}}}", 0.01
    yield f"{golden_signals.ACTIVE}{{{counted}}}", rank
    yield f"{golden_signals.KNOWN}{{{own}}}", 1
    for percent in (50, 95, 99):
        yield f"{response_times.quantile(percent)}{{{counted}}}", rank / 1000
    for bound in ("0.1", "1", "+Inf"):
        yield f'{response_times.BUCKETS}{{{counted},le="{bound}"}}', rank
    yield f'up{{job="application",{own},instance="{service}:8000"}}', 1
    box = f'job="cadvisor",{own},name="shop-{service}",image="shop/{service}:1",id="/{service}"'
    yield f"container_last_seen{{{box}}}", 1
    yield f"container_memory_working_set_bytes{{{box}}}", rank * 1024
    yield f'name:container_memory_used:ratio{{{own},name="shop-{service}"}}', 0.5


def counters(service: str, rank: int) -> Iterator[tuple[str, float]]:
    """Series of a service, and their rate."""
    own = f'service="{service}"'
    box = f'job="cadvisor",{own},name="shop-{service}",image="shop/{service}:1",id="/{service}"'
    yield f"container_cpu_usage_seconds_total{{{box}}}", rank / 100
    for way in ("receive", "transmit"):
        yield f"container_network_{way}_bytes_total{{{box}}}", rank * 1024
    spans = f'job="spans",{own},span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"'
    for route in range(12):
        yield f'traces_span_metrics_calls_total{{{spans},span_name="GET /things/{route}"}}', rank
        labels = (
            f'job="application",{own},http_request_method="GET",http_route="/{route}",http_response_status_code="200"'
        )
        yield f"http_server_request_duration_seconds_count{{{labels}}}", rank
        yield f'http_server_request_duration_seconds_bucket{{{labels},le="0.1"}}', rank
        yield f'http_server_request_duration_seconds_bucket{{{labels},le="+Inf"}}', rank
    call = f'client="user",server="{service}",connection_type=""'
    yield f"traces_service_graph_request_total{{{call}}}", rank
    yield f'traces_service_graph_request_server_seconds_bucket{{{call},le="+Inf"}}', rank


def text(count: int) -> str:
    """The series of as many services over the last minutes, in the format OpenMetrics."""
    end = int(time.time())
    times = range(end - MINUTES * 60, end, STEP)
    lines = []
    for rank, service in enumerate(services(count), start=1):
        lines += [f"{series} {value:g} {at}" for series, value in gauges(service, rank) for at in times]
        lines += [
            f"{series} {rate * (at - times[0]):g} {at}" for series, rate in counters(service, rank) for at in times
        ]
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def prometheus(folder: Path, count: int) -> Iterator[str]:
    """A Prometheus with the flags of a stack and the series of as many services."""
    (folder / "series").write_text(text(count))
    if count:
        command: list[str | Path] = [
            images.binary("promtool"),
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            folder / "series",
            folder / "data",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    (folder / "prometheus.yml").write_text("{}")
    port = free_port()
    own = ("--config.file=", "--storage.tsdb.path=", "--web.external-url=")
    flags = [flag for flag in container(settings_of({})).command if not flag.startswith(own)]
    start = [str(images.binary("prometheus")), *flags, f"--config.file={folder / 'prometheus.yml'}"]
    start += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    log = folder / "prometheus.log"
    url = f"http://127.0.0.1:{port}"
    with running(start, f"{url}/-/ready", log, seconds=30):
        yield url


@dataclass(frozen=True)
class Stack:
    """The stores of a stack with `count` services."""

    count: int
    prometheus: str
    loki: str

    def answer(self, query: DashboardQuery) -> list[dict[str, Any]]:
        """What a panel gets: series or lines.

        Raises:
            AssertionError: the query is refused.
        """
        one = (services(self.count) or ["none yet"])[-1]
        variables = {"trace_service": one, **({"service": one} if query.board == "golden-signals" else {})}
        parameters = {"query": query.filled_in(**variables)}
        end = time.time()
        instant = query.json.get("instant") or query.json.get("queryType") == "instant"
        parameters |= (
            {"time": f"{end:.0f}"} if instant else {"start": f"{end - 900:.0f}", "end": f"{end:.0f}", "step": str(STEP)}
        )
        base = f"{self.prometheus}/api/v1" if query.source == "prometheus" else f"{self.loki}/loki/api/v1"
        tenant = {"X-Scope-OrgID": f"shop-{self.count}"}
        page = requests.get(f"{base}/query{'' if instant else '_range'}", parameters, headers=tenant, timeout=60)
        assert page.ok, f"{query.where}: {page.text}"
        result: list[dict[str, Any]] = page.json()["data"]["result"]
        return result


def legend(query: DashboardQuery, series: list[dict[str, Any]]) -> list[str]:
    """The names of these series in the legend."""
    form = query.json["legendFormat"]
    [label] = re.findall(r"{{(\w+)}}", form) or [""]
    return [form.replace(f"{{{{{label}}}}}", one["metric"].get(label, "")) for one in series]


@pytest.fixture(scope="module", params=COUNTS, ids=[f"{count} services" for count in COUNTS])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, loki: str) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, request.param) as url:
        yield Stack(request.param, url, loki)


@pytest.fixture(scope="module")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Loki with the lines of each number of services, each a tenant."""
    with logql.running(tmp_path_factory.mktemp("loki")) as url:
        for count in COUNTS:
            now = time.time_ns()
            streams = [
                {
                    "stream": {"service": service, "level": level},
                    "values": [
                        [str(now - ago * 10**9), line] for ago in range(20 * (rank + 10), 0, -20) for line in LINES
                    ],
                }
                for rank, service in enumerate(services(count))
                for level in ("info", "error")
            ]
            if streams:
                tenant = {"X-Scope-OrgID": f"shop-{count}"}
                requests.post(
                    f"{url}/loki/api/v1/push", json={"streams": streams}, headers=tenant, timeout=30
                ).raise_for_status()
        yield url


LINES = (
    '{"message": "order 17 failed", "trace_id": "abc", "nested": {"a": [1]}}',
    "a line without any structure",
    "{not quite json",
)


def test_no_query_is_refused(stack: Stack) -> None:
    for _, query in QUERIES:
        stack.answer(query)


def test_no_graph_gets_more_series_than_it_can_show(stack: Stack) -> None:
    for _, query in GRAPHS:
        assert len(stack.answer(query)) <= TOP, query.where


def test_series_by_service_are_the_largest_and_the_rest_is_their_sum(stack: Stack) -> None:
    panels = set()
    for _, query in GRAPHS:
        match = BY_SERVICE.search(query.expr)
        if (
            not match
            or query.json["legendFormat"] == OTHERS
            or query.source == "loki"
            or query.board == "golden-signals"
        ):
            continue
        series = stack.answer(query)
        if not series:
            assert stack.count == 0 or query.where not in EVERYWHERE, query.where
            continue
        panels.add(query.where)
        if "rate" not in query.expr.partition("topk")[0] or "ratio" not in query.expr:
            assert len(series) == min(stack.count, int(match[2])), query.where
        times = {len(one["values"]) for one in series}
        assert len(times) == 1, f"{query.where}: a line has gaps"
    assert panels >= EVERYWHERE or not stack.count


@pytest.mark.parametrize("panel", ["Requests by route", "p95 by route"])
def test_a_service_with_more_routes_than_colours_shows_the_largest(stack: Stack, panel: str) -> None:
    [query] = [query for _, query in GRAPHS if query.where == f"golden-signals: {panel}: A"]
    assert len(stack.answer(query)) == (TOP if stack.count else 0)


def test_the_rest_and_the_largest_are_all(stack: Stack) -> None:
    by_place = {query.where: query for _, query in GRAPHS}
    largest, rest = (stack.answer(by_place[f"overview: Requests by service: {ref}"]) for ref in "AB")
    total = sum(float(one["values"][-1][1]) for one in (*largest, *rest))
    assert total == pytest.approx(sum(range(1, stack.count + 1)))
    assert len(largest) == min(stack.count, FEW)
    assert bool(rest) == (stack.count > FEW)


def test_a_legend_beneath_a_graph_has_room_for_the_names_that_come(stack: Stack) -> None:
    names: dict[tuple[str, str, int, int], list[str]] = {}
    for panel, query in GRAPHS:
        if panel["options"]["legend"]["placement"] == "bottom":
            past = query.json["legendFormat"] in PAST
            came = [query.json["legendFormat"]] if past else legend(query, stack.answer(query))
            names.setdefault((query.board, query.panel, panel["gridPos"]["w"], panel["gridPos"]["h"]), []).extend(came)
    for (board, title, width, height), all_of_them in names.items():
        assert legends.rows(all_of_them, width) <= legends.room(height), f"{board}: {title}: {all_of_them}"


def test_the_table_has_a_row_for_each_service(stack: Stack) -> None:
    [table] = [query for _, query in QUERIES if query.where == "overview: Services: G"]
    assert {one["metric"]["service"] for one in stack.answer(table)} == set(services(stack.count))


def test_errors_are_shown_by_their_messages(stack: Stack) -> None:
    [query] = [query for _, query in QUERIES if query.where == "overview: Last 100 errors: A"]
    messages = {one["stream"]["said"] for one in stack.answer(query)}
    assert messages == ({"order 17 failed", *LINES[1:]} if stack.count else set())


def test_lines_are_shown_by_their_messages(stack: Stack) -> None:
    [query] = [query for panel, query in QUERIES if panel["type"] == "logs"]
    lines = {line for one in stack.answer(query) for _, line, *_ in one["values"]}
    assert lines == ({"order 17 failed", *LINES[1:]} if stack.count else set())


@pytest.mark.parametrize(
    ("board", "variable"), [("golden-signals", "service"), ("overview", "trace_service"), ("logs", "trace_service")]
)
def test_a_variable_begins_with_the_service_that_has_most_to_show(stack: Stack, board: str, variable: str) -> None:
    [query] = [
        query
        for query in dashboard_queries.queries()
        if (query.board, query.panel, query.ref) == (board, "variable", variable)
    ]
    match = re.fullmatch(r"query_result\((.+)\)", query.filled_in())
    assert match
    page = requests.get(f"{stack.prometheus}/api/v1/query", {"query": match[1]}, timeout=30)
    assert page.ok, page.text
    first, *_ = page.json()["data"]["result"]
    assert first["metric"]["service"] == (services(stack.count) or ["none yet"])[-1]
