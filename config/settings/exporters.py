"""Settings of databases and pages to watch.

A server that takes no more than an address, or a status page, needs no code here: its row in `config/exporter_rows.py` says
which of the two. Others have a model of their own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field, create_model, field_validator, model_validator

from config.catalogue import MOST_SERVERS, ROWS
from config.metrics_pages import METRICS_PAGES, MetricsPage
from config.row import Row
from config.settings import pem, targets
from config.settings.model import (
    ByService,
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

Certificates = Annotated[str, AfterValidator(pem.unfolded)]
"""Certificates of authorities in PEM."""


class Authority(Model):
    """TLS on the way to a page of metrics. The page has to prove its name."""

    ca: Certificates | None = None
    """Certificate of the authority that has signed the server's, as in its PEM file: indented below `ca: >-`. Default:
    the authorities that the image of the exporter knows, or of scrape_proxy."""


class Tls(Authority):
    """TLS on the way to a server."""

    verify: bool = True
    """Whether the server has to prove its name. MySQL's own certificates name none."""


class Listed(Model):
    """A server in a list."""

    name: Name | None = None
    """Tells it from the others of its kind: one may be without. Its password is the secret `<key>_password_<name>`, such
    as `redis_password_sessions`; without a name it is `<key>_password`. Of `mongodb` it is a certificate:
    `mongodb_certificate_<name>`."""
    service: Name
    """The service that its metrics are about. Default: `name`, else the key."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        named = isinstance(values, Mapping) and values.get("name")
        return {"service": named, **values} if named else values


class Login(Listed):
    """A server with passwords."""

    user: str | None = None


class PostgresExporter(Listed):
    """`user` needs the role pg_monitor."""

    address: Target
    user: str = Field("postgres_exporter", min_length=1)
    database: str = Field("postgres", min_length=1)
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "disable"
    """`disable` suits a database in a network of the same host; for any other use one of the others. The exporter's
    driver (lib/pq) has no `allow` or `prefer`."""
    ca: Certificates | None = None
    """As in `exporters.redis[].tls.ca`, for `verify-ca` and `verify-full`."""
    statements: bool = False
    """Time and calls of the 100 statements that took longest, by their number in pg_stat_statements. The database needs
    this extension, and the server has to load it (`shared_preload_libraries`)."""
    service: Name = "postgres"

    @model_validator(mode="after")
    def _ca_is_used(self) -> Self:
        if self.ca and not self.sslmode.startswith("verify"):
            msg = f"sslmode {self.sslmode} compares no certificate with ca: write  sslmode: verify-full"
            raise ValueError(msg)
        return self


class Server(Listed):
    """A server that is reached at an address."""

    address: Target
    tls: Tls | None = None


class ServerWithLogin(Login, Server):
    """A server that is reached at an address, by a user with a password."""


class StatusPage(Listed):
    """A server that tells its state on a page."""

    status_url: TargetPage


class MongodbExporter(Listed):
    """It takes no password: the exporter takes one only by environment or flag, which `docker inspect` shows. It logs in by
    the certificate in the secret `mongodb_certificate`, if that is set ([how](exporters.md#mongodb))."""

    uri: Annotated[str, AfterValidator(without_credentials)]
    """Without user and password, e.g. `mongodb://mongo:27017`. Options of TLS and of the login come from `tls` and from the
    secret."""
    tls: Tls | None = None
    """Not needed beside the secret, nor with `mongodb+srv://`, which both mean TLS."""
    service: Name = "mongodb"

    @field_validator("uri")
    @classmethod
    def _of_mongodb(cls, uri: str) -> str:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            msg = "is not a URI with mongodb:// or mongodb+srv://"
            raise ValueError(msg)
        for address in re.split(r"[/?#]", uri.partition("://")[2])[0].split(","):
            targets.judge(re.sub(r":\d*$", "", unquote(address)))
        if option := re.search(r"[?&;](tls|ssl|auth)[^=&;]*", uri, re.IGNORECASE):
            msg = f"{option[0][1:]}: TLS and the login have keys of their own: write  tls: {{}}  beside the uri, and set the secret mongodb_certificate"
            raise ValueError(msg)
        return uri


class MetricsServer(Listed):
    """Servers of one service that serve their own metrics."""

    user: str | None = Field(None, min_length=1)
    """For HTTP's basic authentication, with the password in the secret. Default, if the secret is set: `prometheus`."""
    targets: tuple[Target, ...] = Field(min_length=1)
    path: PagePath
    tls: Authority | None = None
    """If it is set, even empty (`{}`), the page is read by https."""


class ElasticsearchExporter(Login):
    """A cluster of Elasticsearch or OpenSearch."""

    url: TargetUrl
    tls: Tls | None = None
    service: Name = "elasticsearch"

    @model_validator(mode="after")
    def _tls_is_used(self) -> Self:
        if self.tls and not self.url.startswith("https://"):
            msg = f"tls: {self.url} is asked without it: write  url: https://…"
            raise ValueError(msg)
        return self


class Probe(Model):
    """An address that blackbox_exporter tries at every scrape."""

    name: Name
    target: str = Field(min_length=1)
    """A URL for `http_2xx`, `host:port` for `tcp_connect`."""
    module: Literal["http_2xx", "tcp_connect"] = "http_2xx"
    service: Name | None = None
    """The service that the probe checks. Default: the probe's own name."""

    @model_validator(mode="after")
    def _target_fits_module(self) -> Self:
        if self.module == "http_2xx":
            asked_page(self.target)
        else:
            asked_address(self.target)
        return self


@dataclass(frozen=True)
class WatchedPage:
    """Servers that serve their own metrics, and what their kind has in common."""

    kind: MetricsPage
    server: MetricsServer

    @property
    def name(self) -> str:
        """Unique among all: the key, and the server's name behind it."""
        return "-".join(filter(None, (self.kind.key, self.server.name)))

    @property
    def secret(self) -> str:
        """Name of the secret with the password, which need not be set."""
        return secret_of(self.kind.key, self.server)

    @property
    def user(self) -> str:
        """Who logs in, if the secret is set."""
        return self.server.user or "prometheus"


_CREDENTIALS = {row.watches: row.credential for row in ROWS.values() if row.login}


def secret_of(key: str, server: Listed) -> str:
    """Name of the secret by which the stack logs in to a server below `exporters.<key>`."""
    return "_".join(filter(None, (key, _CREDENTIALS.get(key, "password"), server.name)))


def _as_list(value: Any) -> Any:
    """A single block is a list of one."""
    return (value,) if isinstance(value, Mapping) else value or ()


def _names_differ(servers: tuple[Listed, ...]) -> tuple[Listed, ...]:
    names = [server.name for server in servers]
    if doubled := {name or "" for name in names if names.count(name) > 1}:
        called = ", ".join(sorted(doubled)).strip(", ")
        msg = f"two are called {called}" if called else "two have no name: write  name: …  in each but one"
        raise ValueError(msg)
    return servers


def _have_addresses(servers: tuple[Listed, ...]) -> tuple[Listed, ...]:
    if len(servers) > MOST_SERVERS:
        msg = f"no more than {MOST_SERVERS} of a kind can be watched: the stack's network has no more addresses"
        raise ValueError(msg)
    return servers


_Of = TypeVar("_Of", bound=Listed)
Pages = Annotated[tuple[_Of, ...], BeforeValidator(_as_list), AfterValidator(_names_differ)]
"""Servers of one kind: one block, or a list of blocks."""
Servers = Annotated[Pages[_Of], AfterValidator(_have_addresses)]
"""The same, of servers with an exporter each."""


def _ordinary(row: Row) -> type[Listed] | None:
    """The model of a server that needs none of its own; None if it does."""
    models: dict[str, type[Listed]] = {
        "address": ServerWithLogin if row.login else Server,
        "status_url": StatusPage,
    }
    base = next((model for key, model in models.items() if key in row.example), None)
    assert row.watches  # noqa: S101 - of an exporter
    return base and create_model(row.watches, __base__=base, __doc__=row.note, service=(Name, row.watches))


_lists: dict[str, Any] = {
    row.watches: (Servers[model], ())  # type: ignore[valid-type] # made here
    for row in ROWS.values()
    if row.watches and (model := _ordinary(row))
}


def _page(page: MetricsPage) -> type[MetricsServer]:
    service = page.key.replace("_", "-")
    return create_model(
        page.key, __base__=MetricsServer, __doc__=page.note, path=(PagePath, page.path), service=(Name, service)
    )


_lists |= {page.key: (Pages[_page(page)], ()) for page in METRICS_PAGES}  # type: ignore[misc] # made here
_Ordinary = create_model("_Ordinary", __base__=ByService, **_lists)


class Exporters(_Ordinary):
    """What the stack watches besides host and containers ([what each server needs](exporters.md)): of each kind one block, or
    a list. Servers with an exporter, which is one for each, are up to four of a kind; append new ones at the end: a place in
    the list is an address."""

    postgres: Servers[PostgresExporter] = ()
    mongodb: Servers[MongodbExporter] = ()
    elasticsearch: Servers[ElasticsearchExporter] = ()
    probes: tuple[Probe, ...] = ()

    @property
    def pages(self) -> tuple[WatchedPage, ...]:
        """Servers that serve their own metrics."""
        return tuple(WatchedPage(kind, server) for kind in METRICS_PAGES for server in getattr(self, kind.key))

    @field_validator("probes")
    @classmethod
    def _names_differ(cls, probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        names = [probe.name for probe in probes]
        if doubled := {name for name in names if names.count(name) > 1}:
            msg = f"two probes are called {', '.join(sorted(doubled))}"
            raise ValueError(msg)
        return probes
