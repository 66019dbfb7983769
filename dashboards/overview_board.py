"""The first dashboard: whether all is well, and where to look if not."""

from string import ascii_uppercase

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.alerts import golden_signals, response_times
from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, service_map, shared_panels, signal_series
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel, Column
from dashboards.queries import PromQL, compared, now
from dashboards.signal_series import CHOSEN, each, total

LINKS = panel_links.service_links()
HOST = AlertThreshold(("cpu", "memory", "disk"))


def dashboard() -> Dashboard:
    return board(
        "overview",
        "Overview",
        "Health, traffic, errors and latency of all services, their host, and the errors and slow traces to read first.",
        Row((health(), alerts(), requests(), errors(), p95())),
        Row((latency(), requests_by_service(), errors_by_service(), host())),
        Row((last_errors(), slow_traces())),
        Row((services(),), "Services"),
        Row((service_map.graph((10, 12), LINKS), service_map.table((14, 12), LINKS)), "Who calls whom"),
        variables=(
            choice("service", "Service", "The services to show.", signal_series.SERVICE_VALUES),
            choice(
                "trace_service",
                "Traces of",
                "The service whose slow traces are listed. Jaeger searches one service at a time.",
                signal_series.SENDER_VALUES,
                several=False,
            ),
        ),
    )


def health() -> AnyPanel:
    fires = f'ALERTS{{alertstate="firing",severity="%s",{CHOSEN}}}'
    critical, warning = (f"count({fires % severity})" for severity in ("critical", "warning"))
    return panels.stat(
        "Health",
        "Severity of the worst firing alert about the chosen services; with “All”, about the stack too. The list beside it names the alerts.",
        "none",
        PromQL(f"({critical} * 0 + 2) or ({warning} * 0 + 1) or vector(0)"),
        size=(3, 4),
        links=LINKS,
        words={0: ("Well", colours.GOOD), 1: ("Warning", colours.WARNING), 2: ("Critical", colours.BAD)},
        sparkline=False,
    )


def alerts() -> AnyPanel:
    return panels.alert_list(
        "Alerts",
        "Firing and pending alerts, of Prometheus (metrics) and Loki (logs).",
        size=(6, 4),
        links=LINKS,
    )


def requests() -> AnyPanel:
    return panels.stat(
        "Requests",
        "Requests per second to the chosen services, averaged over five minutes. A call between services counts for the called service.",
        "reqps",
        PromQL(now(total(golden_signals.REQUESTS))),
        size=(5, 4),
        links=LINKS,
    )


def errors() -> AnyPanel:
    return panels.stat(
        "Errors",
        f"Share of requests answered with a status of 500 or more. {signal_series.ERROR_LIMIT.sentence()}",
        "percentunit",
        PromQL(now(signal_series.TOTAL_RATIO)),
        size=(5, 4),
        links=LINKS,
        steps=panels.alert_steps(signal_series.ERROR_LIMIT, warning=5),
    )


def p95() -> AnyPanel:
    return panels.stat(
        "p95",
        f"95 % of the requests of five minutes are answered within this time. {signal_series.LATENCY_LIMIT.sentence()}",
        "s",
        PromQL(now(signal_series.total_quantile(95))),
        size=(5, 4),
        links=LINKS,
        steps=panels.alert_steps(signal_series.LATENCY_LIMIT, warning=2),
    )


def latency() -> AnyPanel:
    others = [PromQL(now(signal_series.total_quantile(percent)), f"p{percent}") for percent in (50, 99)]
    return panels.timeseries(
        "Response time",
        "50, 95 and 99 % of the requests of five minutes are answered within these times. Yesterday and last week show p95.",
        "s",
        *compared(signal_series.total_quantile(95), "p95"),
        *others,
        size=(7, 8),
        links=LINKS,
        colours=colours.QUANTILES,
        threshold=signal_series.LATENCY_LIMIT,
    )


def requests_by_service() -> AnyPanel:
    _, *past = compared(total(golden_signals.REQUESTS), "")
    return panels.timeseries(
        "Requests by service",
        "Requests per second, stacked, averaged over five minutes. Yesterday and last week are sums of all services.",
        "reqps",
        PromQL(now(each(golden_signals.REQUESTS)), "{{service}}"),
        *past,
        size=(6, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        service_colours=True,
        stacked=True,
    )


def errors_by_service() -> AnyPanel:
    _, *past = compared(signal_series.TOTAL_RATIO, "")
    return panels.timeseries(
        "Errors by service",
        "Share of requests answered with a status of 500 or more. Yesterday and last week cover all services together.",
        "percentunit",
        PromQL(now(each(golden_signals.ERROR_RATIO)), "{{service}}"),
        *past,
        size=(6, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        service_colours=True,
        threshold=signal_series.ERROR_LIMIT,
    )


def host() -> AnyPanel:
    return panels.bar_gauge(
        "Host",
        "Use of CPU, memory and the fullest file system. Red begins at the lowest of their alert thresholds; the dashboard of the host shows each.",
        "percentunit",
        PromQL("max(instance:node_cpu_used:ratio_rate5m)", "CPU"),
        PromQL("max(instance:node_memory_used:ratio)", "Memory"),
        PromQL("max(instance_mountpoint:node_filesystem_used:ratio)", "Disk"),
        size=(5, 8),
        links=panel_links.host_links(),
        steps=panels.alert_steps(HOST),
        maximum=1,
    )


def last_errors() -> AnyPanel:
    return shared_panels.last_errors(CHOSEN, (14, 9), LINKS)


def slow_traces() -> AnyPanel:
    return shared_panels.slow_traces("$trace_service", (10, 9), LINKS)


def services() -> AnyPanel:
    """Every service, also one that only writes logs: its row then has CPU and memory only."""
    columns = (
        (f"max by (service, source) ({golden_signals.REQUESTS}{{{CHOSEN}}})", "Requests", "reqps"),
        (now(each(golden_signals.ERROR_RATIO)), "Errors", "percentunit"),
        (now(each(response_times.quantile(95))), "p95", "s"),
        (now(each(golden_signals.ACTIVE)), "Active", "none"),
        (
            f'sum by (service) (rate(container_cpu_usage_seconds_total{{job="cadvisor",{CHOSEN}}}[$__rate_interval]))',
            "CPU, cores",
            "none",
        ),
        (f"max by (service) (name:container_memory_used:ratio{{{CHOSEN}}})", "Memory", "percentunit"),
        (f"{golden_signals.KNOWN}{{{CHOSEN}}}", "", ""),
    )
    return panels.table(
        "Services",
        "One row for each service, the busiest first: requests per second, share of errors, p95, requests in progress, CPU in cores, memory as a share of its limit. “Counted by” names the source of the first four. Without it nothing counts the requests of the service: docs/instrumentation shows what would.",
        [PromQL(expr, instant=True) for expr, _, _ in columns],
        Column("service", "Service", link=panel_links.signals_link()),
        Column("source", "Counted by", width=220),
        *(
            Column(f"Value #{ref}", title, unit=unit, width=110)
            for ref, (_, title, unit) in zip(ascii_uppercase, columns, strict=False)
            if title
        ),
        size=(24, 9),
        links=LINKS,
        sort_by="Requests",
    )
