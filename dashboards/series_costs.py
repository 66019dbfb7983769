"""The panel of the jobs and services with the most series."""

from dashboards import panel_links, tables, units
from dashboards.panels import AnyPanel
from dashboards.queries import PromQL
from dashboards.tables import Column


def most_series() -> AnyPanel:
    return tables.table(
        "Series by service",
        "The 50 services with most series in Prometheus now, the largest first. What no rule and no dashboard reads can be left out: `metrics.keep`.",
        [PromQL('topk(50, count by (job, service) ({job!=""}))', instant=True)],
        Column("job", "Job", width=140),
        Column("service", "Service"),
        Column("Value", "Series", unit=units.counted("series"), width=110),
        size=(8, 7),
        links=panel_links.infrastructure_links(),
        sort_by="Series",
    )


def most_series_of_metrics() -> AnyPanel:
    return tables.table(
        "Series by metric",
        "The 50 metrics with most series in Prometheus now, the largest first.",
        [PromQL('topk(50, count by (__name__, job) ({job!=""}))', instant=True)],
        Column("__name__", "Metric"),
        Column("job", "Job", width=140),
        Column("Value", "Series", unit=units.counted("series"), width=110),
        size=(16, 7),
        links=panel_links.infrastructure_links(),
        sort_by="Series",
    )
