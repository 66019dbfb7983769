"""The first dashboard: whether all is well, and where to look if not."""

from string import ascii_uppercase

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.alerts import golden_signals, response_times
from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, service_map, shared_panels, signal_series, tables, units
from dashboards.board import Row, board, choice, slowest
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, compared, now, top
from dashboards.signal_series import CHOSEN, each, total
from dashboards.tables import Column

LINKS = panel_links.service_links()
HOST = AlertThreshold(("cpu", "memory", "disk"))


def dashboard() -> Dashboard:
    return board(
        "overview",
        "Overview",
        "Health, traffic, errors and latency of all services, their host, and the errors and slow traces to read first.",
        Row((health(), requests(), errors(), p95(), host())),
        Row((latency(), requests_by_service(), errors_by_service())),
        Row((alerts(), last_errors())),
        Row((services(), slow_traces()), "Every service, and the slowest traces"),
        Row((service_map.graph((24, 12), LINKS), service_map.table((24, 9), LINKS)), "Who calls whom", closed=True),
        variables=(choice("service", "Service", "The services to show.", signal_series.SERVICE_VALUES), slowest()),
    )


def health() -> AnyPanel:
    critical, warning = (f'count(ALERTS{{alertstate="firing",severity="{one}"}})' for one in ("critical", "warning"))
    return panels.stat(
        "Health",
        "Severity of the worst firing alert of metrics, whatever services are chosen. The list below has the alerts of logs too, which Prometheus does not know.",
        units.WORDS,
        PromQL(f"({critical} * 0 + 2) or ({warning} * 0 + 1) or vector(0)"),
        size=(4, 5),
        links=LINKS,
        words={0: ("Well", colours.GOOD), 1: ("Warning", colours.WARNING), 2: ("Critical", colours.BAD)},
    )


def alerts() -> AnyPanel:
    return panels.alert_list(
        "Alerts",
        "Firing and pending alerts, of Prometheus (metrics) and Loki (logs), whatever services are chosen.",
        size=(8, 7),
        links=LINKS,
    )


def requests() -> AnyPanel:
    return panels.stat(
        "Requests",
        "Requests per second to the chosen services, averaged over five minutes. A call between services counts for the called service.",
        units.REQUESTS,
        PromQL(now(total(golden_signals.REQUESTS))),
        size=(5, 5),
        links=LINKS,
    )


def errors() -> AnyPanel:
    return panels.stat(
        "Errors",
        f"Share of requests answered with a status of 500 or more. {signal_series.ERROR_LIMIT.sentence()}",
        units.SHARE,
        PromQL(now(signal_series.TOTAL_RATIO)),
        size=(5, 5),
        links=LINKS,
        steps=panels.alert_steps(signal_series.ERROR_LIMIT, warning=5),
    )


def p95() -> AnyPanel:
    return panels.stat(
        "p95",
        f"95 % of the requests of five minutes are answered within this time. {signal_series.LATENCY_LIMIT.sentence()}",
        units.SECONDS,
        PromQL(now(signal_series.total_quantile(95))),
        size=(5, 5),
        links=LINKS,
        steps=panels.alert_steps(signal_series.LATENCY_LIMIT, warning=2),
    )


def latency() -> AnyPanel:
    others = [PromQL(now(signal_series.total_quantile(percent)), f"p{percent}") for percent in (50, 99)]
    return panels.timeseries(
        "Response time",
        "50, 95 and 99 % of the requests of five minutes are answered within these times. Yesterday and last week show p95.",
        units.SECONDS,
        *compared(signal_series.total_quantile(95), "p95"),
        *others,
        size=(8, 8),
        links=LINKS,
        colours=colours.QUANTILES,
        threshold=signal_series.LATENCY_LIMIT,
    )


def requests_by_service() -> AnyPanel:
    _, *past = compared(total(golden_signals.REQUESTS), "")
    return panels.timeseries(
        "Requests by service",
        "Requests per second, stacked, averaged over five minutes: the busiest services, and the sum of the others. Yesterday and last week are sums of all services.",
        units.REQUESTS,
        *top(now(each(golden_signals.REQUESTS)), count=FEW),
        *past,
        size=(8, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        stacked=True,
    )


def errors_by_service() -> AnyPanel:
    _, *past = compared(signal_series.TOTAL_RATIO, "")
    return panels.timeseries(
        "Errors by service",
        "Share of requests answered with a status of 500 or more, of the services with the highest. Yesterday and last week cover all services together.",
        units.SHARE,
        *top(now(each(golden_signals.ERROR_RATIO)), count=FEW, rest=False),
        *past,
        size=(8, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        threshold=signal_series.ERROR_LIMIT,
    )


def host() -> AnyPanel:
    return panels.bar_gauge(
        "Host",
        "Use of CPU, memory and the fullest file system. Red begins at the lowest of their alert thresholds; the dashboard of the host shows each.",
        units.SHARE,
        PromQL("max(instance:node_cpu_used:ratio_rate5m)", "CPU"),
        PromQL("max(instance:node_memory_used:ratio)", "Memory"),
        PromQL("max(instance_mountpoint:node_filesystem_used:ratio)", "Disk"),
        size=(5, 5),
        links=panel_links.host_links(),
        steps=panels.alert_steps(HOST),
        maximum=1,
    )


def last_errors() -> AnyPanel:
    return shared_panels.last_errors(CHOSEN, (16, 7), LINKS)


def slow_traces() -> AnyPanel:
    return shared_panels.slow_traces("$trace_service", (24, 8), LINKS)


def services() -> AnyPanel:
    """Every service, also one that only writes logs: its row then has CPU and memory only."""
    requests_now = f"max by (service, source) ({golden_signals.REQUESTS}{{{CHOSEN}}})"
    columns = (
        (requests_now, "Requests", units.REQUESTS),
        (now(each(golden_signals.ERROR_RATIO)), "Errors", units.SHARE),
        (now(each(response_times.quantile(95))), "p95", units.SECONDS),
        (now(each(golden_signals.ACTIVE)), "Active", units.counted("requests")),
        (
            f'sum by (service) (rate(container_cpu_usage_seconds_total{{job="cadvisor",{CHOSEN}}}[$__rate_interval]))',
            "CPU",
            units.CORES,
        ),
        (f"max by (service) (name:container_memory_used:ratio{{{CHOSEN}}})", "Memory", units.SHARE),
    )
    numbers = [
        Column(f"Value #{ref}", title, unit=unit, width=110)
        for ref, (_, title, unit) in zip(ascii_uppercase, columns, strict=False)
    ]
    source = PromQL(f"{golden_signals.KNOWN}{{{CHOSEN}}}", instant=True)
    course = PromQL(now(each(golden_signals.REQUESTS)), "{{service}}")
    return tables.table(
        "Services",
        "One row for each service, the busiest first: requests per second and their course, share of errors, p95, requests in progress, CPU, memory as a share of its limit. “Counted by” names the source of the first five. Without it nothing counts the requests of the service: docs/instrumentation shows what would.",
        [*(PromQL(expr, instant=True) for expr, _, _ in columns), source, course],
        Column("service", "Service", least=160, link=panel_links.signals_link()),
        numbers[0],
        Column("Trend #H", "Course", width=160, course=True),
        *numbers[1:],
        Column("source", "Counted by", width=200),
        size=(24, 9),
        links=LINKS,
        sort_by="Requests",
        missing="no service yet: a container in one of the stack's networks appears here",
    )
