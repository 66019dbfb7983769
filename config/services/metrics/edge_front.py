"""The part of `api_proxy` for edges. It checks the sender, the path, the size and the rate of each request before any
service reads it."""

from collections.abc import Iterator, Mapping

from config.container import Secret
from config.ports import OTLP_EDGES
from config.services.correlation import edge_door
from config.services.logs.edge_logs import PUSH
from config.services.metrics.prometheus_agent import WRITE
from config.services.traces.edge_pipelines import HEADER, basic
from config.settings import Settings
from config.settings.edges import UNKNOWN, credentials

PORT = 24_318
"""The port for Caddy, which terminates TLS."""
OTLP = ("/v1/traces", "/v1/logs")
LARGEST = 8 * 2**20
"""Bytes of a request. An edge sends at most some 1 MB at once."""
AT_ONCE = 256
WINDOW = 10
"""Seconds over which an edge's rate is measured."""
AT_THE_DOOR = 2
"""Requests of one edge and signal that `edge_door` has at once; further ones wait here, so that no edge is in the way of others."""


def secrets(settings: Settings) -> Mapping[str, Secret]:
    """File name below `secrets/` → the credential in it, as it is in the header of a request."""

    def header(edge: str) -> Secret:
        return Secret(edge, lambda password: basic(names[edge], password) + "\n")

    names = {secret: edge for edge in settings.edges for secret in credentials(edge, settings.secrets)}
    return {secret: header(secret) for secret in sorted(names)}


def backend(edge: str, signal: str) -> str:
    """Name of the backend for one signal of an edge, in HAProxy's metrics: ``edges.web-2.metrics``."""
    return f"edges.{edge}.{signal}"


def sections(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """Head and lines of each section of `haproxy.cfg`."""
    if not settings.edges:
        return
    yield "backend edges.rates", [f"stick-table type string len 64 size 1k expire 1m store bytes_in_rate({WINDOW}s)"]
    yield "frontend edges", [*_frontend(settings)]
    yield (
        f"backend {UNKNOWN}",
        [
            (
                'http-request return status 401 content-type "text/plain; charset=utf-8" '
                'string "Refused: no edge of this centre has this name and password.\\n" hdr WWW-Authenticate "Basic realm=edges"'
            )
        ],
    )
    collector = f"{settings.host('otel_collector')}:{OTLP_EDGES}"
    for edge in sorted(settings.edges):
        for signal in ("metrics", "logs"):
            yield (
                f"backend {backend(edge, signal)}",
                [f"{_server(f'edge_door:{edge_door.PORT}')} maxconn {AT_THE_DOOR}"],
            )
        yield f"backend {backend(edge, 'otlp')}", [_server(collector)]


def _server(address: str) -> str:
    return f"server {address.partition(':')[0]} {address} resolvers engine init-addr none"


def _frontend(settings: Settings) -> Iterator[str]:
    yield f"bind :{PORT}"
    yield f"maxconn {AT_ONCE}"
    for edge in sorted(settings.edges):
        for secret in credentials(edge, settings.secrets):
            credential = f"{{ req.hdr(authorization) -m str -f secrets/{secret} }}"
            yield f"http-request set-var(txn.edge) str({edge}) if {credential}"
    of_edge = "{ var(txn.edge) -m found }"
    yield f"http-request set-header {HEADER} %[var(txn.edge)] if {of_edge}"
    yield "http-request del-header authorization"
    yield f"http-request track-sc0 var(txn.edge) table edges.rates if {of_edge}"
    path = "{ path " + " ".join((WRITE, PUSH, *OTLP)) + " }"
    yield _refuse(
        403, "an edge may only send: to three paths, by POST", f"if {of_edge} !METH_POST or {of_edge} !{path}"
    )
    long = f"!{{ req.hdr(content-length) -m found }} or {of_edge} {{ req.hdr(content-length) -m int gt {LARGEST} }}"
    yield _refuse(413, f"a request tells its length, and has at most {LARGEST // 2**20} MiB", f"if {of_edge} {long}")
    for edge, bounds in sorted(settings.edges.items()):
        above = f"{{ var(txn.edge) -m str {edge} }} {{ sc0_bytes_in_rate gt {bounds.rate * WINDOW} }}"
        yield _refuse(429, f"{edge} sends more than its rate allows; it may send this again", f"if {above}")
    for edge in sorted(settings.edges):
        own = f"{{ var(txn.edge) -m str {edge} }}"
        yield f"use_backend {backend(edge, 'metrics')} if {own} {{ path {WRITE} }}"
        yield f"use_backend {backend(edge, 'logs')} if {own} {{ path {PUSH} }}"
        yield f"use_backend {backend(edge, 'otlp')} if {own}"
    yield f"default_backend {UNKNOWN}"


def _refuse(status: int, why: str, when: str) -> str:
    return f'http-request return status {status} content-type "text/plain; charset=utf-8" string "Refused: {why}.\\n" {when}'
