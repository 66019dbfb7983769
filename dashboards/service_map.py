"""The service map: calls between services, which the collector counts from all traces before sampling."""

from dashboards import panel_links, panels, signal_series, tables, units
from dashboards.panel_links import Link
from dashboards.panels import AnyPanel
from dashboards.queries import PromQL
from dashboards.tables import Column

OUTSIDE = "user"
"""The name that the collector gives to callers without traces of their own."""
FROM_OR_TO_CHOSEN = ('client=~"$service"', 'server=~"$service"')


def _rate(series: str, more: str = "") -> str:
    """The rate of a series of the service graph, for calls from and to the chosen services."""
    rates = (
        f"rate(traces_service_graph_request_{series}{{{matcher}{more}}}[$__rate_interval])"
        for matcher in FROM_OR_TO_CHOSEN
    )
    return " or ".join(rates)


def _by_call(expr: str, more_labels: str = "") -> str:
    """The sum for each pair of caller and called service, with the labels of a node graph: `id`, `source` and `target`."""
    named = f'label_join(label_join({expr}, "source", "", "client"), "target", "", "server")'
    return f'sum by (id, source, target{more_labels}) (label_join({named}, "id", " → ", "client", "server"))'


def _by_kind(expr: str) -> str:
    """The called service in the label `called` if it sends spans itself, else in `elsewhere`: databases, and others that
    only the span of a caller names."""
    kind = f'label_join({expr}, "call", ";", "connection_type", "client", "server")'
    services = f"(?:(?:messaging_system)?;.*|virtual_node;{OUTSIDE});(.*)"
    called = f'label_replace({kind}, "called", "$1", "call", "{services}")'
    elsewhere = f'label_replace({called}, "elsewhere", "$1", "server", "(.*)")'
    return f'label_replace({elsewhere}, "elsewhere", "", "called", ".+")'


def _at(end: str, series: str) -> str:
    """The sum of a series for each name at this end of calls, with the labels of a node: `id` and `title`."""
    named = f'label_join(label_join({_rate(series)}, "id", "", "{end}"), "title", "", "{end}")'
    return f"sum by (id, title) ({named})"


REQUESTS = _by_call(_rate("total"))
FAILED = f"({_by_call(_rate('failed_total'))} or {REQUESTS} * 0)"
_NODES = f"({_at('server', 'total')} or {_at('client', 'total')} * 0)"
_NODES_FAILED = f"({_at('server', 'failed_total')} or {_NODES} * 0)"
# A call from outside is measured by the called service only.
_SECONDS = " or ".join(
    (_rate("client_seconds_bucket", f',client!="{OUTSIDE}"'), _rate("server_seconds_bucket", f',client="{OUTSIDE}"'))
)

_KIND_LABELS = ", called, elsewhere"
_TABLE_REQUESTS = _by_call(_by_kind(_rate("total")), _KIND_LABELS)
_TABLE_FAILED = f"({_by_call(_by_kind(_rate('failed_total')), _KIND_LABELS)} or {_TABLE_REQUESTS} * 0)"
_TABLE_P95 = f"histogram_quantile(0.95, {_by_call(_by_kind(_SECONDS), f'{_KIND_LABELS}, le')})"


def graph(size: tuple[int, int], links: tuple[Link, ...]) -> AnyPanel:
    return panels.node_graph(
        "Service map",
        f"Calls from and to the chosen services, databases included: requests per second, and below them the share that failed. A service is red where its alert fires. “{OUTSIDE}” stands for callers without traces.",
        (PromQL(REQUESTS, instant=True), PromQL(f"{FAILED} / ({REQUESTS} > 0)", instant=True)),
        (PromQL(_NODES, instant=True), PromQL(f"{_NODES_FAILED} / ({_NODES} > 0) or {_NODES}", instant=True)),
        names=("requests", "errors"),
        number_units=(units.REQUESTS, units.SHARE),
        steps=panels.alert_steps(signal_series.ERROR_LIMIT, warning=5),
        size=size,
        links=links,
    )


def table(size: tuple[int, int], links: tuple[Link, ...]) -> AnyPanel:
    return tables.table(
        "Who calls whom",
        "The calls of the map in numbers, the most frequent first: requests per second, share of errors, and p95 as the caller measured it. A service links to its golden signals.",
        (
            PromQL(_TABLE_REQUESTS, instant=True),
            PromQL(f"{_TABLE_FAILED} / ({_TABLE_REQUESTS} > 0)", instant=True),
            PromQL(_TABLE_P95, instant=True),
        ),
        Column("source", "From", least=120),
        Column("called", "Service", least=120, link=panel_links.signals_link()),
        Column("elsewhere", "Database or other", least=140),
        Column("Value #A", "Requests", unit=units.REQUESTS, width=110),
        Column("Value #B", "Errors", unit=units.SHARE, width=90),
        Column("Value #C", "p95", unit=units.SECONDS, width=90),
        size=size,
        links=(*links, panel_links.databases_link()),
        sort_by="Requests",
        missing="no calls yet: they are counted from traces",
    )
