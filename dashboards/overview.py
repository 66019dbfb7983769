"""Is everything well, and if not, where to look."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import calls, look, onward, signals
from dashboards.board import Row, board, choice
from dashboards.golden_signals import errors_beside_the_past, latency_beside_the_past
from dashboards.look import AnyPanel
from dashboards.queries import PromQL, compared
from dashboards.signals import CHOSEN, LIMITS, now, total

LINKS = onward.of_services()
HOST_STEPS = ((0, look.GOOD), (LIMITS.cpu / 100 * 0.8, look.WARNING), (LIMITS.cpu / 100, look.BAD))


def dashboard() -> Dashboard:
    return board(
        "overview",
        "Overview",
        "Health, traffic, errors and latency of all services, the host that they run on, and what to read first.",
        Row((health(), alerts(), requests(), errors(), p95())),
        Row((latency(), requests_by_service(), errors_by_service(), host())),
        Row((last_errors(), slow_traces())),
        Row((calls.service_map((10, 12), LINKS), calls.table((14, 12), LINKS)), "Who calls whom"),
        Row((service_requests(), service_errors(), service_latency(), service_active()), "$service", each="service"),
        variables=(
            choice("service", "Service", "The services to look at.", signals.SERVICE_VALUES),
            choice(
                "trace_service",
                "Traces of",
                "The service whose slow traces are listed: Jaeger searches one at a time.",
                signals.SENDER_VALUES,
                several=False,
            ),
        ),
    )


def health() -> AnyPanel:
    fires = f'ALERTS{{alertstate="firing",severity="%s",{CHOSEN}}}'
    critical, warning = (f"count({fires % severity})" for severity in ("critical", "warning"))
    return look.number(
        "Health",
        "The worst alert that fires about the chosen services and the stack's own. What it is stands beside it.",
        "none",
        PromQL(f"({critical} * 0 + 2) or ({warning} * 0 + 1) or vector(0)"),
        size=(3, 4),
        onward=LINKS,
        words={0: ("Well", look.GOOD), 1: ("Warning", look.WARNING), 2: ("Critical", look.BAD)},
        trend=False,
    )


def alerts() -> AnyPanel:
    return look.firing((6, 4), LINKS)


def requests() -> AnyPanel:
    return look.number(
        "Requests",
        "Requests per second to the chosen services, mean of five minutes. Calls between services count for the called one.",
        "reqps",
        PromQL(now(total(signals.REQUESTS))),
        size=(5, 4),
        onward=LINKS,
    )


def errors() -> AnyPanel:
    return look.number(
        "Errors",
        f"Share of requests answered with a status of 500 or more. Red from {LIMITS.error_ratio:g} % on, where the alert is.",
        "percentunit",
        PromQL(now(signals.TOTAL_RATIO)),
        size=(5, 4),
        onward=LINKS,
        steps=signals.ERROR_STEPS,
    )


def p95() -> AnyPanel:
    return look.number(
        "p95",
        f"Nineteen of twenty requests of five minutes are answered within this time. Red from {LIMITS.latency_p95} on, where the alert is.",
        "s",
        PromQL(now(signals.total_quantile(95))),
        size=(5, 4),
        onward=LINKS,
        steps=signals.LATENCY_STEPS,
    )


def latency() -> AnyPanel:
    others = [PromQL(now(signals.total_quantile(percent)), f"p{percent}") for percent in (50, 99)]
    return look.lines(
        "Response time",
        "Half, nineteen of twenty, and 99 of 100 requests of five minutes are answered within these times. Yesterday and last "
        "week: p95.",
        "s",
        *compared(signals.total_quantile(95), "p95"),
        *others,
        size=(7, 8),
        onward=LINKS,
        colours=look.QUANTILES,
        limit=signals.P95_SECONDS,
    )


def requests_by_service() -> AnyPanel:
    _, *past = compared(total(signals.REQUESTS), "")
    return look.lines(
        "Requests by service",
        "Requests per second, stacked, mean of five minutes. Yesterday and last week: all together.",
        "reqps",
        PromQL(f"{signals.REQUESTS}{{{CHOSEN}}}", "{{service}}"),
        *past,
        size=(6, 8),
        onward=LINKS,
        series=onward.of_series(),
        by_name=True,
        stacked=True,
    )


def errors_by_service() -> AnyPanel:
    _, *past = compared(signals.TOTAL_RATIO, "")
    return look.lines(
        "Errors by service",
        "Share of requests answered with a status of 500 or more. Yesterday and last week: all together.",
        "percentunit",
        PromQL(f"{signals.RATIO}{{{CHOSEN}}}", "{{service}}"),
        *past,
        size=(6, 8),
        onward=LINKS,
        series=onward.of_series(),
        by_name=True,
        limit=signals.ERROR_RATIO,
    )


def host() -> AnyPanel:
    return look.bars(
        "Host",
        "CPU, memory and the fullest file system in use. Red where the strictest of their alerts begins; each has its own on "
        "the dashboard of the host.",
        "percentunit",
        PromQL("max(instance:node_cpu_used:ratio_rate5m)", "CPU"),
        PromQL("max(instance:node_memory_used:ratio)", "Memory"),
        PromQL("max(instance_mountpoint:node_filesystem_used:ratio)", "Disk"),
        size=(5, 8),
        onward=onward.of_host(),
        steps=HOST_STEPS,
        most=1,
    )


def last_errors() -> AnyPanel:
    return look.errors_with_traces(CHOSEN, (14, 9), LINKS)


def slow_traces() -> AnyPanel:
    return look.slow_traces("$trace_service", (10, 9), LINKS)


def service_requests() -> AnyPanel:
    return look.lines(
        "Requests",
        "Requests per second to this service, mean of five minutes, beside yesterday's and last week's.",
        "reqps",
        *compared(total(signals.REQUESTS), "now"),
        size=(6, 6),
        onward=onward.of_services("${service}"),
    )


def service_errors() -> AnyPanel:
    return errors_beside_the_past(
        f"max({signals.RATIO}{{{CHOSEN}}}@past)", size=(6, 6), links=onward.of_services("${service}")
    )


def service_latency() -> AnyPanel:
    return latency_beside_the_past(
        "Response time",
        lambda percent: f"max({signals.quantile(percent)}{{{CHOSEN}}}@past)",
        size=(6, 6),
        links=onward.of_services("${service}"),
    )


def service_active() -> AnyPanel:
    return look.lines(
        "Active requests",
        "Requests that are being answered at this moment: as many connections are busy.",
        "short",
        PromQL(f"{signals.ACTIVE}{{{CHOSEN}}}", "active"),
        size=(6, 6),
        onward=onward.of_services("${service}"),
        colours={"active": look.PURPLE},
    )
