"""Everything about one service: what it gets, answers, takes, uses, logs and calls."""

from collections.abc import Callable, Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import look, onward, signals
from dashboards.board import Row, board, choice
from dashboards.look import AnyPanel
from dashboards.onward import Link
from dashboards.queries import LogQL, PromQL, compared
from dashboards.signals import DURATION, LIMITS, now

LINKS = onward.of_services("${service}")
THIS = 'service="$service"'
RAW = f'job="application",{THIS}'


def dashboard() -> Dashboard:
    return board(
        "golden-signals",
        "Golden signals of one service",
        "Traffic, errors, latency and saturation of one service, then what it logs, its traces and whom it calls.",
        Row((up(), requests(), errors(), p95(), active())),
        Row((traffic(), error_ratio(), latency())),
        Row((routes(), statuses(), route_latency()), "By route"),
        Row((cpu(), memory(), kept_traces()), "Saturation, and traces to look at"),
        Row((log_levels(), last_errors(), slow_traces()), "Logs and traces"),
        Row((callers(), callees(), operations()), "Who calls it, whom it calls, what it does: from its traces"),
        variables=(choice("service", "Service", "The service to look at.", signals.SERVICE_VALUES, several=False),),
    )


def up() -> AnyPanel:
    return look.number(
        "Instances up",
        "How many instances of the service answer Prometheus.",
        "short",
        PromQL(f"sum(up{{{RAW}}})"),
        size=(4, 4),
        onward=LINKS,
        steps=((0, look.BAD), (1, look.GOOD)),
    )


def requests() -> AnyPanel:
    return look.number(
        "Requests",
        "Requests per second, mean of five minutes.",
        "reqps",
        PromQL(f"{signals.REQUESTS}{{{THIS}}}"),
        size=(5, 4),
        onward=LINKS,
    )


def errors() -> AnyPanel:
    return look.number(
        "Errors",
        f"Share of requests answered with a status of 500 or more. Red from {LIMITS.error_ratio:g} % on, where the alert is.",
        "percentunit",
        PromQL(f"{signals.RATIO}{{{THIS}}}"),
        size=(5, 4),
        onward=LINKS,
        steps=signals.ERROR_STEPS,
    )


def p95() -> AnyPanel:
    return look.number(
        "p95",
        f"Nineteen of twenty requests are answered within this time. Red from {LIMITS.latency_p95} on, where the alert is.",
        "s",
        PromQL(f"{signals.quantile(95)}{{{THIS}}}"),
        size=(5, 4),
        onward=LINKS,
        steps=signals.LATENCY_STEPS,
    )


def active() -> AnyPanel:
    return look.number(
        "Active requests",
        "Requests that are being answered at this moment.",
        "short",
        PromQL(f"{signals.ACTIVE}{{{THIS}}}"),
        size=(5, 4),
        onward=LINKS,
    )


def traffic() -> AnyPanel:
    return look.lines(
        "Traffic",
        "Requests per second, mean of five minutes, beside yesterday's and last week's.",
        "reqps",
        *compared(f"{signals.REQUESTS}{{{THIS}}}@past", "now"),
        size=(8, 8),
        onward=LINKS,
    )


def errors_beside_the_past(ratio: str, *, size: tuple[int, int], links: Sequence[Link]) -> AnyPanel:
    """`ratio`: PromQL of one line, with `@past` where the time goes."""
    return look.lines(
        "Errors",
        "Share of requests answered with a status of 500 or more, beside yesterday's and last week's.",
        "percentunit",
        *compared(ratio, "now"),
        size=size,
        onward=links,
        colours={"now": look.BAD},
        limit=signals.ERROR_RATIO,
    )


def latency_beside_the_past(
    title: str, recorded: Callable[[int], str], *, size: tuple[int, int], links: Sequence[Link]
) -> AnyPanel:
    """`recorded`: percent → PromQL of that quantile as one line, with `@past` where the time goes."""
    return look.lines(
        title,
        "Half, nineteen of twenty, and 99 of 100 requests are answered within these times. Yesterday and last week: p95.",
        "s",
        *compared(recorded(95), "p95"),
        PromQL(now(recorded(50)), "p50"),
        PromQL(now(recorded(99)), "p99"),
        size=size,
        onward=links,
        colours=look.QUANTILES,
        limit=signals.P95_SECONDS,
    )


def error_ratio() -> AnyPanel:
    return errors_beside_the_past(f"{signals.RATIO}{{{THIS}}}@past", size=(8, 8), links=LINKS)


def latency() -> AnyPanel:
    return latency_beside_the_past(
        "Latency", lambda percent: f"{signals.quantile(percent)}{{{THIS}}}@past", size=(8, 8), links=LINKS
    )


def routes() -> AnyPanel:
    return look.lines(
        "Requests by route",
        "Requests per second by route template and method.",
        "reqps",
        PromQL(
            f"sum by (http_route, http_request_method) (rate({DURATION}_count{{{RAW}}}[$__rate_interval]))",
            "{{http_request_method}} {{http_route}}",
        ),
        size=(8, 7),
        onward=LINKS,
        stacked=True,
        shades=True,
    )


def statuses() -> AnyPanel:
    return look.lines(
        "Answers by status",
        "Requests per second by the status that they were answered with.",
        "reqps",
        PromQL(
            f"sum by (http_response_status_code) (rate({DURATION}_count{{{RAW}}}[$__rate_interval]))",
            "{{http_response_status_code}}",
        ),
        size=(8, 7),
        onward=LINKS,
        colours={"/^2/": look.GREEN, "/^3/": look.SKY, "/^4/": look.ORANGE, "/^5/": look.RED},
        stacked=True,
    )


def route_latency() -> AnyPanel:
    return look.lines(
        "p95 by route",
        "Nineteen of twenty requests for a route are answered within this time.",
        "s",
        PromQL(
            "histogram_quantile(0.95, sum by (http_route, http_request_method, le) "
            f"(rate({DURATION}_bucket{{{RAW}}}[$__rate_interval])))",
            "{{http_request_method}} {{http_route}}",
        ),
        size=(8, 7),
        onward=LINKS,
        shades=True,
        limit=signals.P95_SECONDS,
    )


def cpu() -> AnyPanel:
    return look.lines(
        "CPU",
        "Cores in use by each container of the service.",
        "short",
        PromQL(
            f'sum by (name) (rate(container_cpu_usage_seconds_total{{job="cadvisor",{THIS}}}[$__rate_interval]))',
            "{{name}}",
        ),
        size=(8, 7),
        onward=LINKS,
        shades=True,
    )


def memory() -> AnyPanel:
    return look.lines(
        "Memory of its limit",
        "Working set of each container of the service, as a share of its limit. At the limit the kernel kills it.",
        "percentunit",
        PromQL(f"max by (name) (name:container_memory_used:ratio{{{THIS}}})", "{{name}}"),
        size=(8, 7),
        onward=LINKS,
        shades=True,
        most=1,
        limit=LIMITS.container_memory / 100,
    )


def kept_traces() -> AnyPanel:
    return look.lines(
        "Kept traces",
        "p95 of the spans whose traces were kept, with exemplars: each point opens a trace that is in Jaeger. Slow and "
        "failed ones are always kept, so this is no measure of the service.",
        "s",
        PromQL(
            f"histogram_quantile(0.95, sum by (le) (rate(traces_kept_duration_seconds_bucket{{{THIS}}}[$__rate_interval])))",
            "p95 of kept traces",
            exemplars=True,
        ),
        size=(8, 7),
        onward=LINKS,
        colours={"p95 of kept traces": look.PURPLE},
    )


def log_levels() -> AnyPanel:
    return look.lines(
        "Log lines by level",
        "Lines per second.",
        "cps",
        LogQL(f"sum by (level) (rate({{{THIS}}}[$__auto]))", "{{level}}"),
        size=(6, 9),
        onward=LINKS,
        colours=look.LEVELS,
        stacked=True,
    )


def last_errors() -> AnyPanel:
    return look.errors_with_traces(THIS, (10, 9), LINKS)


def slow_traces() -> AnyPanel:
    return look.slow_traces("$service", (8, 9), LINKS)


def callers() -> AnyPanel:
    return look.lines(
        "Called by",
        "Calls per second from each service that calls this one.",
        "reqps",
        PromQL(
            'sum by (client) (rate(traces_service_graph_request_total{server="$service"}[$__rate_interval]))',
            "{{client}}",
        ),
        size=(8, 7),
        onward=LINKS,
        by_name=True,
    )


def callees() -> AnyPanel:
    return look.lines(
        "Calls",
        "Calls per second to each service or database that this one calls.",
        "reqps",
        PromQL(
            'sum by (server) (rate(traces_service_graph_request_total{client="$service"}[$__rate_interval]))',
            "{{server}}",
        ),
        size=(8, 7),
        onward=LINKS,
        by_name=True,
    )


def operations() -> AnyPanel:
    return look.lines(
        "Operations",
        "Spans per second by name: counted before sampling, so these are all.",
        "ops",
        PromQL(
            f"sum by (span_name) (rate(traces_span_metrics_calls_total{{{THIS}}}[$__rate_interval]))", "{{span_name}}"
        ),
        size=(8, 7),
        onward=LINKS,
        shades=True,
    )
