"""Links of panels and series: to the logs, traces and dashboards of the same services at the same time."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from config import links
from dashboards.queries import ERRORS

START, END = links.SHOWN
SERVICES = "${service:pipe}"
"""The chosen services, as an alternative of a regular expression."""
THIS_SERVICE = "${__field.labels.service}"
"""The service of the series under the pointer."""

Link = tuple[str, str]
"""Title and address."""


def service_links(traced: str = "${trace_service}") -> tuple[Link, ...]:
    """From a panel to the logs, errors and traces of the chosen services. `traced`: the one service whose traces are searched."""
    return (
        ("Logs", links.logs(f'{{service=~"{SERVICES}"}}', START, END)),
        ("Error logs", links.logs(f'{{service=~"{SERVICES}", {ERRORS}}}', START, END)),
        ("Traces", links.traces(traced, START, END)),
    )


def series_links() -> tuple[Link, ...]:
    """From a series with the label `service` to everything about that service."""
    return (
        ("Golden signals of this service", links.dashboard("golden-signals", START, END, service=THIS_SERVICE)),
        ("Logs of this service", links.logs(f'{{service="{THIS_SERVICE}"}}', START, END)),
        ("Traces of this service", links.traces(THIS_SERVICE, START, END)),
    )


def infrastructure_links() -> tuple[Link, ...]:
    """From a panel about services that send no traces to their logs, and to the applications that use them."""
    return (
        ("Logs", links.logs(f'{{service=~"{SERVICES}"}}', START, END)),
        ("Services at this time", links.dashboard("overview", START, END)),
    )


def host_links() -> tuple[Link, ...]:
    """From a panel about the host to its log."""
    return (
        ("Log of the host", links.logs('{source="system"}', START, END)),
        ("Errors of all services", links.logs(f'{{service=~".+", {ERRORS}}}', START, END)),
        ("Services at this time", links.dashboard("overview", START, END)),
    )


def databases_link() -> Link:
    """From services to the databases that they use."""
    return ("Databases", links.dashboard("databases", START, END))


def signals_link() -> Link:
    """From a table cell with a service to its golden signals."""
    return ("Golden signals", links.dashboard("golden-signals", START, END, service="${__value.raw}"))


def trace_link() -> Link:
    """From a table cell with a trace id to the trace, where the data source has no link of its own."""
    return ("Open the trace", links.trace("${__value.raw}", START, END))


def dashboard_links(pairs: Sequence[Link]) -> list[Builder[model.DashboardLink]]:
    """Links in the form of the SDK, for panels and for series."""
    return [
        dashboard.DashboardLink(title).type(model.DashboardLinkType.LINK).url(address).target_blank(target_blank=True)
        for title, address in pairs
    ]
