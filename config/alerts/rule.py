"""What a rule is, before it is YAML."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Job(StrEnum):
    """The scrape jobs that rules speak of: the label `job` of everything that Prometheus scrapes."""

    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    NODE_EXPORTER = "node_exporter"
    CADVISOR = "cadvisor"
    SOCKET_PROXY = "socket_proxy"
    SCRAPE_PROXY = "scrape_proxy"
    API_PROXY = "api_proxy"
    CONTAINERS = "containers"
    POSTGRES_EXPORTER = "postgres_exporter"
    REDIS_EXPORTER = "redis_exporter"
    NGINX_EXPORTER = "nginx_exporter"
    MONGODB_EXPORTER = "mongodb_exporter"
    HAPROXY = "haproxy"
    ELASTICSEARCH_EXPORTER = "elasticsearch_exporter"
    BLACKBOX_EXPORTER = "blackbox_exporter"
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


Watched = frozenset[Job]
"""The jobs that a stack scrapes. Rules about anything else are not rendered."""

EVERYTHING: Watched = frozenset(Job)

Severity = Literal["critical", "warning", "info", "none"]
"""critical: act now. warning: today. info: good to know. none: no finding at all (the dead man's switch)."""


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A result that alerts and dashboards share, named level:metric:operations."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule. Two of one name and different severity are a pair: Alertmanager mutes the milder one."""

    name: str
    severity: Severity
    expr: str
    summary: str
    """One line with the value, a Go template; the promtool tests compare it. It is rendered as `HEADLINE`, which messages
    show; the annotation `summary` is its `plain` form."""
    description: str
    """What it means and what happens next. Plain text: what varies belongs into the summary."""
    wait: str = "0s"
    """`for`: how long the expression must hold. At least two scrapes, or a range of several in the expression."""
    service: str | None = None
    """Label `service` where the series cannot say it (or says the exporter's name)."""


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
    """Rules that are evaluated together, in order, and make one file."""

    name: str
    topic: Topic
    rules: tuple[Rule, ...]


DISK_BUDGET_USED = "service:disk_budget_used:ratio"
"""Recorded for whatever of the stack keeps data: dashboards compare them."""


HEADLINE = "headline"
"""Annotation with the summary of one alert. Grafana shows the annotation `summary` on the page of a rule, where it is about no
alert yet: a template would stand there raw."""

_TEMPLATE = re.compile(r"\{\{(?:[^}]*\$labels\.(\w+))?[^}]*\}\}")


def plain(template: str) -> str:
    """A Go template for people who see it before it is filled in: ``{{ $labels.service }} is slow`` → ``[service] is slow``."""
    return _TEMPLATE.sub(lambda found: f"[{found[1] or 'value'}]", template)


def ratio(percent: float) -> str:
    """Percent as PromQL wants it: ``80`` → ``0.8``."""
    return f"{round(percent / 100, 6):g}"
