"""Settings of remote stores, which get metrics, logs or traces beside the stack's own stores.

Each has one secret at most, `remote_<name>`. Its value never enters the settings.
"""

import ipaddress
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ByteSize, Field, StringConstraints, field_validator, model_validator

from config.catalogue import SERVICES
from config.settings.model import Model, Name, TargetPage, TargetUrl
from config.settings.secret_keys import OF_REMOTES
from config.sizes import GIB, MIB

LONG_TERM, LOGS, TRACES = "long-term", "logs", "traces"
"""Names of the ends of which there is one at most."""
RESERVED = frozenset({LONG_TERM, LOGS, TRACES})

_SPECIAL = re.compile(
    r"[^.]+|.*\.(internal|local|localdomain|lan|home|home\.arpa|intranet|private|corp|test|example|invalid)"
)
"""Names that no public server has: of one part, and below domains that are set aside (RFC 6761, 6762, 8375, ICANN's `internal`)."""


def _authority(text: str) -> str:
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        msg = "must name a file of the project that contains certificates (PEM), and no key"
        raise ValueError(msg)
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        msg = f"{text} is not a regular expression: {error}"
        raise ValueError(msg) from None
    if re.search(r"\(\?<?[=!]|\\[1-9]", text):
        msg = f"{text} looks around or back, which RE2 cannot"
        raise ValueError(msg)
    return text


Authority = Annotated[str, AfterValidator(_authority)]
"""Certificates (PEM). The stack file names their file, and `config/settings/authorities.py` reads it."""
MetricPattern = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z_:.][\w:.*+?()\[\]|^{},\\-]*$", max_length=300), AfterValidator(_pattern)
]
"""A name of metrics, or a regular expression (RE2) for whole names."""
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!_.*'()-]{1,150}$")]
"""As Mimir and Loki allow them."""


class Remote(Model):
    """A remote store. Its secret is `remote_<name>`: the password of `user`, or without a user a bearer token."""

    user: str | None = Field(None, pattern=r"^[^:\s]+$")
    """For a login with user and password."""
    ca: Authority | None = None
    """File of the project with the certificates (PEM) by which the store's own is judged. Default: those that everybody
    trusts."""


class WriteQueue(Model):
    """Bounds of what waits in Prometheus' memory for one end. Samples beyond it wait in the write-ahead log, which is there
    anyway, for two hours at least."""

    shards: int = Field(4, ge=1, le=50)
    """Requests at once."""
    samples: int = Field(2000, ge=100, le=10_000)
    """Samples per request. Each shard holds five times as many in memory."""


class RemoteWrite(Remote):
    """An end that takes Prometheus' remote write (1.0): Mimir, Thanos, VictoriaMetrics, Grafana Cloud or another Prometheus. Its
    secret is `remote_<name>`: the password of `user`, or without a user a bearer token."""

    name: Name
    """A name of your choice. Alerts and the check name the end by it."""
    url: TargetPage
    """The whole address, e.g. `https://mimir.example.com/api/v1/push`."""
    tenant: Tenant | None = None
    """Header `X-Scope-OrgID`, by which Mimir and others tell customers apart."""
    keep: tuple[MetricPattern, ...] = ()
    """Metrics that are sent, by name or regular expression. Default: all."""
    drop: tuple[MetricPattern, ...] = ()
    """Metrics that are not sent, of those."""
    queue: WriteQueue = WriteQueue()

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name in RESERVED:
            msg = f"{name} is the name of another store ({', '.join(sorted(RESERVED))}): choose another one"
            raise ValueError(msg)
        return name


class LongTerm(Remote):
    """Keeps a selection of recorded series for longer than Prometheus keeps everything ([which](beyond.md#long-term)): in a
    VictoriaMetrics beside it (`local: true`), or in a store of yours (`url` and `query`), whose secret is `remote_long-term`."""

    local: bool = False
    """In a VictoriaMetrics of the stack's own."""
    months: int = Field(13, ge=1, le=120)
    """How long the local one keeps them."""
    disk: ByteSize = Field(ByteSize(2 * GIB), ge=256 * MIB)
    """Share of the host's disk for the local one. An alert compares with it."""
    url: TargetPage | None = None
    """Where your store takes Prometheus' remote write, e.g. `https://metrics.example.com/api/v1/write`."""
    query: TargetUrl | None = None
    """Where it answers Prometheus' queries, without `/api/v1`, e.g. `https://metrics.example.com`."""
    tenant: Tenant | None = None
    """Header `X-Scope-OrgID`, by which Mimir and others tell customers apart."""

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        far = bool(self.url or self.query or self.user or self.ca or self.tenant)
        if self.local == far:
            msg = "set local: true, or url and query of your own store"
            raise ValueError(msg)
        if far and (of_local := {"months", "disk"} & self.model_fields_set):
            msg = f"{min(of_local)}: is a setting of the local store: leave it out"
            raise ValueError(msg)
        if far and not (self.url and self.query):
            msg = "needs both url, where series are written to, and query, where Grafana reads them"
            raise ValueError(msg)
        return self


class RemoteLogs(Remote):
    """A second copy of all log lines, in a Loki or another store with Loki's API. Its secret is `remote_logs`: the password of
    `user`, or without a user a bearer token."""

    url: TargetUrl
    """Its address, e.g. `https://logs.example.com`: containers' lines go to `/loki/api/v1/push` below it, records that came by
    OTLP to `/otlp/v1/logs`."""
    tenant: Tenant | None = None
    """Header `X-Scope-OrgID`, by which Loki tells customers apart."""
    queue: ByteSize = Field(ByteSize(256 * MIB), ge=16 * MIB)
    """Size on disk of the queue of records that came by OTLP. Other lines wait where they were read."""

    @field_validator("url")
    @classmethod
    def _is_the_base(cls, url: str) -> str:
        return _without(url, "/loki/api/v1/push", "/loki/api/v1", "/otlp/v1/logs", "/otlp")


class RemoteTraces(Remote):
    """A second copy of all traces that are kept, in any store that takes OTLP. Its secret is `remote_traces`: the value of
    `header`, the password of `user`, or without both a bearer token."""

    url: TargetUrl
    """Its address, e.g. `https://otlp.example.com` or `https://tempo.example.com:4317`. `/v1/traces` is added to it for
    `http`."""
    protocol: Literal["http", "grpc"] = "http"
    """How OTLP is sent."""
    header: HeaderName | None = None
    """Name of the header that the secret is the value of, e.g. `x-honeycomb-team`. Default: `Authorization`."""
    tenant: Tenant | None = None
    """Header `X-Scope-OrgID`, by which Tempo tells customers apart."""
    queue: ByteSize = Field(ByteSize(256 * MIB), ge=16 * MIB)
    """Size on disk of the queue of spans that it cannot take at the moment."""

    @field_validator("url")
    @classmethod
    def _is_the_base(cls, url: str) -> str:
        return _without(url, "/v1/traces")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.header and self.user:
            msg = "header: a login has a user, and its header is Authorization: leave out one of the two"
            raise ValueError(msg)
        if self.protocol == "grpc" and urlsplit(self.url).path:
            msg = f"url: gRPC has no path: write {urlsplit(self.url).scheme}://{urlsplit(self.url).netloc}"
            raise ValueError(msg)
        return self


def _without(url: str, *ends: str) -> str:
    for end in ends:
        if url.endswith(end):
            msg = f"the path is added: write {url.removesuffix(end)}"
            raise ValueError(msg)
    return url


def secret_of(name: str) -> str:
    """Name of the secret of an end."""
    return f"{OF_REMOTES}{name}"


End = tuple[str, str, Remote, tuple[str, ...]]
"""Key in the stack file, name, settings, and the URLs that are asked."""


def ends(
    writes: Sequence[RemoteWrite], long_term: LongTerm | None, logs: RemoteLogs | None, traces: RemoteTraces | None
) -> tuple[End, ...]:
    """All remote stores."""
    stores: list[End] = [
        (f"metrics.remote_write.{number}", one.name, one, (one.url,)) for number, one in enumerate(writes)
    ]
    if long_term and long_term.url and long_term.query:
        stores.append(("metrics.long_term", LONG_TERM, long_term, (long_term.url, long_term.query)))
    stores += [("logs.remote", LOGS, logs, (logs.url,))] if logs else []
    stores += [("traces.remote", TRACES, traces, (traces.url,))] if traces else []
    return tuple(stores)


def disk_shares(long_term: LongTerm | None, logs: RemoteLogs | None, traces: RemoteTraces | None) -> dict[str, int]:
    """Setting → bytes of the host's disk."""
    shares = {"metrics.long_term.disk": int(long_term.disk)} if long_term and long_term.local else {}
    shares |= {"logs.remote.queue": int(logs.queue)} if logs else {}
    shares |= {"traces.remote.queue": int(traces.queue)} if traces else {}
    return shares


def judge(ends: Sequence[End], secrets: Collection[str], *, own_hosts: Collection[str], own_network: str) -> None:
    """Checks the ends together.

    Args:
        secrets: names of the secrets that are set.
        own_hosts: names of the stack's containers.
        own_network: the stack's own addresses.

    Raises:
        ValueError: names the key and how to correct it.
    """
    names = [name for _, name, _, _ in ends]
    for key, name, end, urls in ends:
        secret = secret_of(name)
        if names.count(name) > 1:
            msg = f"{key}: two stores are called {name}: their secrets and alerts go by the name, so choose another one"
            raise ValueError(msg)
        needs = "its password" if end.user else "its value" if getattr(end, "header", None) else ""
        if needs and secret not in secrets:
            msg = f"{key}.{'user' if end.user else 'header'}: needs {needs}: pulumi config set --secret {secret}"
            raise ValueError(msg)
        for url in urls:
            if what := _wrong(url, end, has_secret=secret in secrets, own_hosts=own_hosts, own_network=own_network):
                raise ValueError(f"{key}: {what}")
    for secret in sorted(secrets):
        if secret.startswith(OF_REMOTES) and (name := secret.removeprefix(OF_REMOTES)) not in names:
            keys = {LOGS: "logs.remote", TRACES: "traces.remote", LONG_TERM: "metrics.long_term.url"}
            off = keys.get(name)
            lacks = (
                f"{off}: is not set, but its secret is" if off else f"metrics.remote_write: there is none called {name}"
            )
            msg = f"{lacks}: {'set it' if off else 'name one so'}, or  pulumi config rm {secret}"
            raise ValueError(msg)


def _wrong(url: str, end: Remote, *, has_secret: bool, own_hosts: Collection[str], own_network: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if host in own_hosts or _is_in(host, own_network):
        return f"{url} leads back into this very stack: name the remote store"
    if parts.scheme == "http" and has_secret and not _is_private(host):
        return f"{url} would send the secret in clear to a public host: write https://"
    if parts.scheme == "http" and end.ca:
        return f"ca: {url} has no certificate to judge: write https://, or leave ca out"
    return ""


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network)
    except ValueError:
        return False


def _is_private(host: str) -> bool:
    """Whether `host` can only be in a network of the user's."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return bool(_SPECIAL.fullmatch(host))


def own_hosts(prefix: str) -> Iterator[str]:
    """Names under which the stack's services know each other."""
    for service in SERVICES:
        yield service
        yield f"{prefix}-{service}"
