"""Panels that several dashboards show."""

from collections.abc import Callable, Sequence

from dashboards import colours, panels, signal_series, tables, units
from dashboards.panel_links import Link, trace_link
from dashboards.panels import AnyPanel, Size
from dashboards.queries import ERRORS, MESSAGE, LogQL, PromQL, Traces, compared, now
from dashboards.tables import Column


def error_ratio(ratio: str, *, size: Size, links: Sequence[Link]) -> AnyPanel:
    """`ratio`: PromQL of one series, with `@past` (see `queries.compared`)."""
    return panels.timeseries(
        "Errors",
        "Share of requests answered with a status of 500 or more, compared with yesterday and last week.",
        units.SHARE,
        *compared(ratio, "errors"),
        size=size,
        links=links,
        colours={"errors": colours.BAD},
        threshold=signal_series.ERROR_LIMIT,
    )


def latency(title: str, recorded: Callable[[int], str], *, size: Size, links: Sequence[Link]) -> AnyPanel:
    """`recorded`: percent → PromQL of that quantile as one series, with `@past` (see `queries.compared`)."""
    return panels.timeseries(
        title,
        "50, 95 and 99 % of requests are answered within these times. Yesterday and last week show p95.",
        units.SECONDS,
        *compared(recorded(95), "p95"),
        PromQL(now(recorded(50)), "p50"),
        PromQL(now(recorded(99)), "p99"),
        size=size,
        links=links,
        colours=colours.QUANTILES,
        threshold=signal_series.LATENCY_LIMIT,
    )


def last_errors(selector: str, size: Size, links: Sequence[Link]) -> AnyPanel:
    """The last hundred error lines. The first two columns are what a phone shows of it."""
    return tables.table(
        "Last 100 errors",
        "Messages of the levels error and fatal, the newest first. A click on the eye beside a line shows all of it. A trace id opens the trace if it was kept; by default all traces with an error are.",
        [LogQL(f"{{{selector}, {ERRORS}}} | {MESSAGE}", lines=100)],
        Column("Time", "Time", unit="time:MM-DD HH:mm:ss", width=125),
        Column("said", "Message", least=230, looked_into=True),
        Column("service", "Service", width=120),
        Column("level", "Level", width=60),
        Column("trace_id", "Trace", width=100, letters=8, link=trace_link()),
        Column("Line", "Line", width=70, looked_into=True),
        size=size,
        links=links,
        sort_by="Time",
        label_columns=True,
        missing="no errors in this time",
    )


def slow_traces(service: str, size: Size, links: Sequence[Link]) -> AnyPanel:
    """Traces longer than a second, the slowest first."""
    return tables.table(
        "Slow traces",
        "Traces that took longer than one second; a click opens one. By default all of them are kept. Jaeger searches one service at a time: of several, the slowest.",
        [Traces(service, "1s")],
        # Jaeger's data source names and orders its columns so, and links the ids. No column is renamed: if Jaeger ever renames
        # one, it is still shown.
        Column("Trace ID", "Trace ID", width=100, letters=8),
        Column("Trace name", "Trace name", least=180),
        Column("Start time", "Start time", unit="time:MM-DD HH:mm:ss", width=130),
        Column("Duration", "Duration", unit="µs", width=100),
        size=size,
        links=links,
        sort_by="Duration",
        missing="no trace of more than a second in this time",
    )
