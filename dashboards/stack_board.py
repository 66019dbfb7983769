"""The dashboard of the stack itself: memory, disk, cardinality, sampling, scrapes and delivery."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from config.alerts.rule import DISK_BUDGET_USED
from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, series_costs, tables, units
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN, CONTAINER_MEMORY
from dashboards.tables import Column

SERIES = AlertThreshold(("series",))
STREAMS = AlertThreshold(("log_streams",))
LINKS = panel_links.infrastructure_links()
OWN = f'job!~"application|probe",{CHOSEN}'
COLLECTOR, PROMETHEUS, LOKI = (f'job="{job}"' for job in ("otel_collector", "prometheus", "loki"))
RATE = "$__rate_interval"
VALUES = 'label_values(up{job!~"application|probe"}, service)'


def dashboard() -> Dashboard:
    return board(
        "stack",
        "The stack itself",
        "Health of the stack: targets, memory, disk, cardinality, sampling, and the pipeline of each signal.",
        Row((targets_down(), firing_alerts(), series_now(), streams_now(), dropped_now(), last_reload())),
        Row((memory(), disk(), targets())),
        Row((scrape_duration(), scrape_samples(), rules()), "Metrics"),
        Row((series_costs.most_series(), series_costs.most_series_of_metrics())),
        Row((log_lines(), log_loss(), log_queries()), "Logs"),
        Row((sampling(), spans(), queue(), names()), "Traces", closed=True),
        Row((notifications(), cpu(), samples(), queries()), "Notifications and costs", closed=True),
        variables=(
            choice("service", "Service", "The services of the stack, and those that its exporters monitor.", VALUES),
        ),
    )


def targets_down() -> AnyPanel:
    return panels.stat(
        "Targets down",
        "Scrape targets that do not answer Prometheus. Your services and probes count too.",
        units.counted("down"),
        PromQL("count(up == 0) or vector(0)"),
        size=(4, 5),
        links=LINKS,
        steps=((0, colours.GOOD), (1, colours.BAD)),
    )


def firing_alerts() -> AnyPanel:
    return panels.stat(
        "Firing alerts",
        "Firing alerts of every severity. The dead man's switch, which always fires, does not count.",
        units.counted("firing"),
        PromQL('count(ALERTS{alertstate="firing",severity!="none"}) or vector(0)'),
        size=(4, 5),
        links=LINKS,
        steps=((0, colours.GOOD), (1, colours.WARNING)),
    )


def series_now() -> AnyPanel:
    return panels.stat(
        "Series in memory",
        f"Series that Prometheus holds in memory. They take most of it. {SERIES.sentence()}",
        units.counted("series"),
        PromQL(f"prometheus_tsdb_head_series{{{PROMETHEUS}}}"),
        size=(4, 5),
        links=LINKS,
        steps=panels.alert_steps(SERIES, warning=2),
    )


def streams_now() -> AnyPanel:
    maximum = f'sum(loki_overrides_defaults{{{LOKI},limit_name="max_global_streams_per_user"}})'
    return panels.stat(
        "Log streams",
        f"Streams in the memory of Loki, as a share of its limit. {STREAMS.sentence()}",
        units.SHARE,
        PromQL(f"sum(loki_ingester_memory_streams{{{LOKI}}}) / {maximum}"),
        size=(4, 5),
        links=LINKS,
        steps=panels.alert_steps(STREAMS, warning=2),
    )


def dropped_now() -> AnyPanel:
    losses = (
        f"sum(increase(loki_discarded_samples_total{{{LOKI}}}[15m]))",
        'sum(increase({__name__=~"loki_write_dropped_entries_total|promtail_dropped_entries_total"}[15m]))',
        f"sum(increase(otelcol_receiver_refused_spans_total{{{COLLECTOR}}}[15m]))",
    )
    return panels.stat(
        "Lost in 15 minutes",
        "Log lines that Loki refused or the shipper dropped, and spans that the collector refused.",
        units.counted("lost"),
        PromQL(" + ".join(f"({one} or vector(0))" for one in losses)),
        size=(4, 5),
        links=LINKS,
        steps=((0, colours.GOOD), (1, colours.BAD)),
    )


def last_reload() -> AnyPanel:
    return panels.stat(
        "Last reload",
        "Time since Prometheus loaded its configuration and rules.",
        units.SECONDS,
        PromQL(f"time() - prometheus_config_last_reload_success_timestamp_seconds{{{PROMETHEUS}}}"),
        size=(4, 5),
        links=LINKS,
        sparkline=False,
    )


def memory() -> AnyPanel:
    return panels.bar_gauge(
        "Memory, share of limit",
        f"Working set of each container, as a share of its hard limit, the fullest first. {CONTAINER_MEMORY.sentence()}",
        units.SHARE,
        PromQL(
            f"sort_desc(topk(15, max by (service) (name:container_memory_used:ratio{{{CHOSEN}}})))",
            "{{service}}",
            instant=True,
        ),
        size=(7, 9),
        links=LINKS,
        steps=panels.alert_steps(CONTAINER_MEMORY),
        maximum=1,
        series_links=panel_links.series_links(),
    )


def disk() -> AnyPanel:
    return panels.timeseries(
        "Disk, share of budget",
        "Stored data, as a share of its disk budget. Prometheus and Jaeger: what is stored now. Loki: what will be stored at the end of the retention, at the rate of the last day.",
        units.SHARE,
        *top(f"max by (service) ({DISK_BUDGET_USED}{{{CHOSEN}}})", count=FEW, rest=False),
        size=(7, 9),
        links=LINKS,
        threshold=AlertThreshold(("disk_budget",)),
    )


def targets() -> AnyPanel:
    return tables.table(
        "Targets",
        "Scrape targets of Prometheus, and whether they answer. Those that are down come first.",
        [PromQL("sum by (job, service, instance) (up)", instant=True)],
        Column("Value", "State", width=80, words={0: ("down", colours.BAD), 1: ("up", colours.GOOD)}),
        Column("service", "Service", least=120),
        Column("job", "Job", width=130),
        Column("instance", "Instance", least=160),
        size=(10, 9),
        links=LINKS,
        sort_by="State",
        ascending=True,
    )


def scrape_duration() -> AnyPanel:
    return panels.timeseries(
        "Scrape duration",
        "Scrape duration of the slowest target of each job.",
        units.SECONDS,
        *top(f"max by (job) (scrape_duration_seconds{{{OWN}}})", "job", rest=False),
        size=(8, 7),
        links=LINKS,
        threshold=AlertThreshold(("scrape_duration",)),
    )


def scrape_samples() -> AnyPanel:
    return panels.timeseries(
        "Samples by job",
        "Samples kept from one scrape of all targets of a job. Growing cardinality shows here.",
        units.counted("samples"),
        *top("sum by (job) (scrape_samples_post_metric_relabeling)", "job"),
        size=(8, 7),
        links=LINKS,
        stacked=True,
    )


def rules() -> AnyPanel:
    # The label begins with the path of the group's file.
    seconds = f"prometheus_rule_group_last_duration_seconds{{{PROMETHEUS}}}"
    named = f'label_replace({seconds}, "group", "$1", "rule_group", ".*;(.*)")'
    return panels.timeseries(
        "Rule evaluation",
        "Duration of the last evaluation of each rule group. A group that takes longer than its interval misses evaluations.",
        units.SECONDS,
        *top(f"max by (group) ({named})", "group", rest=False),
        size=(8, 7),
        links=LINKS,
    )


def log_lines() -> AnyPanel:
    return panels.timeseries(
        "Lines received",
        "Log lines per second that Loki receives.",
        units.LINES,
        PromQL(f"sum(rate(loki_distributor_lines_received_total{{{LOKI}}}[{RATE}]))", "lines"),
        size=(8, 7),
        links=LINKS,
    )


def log_loss() -> AnyPanel:
    refused = f"sum by (reason) (rate(loki_discarded_samples_total{{{LOKI}}}[{RATE}]))"
    dropped = (
        'sum by (reason) (rate({__name__=~"loki_write_dropped_entries_total|promtail_dropped_entries_total"}[%s]))'
    )
    return panels.timeseries(
        "Lines lost",
        "Lines per second that Loki refused or the shipper dropped, by reason. Lines that the pipeline drops on purpose do not count.",
        units.LINES,
        PromQL(refused, "refused: {{reason}}"),
        PromQL(dropped % RATE, "given up: {{reason}}"),
        size=(8, 7),
        links=LINKS,
        colours={"/^refused/": colours.RED, "/^given up/": colours.PURPLE},
    )


def log_queries() -> AnyPanel:
    return panels.timeseries(
        "Loki's requests",
        "p95 by route: writes, and the queries of dashboards and rules.",
        units.SECONDS,
        *top(
            "histogram_quantile(0.95, sum by (route, le) "
            f'(rate(loki_request_duration_seconds_bucket{{{LOKI},route=~"loki_api_v1.+"}}[{RATE}])))',
            "route",
            rest=False,
        ),
        size=(8, 7),
        links=LINKS,
    )


def sampling() -> AnyPanel:
    decided = "otelcol_processor_tail_sampling_global_count_traces_sampled_total"
    keep_rate = f'sum(rate({decided}{{{COLLECTOR},sampled="true"}}[{RATE}]))'
    return panels.timeseries(
        "Traces kept",
        "Share of decided traces that were kept. By default all failed and slow traces are kept and a tenth of the rest, so the share is above a tenth.",
        units.SHARE,
        PromQL(f"{keep_rate} / (sum(rate({decided}{{{COLLECTOR}}}[{RATE}])) > 0)", "kept"),
        size=(6, 8),
        links=LINKS,
        maximum=1,
    )


def spans() -> AnyPanel:
    def rate(counter: str) -> str:
        return f"sum(rate(otelcol_{counter}{{{COLLECTOR}}}[{RATE}]))"

    return panels.timeseries(
        "Spans",
        "Spans per second: received, refused for lack of memory, and sent to Jaeger.",
        units.SPANS,
        PromQL(rate("receiver_accepted_spans_total"), "received"),
        PromQL(rate("receiver_refused_spans_total"), "refused"),
        PromQL(rate("exporter_sent_spans_total"), "sent"),
        size=(6, 8),
        links=LINKS,
        colours={"received": colours.BLUE, "refused": colours.RED, "sent": colours.GREEN},
    )


def queue() -> AnyPanel:
    size, capacity = (
        f"sum by (exporter) (otelcol_exporter_queue_{what}{{{COLLECTOR}}})" for what in ("size", "capacity")
    )
    return panels.timeseries(
        "Queue on disk",
        "Use of the queues that hold data while Jaeger or Loki is away. A full queue loses new data.",
        units.SHARE,
        PromQL(f"{size} / {capacity}", "{{exporter}}", names=FEW),
        size=(6, 8),
        links=LINKS,
        colours={"/jaeger/": colours.BLUE, "/loki/": colours.ORANGE},
        maximum=1,
        threshold=AlertThreshold(("telemetry_queue",)),
    )


def names() -> AnyPanel:
    return panels.timeseries(
        "Span names",
        "Span names that each service used within an hour. Names beyond its limit are counted together.",
        units.counted("names"),
        *top("count by (service) (group by (service, span_name) (traces_span_metrics_calls_total))", count=FEW),
        size=(6, 8),
        links=LINKS,
    )


def notifications() -> AnyPanel:
    messages = f"sum by (integration) (rate(alertmanager_notifications_total[{RATE}]))"
    used = "sum by (integration) (increase(alertmanager_notifications_total[$__range])) > 0"
    return panels.timeseries(
        "Notifications",
        "Notifications per second, sent (by the kinds of receivers that had any) and failed, with those of the dead man's switch.",
        units.counted("messages/s"),
        PromQL(f"{messages} and on (integration) ({used})", "{{integration}}", names=FEW),
        PromQL(f"sum(rate(alertmanager_notifications_failed_total[{RATE}]))", "failed"),
        size=(6, 8),
        links=LINKS,
        colours={"failed": colours.RED},
        missing="none yet",
    )


def cpu() -> AnyPanel:
    return panels.timeseries(
        "CPU",
        "Cores in use by each service.",
        units.CORES,
        *top(f'sum by (service) (rate(container_cpu_usage_seconds_total{{name!="",{CHOSEN}}}[{RATE}]))', count=FEW),
        size=(6, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        stacked=True,
    )


def samples() -> AnyPanel:
    return panels.timeseries(
        "Samples",
        "Samples per second that Prometheus stores.",
        units.SAMPLES,
        PromQL(f"sum(rate(prometheus_tsdb_head_samples_appended_total{{{PROMETHEUS}}}[{RATE}]))", "samples"),
        size=(6, 8),
        links=LINKS,
    )


def queries() -> AnyPanel:
    requests = f'prometheus_http_requests_total{{{PROMETHEUS},handler=~"/api/v1/query.*"}}'
    return panels.timeseries(
        "Queries",
        "Queries per second that Prometheus answers, of dashboards and others; not those of its rules.",
        units.REQUESTS,
        PromQL(f"sum(rate({requests}[{RATE}]))", "queries"),
        size=(6, 8),
        links=LINKS,
    )
