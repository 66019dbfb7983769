"""The row of Kafka on the dashboard of databases."""

from config.alerts.rule import Job
from dashboards import colours, panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
KAFKA = f'job="{Job.KAFKA}",{CHOSEN}'
UP = f"up{{{KAFKA}}}"
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.kafka"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((written(), partitions(), requests(), lag()), "Kafka", closed=True)


def written() -> AnyPanel:
    return panels.timeseries(
        "Kafka data written",
        "Bytes per second that producers write, by topic.",
        units.BYTES_PER_SECOND,
        *top(
            f'sum by (topic) (rate(kafka_server_brokertopicmetrics_bytesin_total{{{KAFKA},topic!=""}}[{RATE}]))',
            "topic",
            count=FEW,
        ),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def partitions() -> AnyPanel:
    def counted(kind: str, what: str) -> str:
        return f"{kind}(kafka_{what}{{{KAFKA}}})"

    return panels.timeseries(
        "Kafka partitions in trouble",
        "Partitions that lack a replica, those that take no safe writes (acks=all) for it, and those without a leader.",
        units.counted("partitions"),
        PromQL(counted("sum", "server_replicamanager_underreplicatedpartitions"), "lack a replica"),
        PromQL(counted("sum", "server_replicamanager_underminisrpartitioncount"), "no safe writes"),
        PromQL(counted("max", "controller_kafkacontroller_offlinepartitionscount"), "no leader"),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
        colours={"lack a replica": colours.ORANGE, "no safe writes": colours.PURPLE, "no leader": colours.RED},
    )


def requests() -> AnyPanel:
    slowest = f'kafka_network_requestmetrics_totaltimems{{{KAFKA},request=~"Produce|FetchConsumer",quantile="0.99"}}'
    return panels.timeseries(
        "Kafka requests, p99",
        "Time in which the slowest broker answers 99 % of the requests of producers and consumers. A consumer's waits for "
        "messages, up to its fetch.max.wait.ms.",
        units.SECONDS,
        *top(f"max by (request) ({slowest}) / 1000", "request", count=FEW, rest=False),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )


def lag() -> AnyPanel:
    return panels.timeseries(
        "Kafka consumers' lag",
        "Messages that each group of consumers has not read yet. kafka_exporter tells them.",
        units.counted("messages"),
        *top(f"sum by (consumergroup) (kafka_consumergroup_lag_sum{{{KAFKA}}})", "consumergroup", count=FEW),
        size=(6, 7),
        links=LINKS,
        missing=NOTHING,
    )
