"""Everything a stack may say, with its defaults: the only reader of stack config.

The defaults are those of the host in the README (16 GB, 8 cores, 200 GB). A stack file says only what differs.
"""

import difflib
import ipaddress
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from config import images
from config.alerts.thresholds import Thresholds
from config.ports import METRICS
from config.units import MIB, Memory, Span, mib, seconds

GIB = 1024 * MIB
MAX_PORT = 65535

SECRETS = {
    "slack_webhook": "incoming-webhook URL: its presence turns Slack on",
    "pagerduty_key": "Events API v2 integration key: its presence turns PagerDuty on",
    "deadman_url": "URL of an outside monitor that is pinged while alerting works: its presence turns the switch on",
    "postgres_password": "password of `exporters.postgres.user`",
    "redis_password": "password of `exporters.redis.user`",
    "elasticsearch_password": "password of `exporters.elasticsearch.user`",
}
"""Top-level keys that hold secrets. Their values never enter the settings: Pulumi tracks them from config to engine."""


class SettingsError(Exception):
    """What is wrong in the stack file, one line per key: made to be read by the person who wrote the file."""


class Model(BaseModel):
    """Base of all settings: nothing unknown, nothing changed later, texts trimmed."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True)


_HOST_PORT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")


def _host_port(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if not match or not 0 < int(match[2]) <= MAX_PORT:
        msg = "is not host:port (like db.internal:5432 or [fd00::1]:5432)"
        raise ValueError(msg)
    return text


def _listen(text: str) -> str:
    host, port = _host_port(text).rsplit(":", 1)
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        msg = "is not address:port with the address in numbers (like 127.0.0.1:9090)"
        raise ValueError(msg) from None
    return f"{host}:{int(port)}"


def _without_credentials(text: str) -> str:
    if "@" in urlsplit(text).netloc:
        msg = "holds a user or password, which would show in clear: secrets have keys of their own"
        raise ValueError(msg)
    return text


def _url(text: str) -> str:
    parts = urlsplit(_without_credentials(text))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = "is not a URL with http:// or https://"
        raise ValueError(msg)
    return text.rstrip("/") if not parts.query else text


HostPort = Annotated[str, AfterValidator(_host_port)]
Listen = Annotated[str, AfterValidator(_listen)]
Url = Annotated[str, AfterValidator(_url)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
"""What a container, volume or network may begin with, and what a service may be called."""
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Docker(Model):
    """The engine that everything is put on."""

    host: str = "unix:///var/run/docker.sock"
    """`unix:///path`, `tcp://host:port` (with `certificates`) or `ssh://user@host` (keys, ports and jump hosts as in
    the ssh client's own config)."""
    certificates: str | None = None
    """Folder with `ca.pem`, `cert.pem` and `key.pem`, for a tcp host."""
    data_root: str = "/var/lib/docker"
    """Where the engine keeps its data (`docker info --format '{{.DockerRootDir}}'`)."""

    @field_validator("host")
    @classmethod
    def _known_scheme(cls, host: str) -> str:
        if not host.startswith(("unix:///", "tcp://", "ssh://")):
            msg = "is not unix:///path, tcp://host:port or ssh://user@host"
            raise ValueError(msg)
        return host

    @model_validator(mode="after")
    def _nobody_listens_in(self) -> Self:
        parts = urlsplit(self.host)
        if parts.scheme == "tcp" and not self.certificates and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            msg = "docker.certificates: a tcp host without them lets everybody on the way become root there"
            raise ValueError(msg)
        return self


class Images(Model):
    """Where images come from: one field per service overrides its pin in `config/images.yaml`."""

    registry: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9.-]+(:\d+)?(/[a-z0-9._/-]+)?$")] | None = None
    """A mirror (`host[:port][/path]`) that holds the images under their own paths."""
    prometheus: str | None = None
    alertmanager: str | None = None
    node_exporter: str | None = None
    cadvisor: str | None = None
    socket_proxy: str | None = None
    postgres_exporter: str | None = None
    redis_exporter: str | None = None
    nginx_exporter: str | None = None
    blackbox_exporter: str | None = None
    mongodb_exporter: str | None = None
    elasticsearch_exporter: str | None = None


class MemoryLimits(Model):
    """Hard limits, without swap. The same number sets what runs inside (GOMEMLIMIT, caches)."""

    ceiling: Memory = ByteSize(14 * GIB)
    """The sum of all limits may not exceed it: the host's own services need the rest."""
    prometheus: Memory = ByteSize(2 * GIB)
    alertmanager: Memory = ByteSize(96 * MIB)
    node_exporter: Memory = ByteSize(64 * MIB)
    cadvisor: Memory = ByteSize(192 * MIB)
    socket_proxy: Memory = ByteSize(48 * MIB)
    postgres_exporter: Memory = ByteSize(64 * MIB)
    redis_exporter: Memory = ByteSize(48 * MIB)
    nginx_exporter: Memory = ByteSize(48 * MIB)
    blackbox_exporter: Memory = ByteSize(64 * MIB)
    mongodb_exporter: Memory = ByteSize(96 * MIB)
    elasticsearch_exporter: Memory = ByteSize(64 * MIB)

    @model_validator(mode="after")
    def _enough_to_start(self) -> Self:
        for service, limit in self:
            if limit < 16 * MIB:
                msg = f"memory.{service}: below 16MiB nothing here starts"
                raise ValueError(msg)
        if self.prometheus > 4 * GIB:
            msg = "memory.prometheus: 4GiB is the most that Prometheus may have on this host"
            raise ValueError(msg)
        return self


SERVICES = tuple(name for name in MemoryLimits.model_fields if name != "ceiling")
"""Every service this project can run; each has a limit, an image and a module of this name."""
EXPORTERS = frozenset(SERVICES) - {"prometheus", "alertmanager"}


class Publish(Model):
    """`address:port` on the host where a service listens; null for not at all. Loopback unless you say otherwise."""

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


class ExternalUrls(Model):
    """Under which address people reach a service (a reverse proxy, a tunnel): links in alerts point there."""

    prometheus: Url | None = None
    alertmanager: Url | None = None


class Retention(Model):
    """What comes first ends a sample's life."""

    time: Span = "60d"
    size: ByteSize = ByteSize(45 * GIB)
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
    """A target that exceeds one of these fails its scrape, instead of filling the memory of everybody's Prometheus."""

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
    targets: tuple[HostPort, ...] = Field(min_length=1)
    path: str = Field("/metrics", pattern="^/")
    scheme: Literal["http", "https"] = "http"


class Applications(Model):
    """The metrics of your own services."""

    discover: bool = True
    """Scrape every container labelled `observability.scrape=true` that shares a network with Prometheus."""
    static: tuple[StaticApplication, ...] = ()


class Metrics(Model):
    """Prometheus."""

    scrape_interval: Span = "15s"
    scrape_timeout: Span = "10s"
    evaluation_interval: Span = "15s"
    retention: Retention = Retention()
    exemplars: int = Field(50_000, ge=0)
    """How many are kept in memory, at about 100 bytes each (Prometheus docs, feature flags)."""
    external_labels: dict[LabelName, str] = {}
    """Added to what leaves Prometheus (alerts, remote write), beside `environment`."""
    limits: ScrapeLimits = ScrapeLimits()
    applications: Applications = Applications()

    @model_validator(mode="after")
    def _timeout_within_interval(self) -> Self:
        if seconds(self.scrape_timeout) > seconds(self.scrape_interval):
            msg = f"metrics.scrape_timeout: {self.scrape_timeout} is longer than scrape_interval {self.scrape_interval}"
            raise ValueError(msg)
        if min(seconds(self.scrape_interval), seconds(self.evaluation_interval)) < 1:
            msg = "metrics.scrape_interval, metrics.evaluation_interval: less than 1s is a load, not an interval"
            raise ValueError(msg)
        return self


class PostgresExporter(Model):
    """`user` needs the role pg_monitor; its password is the secret `postgres_password`."""

    address: HostPort
    user: str = "postgres_exporter"
    database: str = "postgres"
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "disable"
    """`disable` suits a database in a network of the same host; outside it take one of the others. The exporter's driver
    (lib/pq) knows no `allow` or `prefer`."""
    service: Name = "postgres"


class RedisExporter(Model):
    """The password, if there is one, is the secret `redis_password`."""

    address: HostPort
    user: str | None = None
    service: Name = "redis"


class NginxExporter(Model):
    """Counts connections and requests only: status codes and latency come from the applications' own metrics."""

    status_url: Url
    """Page of the stub_status module, e.g. `http://nginx:8080/stub_status`."""
    service: Name = "nginx"


class MongodbExporter(Model):
    """The exporter takes a password only by environment or flag, which `docker inspect` shows: so none is taken."""

    uri: Annotated[str, AfterValidator(_without_credentials)]
    """Without user and password, e.g. `mongodb://mongo:27017`."""
    service: Name = "mongodb"

    @field_validator("uri")
    @classmethod
    def _of_mongodb(cls, uri: str) -> str:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            msg = "is not a URI with mongodb:// or mongodb+srv://"
            raise ValueError(msg)
        return uri


class Haproxy(Model):
    """HAProxy's own Prometheus endpoint: the separate exporter was retired in its favour."""

    targets: tuple[HostPort, ...] = Field(min_length=1)
    path: str = Field("/metrics", pattern="^/")
    service: Name = "haproxy"


class ElasticsearchExporter(Model):
    """The password, if there is one, is the secret `elasticsearch_password`."""

    url: Url
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
            _url(self.target)
        else:
            _host_port(self.target)
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

    channel: str = Field("#alerts", pattern=r"^[#@]\S+$")


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
    rule_files: tuple[str, ...] = ()
    """Your own rule files, relative to the project."""
    thresholds: Thresholds = Thresholds()


class Settings(Model):
    """One stack."""

    environment: Name
    """Label on everything that leaves the stack."""
    prefix: Name
    """Containers, volumes and the network are called `<prefix>-<service>`: several stacks share one engine by it."""
    networks: tuple[str, ...] = ()
    """Existing Docker networks that Prometheus and the exporters join to reach your services."""
    docker: Docker = Docker()
    images: Images = Images()
    memory: MemoryLimits = MemoryLimits()
    publish: Publish = Publish()
    external_urls: ExternalUrls = ExternalUrls()
    metrics: Metrics = Metrics()
    exporters: Exporters = Exporters()
    alerts: Alerts = Alerts()
    notifications: Notifications = Notifications()
    secrets: frozenset[str] = frozenset()
    """Names, not values, of the secrets that are set."""

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
            "elasticsearch_exporter": exporters.elasticsearch,
        }
        return tuple(service for service in SERVICES if optional.get(service, True))

    @model_validator(mode="after")
    def _each_network_once(self) -> Self:
        if len({*self.networks, self.prefix}) <= len(self.networks):
            msg = f"networks: one is named twice, or is {self.prefix}, which every service is in anyway"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _users_have_passwords(self) -> Self:
        users = {"redis": self.exporters.redis, "elasticsearch": self.exporters.elasticsearch}
        for name, exporter in users.items():
            if exporter and exporter.user and f"{name}_password" not in self.secrets:
                msg = f"exporters.{name}.user: needs its password: pulumi config set --secret {name}_password"
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

    @model_validator(mode="after")
    def _every_image_is_pinned(self) -> Self:
        for service in self.services:
            if not (getattr(self.images, service) or images.pins()[service].digest):
                msg = (
                    f"images.{service}: no digest is known for this image: set "
                    f"{images.pins()[service].reference}@sha256:… as your registry shows it"
                )
                raise ValueError(msg)
        return self

    def image(self, service: str) -> str:
        """The literal reference of `service`'s image."""
        return images.resolve(service, getattr(self.images, service), self.images.registry)

    def memory_mib(self, service: str) -> int:
        """Hard limit of `service`, in MiB."""
        return mib(getattr(self.memory, service))

    def url(self, service: Literal["prometheus", "alertmanager"]) -> str:
        """The address of `service` for people: what they said, else where it is published, else inside the network."""
        published = getattr(self.publish, service)
        return getattr(self.external_urls, service) or f"http://{published or f'{service}:{METRICS[service]}'}"


def load(config: Mapping[str, str], *, secret_keys: Collection[str], project: str, stack: str) -> Settings:
    """Settings of `stack` from its config as Pulumi hands it over (`project:key` → text; objects as JSON).

    Raises:
        SettingsError: names every wrong key, the file it stands in, and what would be right.
    """
    mine = f"{project}:"  # an empty value is Pulumi.yaml's way to declare a key without setting it
    own = {key.removeprefix(mine): value for key, value in config.items() if key.startswith(mine) and value}
    values: dict[str, Any] = {"environment": stack, "prefix": f"nervous-{stack}"}
    problems: list[tuple[str, str]] = []
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
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += _explained(error)
    if problems:
        lines = [f"Pulumi.{stack}.yaml: {project}:{key}: {what}" if key else what for key, what in sorted(problems)]
        raise SettingsError("\n".join(lines))
    return settings


def _parsed(value: str) -> Any:
    try:
        return json.loads(value) if value[:1] in "{[" else value
    except ValueError:
        return value


# pydantic speaks of Python's types; the stack file is YAML.
_PLAIN = {
    "model_type": "must be a mapping of keys, as YAML or JSON",
    "dict_type": "must be a mapping of keys, as YAML or JSON",
    "tuple_type": "must be a list, as YAML or JSON",
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
            what = _PLAIN.get(item["type"], what) + f" (it is {json.dumps(item['input'], default=str)})"
        yield ".".join(path) or "", what


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
