"""The dashboard of one service: its golden signals, logs, traces and calls."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.alerts import golden_signals, response_times
from dashboards import colours, panel_links, panels, shared_panels, signal_series, source_variables, units
from dashboards.board import Row, board, first_of
from dashboards.panels import AnyPanel
from dashboards.queries import LogQL, PromQL, compared, now, top
from dashboards.signal_series import CONTAINER_MEMORY, each

LINKS = panel_links.service_links("${service}")
THIS = 'service="$service"'
RAW = f'job="application",{THIS}'
ASKED = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'


def dashboard() -> Dashboard:
    return board(
        "golden-signals",
        "Golden signals of one service",
        "Traffic, errors, latency and saturation of one service, then its logs, its traces and its calls.",
        Row((up(), requests(), errors(), p95(), active(), source())),
        Row((traffic(), error_ratio(), latency())),
        Row((routes(), statuses(), route_latency()), "By route, or by kind of job"),
        Row((cpu(), memory(), kept_traces()), "Saturation, and kept traces"),
        Row((last_errors(), log_levels(), slow_traces()), "Logs and traces"),
        Row((callers(), callees(), operations()), "Callers, calls and operations, from traces", closed=True),
        variables=(
            first_of("service", "Service", "The service to look at, the busiest first.", signal_series.BUSIEST),
            *source_variables.variables(),
        ),
    )


def up() -> AnyPanel:
    return panels.stat(
        "Instances up",
        "Instances of the service that answer Prometheus.",
        units.counted("up"),
        PromQL(f"sum(up{{{RAW}}})"),
        size=(4, 5),
        links=LINKS,
        steps=((0, colours.BAD), (1, colours.GOOD)),
    )


def requests() -> AnyPanel:
    return panels.stat(
        "Requests",
        "Requests per second, averaged over five minutes.",
        units.REQUESTS,
        PromQL(now(each(golden_signals.REQUESTS, THIS))),
        size=(4, 5),
        links=LINKS,
    )


def errors() -> AnyPanel:
    return panels.stat(
        "Errors",
        f"Share of requests answered with a status of 500 or more. {signal_series.ERROR_LIMIT.sentence()}",
        units.SHARE,
        PromQL(now(each(golden_signals.ERROR_RATIO, THIS))),
        size=(4, 5),
        links=LINKS,
        steps=panels.alert_steps(signal_series.ERROR_LIMIT, warning=5),
    )


def p95() -> AnyPanel:
    return panels.stat(
        "p95",
        f"95 % of requests are answered within this time. {signal_series.LATENCY_LIMIT.sentence()}",
        units.SECONDS,
        PromQL(now(each(response_times.quantile(95), THIS))),
        size=(4, 5),
        links=LINKS,
        steps=panels.alert_steps(signal_series.LATENCY_LIMIT, warning=2),
    )


def active() -> AnyPanel:
    return panels.stat(
        "Active requests",
        "Requests in progress.",
        units.counted("active"),
        PromQL(now(each(golden_signals.ACTIVE, THIS))),
        size=(4, 5),
        links=LINKS,
    )


def source() -> AnyPanel:
    return panels.stat(
        "Counted by",
        "What counts the requests of this service. A number without data is one that it does not tell: docs/instrumentation shows what would. A service that is counted by nothing has logs, CPU and memory below, and the traces that it sends.",
        units.WORDS,
        PromQL(f"max by (source) ({golden_signals.REQUESTS}{{{THIS}}})", instant=True),
        size=(4, 5),
        links=LINKS,
        label="source",
        missing="nothing yet",
    )


def traffic() -> AnyPanel:
    return panels.timeseries(
        "Traffic",
        "Requests per second, averaged over five minutes, compared with yesterday and last week.",
        units.REQUESTS,
        *compared(each(golden_signals.REQUESTS, THIS), "requests"),
        size=(8, 8),
        links=LINKS,
    )


def error_ratio() -> AnyPanel:
    return shared_panels.error_ratio(each(golden_signals.ERROR_RATIO, THIS), size=(8, 8), links=LINKS)


def latency() -> AnyPanel:
    return shared_panels.latency(
        "Latency", lambda percent: each(response_times.quantile(percent), THIS), size=(8, 8), links=LINKS
    )


def routes() -> AnyPanel:
    return panels.timeseries(
        "Requests by route",
        "Requests per second by method and route template, or jobs by their kind: the busiest, and the sum of the others. “all” has none.",
        units.REQUESTS,
        *top(source_variables.by_route(), "route"),
        size=(8, 7),
        links=LINKS,
        stacked=True,
    )


def statuses() -> AnyPanel:
    return panels.timeseries(
        "Answers by status",
        "Requests per second by status.",
        units.REQUESTS,
        PromQL(source_variables.by_status(), "{{answer}}"),
        size=(8, 7),
        links=LINKS,
        colours={"/^2/": colours.GREEN, "/^3/": colours.SKY, "/^4/": colours.ORANGE, "/^5/": colours.RED},
        stacked=True,
    )


def route_latency() -> AnyPanel:
    return panels.timeseries(
        "p95 by route",
        "95 % of the requests for a route are answered within this time; of the slowest routes.",
        units.SECONDS,
        *top(source_variables.p95_by_route(), "route", rest=False),
        size=(8, 7),
        links=LINKS,
        threshold=signal_series.LATENCY_LIMIT,
    )


def cpu() -> AnyPanel:
    return panels.timeseries(
        "CPU",
        "Cores in use by each container of the service.",
        units.CORES,
        *top(
            f'sum by (name) (rate(container_cpu_usage_seconds_total{{job="cadvisor",{THIS}}}[$__rate_interval]))',
            "name",
        ),
        size=(8, 7),
        links=LINKS,
    )


def memory() -> AnyPanel:
    return panels.timeseries(
        "Memory, share of limit",
        "Working set of each container of the service, as a share of its limit. The kernel kills a container at its limit.",
        units.SHARE,
        *top(f"max by (name) (name:container_memory_used:ratio{{{THIS}}})", "name", rest=False),
        size=(8, 7),
        links=LINKS,
        maximum=1,
        threshold=CONTAINER_MEMORY,
    )


def kept_traces() -> AnyPanel:
    return panels.timeseries(
        "Kept traces",
        "p95 of the spans of kept traces, with exemplars: each point opens a trace in Jaeger. Slow and failed traces are kept more often than others, so this does not measure the service.",
        units.SECONDS,
        PromQL(
            f"histogram_quantile(0.95, sum by (le) (rate(traces_kept_duration_seconds_bucket{{{THIS}}}[$__rate_interval])))",
            "p95 of kept traces",
            exemplars=True,
        ),
        size=(8, 7),
        links=LINKS,
        colours={"p95 of kept traces": colours.PURPLE},
    )


def log_levels() -> AnyPanel:
    return panels.timeseries(
        "Log lines by level",
        "Log lines per second.",
        units.LINES,
        LogQL(f"sum by (level) (rate({{{THIS}}}[$__auto]))", "{{level}}"),
        size=(8, 8),
        links=LINKS,
        colours=colours.LEVELS,
        stacked=True,
    )


def last_errors() -> AnyPanel:
    return shared_panels.last_errors(THIS, (24, 8), LINKS)


def slow_traces() -> AnyPanel:
    return shared_panels.slow_traces("$service", (16, 8), LINKS)


def callers() -> AnyPanel:
    return panels.timeseries(
        "Called by",
        "Calls per second from each service that calls this one.",
        units.REQUESTS,
        *top(
            'sum by (client) (rate(traces_service_graph_request_total{server="$service"}[$__rate_interval]))', "client"
        ),
        size=(8, 7),
        links=LINKS,
    )


def callees() -> AnyPanel:
    return panels.timeseries(
        "Calls",
        "Calls per second to each service or database that this one calls.",
        units.REQUESTS,
        *top(
            'sum by (server) (rate(traces_service_graph_request_total{client="$service"}[$__rate_interval]))', "server"
        ),
        size=(8, 7),
        links=LINKS,
    )


def operations() -> AnyPanel:
    return panels.timeseries(
        "Operations",
        "Spans per second by name, of what others ask of the service: requests and messages, not its internal steps. All spans count, because they are counted before sampling.",
        units.SPANS,
        *top(
            f"sum by (span_name) (rate(traces_span_metrics_calls_total{{{THIS},{ASKED}}}[$__rate_interval]))",
            "span_name",
        ),
        size=(8, 7),
        links=LINKS,
    )
