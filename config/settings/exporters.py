"""Settings of databases and pages to watch."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, field_validator, model_validator

from config.settings import targets
from config.settings.model import (
    Model,
    Name,
    PagePath,
    Target,
    TargetPage,
    TargetUrl,
    asked_address,
    asked_page,
    without_credentials,
)


class PostgresExporter(Model):
    """`user` needs the role pg_monitor; its password is the secret `postgres_password`."""

    address: Target
    user: str = Field("postgres_exporter", min_length=1)
    database: str = Field("postgres", min_length=1)
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "disable"
    """`disable` suits a database in a network of the same host; for any other use one of the others. The exporter's
    driver (lib/pq) has no `allow` or `prefer`."""
    service: Name = "postgres"


class RedisExporter(Model):
    """A password is the secret `redis_password`."""

    address: Target
    user: str | None = None
    service: Name = "redis"


class NginxExporter(Model):
    """It counts only connections and requests. Status codes and latency come from Nginx's access log."""

    status_url: TargetPage
    """Page of the stub_status module, e.g. `http://nginx:8080/stub_status`."""
    service: Name = "nginx"


class MongodbExporter(Model):
    """It supports no password: the exporter takes one only by environment or flag, which `docker inspect` shows."""

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
    """HAProxy's own Prometheus endpoint, which replaced the separate exporter."""

    targets: tuple[Target, ...] = Field(min_length=1)
    path: PagePath = "/metrics"
    service: Name = "haproxy"


class ElasticsearchExporter(Model):
    """A password is the secret `elasticsearch_password`."""

    url: TargetUrl
    user: str | None = None
    service: Name = "elasticsearch"


class Probe(Model):
    """An address that blackbox_exporter tries at every scrape."""

    name: Name
    target: str = Field(min_length=1)
    """A URL for `http_2xx`, `host:port` for `tcp_connect`."""
    module: Literal["http_2xx", "tcp_connect"] = "http_2xx"
    service: Name | None = None
    """The service that the probe speaks for. Default: the probe's own name."""

    @model_validator(mode="after")
    def _target_fits_module(self) -> Self:
        if self.module == "http_2xx":
            asked_page(self.target)
        else:
            asked_address(self.target)
        return self


class Exporters(Model):
    """What the stack watches besides host and containers. Each exporter runs only if its block is present."""

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
