"""Sends every query of the dashboards and follows every link, with the shop at work beside the stack.

A query without data fails, unless it is listed here with a reason; a listed query with data fails too. The links start at one real
failed request, and each leads to the next page that you would open to find the cause.
"""

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.e2e.answers import answer, exemplars, of_others, of_past, recent
from tests.e2e.grafana import Grafana, pane
from tests.support import dashboard_queries, grafana_page, tracing
from tests.support.dashboard_queries import DashboardQuery, filled_in
from tests.support.deployment import Deployment
from tests.support.troubleshooting import service, tags
from tests.support.wait import until

SERVICE = "orders"
"""The service that fails and is slow in the incident of the load."""

WITHOUT_DATA = {
    "databases: Memory: B": "the shop's Redis has no limit",
    "stack: Lines lost: A": "Loki counts reasons of refusal from the first refusal on, and refuses nothing here",
}
"""Query → why it has no data here."""
OF_THE_MACHINE = {"host: Failed units: A", "host: Failed units: B"}
"""Queries that have data on some test machines only."""
NOT_FOLLOWED = {"Log of the host": "only some test machines have a host log that is shipped"}
"""Title of a link → why."""

QUERIES = [query for query in dashboard_queries.queries() if query.where not in OF_THE_MACHINE]
NOT_IN_THE_SHOP = {
    "mysql_": "MySQL",
    "memcached_": "Memcached",
    "pg_stat_statements": "pg_stat_statements",
    "pg_replication_slots": "replication slot",
    "redis_connected_slave_": "replica of Redis",
    "redis_cluster_": "cluster of Redis",
    "rabbitmq_": "RabbitMQ",
    "kafka_": "Kafka",
    "mongodb_": "MongoDB",
    "phpfpm_": "PHP-FPM",
}
"""Beginning of metrics → what the shop has not. `test_exporters.py`, and test_servers.py and test_metrics_pages.py in tests/rules,
ask the real ones."""
WITHOUT_DATA |= {
    query.where: f"the shop has no {what}"
    for query in QUERIES
    for metrics, what in NOT_IN_THE_SHOP.items()
    # A variable that names all sources has a value, whichever of them there are.
    if metrics in query.expr and "pg_up" not in query.expr and query.panel != "variable"
}


def each(condition: Callable[[DashboardQuery], bool]) -> pytest.MarkDecorator:
    cases = [query for query in QUERIES if condition(query)]
    return pytest.mark.parametrize("query", cases, ids=[query.where for query in cases])


class Dashboards:
    """Fixtures: `busy`, a stack whose shop has had its incident and is still at work; `grafana`, the Grafana of that stack; `failed`,
    the id of a trace in which SERVICE failed."""

    @each(lambda query: query.where not in WITHOUT_DATA and not of_past(query) and not of_others(query))
    def test_a_query_is_answered_with_data(self, busy: Deployment, query: DashboardQuery) -> None:
        assert until(partial(answer, busy, query, **_choice(query.board)), seconds=45)

    @each(of_past)
    def test_a_comparison_with_the_past_is_answered(self, busy: Deployment, query: DashboardQuery) -> None:
        assert until(partial(answer, busy, recent(query), **_choice(query.board)), seconds=45)

    @each(lambda query: query.where in WITHOUT_DATA)
    def test_a_query_listed_without_data_has_none(self, busy: Deployment, query: DashboardQuery) -> None:
        assert not answer(busy, query, **_choice(query.board))

    def test_equal_messages_are_counted_together(self, busy: Deployment) -> None:
        values = [
            [str(time.time_ns() + number), f"order {number} of customer {number + 17} failed"] for number in range(2)
        ]
        body = {"streams": [{"stream": {"service": "bookings", "level": "error"}, "values": values}]}
        requests.post(f"{busy.past_front('loki')}/loki/api/v1/push", json=body, timeout=30).raise_for_status()
        [query] = [one for one in QUERIES if one.panel == "Top 10 error messages"]
        [counted] = until(lambda: answer(busy, query, service="bookings"))
        assert counted["metric"] == {"service": "bookings", "said": "order · of customer · failed"}
        assert counted["value"][1] == "2"

    def test_the_service_map_has_an_edge_for_each_call_and_the_table_has_all_its_numbers(
        self, busy: Deployment
    ) -> None:
        def arrows(panel: str) -> dict[str, set[tuple[str, str]]]:
            return {
                query.ref: {(series["metric"]["source"], series["metric"]["target"]) for series in answer(busy, query)}
                for query in QUERIES
                if query.panel == panel and "source" in query.expr  # the map asks for its nodes too
            }

        calls = {("user", "gateway"), ("gateway", SERVICE), (SERVICE, "products")}
        databases = {(SERVICE, "postgresql"), (SERVICE, "redis")}
        until(lambda: arrows("Service map")["A"] >= calls | databases)
        for panel in ("Service map", "Who calls whom"):
            until(lambda panel=panel: len({frozenset(pairs) for pairs in arrows(panel).values()}) == 1)  # type: ignore[misc]

    # Links of the panels

    @pytest.mark.parametrize("uid", dashboard_queries.boards())
    def test_every_link_of_a_panel_leads_to_something(self, grafana: Grafana, uid: str) -> None:
        # The overview repeats a row for each service: one service is enough.
        choice = _choice("golden-signals" if uid == "overview" else uid)
        links = {
            filled_in(_now(link["url"]), **choice)
            for panel in dashboard_queries.panels(dashboard_queries.boards()[uid])
            for link in panel["links"]
            if link["title"] not in NOT_FOLLOWED
        }
        assert links
        assert [address for address in links if not until(partial(grafana.follow, address))] == []

    @pytest.mark.parametrize("uid", dashboard_queries.boards())
    def test_links_of_a_series_lead_to_the_signals_lines_and_traces_of_its_service(
        self, grafana: Grafana, uid: str
    ) -> None:
        links = {
            _now(link["url"].replace("${__field.labels.service}", SERVICE))
            for panel in dashboard_queries.panels(dashboard_queries.boards()[uid])
            for link in panel.get("fieldConfig", {}).get("defaults", {}).get("links", ())
        }
        for address in links:
            assert until(partial(grafana.follow, address))
            if urlsplit(address).path == "/d/golden-signals":
                assert parse_qs(urlsplit(address).query)["var-service"] == [SERVICE]

    def test_a_trace_id_in_the_table_of_errors_opens_the_trace(self, busy: Deployment, grafana: Grafana) -> None:
        [link] = _links_of_cells("overview", "Last 100 errors", "Trace")
        [query] = [one for one in QUERIES if (one.board, one.panel) == ("overview", "Last 100 errors")]
        streams = until(lambda: answer(busy, query, service=SERVICE))
        identifiers = {stream["stream"]["trace_id"] for stream in streams}
        assert identifiers
        for identifier in identifiers:
            [trace] = grafana.follow(_now(link.replace("${__value.raw}", identifier)))
            assert trace["traceID"] == identifier

    def test_a_slow_trace_in_its_table_opens_the_trace(self, busy: Deployment, grafana: Grafana) -> None:
        # The link is that of the data source: a query with the id and without a type.
        [query] = [one for one in QUERIES if (one.board, one.panel) == ("overview", "Slow traces")]
        for row in until(lambda: answer(busy, query, trace_service=SERVICE)):
            [trace] = grafana.through("jaeger", f"/api/traces/{row['traceID']}")["data"]
            assert max(span["duration"] for span in trace["spans"]) >= 1_000_000

    # Links of the data sources

    def test_every_exemplar_opens_a_trace(self, busy: Deployment, grafana: Grafana) -> None:
        [link] = grafana.json_data("prometheus")["exemplarTraceIdDestinations"]
        queries = [query for query in QUERIES if query.json.get("exemplar")]
        assert queries
        for query in queries:
            identifiers = until(partial(exemplars, busy, query.filled_in(service=SERVICE)))
            assert all(tracing.exists(busy, identifier) for identifier in identifiers)
            [(_, target)] = grafana_page.exemplar_links(link, identifiers[0], ("now-15m", "now"))
            identifier = grafana_page.trace_id(target)
            [trace] = grafana.through("jaeger", f"/api/traces/{identifier}")["data"]
            assert trace["traceID"] == identifiers[0]

    def test_a_line_of_the_log_leads_to_its_trace(self, grafana: Grafana, failed: str) -> None:
        [link] = grafana.json_data("loki")["derivedFields"]
        query = f'{{service="{SERVICE}",level="error"}} | trace_id="{failed}"'
        [stream, *_] = until(lambda: grafana.lines(query, time.time() - 900, time.time()))
        [(_, target)] = grafana_page.line_links(link, stream["stream"])
        [trace] = grafana.through("jaeger", f"/api/traces/{grafana_page.trace_id(target)}")["data"]
        assert SERVICE in {service(trace, span) for span in trace["spans"]}

    def test_a_span_leads_to_its_lines_in_the_log(self, grafana: Grafana, failed: str) -> None:
        link = grafana.json_data("jaeger")["tracesToLogsV2"]
        assert link["datasourceUid"] == "loki"
        query = grafana_page.related_logs(link, *_failed_span(grafana, failed))
        assert query
        streams = until(lambda: grafana.lines(query, time.time() - 900, time.time()))
        assert {stream["stream"]["service"] for stream in streams} == {SERVICE}
        assert "error" in {stream["stream"]["level"] for stream in streams}

    def test_a_span_leads_to_the_metrics_of_its_service(self, grafana: Grafana, failed: str) -> None:
        link = grafana.json_data("jaeger")["tracesToMetrics"]
        queries = grafana_page.metrics(link, *_failed_span(grafana, failed))
        assert len(queries) == 3
        everything = {one["name"]: re.sub(r"service=`[^`]+`,?", "", one["query"]) for one in link["queries"]}
        for name, query in queries.items():
            [own], [of_all] = (
                grafana.through(link["datasourceUid"], "/api/v1/query", query=text)["data"]["result"]
                for text in (query, everything[name])
            )
            assert float(own["value"][1]) > 0, name
            assert own["value"][1] != of_all["value"][1], f"{name} is that of all services"


def _choice(board: str) -> dict[str, str]:
    """Values of the variables: all services if the dashboard allows that, else one."""
    one = {"service": SERVICE, "trace_service": SERVICE}
    return one if board == "golden-signals" else {"trace_service": SERVICE}


def _now(url: str) -> str:
    """The address with the last 15 minutes as its time range."""
    return url.replace("${__from}", "now-15m").replace("${__to}", "now")


def _links_of_cells(board: str, title: str, column: str) -> Iterator[str]:
    for panel in dashboard_queries.panels(dashboard_queries.boards()[board]):
        for override in panel.get("fieldConfig", {}).get("overrides", ()) if panel["title"] == title else ():
            for one in override["properties"]:
                if one["id"] == "links" and override["matcher"]["options"] == column:
                    assert pane(one["value"][0]["url"])["datasource"] == "jaeger"
                    yield one["value"][0]["url"]


def _failed_span(grafana: Grafana, trace_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trace as Jaeger returns it, and a failed span of SERVICE in it."""
    [trace] = grafana.through("jaeger", f"/api/traces/{trace_id}")["data"]
    [span, *_] = [span for span in trace["spans"] if service(trace, span) == SERVICE and tags(span).get("error")]
    return trace, span
