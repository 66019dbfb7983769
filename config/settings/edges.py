"""Settings of a centre and its edges: stacks on other hosts, which keep nothing and send all that they see."""

from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, TypeAdapter, ValidationError, field_validator, model_validator

from config.catalogue import ROWS
from config.row import Row
from config.settings import sizing
from config.settings.exporters import Certificates
from config.settings.grafana import Tls
from config.settings.model import Model, TargetUrl
from config.settings.secret_keys import CENTRE_PASSWORD, OF_EDGES, OF_SCRAPES, OF_SERVERS
from config.settings.units import Memory, Span, seconds
from config.sizes import GIB, MIB

if TYPE_CHECKING:
    from config.settings import Settings

_MEMORY = TypeAdapter(Memory)
Role = Literal["centre", "edge"]

MOST_EDGES = 100
LONGEST_OUTAGE = "24h"
"""Age up to which a centre takes the samples of its edges (Prometheus' `out_of_order_time_window`)."""
UNKNOWN = "edges.unknown"
"""Backend of `api_proxy` that refuses who has no credential. HAProxy counts its requests, and an alert reads that."""
NEXT = "_next"
"""End of the name of the credential that follows another one."""


LEAST_RATE = 16 * 1024
"""Bytes per second. With 0, nothing of an edge would ever arrive."""


class EdgeBounds(Model):
    """One edge, and what it may send. Nothing is lost at the first bound: what is above it waits at the edge."""

    rate: ByteSize = Field(ByteSize(4 * MIB), ge=LEAST_RATE)
    """Bytes per second as they are on the wire, of all signals together."""
    series: int = Field(50_000, ge=1000)
    """Series within an hour. Samples of further ones are lost, and counted: those that there were come in as before."""
    streams: int = Field(500, ge=10)
    """Active streams of logs. Lines of further ones are lost, and counted."""


def is_address(domain: str) -> bool:
    """Whether a domain is an IPv4 address in numbers."""
    try:
        return bool(IPv4Address(domain))
    except AddressValueError:
        return False


class Door(Tls):
    """Where edges send to: Caddy listens at `publish.caddy`. Without a name, `domain` may be an IPv4 address."""

    @model_validator(mode="after")
    def _address_has_no_public_certificate(self) -> Self:
        if is_address(self.domain) and self.certificate == "public":
            msg = f"no public authority certifies the address {self.domain}: use certificate: internal, and centre.ca on the edges"
            raise ValueError(msg)
        return self


def _https(text: str) -> str:
    if not text.startswith("https://"):
        msg = "is not an address with https://: an edge sends its credential there"
        raise ValueError(msg)
    return text


class Centre(Model):
    """The centre to which this edge sends. Its credential is the secret `centre_password`."""

    url: Annotated[TargetUrl, AfterValidator(_https)]
    """Address of the centre's door, such as `https://centre.example.com`."""
    ca: Certificates | None = None
    """Certificate of the authority that has signed the door's, as in its PEM file: indented below `ca: >-`. Needed for
    `door.certificate: internal`; the default are the public authorities."""
    outage: Span = "6h"
    """How long metrics wait on disk while the centre is away. Older ones are lost. `traces.queue` bounds what waits of
    traces and OTLP logs; other lines wait where they are, in the containers' own logs."""

    @field_validator("outage")
    @classmethod
    def _is_taken_later(cls, outage: str) -> str:
        if not seconds("10m") <= seconds(outage) <= seconds(LONGEST_OUTAGE):
            msg = f"{outage} is not between 10m and {LONGEST_OUTAGE}: a centre takes no older samples"
            raise ValueError(msg)
        return outage


_OF_A_CENTRE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("alerts", "notifications", "slos", "slo_files", "grafana", "edges", "door", "external_urls", "actions"), ()
    ),
    "metrics": ("evaluation_interval", "retention", "exemplars", "golden_signals", "keep", "remote_write", "long_term"),
    "logs": ("retention", "budget", "s3", "remote"),
    "traces": ("storage", "cluster", "retention", "sampling", "span_metrics", "disk", "remote"),
}
"""Settings that only a centre has: top-level key → keys below it, or none for all of it."""
_MAY_BE_EMPTY = {"centre", "door", *_OF_A_CENTRE}


def runs_on_an_edge(row: Row) -> bool:
    """Whether an edge runs this service: exporters, and what has a limit for an edge."""
    return row.on_edge is not None or row.watches is not None or row.name == "blackbox_exporter"


def prepared(values: Any) -> Any:
    """Stack config `values`: an edge with its limits, and without blocks that say nothing. What is not a mapping stays as it is."""
    if not isinstance(values, Mapping):
        return values
    # `Pulumi.yaml` declares every key, with a default that says nothing.
    config = {key: value for key, value in values.items() if value not in ({}, []) or key not in _MAY_BE_EMPTY}
    return {**config, "memory": _memory(config.get("memory", {}))} if config.get("role") == "edge" else config


def _memory(memory: Any) -> Any:
    if not isinstance(memory, Mapping):
        return memory
    try:
        host = _MEMORY.validate_python(memory["host"])
    except (KeyError, ValidationError):  # the field will say what is wrong with it
        host = ByteSize(sizing.EDGE)
    small = host < sizing.EDGE
    limits = {row.name: row.on_edge[small] for row in ROWS.values() if row.on_edge}
    ceiling = min(sizing.edge_ceiling(small=small), host)
    return {"host": host, "ceiling": ceiling, **limits, **memory}


def judge(settings: "Settings") -> None:
    """Raises ValueError if the role, the edges and their secrets do not fit together. The message begins with a key."""
    least = sizing.SMALLEST_EDGE if settings.role == "edge" else sizing.SMALLEST
    if settings.memory.host < least:
        what = "not even an edge fits" if settings.role == "edge" else "metrics, logs and traces do not fit"
        msg = f"memory.host: below {least // GIB}GiB {what}"
        raise ValueError(msg)
    for problem in _of_an_edge(settings) if settings.role == "edge" else _of_a_centre(settings):
        raise ValueError(problem)


def _of_an_edge(settings: "Settings") -> Iterator[str]:
    if not settings.centre:
        yield "centre: an edge needs one: centre: {url: https://centre.example.com}"
    elif CENTRE_PASSWORD not in settings.secrets:
        yield f"centre: needs the edge's credential: pulumi config set --secret {CENTRE_PASSWORD}"
    for key, below in _OF_A_CENTRE.items():
        if key in settings.model_fields_set:
            keys = (
                [f"{key}.{one}" for one in below if one in getattr(settings, key).model_fields_set] if below else [key]
            )
            yield from (f"{one}: an edge keeps, judges and shows nothing: say it in its centre's stack" for one in keys)
    if settings.logs.shipper != "alloy":
        yield f"logs.shipper: {settings.logs.shipper} cannot send to a centre: an edge ships by alloy"
    own = {f"{row.watches}_{row.credential}" for row in ROWS.values() if row.login} | {CENTRE_PASSWORD}
    for secret in sorted(settings.secrets - own):
        if not secret.startswith((*OF_SERVERS, OF_SCRAPES)):
            yield f"role: an edge has no use for the secret {secret}: pulumi config rm {secret}"


def _of_a_centre(settings: "Settings") -> Iterator[str]:
    if settings.centre:
        yield "role: a stack that sends to a centre is an edge: role: edge"
    if bool(settings.edges) != bool(settings.door):
        there, missing = ("door", "edges") if settings.door else ("edges", "door")
        yield f"{there}: needs {missing}: where edges send to (door: {{domain: …}}), and which there are (edges: {{web-2: {{}}}})"
    if len(settings.edges) > MOST_EDGES:
        yield f"edges: are {len(settings.edges)}, and a centre takes {MOST_EDGES}"
    for name in settings.edges:
        if name == settings.name_of_host:
            yield f"edges: {name} is what this host is called itself (host_name): name one of them otherwise"
        if OF_EDGES + name not in settings.secrets:
            yield f"edges.{name}: needs its credential: pulumi config set --secret {OF_EDGES}{name}"
    for secret in sorted(one for one in settings.secrets if one.startswith(OF_EDGES)):
        name = secret.removeprefix(OF_EDGES).removesuffix(NEXT)
        if name not in settings.edges:
            yield f"edges: there is none called {name}: name it there, or  pulumi config rm {secret}"


def credentials(name: str, secrets: frozenset[str]) -> tuple[str, ...]:
    """Names of the secrets of the edge `name`: the credential with which it sends, and the next one."""
    return tuple(secret for secret in (OF_EDGES + name, OF_EDGES + name + NEXT) if secret in secrets)
