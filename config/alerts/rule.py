"""Rules, alerts and groups as data, before they become YAML."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from config.ports import METRICS


class Job(StrEnum):
    """Prometheus' scrape jobs, as far as rules depend on them: values of the label `job`. An exporter's job has its
    name (`config/exporter_rows.py`)."""

    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    NODE_EXPORTER = "node_exporter"
    CADVISOR = "cadvisor"
    SOCKET_PROXY = "socket_proxy"
    SCRAPE_PROXY = "scrape_proxy"
    API_PROXY = "api_proxy"
    CONTAINERS = "containers"
    HAPROXY = "haproxy"
    RABBITMQ = "rabbitmq_page"
    RABBITMQ_QUEUES = "rabbitmq_queues_page"
    KAFKA = "kafka_page"
    TRAEFIK = "traefik_page"
    CADDY_PAGE = "caddy_page"
    PHP_FPM = "php_fpm_page"
    OTEL_COLLECTOR = "otel_collector"
    JAEGER = "jaeger"
    SPANS = "spans"
    OTLP = "otlp"
    PROBE = "probe"
    APPLICATION = "application"
    LOKI = "loki"
    ALLOY = "alloy"
    PROMTAIL = "promtail"
    GRAFANA = "grafana"
    CADDY = "caddy"
    EDGE_DOOR = "edge_door"
    INCIDENTS = "incidents"
    HEALER = "healer"
    LONG_TERM = "long_term"


Watched = frozenset[str]
"""The jobs that a stack scrapes. Rules for other jobs are not rendered."""

EVERYTHING: Watched = frozenset((*Job, *METRICS))

Severity = Literal["critical", "warning", "info", "none"]
"""critical: act now. warning: act today. info: good to know. none: nothing is wrong (the dead man's switch)."""


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A query result that alerts and dashboards share, named level:metric:operations."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule. Two with the same name and different severities are a pair: Alertmanager mutes the milder one."""

    name: str
    severity: Severity
    expr: str
    summary: str
    """One line with the value, a Go template that the promtool tests compare. Messages show it, as the annotation `HEADLINE`.
    The annotation `summary` is its `plain` form."""
    description: str
    """What the alert means and what happens next. Plain sentences: variable parts belong in the summary."""
    wait: str = "0s"
    """`for`: how long the expression must be true. At least two scrapes, unless the expression covers several."""
    service: str | None = None
    """Label `service`, if the series has none or has the exporter's name."""


Rule = RecordingRule | Alert


@dataclass(frozen=True, slots=True)
class Topic:
    """What the alerts of a group are about. It decides where their links lead."""

    dashboard: str
    one_service: bool = True
    """Whether each alert is about one service. If so, the dashboard and the logs show that service, else everything."""
    traced: bool = False
    """Whether that service is one of yours, so that you can search its traces."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that Prometheus evaluates together, in order. One group is one file."""

    name: str
    topic: Topic
    rules: tuple[Rule, ...]
    interval: str | None = None
    """Time between two evaluations, if it is not that of all groups."""


DISK_BUDGET_USED = "service:disk_budget_used:ratio"
"""Recorded for each service of the stack that stores data, so that dashboards can compare them."""


HEADLINE = "headline"
"""Annotation with the summary of one alert. Grafana shows the annotation `summary` on the page of a rule, where no alert has
filled it in: a template would appear raw there."""

_TEMPLATE = re.compile(r"\{\{(?:[^}]*\$labels\.(\w+))?[^}]*\}\}")


def plain(template: str) -> str:
    """A Go template made readable before it is filled in: ``{{ $labels.service }} is slow`` → ``[service] is slow``."""
    return _TEMPLATE.sub(lambda match: f"[{match[1] or 'value'}]", template)


def ratio(percent: float) -> str:
    """A percentage as a ratio for PromQL: ``80`` → ``0.8``."""
    return f"{round(percent / 100, 6):g}"
