"""Who calls whom: counted by the collector from all traces, before sampling."""

from dashboards import panel_links, panels
from dashboards.panel_links import Link
from dashboards.panels import AnyPanel, Column
from dashboards.queries import PromQL

OUTSIDE = "user"
"""What the collector calls whoever calls a service and sends no traces itself."""
OF_CHOSEN = ('client=~"$service"', 'server=~"$service"')


def _rate(series: str, more: str = "") -> str:
    """Per second, of the calls from and to the chosen services."""
    either = (
        f"rate(traces_service_graph_request_{series}{{{chosen}{more}}}[$__rate_interval])" for chosen in OF_CHOSEN
    )
    return " or ".join(either)


def _by_call(expr: str, also: str = "") -> str:
    """Summed up by caller and called one, under the names that a node graph knows."""
    named = f'label_join(label_join({expr}, "source", "", "client"), "target", "", "server")'
    return f'sum by (id, source, target{also}) (label_join({named}, "id", " → ", "client", "server"))'


def _told_apart(expr: str) -> str:
    """The called one under the label `called` if it sends spans itself, else under `elsewhere`: databases and whatever else
    is known by a caller's span only."""
    kind = f'label_join({expr}, "call", ";", "connection_type", "client", "server")'
    services = f"(?:(?:messaging_system)?;.*|virtual_node;{OUTSIDE});(.*)"
    called = f'label_replace({kind}, "called", "$1", "call", "{services}")'
    elsewhere = f'label_replace({called}, "elsewhere", "$1", "server", "(.*)")'
    return f'label_replace({elsewhere}, "elsewhere", "", "called", ".+")'


REQUESTS = _by_call(_rate("total"))
FAILED = f"({_by_call(_rate('failed_total'))} or {REQUESTS} * 0)"
# Only the called side has measured a call from outside.
_SECONDS = " or ".join(
    (_rate("client_seconds_bucket", f',client!="{OUTSIDE}"'), _rate("server_seconds_bucket", f',client="{OUTSIDE}"'))
)

_APART = ", called, elsewhere"
_TABLE_REQUESTS = _by_call(_told_apart(_rate("total")), _APART)
_TABLE_FAILED = f"({_by_call(_told_apart(_rate('failed_total')), _APART)} or {_TABLE_REQUESTS} * 0)"
_TABLE_P95 = f"histogram_quantile(0.95, {_by_call(_told_apart(_SECONDS), f'{_APART}, le')})"


def graph(size: tuple[int, int], links: tuple[Link, ...]) -> AnyPanel:
    return panels.node_graph(
        "Service map",
        "Calls from and to the chosen services and the databases that they use: requests per second, and below them "
        f"failed ones. “{OUTSIDE}” is whoever sends no traces.",
        PromQL(REQUESTS, instant=True),
        PromQL(FAILED, instant=True),
        unit="reqps",
        size=size,
        links=links,
    )


def table(size: tuple[int, int], links: tuple[Link, ...]) -> AnyPanel:
    return panels.table(
        "Who calls whom",
        "The calls of the map in numbers, the most frequent first: per second, the share that failed, and how long "
        "nineteen of twenty took for the caller. A service leads to its golden signals.",
        (
            PromQL(_TABLE_REQUESTS, instant=True),
            PromQL(f"{_TABLE_FAILED} / ({_TABLE_REQUESTS} > 0)", instant=True),
            PromQL(_TABLE_P95, instant=True),
        ),
        Column("source", "From"),
        Column("called", "Service", link=panel_links.signals_link()),
        Column("elsewhere", "Database or other"),
        Column("Value #A", "Requests", unit="reqps", width=110),
        Column("Value #B", "Errors", unit="percentunit", width=90),
        Column("Value #C", "p95", unit="s", width=90),
        size=size,
        links=(*links, panel_links.databases_link()),
        sort_by="Requests",
    )
