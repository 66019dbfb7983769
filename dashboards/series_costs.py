"""The panel that shows which job and which service has most series."""

from dashboards import panel_links, panels
from dashboards.panels import AnyPanel, Column
from dashboards.queries import PromQL


def most_series() -> AnyPanel:
    return panels.table(
        "Series by service",
        "The 50 services with most series in Prometheus now, the largest first. What no rule and no dashboard reads can be left out: `metrics.keep`.",
        [PromQL('topk(50, count by (job, service) ({job!=""}))', instant=True)],
        Column("job", "Job", width=150),
        Column("service", "Service"),
        Column("Value", "Series", unit="short", width=80),
        size=(8, 7),
        links=panel_links.infrastructure_links(),
        sort_by="Series",
    )


def most_series_of_metrics() -> AnyPanel:
    return panels.table(
        "Series by metric",
        "The 50 metrics with most series in Prometheus now, the largest first.",
        [PromQL('topk(50, count by (__name__, job) ({job!=""}))', instant=True)],
        Column("__name__", "Metric"),
        Column("job", "Job", width=150),
        Column("Value", "Series", unit="short", width=80),
        size=(16, 7),
        links=panel_links.infrastructure_links(),
        sort_by="Series",
    )
