"""Everything a stack may say, with its defaults: the only reader of stack config.

The defaults are those of the host in the README (16 GB, 8 cores, 200 GB). A stack file says only what differs.
"""

import difflib
import ipaddress
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from config import images
from config.alerts.links import Addresses
from config.ports import ELASTICSEARCH, JAEGER_PAGES, METRICS
from config.settings import disk_budget, sizing, targets
from config.settings.docker import Docker
from config.settings.logs import Logs
from config.settings.model import (
    OF_DOCKER,
    LabelName,
    Listen,
    Model,
    Name,
    Network,
    PagePath,
    ProjectFile,
    Subnet,
    Target,
    TargetPage,
    TargetUrl,
    Url,
    asked_address,
    asked_page,
    is_url,
    without_credentials,
    wrong_text,
)
from config.settings.networks import INSIDE, MEMBERS, Edge, Zone, own_networks, subnet_of
from config.settings.thresholds import Thresholds
from config.settings.traces import Traces
from config.settings.units import MIB, Memory, Span, mib, seconds
from config.yaml_text import one_spelling

GIB = 1024 * MIB
_MEMORY = TypeAdapter(Memory)
_SIZE = TypeAdapter(ByteSize)

SECRETS = {
    "slack_webhook": "incoming-webhook URL: its presence turns Slack on",
    "pagerduty_key": "Events API v2 integration key: its presence turns PagerDuty on",
    "deadman_url": "URL of an outside monitor that is pinged while alerting works: its presence turns the switch on",
    "postgres_password": "password of `exporters.postgres.user`, without blanks",
    "redis_password": "password of `exporters.redis.user`",
    "elasticsearch_password": "password of `exporters.elasticsearch.user`",
    "s3_credentials": "`<access key id>:<secret access key>` for `logs.s3`",
    "traces_password": "password of `traces.cluster.user`",
    "grafana_password": "password of Grafana's user `admin`: its presence turns Grafana on",
    "grafana_secret_key": "key by which Grafana encrypts what it keeps; without it, one that it makes for itself beside its data",
}
"""Top-level keys that hold secrets. Their values never enter the settings: Pulumi tracks them from config to engine."""
WEBHOOKS = ("slack_webhook", "deadman_url")
"""Secrets that are addresses."""
GRAFANA_PASSWORD = "grafana_password"  # noqa: S105 - its name
GRAFANA_SECRET_KEY = "grafana_secret_key"  # noqa: S105 - its name


class SettingsError(Exception):
    """What is wrong in the stack file, one line per key: made to be read by the person who wrote the file."""


Image = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9._/-]+(:[\w.-]+)?(@sha256:[0-9a-f]+)?$")
]
"""A reference: `[registry/]repository[:tag][@digest]`."""


class Images(Model):
    """Where images come from: one field per service overrides its pin in `config/images.yaml`."""

    registry: str | None = None
    """A mirror (`host[:port][/path]`) that holds the images under their own paths."""
    prometheus: Image | None = None
    alertmanager: Image | None = None
    node_exporter: Image | None = None
    cadvisor: Image | None = None
    socket_proxy: Image | None = None
    scrape_proxy: Image | None = None
    api_proxy: Image | None = None
    postgres_exporter: Image | None = None
    redis_exporter: Image | None = None
    nginx_exporter: Image | None = None
    blackbox_exporter: Image | None = None
    mongodb_exporter: Image | None = None
    elasticsearch_exporter: Image | None = None
    loki: Image | None = None
    alloy: Image | None = None
    promtail: Image | None = None
    otel_collector: Image | None = None
    jaeger: Image | None = None
    elasticsearch: Image | None = None
    opensearch: Image | None = None
    jaeger_es_index_cleaner: Image | None = None
    grafana: Image | None = None
    caddy: Image | None = None
    busybox: Image | None = None
    """A shell for services whose image has none: it loads their config files."""

    @field_validator("registry")
    @classmethod
    def _is_a_mirror(cls, registry: str | None) -> str | None:
        if registry is not None and not re.fullmatch(r"[a-zA-Z0-9.-]+(:\d+)?(/[a-z0-9._/-]+)?", registry):
            msg = "is not host[:port][/path], without https:// and with a path in small letters"
            raise ValueError(msg)
        return registry


class MemoryLimits(Model):
    """Hard limits, without swap. The same number sets what runs inside (GOMEMLIMIT, caches)."""

    host: Memory = ByteSize(sizing.REFERENCE)
    """What the host has, 4GiB or more: ceiling and limits follow from it (docs/environments.md), except those that are
    set."""
    ceiling: Memory = ByteSize(14 * GIB)
    """The sum of all limits may not exceed it: the host's own services need the rest."""
    prometheus: Memory = ByteSize(2 * GIB)
    alertmanager: Memory = ByteSize(96 * MIB)
    node_exporter: Memory = ByteSize(64 * MIB)
    cadvisor: Memory = ByteSize(192 * MIB)
    socket_proxy: Memory = ByteSize(48 * MIB)
    scrape_proxy: Memory = ByteSize(24 * MIB)
    api_proxy: Memory = ByteSize(32 * MIB)
    postgres_exporter: Memory = ByteSize(64 * MIB)
    redis_exporter: Memory = ByteSize(48 * MIB)
    nginx_exporter: Memory = ByteSize(24 * MIB)
    blackbox_exporter: Memory = ByteSize(64 * MIB)
    mongodb_exporter: Memory = ByteSize(96 * MIB)
    elasticsearch_exporter: Memory = ByteSize(64 * MIB)
    loki: Memory = ByteSize(2 * GIB)
    alloy: Memory = ByteSize(384 * MIB)
    promtail: Memory = ByteSize(256 * MIB)
    otel_collector: Memory = ByteSize(1024 * MIB)
    elasticsearch: Memory = ByteSize(3 * GIB)
    opensearch: Memory = ByteSize(3 * GIB)
    jaeger: Memory = ByteSize(768 * MIB)
    jaeger_es_index_cleaner: Memory = ByteSize(32 * MIB)
    grafana: Memory = ByteSize(GIB)
    caddy: Memory = ByteSize(64 * MIB)

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, values: Any) -> Any:
        try:
            host = _MEMORY.validate_python(values["host"])
        except (TypeError, KeyError, ValidationError):  # the field will say what is wrong with it
            return values
        return {**sizing.limits(host, {name: field.default for name, field in cls.model_fields.items()}), **values}

    @model_validator(mode="after")
    def _fits_the_host(self) -> Self:
        if self.host < sizing.SMALLEST:
            msg = f"memory.host: below {sizing.SMALLEST // GIB}GiB metrics, logs and traces do not fit"
            raise ValueError(msg)
        if self.ceiling > self.host:
            msg = (
                f"memory.ceiling: {mib(self.ceiling)} MiB is more than the host has, which is {mib(self.host)} MiB as "
                "memory.host says: raise that, and the ceiling follows"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _enough_to_start(self) -> Self:
        for service, limit in self:
            if limit < 16 * MIB:
                msg = f"memory.{service}: below 16MiB nothing here starts"
                raise ValueError(msg)
        most = {"prometheus": 4, "loki": 4, "jaeger": 2, "elasticsearch": 4, "opensearch": 4, "grafana": 1}
        for service, gib in most.items():
            if getattr(self, service) > gib * GIB:
                msg = f"memory.{service}: {gib}GiB is the most that it may have on this host"
                raise ValueError(msg)
        return self


class Disk(Model):
    """What the stack may fill of the host's disk."""

    budget: ByteSize = ByteSize(disk_budget.REFERENCE)
    """4GiB or more. `metrics.retention.size`, `logs.budget.disk`, `traces.disk` and `traces.queue` follow from it, except
    those that are set (docs/operations.md)."""

    @field_validator("budget")
    @classmethod
    def _holds_something(cls, budget: int) -> int:
        if budget < disk_budget.SMALLEST:
            msg = f"below {disk_budget.SMALLEST // GIB}GiB nothing is kept for long enough to look at"
            raise ValueError(msg)
        return budget


LOGS = ("loki", "alloy", "promtail")
"""The services of the LogStack."""
TRACES = ("otel_collector", "elasticsearch", "opensearch", "jaeger", "jaeger_es_index_cleaner")
"""The services of the TraceStack."""
CORRELATION = ("grafana", "caddy")
"""The services of Correlation."""
SERVICES = tuple(name for name in MemoryLimits.model_fields if name not in {"host", "ceiling"})
"""Every service this project can run; each has a limit, an image and a module of this name."""
EXPORTERS = frozenset(SERVICES) - {"prometheus", "alertmanager", *LOGS, *TRACES, *CORRELATION}


class Publish(Model):
    """`address:port` on the host where a service listens; null for not at all. Loopback unless you say otherwise. All but
    `otlp_grpc` and `caddy` is behind `api_proxy`, which lets people read (docs/architecture.md)."""

    prometheus: Listen | None = "127.0.0.1:9090"
    alertmanager: Listen | None = "127.0.0.1:9093"
    node_exporter: Listen | None = None
    cadvisor: Listen | None = None
    postgres_exporter: Listen | None = None
    redis_exporter: Listen | None = None
    nginx_exporter: Listen | None = None
    blackbox_exporter: Listen | None = None
    mongodb_exporter: Listen | None = None
    elasticsearch_exporter: Listen | None = None
    loki: Listen | None = None
    """What reads in its API, for tools like logcli."""
    alloy: Listen | None = None
    promtail: Listen | None = None
    otlp_grpc: Listen | None = "127.0.0.1:4317"
    """Of the OpenTelemetry Collector. Containers reach it as `otel-collector:4317` in `networks`."""
    otlp_http: Listen | None = "127.0.0.1:4318"
    """Of the OpenTelemetry Collector. Containers reach it as `otel-collector:4318` in `networks`."""
    jaeger: Listen | None = "127.0.0.1:16686"
    grafana: Listen | None = "127.0.0.1:3000"
    caddy: Listen | None = None
    """TLS in front of Grafana, for everybody: `0.0.0.0:443`. Needs `grafana.tls`."""

    @model_validator(mode="after")
    def _one_service_per_port(self) -> Self:
        taken: dict[int, list[tuple[str, str]]] = {}
        for service, listen in self:
            if listen is None:
                continue
            host, port = listen.rsplit(":", 1)
            for other, other_host in taken.setdefault(int(port), []):
                if host == other_host or {host, other_host} & {"0.0.0.0", "[::]"}:  # noqa: S104 - compared, not bound
                    msg = f"publish.{service} and publish.{other} both want port {port}"
                    raise ValueError(msg)
            taken[int(port)].append((service, host))
        return self


Page = Literal["prometheus", "alertmanager", "jaeger", "grafana"]
"""A service with pages that links lead to."""


class ExternalUrls(Model):
    """Under which address people reach a service (a reverse proxy, a tunnel): links in alerts point there. Of an address
    with a path (`https://ops.example.com/grafana`) the proxy has to cut the path off: `location /grafana/ { proxy_pass
    http://127.0.0.1:3000/; }` in Nginx, with the last slash. One that hands it on leads a browser in a circle."""

    prometheus: Url | None = None
    alertmanager: Url | None = None
    jaeger: Url | None = None
    """A host name of its own: below a path its pages do not find what belongs to them."""
    grafana: Url | None = None
    """Also where links in alerts lead when the Grafana is one of your own."""


class Retention(Model):
    """What comes first ends a sample's life."""

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
            msg = "below 512MiB the newest block may not fit"
            raise ValueError(msg)
        return size


class ScrapeLimits(Model):
    """A target that exceeds one of these fails its scrape, instead of filling the memory of everybody's Prometheus. The stack's
    own exporters are held to `samples` and `body_size` only."""

    samples: int = Field(20_000, ge=100)
    """Per scrape of one target."""
    labels: int = Field(40, ge=10)
    """Per sample."""
    label_value_length: int = Field(512, ge=64)
    """In bytes."""
    targets: int = Field(200, ge=1)
    """Per job."""
    body_size: ByteSize = ByteSize(20 * MIB)
    """Per scrape, uncompressed."""


class StaticApplication(Model):
    """A service of yours that serves metrics, outside Docker or without the scrape label."""

    service: Name
    targets: tuple[Target, ...] = Field(min_length=1)
    path: PagePath = "/metrics"
    """May have a query: `/v1/sys/metrics?format=prometheus`."""
    scheme: Literal["http", "https"] = "http"


class Applications(Model):
    """The metrics of your own services."""

    discover: bool = True
    """Scrape every container labelled `observability.scrape=true` that shares a network with Prometheus."""
    static: tuple[StaticApplication, ...] = ()


OF_ALERTS = frozenset({"alertname", "severity", "job", "instance", "service"})
"""Labels by which alerts are told apart, grouped and muted."""
LONGEST_INTERVAL = "1m"
"""A rate over the five minutes that rules and dashboards look at needs two samples, and four so that one may be missed."""


class Metrics(Model):
    """Prometheus."""

    scrape_interval: Span = "15s"
    """From 1s to 1m, and so is `evaluation_interval`: alerts look at five minutes."""
    scrape_timeout: Span = "10s"
    evaluation_interval: Span = "15s"
    retention: Retention = Retention()
    exemplars: int = Field(50_000, ge=0)
    """How many are kept in memory, at about 100 bytes each (Prometheus docs, feature flags)."""
    external_labels: dict[LabelName, str] = {}
    """Added to what leaves Prometheus (alerts, remote write) and to Loki's alerts, beside `environment`."""
    limits: ScrapeLimits = ScrapeLimits()
    applications: Applications = Applications()

    @field_validator("external_labels")
    @classmethod
    def _are_nobodys(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if name in OF_ALERTS or name.startswith("__"):
                msg = f"{name}: is a label that alerts and series have of their own: choose another name"
                raise ValueError(msg)
        return labels

    @model_validator(mode="after")
    def _timeout_within_interval(self) -> Self:
        if seconds(self.scrape_timeout) > seconds(self.scrape_interval):
            msg = f"metrics.scrape_timeout: {self.scrape_timeout} is longer than scrape_interval {self.scrape_interval}"
            raise ValueError(msg)
        if min(seconds(self.scrape_interval), seconds(self.evaluation_interval)) < 1:
            msg = "metrics.scrape_interval, metrics.evaluation_interval: less than 1s is a load, not an interval"
            raise ValueError(msg)
        for key in ("scrape_interval", "evaluation_interval"):
            if seconds(span := getattr(self, key)) > seconds(LONGEST_INTERVAL):
                msg = f"metrics.{key}: {span} would blind the alerts, which look at five minutes: {LONGEST_INTERVAL} is the most"
                raise ValueError(msg)
        return self


class PostgresExporter(Model):
    """`user` needs the role pg_monitor; its password is the secret `postgres_password`."""

    address: Target
    user: str = Field("postgres_exporter", min_length=1)
    database: str = Field("postgres", min_length=1)
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "disable"
    """`disable` suits a database in a network of the same host; outside it take one of the others. The exporter's driver
    (lib/pq) knows no `allow` or `prefer`."""
    service: Name = "postgres"


class RedisExporter(Model):
    """The password, if there is one, is the secret `redis_password`."""

    address: Target
    user: str | None = None
    service: Name = "redis"


class NginxExporter(Model):
    """Counts connections and requests only: status codes and latency come from the applications' own metrics."""

    status_url: TargetPage
    """Page of the stub_status module, e.g. `http://nginx:8080/stub_status`."""
    service: Name = "nginx"


class MongodbExporter(Model):
    """The exporter takes a password only by environment or flag, which `docker inspect` shows: so none is taken."""

    uri: Annotated[str, AfterValidator(without_credentials)]
    """Without user and password, e.g. `mongodb://mongo:27017`."""
    service: Name = "mongodb"

    @field_validator("uri")
    @classmethod
    def _of_mongodb(cls, uri: str) -> str:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            msg = "is not a URI with mongodb:// or mongodb+srv://"
            raise ValueError(msg)
        for address in re.split(r"[/?#]", uri.partition("://")[2])[0].split(","):
            targets.judge(re.sub(r":\d*$", "", unquote(address)))
        return uri


class Haproxy(Model):
    """HAProxy's own Prometheus endpoint: the separate exporter was retired in its favour."""

    targets: tuple[Target, ...] = Field(min_length=1)
    path: PagePath = "/metrics"
    service: Name = "haproxy"


class ElasticsearchExporter(Model):
    """The password, if there is one, is the secret `elasticsearch_password`."""

    url: TargetUrl
    user: str | None = None
    service: Name = "elasticsearch"


class Probe(Model):
    """One address that is tried from inside the stack's network at every scrape."""

    name: Name
    target: str = Field(min_length=1)
    """A URL for `http_2xx`, `host:port` for `tcp_connect`."""
    module: Literal["http_2xx", "tcp_connect"] = "http_2xx"
    service: Name | None = None
    """The service that the probe speaks for; the probe's own name when left out."""

    @model_validator(mode="after")
    def _target_fits_module(self) -> Self:
        if self.module == "http_2xx":
            asked_page(self.target)
        else:
            asked_address(self.target)
        return self


class Exporters(Model):
    """What is watched besides host and containers: each exporter runs only where its block is present."""

    postgres: PostgresExporter | None = None
    redis: RedisExporter | None = None
    nginx: NginxExporter | None = None
    mongodb: MongodbExporter | None = None
    haproxy: Haproxy | None = None
    elasticsearch: ElasticsearchExporter | None = None
    probes: tuple[Probe, ...] = ()

    @field_validator("probes")
    @classmethod
    def _names_differ(cls, probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        names = [probe.name for probe in probes]
        if doubled := {name for name in names if names.count(name) > 1}:
            msg = f"two probes are called {', '.join(sorted(doubled))}"
            raise ValueError(msg)
        return probes


class Slack(Model):
    """Used when the secret `slack_webhook` is set."""

    channel: str = Field("#alerts", pattern=r"^[#@][\w.-]{1,80}$")
    """A channel or a person, by name."""


class Notifications(Model):
    """Who hears of an alert, and how often. The receivers are turned on by their secrets."""

    slack: Slack = Slack()
    group_wait: Span = "30s"
    """How long the first alert of a group waits for its company."""
    group_interval: Span = "5m"
    repeat_interval: Span = "4h"
    deadman_interval: Span = "5m"
    """How often the outside monitor is pinged while everything from scrape to notification works."""

    @model_validator(mode="after")
    def _no_storm(self) -> Self:
        shortest = {"group_interval": 1, "repeat_interval": 1, "deadman_interval": 5}
        for key, least in shortest.items():
            if seconds(getattr(self, key)) < least:
                msg = f"notifications.{key}: {getattr(self, key)} is shorter than {least}s"
                raise ValueError(msg)
        return self


class Alerts(Model):
    """What is judged, and by which numbers."""

    runbooks: Url = "https://github.com/nervous-system/nervous-system/blob/main/docs/runbooks"
    """Where `docs/runbooks` is published: every alert links to its page there. Point it at your own fork."""
    rule_files: tuple[ProjectFile, ...] = ()
    """Your own rule files, relative to the project."""
    thresholds: Thresholds = Thresholds()


class Tls(Model):
    """Caddy in front of Grafana."""

    domain: str = Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    """The name under which browsers reach it."""
    certificate: Literal["public", "internal"] = "public"
    """`public`: by Let's Encrypt or ZeroSSL, which have to reach port 443 of the domain. `internal`: by an authority of
    Caddy's own, which browsers have to be told to trust."""

    @model_validator(mode="after")
    def _public_name(self) -> Self:
        if self.certificate == "public" and "." not in self.domain:
            msg = f"nobody certifies the name {self.domain} in public: say a full domain, or certificate: internal"
            raise ValueError(msg)
        return self


class Grafana(Model):
    """The secret `grafana_password` turns it on; `make up` makes one up where none is set."""

    enabled: bool = True
    """false where you have a Grafana of your own: then `make up` makes up no password, and nothing warns."""
    dashboards: tuple[ProjectFile, ...] = ()
    """Dashboards of yours, as Grafana exports them: JSON files, relative to the project. The name of a file is the `uid`
    of its dashboard."""
    tls: Tls | None = None
    """Grafana under a domain of its own, by TLS."""


class Settings(Model):
    """One stack."""

    environment: Name
    """Label on everything that leaves the stack."""
    prefix: Name
    """Containers, volumes and the network are called `<prefix>-<service>`: several stacks share one engine by it."""
    networks: tuple[Network, ...] = ()
    """Existing Docker networks of your services. The collector, the exporters and the proxy that Prometheus scrapes through
    join them, and nothing else of the stack; `<prefix>-apps` is made for services that have none."""
    edge_subnet: Subnet | None = None
    """Addresses of the network `<prefix>-edge`, e.g. `198.18.7.0/26`. Left out, a range out of 198.18.0.0/15 that follows from
    `prefix`: set it where that is taken."""
    docker: Docker = Docker()
    images: Images = Images()
    memory: MemoryLimits = MemoryLimits()
    disk: Disk = Disk()
    publish: Publish = Publish()
    external_urls: ExternalUrls = ExternalUrls()
    metrics: Metrics = Metrics()
    exporters: Exporters = Exporters()
    logs: Logs = Logs()
    traces: Traces = Traces()
    alerts: Alerts = Alerts()
    notifications: Notifications = Notifications()
    grafana: Grafana = Grafana()
    secrets: frozenset[str] = frozenset()
    """Names, not values, of the secrets that are set."""

    @model_validator(mode="before")
    @classmethod
    def _split_the_disk(cls, values: Any) -> Any:
        try:
            budget = _SIZE.validate_python(values["disk"]["budget"])
        except (TypeError, KeyError, ValidationError):  # the field will say what is wrong with it
            return values
        return disk_budget.with_shares(values, budget)

    @property
    def services(self) -> tuple[str, ...]:
        """The services this stack runs, in the order of `SERVICES`."""
        exporters = self.exporters
        optional = {
            "postgres_exporter": exporters.postgres,
            "redis_exporter": exporters.redis,
            "nginx_exporter": exporters.nginx,
            "blackbox_exporter": exporters.probes,
            "mongodb_exporter": exporters.mongodb,
            "elasticsearch_exporter": self.watched_elasticsearch,
            "alloy": self.logs.shipper == "alloy",
            "promtail": self.logs.shipper == "promtail",
            "elasticsearch": self.own_storage == "elasticsearch",
            "opensearch": self.own_storage == "opensearch",
            "jaeger_es_index_cleaner": self.traces.storage != "badger",
            "grafana": self.grafana.enabled and GRAFANA_PASSWORD in self.secrets,
            "caddy": self.grafana.tls and self.grafana.enabled and GRAFANA_PASSWORD in self.secrets,
        }
        return tuple(service for service in SERVICES if optional.get(service, True))

    @property
    def edge(self) -> Edge:
        """The network between what keeps data and the users' containers."""
        subnet = ipaddress.IPv4Network(self.edge_subnet) if self.edge_subnet else subnet_of(self.prefix)
        return Edge(own_networks(self.prefix)[1], subnet)

    @property
    def apps_network(self) -> str:
        """The network that the stack makes for the users' containers."""
        return own_networks(self.prefix)[2]

    @property
    def users_networks(self) -> tuple[str, ...]:
        """All networks of the users' containers."""
        return (self.apps_network, *sorted(self.networks))

    def joins(self, service: str) -> tuple[Zone, ...]:
        """The networks that `service` is in."""
        needs_none_of_the_users = {
            "elasticsearch_exporter": self.exporters.elasticsearch is None,  # it watches the stack's own
            "jaeger": self.traces.cluster is None,
        }
        if needs_none_of_the_users.get(service):
            return INSIDE
        return MEMBERS.get(service, INSIDE)

    def host(self, service: str) -> str:
        """How Prometheus and other services that are inside call `service`."""
        return service if "inside" in self.joins(service) else f"{self.prefix}-{service}"

    def listens(self, service: str) -> str:
        """The address inside the container of `service` at which it listens: nobody reaches it from a users' network."""
        return self.edge.address(service) if "users" in self.joins(service) else "0.0.0.0"  # noqa: S104 - inside

    @property
    def own_storage(self) -> str | None:
        """The service that Jaeger stores its traces in; None for a storage that is embedded, or not this stack's."""
        return None if self.traces.storage == "badger" or self.traces.cluster else self.traces.storage

    @property
    def watched_elasticsearch(self) -> ElasticsearchExporter | None:
        """What elasticsearch_exporter watches: what it is told to, else the stack's own storage."""
        own = self.own_storage
        if self.exporters.elasticsearch or not own:
            return self.exporters.elasticsearch
        return ElasticsearchExporter(url=f"http://{own}:{ELASTICSEARCH}", service=own)

    @model_validator(mode="after")
    def _each_network_once(self) -> Self:
        if own := {*self.networks} & {*own_networks(self.prefix)}:
            msg = f"networks: {min(own)} is one of the stack's own networks: name one of your services'"
            raise ValueError(msg)
        if len({*self.networks}) < len(self.networks):
            msg = "networks: one is named twice"
            raise ValueError(msg)
        if self.prefix in OF_DOCKER:
            msg = f"prefix: {self.prefix} is what Docker calls a network of its own: take another one"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _front_has_an_address(self) -> Self:
        if bool(self.grafana.tls) != bool(self.publish.caddy):
            there, missing = (
                ("publish.caddy", "grafana.tls") if self.publish.caddy else ("grafana.tls", "publish.caddy")
            )
            msg = f"{there}: needs {missing}: a domain (grafana.tls), and where it listens (publish.caddy: 0.0.0.0:443)"
            raise ValueError(msg)
        if self.grafana.tls and self.external_urls.grafana:
            msg = "external_urls.grafana: leave it out, the address of Grafana is the domain of grafana.tls"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _users_have_passwords(self) -> Self:
        users = {
            "exporters.redis": (self.exporters.redis, "redis_password"),
            "exporters.elasticsearch": (self.exporters.elasticsearch, "elasticsearch_password"),
            "traces.cluster": (self.traces.cluster, "traces_password"),
        }
        for name, (spoken_to, password) in users.items():
            if spoken_to and spoken_to.user and password not in self.secrets:
                msg = f"{name}.user: needs its password: pulumi config set --secret {password}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        limits = {service: getattr(self.memory, service) for service in self.services}
        exporters = sum(limit for service, limit in limits.items() if service in EXPORTERS)
        if exporters > GIB:
            msg = f"memory: the exporters' limits add up to {mib(exporters)} MiB, and 1024 MiB is their share"
            raise ValueError(msg)
        if (total := sum(limits.values())) > self.memory.ceiling:
            shares = ", ".join(f"{service} {mib(limit)}" for service, limit in limits.items())
            msg = (
                f"memory.ceiling: the limits add up to {mib(total)} MiB, the ceiling is {mib(self.memory.ceiling)} MiB "
                f"({shares}): lower a limit or raise the ceiling"
            )
            raise ValueError(msg)
        return self

    @property
    def disk_shares(self) -> dict[str, int]:
        """Setting → bytes of the host's disk that it stands for; what is kept elsewhere takes none."""
        shares: dict[str, int] = {
            "metrics.retention.size": self.metrics.retention.size,
            "traces.queue": self.traces.queue,
        }
        if self.logs.s3 is None or self.logs.s3.since:
            shares["logs.budget.disk"] = self.logs.budget.disk
        if self.traces.cluster is None:
            shares["traces.disk"] = self.traces.disk
        shares["the containers' own logs"] = disk_budget.LOG_FILES * disk_budget.LOG_FILE * len(self.services)
        return shares

    @model_validator(mode="after")
    def _fits_onto_the_disk(self) -> Self:
        shares, budget = self.disk_shares, self.disk.budget
        if (total := sum(shares.values())) > budget:
            named = ", ".join(f"{name} {size / GIB:.1f}" for name, size in sorted(shares.items(), key=lambda s: -s[1]))
            msg = (
                f"disk.budget: the shares add up to {total / GIB:.1f} GiB, the budget is {budget / GIB:.1f} GiB ({named}): "
                "lower a share or raise the budget"
            )
            raise ValueError(msg)
        days, share = seconds(self.logs.retention.time) / 86_400, shares.get("logs.budget.disk")
        if self.logs.s3 is None and share and (expected := days * self.logs.budget.per_day) > share:
            msg = (
                f"logs.retention.time: {days:g} days of {self.logs.budget.per_day / 10**9:g} GB (logs.budget.per_day) are "
                f"{expected / GIB:.1f} GiB, and logs.budget.disk is {share / GIB:.1f} GiB: keep them for a shorter time, or "
                "raise disk.budget or this share of it"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _every_image_is_pinned(self) -> Self:
        for name in self.image_names:
            if not (getattr(self.images, name) or images.pins()[name].digest):
                msg = (
                    f"images.{name}: no digest is known for this image: set "
                    f"{images.pins()[name].reference}@sha256:… as your registry shows it"
                )
                raise ValueError(msg)
        return self

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know of a choice that is allowed."""
        notices = []
        if self.logs.shipper == "promtail":
            notices.append(
                "logs.shipper: Promtail has reached its end of life (March 2026) and gets no security fixes; "
                "alloy, the default, ships the same lines"
            )
        if self.grafana.enabled and GRAFANA_PASSWORD not in self.secrets:
            notices.append(
                f"grafana: not deployed without a password: pulumi config set --secret {GRAFANA_PASSWORD}; "
                "or say that none is wanted: grafana: {enabled: false}"
            )
        jaeger = images.version(self.image("jaeger"))
        if "grafana" in self.services and jaeger and jaeger >= images.JAEGER_WITHOUT_SEARCH:
            notices.append(
                "images.jaeger: from 2.21 on Jaeger has no search for Grafana's Jaeger data source: lists of traces stay empty "
                "there, a trace opens by its id; leave images.jaeger out, or search in Jaeger's own pages"
            )
        return tuple(notices)

    @property
    def image_names(self) -> tuple[str, ...]:
        """The images that this stack uses: one for each service, and the shell that some need."""
        return (*self.services, "busybox")

    def image(self, name: str) -> str:
        """The literal reference of the image of this name: that of a service, or `busybox`."""
        return images.resolve(name, getattr(self.images, name), self.images.registry)

    def memory_mib(self, service: str) -> int:
        """Hard limit of `service`, in MiB."""
        return mib(getattr(self.memory, service))

    @property
    def grafana_url(self) -> str | None:
        """Of the stack's Grafana, or the user's own; None where there is neither."""
        return self.url("grafana") if "grafana" in self.services else self.external_urls.grafana

    @property
    def addresses(self) -> Addresses:
        """Where alerts link to."""
        return Addresses(self.alerts.runbooks, self.grafana_url, self.url("jaeger"))

    def url(self, service: Page) -> str:
        """The address of `service` for people: what they said, else where it is published, else inside the network."""
        if service == "grafana" and self.grafana.tls and self.publish.caddy:
            port = self.publish.caddy.rsplit(":", 1)[1]
            return f"https://{self.grafana.tls.domain}{'' if port == '443' else f':{port}'}"
        published = getattr(self.publish, service)
        inside = JAEGER_PAGES if service == "jaeger" else METRICS[service]
        return getattr(self.external_urls, service) or f"http://{published or f'{service}:{inside}'}"


def load(config: Mapping[str, str], *, secret_keys: Collection[str], project: str, stack: str) -> Settings:
    """Settings of `stack` from its config as Pulumi hands it over (`project:key` → text; objects as JSON).

    Raises:
        SettingsError: names every wrong key, the file it stands in, and what would be right.
    """
    mine = f"{project}:"  # an empty value is Pulumi.yaml's way to declare a key without setting it
    given = {key.removeprefix(mine): value for key, value in config.items() if key.startswith(mine) and value}
    own = {key: value if key in SECRETS else one_spelling(value) for key, value in given.items()}
    values: dict[str, Any] = {"environment": stack, "prefix": f"nervous-{stack}"}
    problems = [("", what) for what in _strangers(config, project, stack)]
    for key, value in own.items():
        is_secret = f"{project}:{key}" in secret_keys
        if key in SECRETS and not is_secret:
            problems.append((key, f"is a secret: store it with  pulumi config set --secret {key}"))
        elif key not in SECRETS and is_secret:
            problems.append((key, f"may hold no secret; the keys for secrets are {', '.join(SECRETS)}"))
        elif key == "secrets":
            problems.append((key, f"unknown key; the keys for secrets are {', '.join(SECRETS)}"))
        elif key not in SECRETS:
            values[key] = _parsed(value)
    values["secrets"] = frozenset(SECRETS) & own.keys()
    refused = dict(_wrong_texts(values))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [(key, what) for key, what in _explained(error) if not any(_beside(key, bad) for bad in refused)]
    problems += refused.items()
    if problems:
        raise _refusal(problems, project, stack)
    return settings


def _wrong_texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text below `values`, key or value, that no setting may hold: (key, what is wrong)."""
    rest: list[tuple[str, Any]] = [(key, value) for key, value in values.items() if key != "secrets"]
    while rest:
        path, value = rest.pop()
        if isinstance(value, str):
            if what := wrong_text(value):
                yield path, what
        elif isinstance(value, list):
            rest += [(f"{path}.{number}", one) for number, one in enumerate(value)]
        elif isinstance(value, dict):
            for key, one in value.items():
                if what := wrong_text(key):
                    yield path, f"one of its keys {what}"
                else:
                    rest.append((f"{path}.{key}", one))


def _beside(key: str, refused: str) -> bool:
    """Whether what is said of `key` would repeat a text that is refused in any case."""
    return f"{key}.".startswith(f"{refused}.") or refused.startswith(f"{key}.")


def _strangers(config: Mapping[str, str], project: str, stack: str) -> Iterator[str]:
    """What is wrong with keys that nobody reads, though somebody meant this project. Those of others are theirs."""
    for key in config:
        name, _, rest = key.partition(":")
        if name == "docker":
            instead = f"the engine, and the way to it, are said in {project}:docker; logins to registries are those of `docker login`"
        elif name != project and difflib.get_close_matches(name, [project]):
            instead = f"did you mean {project}:{rest}?"
        else:
            continue
        yield f"Pulumi.{stack}.yaml: {key}: nothing of `{name}:` is read here: {instead}"


def judge_secrets(config: Mapping[str, str], *, secret_keys: Collection[str], project: str, stack: str) -> None:
    """Looks at the values of the secrets, which only the program of `stack` has in clear.

    Raises:
        SettingsError: names every secret that cannot be right, and never what it holds.
    """
    problems = []
    for key in SECRETS:
        if f"{project}:{key}" not in secret_keys:
            continue
        value, fix = config[f"{project}:{key}"].strip(), f"set it with  pulumi config set --secret {key}"
        if not value:
            problems.append((key, f"the secret is blank: {fix}  (or remove it:  pulumi config rm {key})"))
        elif key in WEBHOOKS and not is_url(value):  # unlike a `Url` of the settings it may have a user and a password
            problems.append((key, f"the secret is no URL with http:// or https://: {fix}"))
        elif any(unicodedata.category(sign) == "Cc" for sign in value):
            problems.append((key, f"the secret has a line break, or another sign that does not print: {fix}"))
    if problems:
        raise _refusal(problems, project, stack)


def _refusal(problems: Iterable[tuple[str, str]], project: str, stack: str) -> SettingsError:
    lines = [f"Pulumi.{stack}.yaml: {project}:{key}: {what}" if key else what for key, what in sorted(problems)]
    return SettingsError("\n".join(lines))


_DAY = re.compile(r"(\d{4}-\d\d-\d\d) 00:00:00 \+0000 UTC")
"""What the CLI makes of a date without quotes."""


def _parsed(value: str) -> Any:
    value = _DAY.sub(r"\1", value)
    try:
        return json.loads(value) if value[:1] in "{[" else value
    except (ValueError, RecursionError):  # the latter of one that is nested thousands deep
        return value


SHOWN = 200
"""Characters of a wrong value that a message repeats."""
# pydantic speaks of Python's types; the stack file is YAML.
_PLAIN = {
    "model_type": "must be a mapping of keys, as YAML or JSON",
    "dict_type": "must be a mapping of keys, as YAML or JSON",
    "tuple_type": "must be a list, as YAML or JSON",
    "byte_size": "is no size: write it like 512MiB or 4GiB",
    "byte_size_unit": "is no size: write it like 512MiB or 4GiB",
}


def _explained(error: ValidationError) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for each of pydantic's findings, in the words of the stack file."""
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            known = _keys_beside(item["loc"])
            close = difflib.get_close_matches(path[-1], known, n=1)
            what = "unknown key; " + (f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}")
        elif item["type"] == "value_error" and ": " in what and what.split(": ", 1)[0].split(".", 1)[0] in KEYS:
            named, what = what.split(": ", 1)  # a rule across several keys names its key itself
            path = [named]
        elif item["type"] not in {"value_error", "missing"}:
            what = _PLAIN.get(item["type"], what) + _shown(item["input"])
        yield ".".join(path) or "", what


_SECRET = re.compile(r":[^:@\s]*@|SECRET|PRIVATE|PASSWORD|TOKEN|hooks\.", re.IGNORECASE)


def _shown(value: Any) -> str:
    """A wrong value, as a message repeats it; nothing where it might be a secret that stands in the wrong place."""
    shown = json.dumps(value, default=str)
    if _SECRET.search(shown):
        return ""
    return f" (it is {shown[:SHOWN] + ' …' if len(shown) > SHOWN else shown})"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at the parent of `location` knows."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            candidates = [annotation, *getattr(annotation, "__args__", ())]
            model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return sorted(set(model.model_fields) - {"secrets"} | (set(SECRETS) if model is Settings else set()))


KEYS = frozenset(Settings.model_fields) - {"secrets"}
