"""Settings of metrics: what is scraped, and how long it is stored."""

from typing import Literal, Self

from pydantic import ByteSize, Field, field_validator, model_validator

from config.settings import disk_budget
from config.settings.golden_signals import CountedService
from config.settings.model import LabelName, Model, Name, PagePath, ProjectFile, Target
from config.settings.remotes import LongTerm, RemoteWrite
from config.settings.units import Span, seconds
from config.sizes import MIB


class Retention(Model):
    """A sample is deleted by whichever of the two is reached first."""

    time: Span = "60d"
    size: ByteSize = ByteSize(disk_budget.METRICS)
    """Blocks, write-ahead log and head together, as Prometheus counts them."""

    @field_validator("time")
    @classmethod
    def _at_least_an_hour(cls, time: str) -> str:
        if seconds(time) < seconds("1h"):
            msg = f"{time} is shorter than 1h, which is less than Prometheus can keep"
            raise ValueError(msg)
        return time

    @field_validator("size")
    @classmethod
    def _at_least_a_block(cls, size: int) -> int:
        if size < 512 * MIB:
            msg = "the newest block may not fit into less than 512MiB"
            raise ValueError(msg)
        return size


class ScrapeLimits(Model):
    """A target that exceeds one of these fails its scrape, instead of filling the memory of everybody's Prometheus. The stack's
    own exporters are held to `samples` and `body_size` only."""

    samples: int = Field(20_000, ge=100)
    """Samples per scrape of one target."""
    labels: int = Field(40, ge=10)
    """Labels per sample."""
    label_value_length: int = Field(512, ge=64)
    """Length in bytes."""
    targets: int = Field(200, ge=1)
    """Targets per job."""
    body_size: ByteSize = ByteSize(20 * MIB)
    """Size of a scrape, uncompressed."""


class StaticApplication(Model):
    """A service of yours that serves metrics, outside Docker or without the scrape label."""

    service: Name
    targets: tuple[Target, ...] = Field(min_length=1)
    path: PagePath = "/metrics"
    """It may have a query: `/v1/sys/metrics?format=prometheus`."""
    scheme: Literal["http", "https"] = "http"


ScrapeLabels = Literal["observability", "prometheus.io", "prometheus"]
"""How container labels begin that ask to be scraped. The last two are what people have from Kubernetes and from tutorials."""


class Applications(Model):
    """The metrics of your own services."""

    discover: bool = True
    """Scrape every container that shares a network with Prometheus and asks for it by a label, as `labels` says."""
    labels: tuple[ScrapeLabels, ...] = ("observability", "prometheus.io", "prometheus")
    """Which labels ask for it: `observability.scrape=true`, `prometheus.io/scrape=true`, `prometheus.scrape=true`. Those for
    `port`, `path` and `scheme` begin like it. Where several say something, the first of the list counts."""
    static: tuple[StaticApplication, ...] = ()


OF_ALERTS = frozenset({"alertname", "severity", "job", "instance", "service"})
"""Labels by which alerts are told apart, grouped and muted."""
OF_THE_STACK = frozenset({"host", "le", "quantile"})
"""A label that another setting says (`host_name`), and those that are parts of a histogram."""
LONGEST_INTERVAL = "1m"
"""A rate over the five minutes that rules and dashboards look at needs two samples, and four so that one may be missed."""


class Metrics(Model):
    """Prometheus."""

    scrape_interval: Span = "15s"
    """From 1s to 1m, like `evaluation_interval`, because alerts look at five minutes."""
    scrape_timeout: Span = "10s"
    evaluation_interval: Span = "15s"
    retention: Retention = Retention()
    keep: Literal["all", "used"] = "all"
    """`used` drops each metric that no alert rule and no dashboard reads, yours in `alerts.rule_files` and
    `grafana.dashboards` included. A dashboard made in Grafana's pages does not count, and what was dropped cannot be
    brought back ([how much it saves](performance.md))."""
    exemplars: int = Field(50_000, ge=0)
    """How many exemplars are kept in memory, at about 100 bytes each (Prometheus docs, feature flags)."""
    external_labels: dict[LabelName, str] = {}
    """Labels added to what leaves Prometheus (alerts, remote write) and to Loki's alerts, beside `environment`."""
    limits: ScrapeLimits = ScrapeLimits()
    applications: Applications = Applications()
    scrape_files: tuple[ProjectFile, ...] = ()
    """Your own scrape configs of Prometheus, relative to the project: files, folders, or patterns like `scrape/*.yml`
    ([how](bring-your-own.md#scrape-jobs))."""
    golden_signals: tuple[CountedService, ...] = ()
    """Services that no known library counts, and the metrics that count them ([how](instrumentation/prometheus.md#metrics-of-other-names))."""

    remote_write: tuple[RemoteWrite, ...] = Field((), max_length=3)
    """Remote stores that also get every sample ([how](beyond.md)). Up to three."""
    long_term: LongTerm | None = None

    @field_validator("golden_signals")
    @classmethod
    def _each_service_once(cls, counted: tuple[CountedService, ...]) -> tuple[CountedService, ...]:
        services = [one.service for one in counted]
        if doubled := {service for service in services if services.count(service) > 1}:
            msg = f"{', '.join(sorted(doubled))} occurs twice: a service has one counter, so put all that it should count into one entry"
            raise ValueError(msg)
        return counted

    @field_validator("external_labels")
    @classmethod
    def _are_nobodys(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if name in OF_ALERTS | OF_THE_STACK or name.startswith("__"):
                msg = f"{name}: is a label that alerts and series already have: choose another name"
                raise ValueError(msg)
        return labels

    @model_validator(mode="after")
    def _timeout_within_interval(self) -> Self:
        if seconds(self.scrape_timeout) > seconds(self.scrape_interval):
            msg = f"metrics.scrape_timeout: {self.scrape_timeout} is longer than scrape_interval {self.scrape_interval}"
            raise ValueError(msg)
        if min(seconds(self.scrape_interval), seconds(self.evaluation_interval)) < 1:
            msg = "metrics.scrape_interval, metrics.evaluation_interval: the least is 1s, because every scrape and evaluation costs CPU"
            raise ValueError(msg)
        for key in ("scrape_interval", "evaluation_interval"):
            if seconds(span := getattr(self, key)) > seconds(LONGEST_INTERVAL):
                msg = f"metrics.{key}: {span} is too long for the alerts, which look at five minutes: {LONGEST_INTERVAL} is the most"
                raise ValueError(msg)
        return self
