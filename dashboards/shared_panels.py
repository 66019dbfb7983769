"""Panels that several dashboards show."""

from collections.abc import Callable, Sequence

from dashboards import colours, panels, signal_series
from dashboards.panel_links import Link, trace_link
from dashboards.panels import AnyPanel, Column, Size
from dashboards.queries import ERRORS, LogQL, PromQL, Traces, compared, now


def error_ratio(ratio: str, *, size: Size, links: Sequence[Link]) -> AnyPanel:
    """`ratio`: PromQL of one series, with `@past` (see `queries.compared`)."""
    return panels.timeseries(
        "Errors",
        "Share of requests answered with a status of 500 or more, compared with yesterday and last week.",
        "percentunit",
        *compared(ratio, "now"),
        size=size,
        links=links,
        colours={"now": colours.BAD},
        threshold=signal_series.ERROR_LIMIT,
    )


def latency(title: str, recorded: Callable[[int], str], *, size: Size, links: Sequence[Link]) -> AnyPanel:
    """`recorded`: percent → PromQL of that quantile as one series, with `@past` (see `queries.compared`)."""
    return panels.timeseries(
        title,
        "50, 95 and 99 % of requests are answered within these times. Yesterday and last week show p95.",
        "s",
        *compared(recorded(95), "p95"),
        PromQL(now(recorded(50)), "p50"),
        PromQL(now(recorded(99)), "p99"),
        size=size,
        links=links,
        colours=colours.QUANTILES,
        threshold=signal_series.LATENCY_LIMIT,
    )


def last_errors(selector: str, size: Size, links: Sequence[Link]) -> AnyPanel:
    """The last hundred error lines; a click on a trace id opens the trace."""
    return panels.table(
        "Last 100 errors",
        "Lines of the levels error and fatal, the newest first. A trace id opens the trace if it was kept; by default all traces with an error are.",
        [LogQL(f"{{{selector}, {ERRORS}}}", lines=100)],
        Column("Time", "Time", width=170),
        Column("service", "Service", width=110),
        Column("Line", "Line"),
        Column("trace_id", "Trace", width=120, link=trace_link()),
        size=size,
        links=links,
        unit="string",
        label_columns=True,
    )


def slow_traces(service: str, size: Size, links: Sequence[Link]) -> AnyPanel:
    """Traces longer than a second, the slowest first."""
    return panels.table(
        "Slow traces",
        "Traces that took longer than one second; a click opens one. By default all of them are kept. Jaeger searches one service at a time.",
        [Traces(service, "1s")],
        # Jaeger's data source names and orders its columns so, and links the ids. No column is renamed: if Jaeger ever renames
        # one, it is still shown.
        Column("Trace ID", "Trace ID", width=120),
        Column("Trace name", "Trace name"),
        Column("Start time", "Start time", unit="dateTimeAsIso", width=170),
        Column("Duration", "Duration", unit="µs", width=100),
        size=size,
        links=links,
        unit="string",
        sort_by="Duration",
    )
