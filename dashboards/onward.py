"""Where panels and series lead: to the logs, traces and dashboards of the same services at the same time."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from config import links
from dashboards.queries import ERRORS

START, END = links.SHOWN
SERVICES = "${service:pipe}"
"""The chosen services as they stand in a link: inside a regular expression."""
THIS_SERVICE = "${__field.labels.service}"
"""The service of the series that is pointed at."""

Link = tuple[str, str]
"""Title and address."""


def of_services(traces_of: str = "${trace_service}") -> tuple[Link, ...]:
    """From a panel to logs, errors and traces of the services that are chosen."""
    return (
        ("Logs", links.logs(f'{{service=~"{SERVICES}"}}', START, END)),
        ("Error logs", links.logs(f'{{service=~"{SERVICES}", {ERRORS}}}', START, END)),
        ("Traces", links.traces(traces_of, START, END)),
    )


def of_series() -> tuple[Link, ...]:
    """From a series with the label `service` to everything about that service, at the same time."""
    return (
        ("Golden signals of this service", links.dashboard("golden-signals", START, END, service=THIS_SERVICE)),
        ("Logs of this service", links.logs(f'{{service="{THIS_SERVICE}"}}', START, END)),
        ("Traces of this service", links.traces(THIS_SERVICE, START, END)),
    )


def of_chosen() -> tuple[Link, ...]:
    """From a panel about things that send no traces to their logs, and to the services that use them."""
    return (
        ("Logs", links.logs(f'{{service=~"{SERVICES}"}}', START, END)),
        ("Services at this time", links.dashboard("overview", START, END)),
    )


def to_databases() -> Link:
    """From services to the databases that they use."""
    return ("Databases", links.dashboard("databases", START, END))


def of_host() -> tuple[Link, ...]:
    """From a panel about the host to what was logged on it."""
    return (
        ("Log of the host", links.logs('{source="system"}', START, END)),
        ("Errors of all services", links.logs(f'{{service=~".+", {ERRORS}}}', START, END)),
        ("Services at this time", links.dashboard("overview", START, END)),
    )


def linked(made: Sequence[Link]) -> list[Builder[model.DashboardLink]]:
    """As panels and series hold them."""
    return [
        dashboard.DashboardLink(title).type(model.DashboardLinkType.LINK).url(address).target_blank(target_blank=True)
        for title, address in made
    ]


def to_signals() -> Link:
    """From a cell with a service to its golden signals."""
    return ("Golden signals", links.dashboard("golden-signals", START, END, service="${__value.raw}"))


def to_trace() -> Link:
    """From a cell with a trace id to the trace, where its data source does not link it itself."""
    return ("Open the trace", links.trace("${__value.raw}", START, END))
