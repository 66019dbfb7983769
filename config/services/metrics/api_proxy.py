"""HAProxy in front of every API of the stack that has no login: people, Grafana and the collector reach them through
it.

Each of these clients has ports of its own, with an allow-list of what it needs. A path that a new version of an API
adds stays closed. Foreign web pages in a browser reach nothing: a host name that points here for a while (DNS
rebinding) is not one of the stack's names, and the browser itself marks requests that another site starts.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import urlsplit

from config.catalogue import EXPORTERS, ROWS
from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import JAEGER_PAGES, METRICS, OTLP_GRPC, OTLP_HTTP
from config.services.metrics import edge_front
from config.settings import Settings
from config.settings.publish import ExternalUrls, Page

PORT = METRICS["api_proxy"]
LOKI_OTLP = "/otlp/v1/logs"
"""Path at which Loki receives log records by OTLP."""

PEOPLE, GRAFANA = 10_000, 20_000
"""Added to a service's own port: the port for people (which is published), and the one for Grafana."""
BEHIND_CADDY = GRAFANA + METRICS["grafana"]
"""Port of Grafana's pages for Caddy, which passes on the client's address."""

Querier = Literal["people", "grafana"]
QUERIES: dict[Querier, int] = {"people": 1, "grafana": 3}
"""Concurrent queries of one service per client; more wait, up to `_PATIENCE`. Together they use the memory that
Prometheus has for queries on a small host (`--query.max-samples`), and leave most of its query slots to rules."""
REST = 16
"""All other concurrent requests to one service, including those that follow a stream."""
_PATIENCE = "30s"

WRONG_PASSWORDS = 10
"""Per address, in five minutes. Grafana's own limit is per user, so strangers could lock `admin` out."""

# Concurrent connections per port. One costs up to two buffers of 16 KiB.
_PEOPLE_AT_ONCE, _GRAFANA_AT_ONCE, _PAGES_AT_ONCE, _COLLECTOR_AT_ONCE, _SENDERS_AT_ONCE = 32, 64, 192, 64, 128

_LABEL = "[A-Za-z0-9_:]+"
_ID = "[0-9a-fA-F-]+"


def _paths(*patterns: str) -> str:
    return f"^({'|'.join(patterns)})$"


@dataclass(frozen=True)
class Api:
    """The allowed part of an API: regular expressions that match whole paths, as they are sent."""

    pages: str
    """GET, for people only: pages, their assets, and the service's own metrics and health."""
    reads: str = ""
    """GET, for Grafana too."""
    queries: str = ""
    """GET and POST, for Grafana too. Only a few run at once (`QUERIES`)."""
    writes: tuple[tuple[str, str], ...] = ()
    """Method and paths of the changes that people may make."""


_APIS = {
    "prometheus": Api(
        queries=_paths(
            "/api/v1/(query|query_range|query_exemplars|labels|series|format_query|parse_query)",
            f"/api/v1/label/{_LABEL}/values",
        ),
        reads=_paths("/api/v1/(metadata|rules|alerts|features|status/buildinfo|status/runtimeinfo)"),
        pages=_paths(
            "/(query|graph|alerts|rules|targets|service-discovery|alertmanager-discovery|agent|status|tsdb-status|config|flags)?",
            "/(assets|static)/[A-Za-z0-9_./-]+",
            "/(favicon.ico|favicon.svg|manifest.json)",
            "/api/v1/(alertmanagers|scrape_pools|targets|targets/metadata|targets/relabel_steps|notifications|notifications/live)",
            "/api/v1/status/(config|flags|tsdb|tsdb/blocks|walreplay)",
            "/metrics|/-/healthy|/-/ready",
        ),
    ),
    "long_term": Api(
        queries=_paths("/api/v1/(query|query_range|labels|series)", f"/api/v1/label/{_LABEL}/values"),
        reads=_paths("/api/v1/(metadata|status/buildinfo)"),
        pages=_paths("/metrics|/health"),
    ),
    "alertmanager": Api(
        reads=_paths("/api/v2/(status|receivers|alerts|alerts/groups|silences)", f"/api/v2/silence/{_ID}"),
        pages=_paths("/", "/(script.js|favicon.ico)", "/(lib|assets|static)/[A-Za-z0-9_./-]+", "/metrics|/-/healthy|/-/ready"),
        writes=(("POST", _paths("/api/v2/silences")), ("DELETE", _paths(f"/api/v2/silence/{_ID}"))),
    ),
    "loki": Api(
        queries=_paths(
            "/loki/api/v1/(query|query_range|labels|series|patterns|detected_fields|detected_labels|format_query)",
            "/loki/api/v1/index/(stats|volume|volume_range)",
            f"/loki/api/v1/(label|detected_field)/{_LABEL}/values",
        ),
        reads=_paths(
            "/loki/api/v1/(label|tail|rules|drilldown-limits|status/buildinfo)",
            "/prometheus/api/v1/(rules|alerts)|/api/prom/rules",
        ),
        pages=_paths("/metrics|/ready"),
    ),
    "jaeger": Api(
        reads=_paths("/api/(v3/)?(traces|services|operations|dependencies|metrics|quality-metrics)(/[^?]*)?"),
        pages=_paths("/(search|monitor|dependencies|compare|quality-metrics|deep-dependencies)?", "/(trace|static)/[^?]+", "/favicon.ico"),
    ),
    "alloy": Api(
        pages=_paths("/(graph|clustering|remotecfg)?", "/(component|public|assets|api/v0/web)/[^?]+", "/metrics|/-/ready|/-/healthy"),
    ),
    "promtail": Api(
        pages=_paths("/(targets|service-discovery)?", "/static/[A-Za-z0-9_./-]+", "/metrics|/ready"),
    ),
}  # fmt: skip
# Not `/probe` and `/scrape`: with these, an exporter requests any address that it is given.
_EXPORTER = Api(pages=_paths("/(metrics|healthz|-/healthy|-/ready)?"))

QUERIED = frozenset(service for service, api in _APIS.items() if api.queries)

DATA_SOURCES = ("prometheus", "loki", "jaeger", "alertmanager", "long_term")
"""Services that Grafana and `incidents` query, through the same ports."""


def port_inside(service: str) -> int:
    """Port of the service's API inside the network."""
    return JAEGER_PAGES if service == "jaeger" else METRICS[service]


def for_grafana(service: str) -> str:
    """URL at which Grafana queries `service`, read-only."""
    return f"http://api_proxy:{GRAFANA + port_inside(service)}"


def published(settings: Settings) -> tuple[str, ...]:
    """Services that the proxy publishes, as far as the settings publish them."""
    own = {"caddy", "api_proxy"}  # Caddy publishes its own port
    return tuple(
        service for service in settings.services if service not in own and getattr(settings.publish, service, None)
    )


def container(settings: Settings) -> Container:
    ports = [(service, PEOPLE + port_inside(service)) for service in published(settings)]
    if settings.publish.otlp_http:
        ports.append(("otlp_http", PEOPLE + OTLP_HTTP))
    return Container(
        service="api_proxy",
        command=("haproxy", "-db", "-f", f"{DIRECTORY}/haproxy.cfg"),
        user="99:99",
        port=PORT,
        published=dict(sorted(ports, key=lambda one: one[1])),
        health=http_health(PORT),
        go_memory_percent=0,
        config=ConfigFiles(
            files={"haproxy.cfg": haproxy_cfg(settings)},
            validate="haproxy -c -q -f haproxy.cfg",
            secrets=edge_front.secrets(settings),
            reload="restart",
        ),
    )


def haproxy_cfg(settings: Settings) -> str:
    read = {"grafana", "incidents"} & {*settings.services}
    data_sources = [one for one in DATA_SOURCES if one in settings.services] if read else []
    people = [service for service in published(settings) if service != "grafana"]
    # Paths of files, which only edges need, are relative to this one.
    head = _HEAD.replace("global\n", "global\n    default-path config\n", 1) if settings.edges else _HEAD
    sections = [head, *(_for_collector(settings.edge.address("api_proxy")) if settings.role == "centre" else ())]
    sections += [_data_source(service) for service in data_sources]
    sections += [_for_people(service, settings) for service in people]
    if settings.publish.otlp_http:
        sections += _for_senders(settings)
    if "grafana" in settings.services:
        sections += _pages_of_grafana(settings)
    sections += [_section(head, lines) for head, lines in edge_front.sections(settings)]
    for service in dict.fromkeys([*data_sources, *people]):
        server = _server(service, port_inside(service), f"maxconn {REST}", host=settings.host(service))
        sections.append(_section(f"backend {service}", [server]))
    queriers: tuple[tuple[Querier, Collection[str]], ...] = (("people", people), ("grafana", data_sources))
    for querier, services in queriers:
        sections += [_queries(service, querier) for service in services if service in QUERIED]
    return "\n".join(sections)


def _refuse(status: int, why: str) -> str:
    return f'http-request return status {status} content-type "text/plain; charset=utf-8" string "{why}\\n"'


_BUSY = "The service does not answer, or answers as many as it can: ask again."
_OF_STRANGERS = _refuse(403, "Refused: another site asks. Open this page by its own address (docs/security.md).")
_NO_PATH = _refuse(403, "Refused: this method or path is none that api_proxy lets through (docs/security.md).")
_NO_JSON = _refuse(415, "Refused: say Content-Type: application/json, and send JSON.")
_GUESSED = _refuse(429, f"Refused: {WRONG_PASSWORDS} wrong passwords from this address. Try again in five minutes.")

_BASE = f"""    mode http
    timeout connect 5s
    timeout http-request 10s
    timeout http-keep-alive 10s
    timeout queue {_PATIENCE}
    timeout client 5m
    timeout server 2m
    # Pages that follow something: a log, Grafana's own events.
    timeout tunnel 1h
    # Nobody waits for the answer any more.
    option abortonclose
    http-error status 503 content-type "text/plain; charset=utf-8" string "{_BUSY}\\n"
"""

_HEAD = rf"""global
    maxconn 600
    nbthread 1
    hard-stop-after 1s
    log stdout format raw daemon notice

# What holds for everybody with a browser, which tells by itself who has started a request, and where it leads.
defaults people
{_BASE}
    # A link of another site may open a page.
    http-request set-var(txn.link) bool(true) if METH_GET {{ req.hdr(sec-fetch-mode) navigate }} {{ req.hdr(sec-fetch-dest) document }} !{{ path,url_dec -m reg '^/+(apis?|loki|prometheus)/' }}
    {_OF_STRANGERS} if {{ req.hdr(sec-fetch-site) cross-site same-site }} !{{ var(txn.link) -m bool }}
    # An address in numbers, or localhost, is of nobody who could make it lead elsewhere.
    http-request set-var(txn.host) req.hdr(host),lower
    http-request set-var(txn.name) var(txn.host),host_only
    http-request set-var(txn.known) bool(true) if {{ var(txn.name) -m reg '^([0-9]{{1,3}}(\.[0-9]{{1,3}}){{3}}|\[[0-9a-f:.]+\]|localhost)$' }}
    http-request set-var(txn.own) bool(true) if {{ req.hdr(origin),lower,regsub(^https?://,),strcmp(txn.host) eq 0 }}
    http-after-response del-header access-control- -m beg
    http-after-response set-header X-Frame-Options SAMEORIGIN
    http-after-response set-header X-Content-Type-Options nosniff
    http-after-response set-header Cross-Origin-Resource-Policy same-origin

defaults
{_BASE}
resolvers engine
    nameserver dns 127.0.0.11:53
    hold valid 2s

frontend metrics
    bind :{PORT}
    maxconn 8
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny
"""


def _known(service: str, settings: Settings) -> Iterator[str]:
    """Rules that refuse a request unless its host name and its origin are those of `service`."""
    fix = ""
    if service in ExternalUrls.model_fields:
        url = urlsplit(settings.url(cast("Page", service)))
        name, origin = _bracketed(url.hostname or ""), f"{url.scheme}://{url.netloc.lower()}"
        yield f"http-request set-var(txn.known) bool(true) if {{ var(txn.name) -m str {name} }}"
        yield f"http-request set-var(txn.own) bool(true) if {{ req.hdr(origin),lower -m str {origin} }}"
        fix = f", or set external_urls.{service} to its address"
    yield f"{_unknown(service, fix)} unless {{ var(txn.known) -m bool }}"
    yield f"{_OF_STRANGERS} if {{ req.hdr(origin) -m found }} !{{ var(txn.own) -m bool }}"


def _unknown(who: str, fix: str = "") -> str:
    say = f"Refused: {who} has no such name as this request is for. Ask localhost or an address in numbers{fix}."
    return _refuse(421, say)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _section(head: str, lines: list[str]) -> str:
    return "\n    ".join([head, *lines]) + "\n"


def _for_people(service: str, settings: Settings) -> str:
    api = _EXPORTER if service in EXPORTERS else _APIS[service]
    lines = [f"bind :{PEOPLE + port_inside(service)}", f"maxconn {_PEOPLE_AT_ONCE}", *_known(service, settings)]
    if ROWS[service].board:
        # With `?target=`, mysqld_exporter would send its password to another server.
        lines.append(f"{_NO_PATH} if {{ query -m len gt 0 }}")
    if api.writes:
        # A form on another site cannot send this content type.
        lines.append(f"{_NO_JSON} if METH_POST !{{ req.hdr(content-type) -m beg -i application/json }}")
    return _section(
        f"frontend people.{service} from people", [*lines, *_only(api, "people"), *_leads(service, "people")]
    )


def _only(api: Api, querier: Querier) -> Iterator[str]:
    """Rules that refuse everything that `api` does not allow to `querier`."""
    yield from (f"acl read path -m reg '{paths}'" for paths in (api.queries, api.reads) if paths)
    allowed = ["METH_GET read"]
    if api.queries:
        yield f"acl query path -m reg '{api.queries}'"
        allowed.append("METH_POST query")
    if querier == "people":
        yield f"acl read path -m reg '{api.pages}'"
        allowed += [f"{{ method {method} }} {{ path -m reg '{paths}' }}" for method, paths in api.writes]
    yield f"{_NO_PATH} unless {' or '.join(allowed)}"


def _leads(service: str, querier: Querier) -> Iterator[str]:
    if service in QUERIED:
        yield f"use_backend queries.{querier}.{service} if query"
    yield f"default_backend {service}"


def _data_source(service: str) -> str:
    lines = [f"bind :{GRAFANA + port_inside(service)}", f"maxconn {_GRAFANA_AT_ONCE}"]
    lines += [*_only(_APIS[service], "grafana"), *_leads(service, "grafana")]
    return _section(f"frontend grafana.{service}", lines)


def _queries(service: str, querier: Querier) -> str:
    server = _server(service, port_inside(service), f"maxconn {QUERIES[querier]}")
    return _section(f"backend queries.{querier}.{service}", [server])


def _server(service: str, port: int, *more: str, host: str | None = None) -> str:
    return " ".join([f"server {service} {host or service}:{port} resolvers engine init-addr none", *more])


def _pages_of_grafana(settings: Settings) -> Iterator[str]:
    """Ports of Grafana's pages. Grafana asks for a password itself; the proxy bounds guessing, per client address."""
    yield _section("backend guesses", ["stick-table type ipv6 size 1k expire 5m store gpc0_rate(5m)"])
    doors = {"people.grafana": (PEOPLE + METRICS["grafana"], "src")} if settings.publish.grafana else {}
    if settings.shows_grafana_by_tls:
        # Caddy does not pass on a client's own `X-Forwarded-For`.
        doors["caddy.grafana"] = (BEHIND_CADDY, "req.hdr_ip(x-forwarded-for,-1)")
    for name, (port, who) in doors.items():
        yield _section(
            f"frontend {name} from people",
            [
                f"bind :{port}",
                f"maxconn {_PAGES_AT_ONCE}",
                *_known("grafana", settings),
                f"{_NO_PATH} if {{ path,url_dec -m reg '^/+(metrics|debug/.*)$' }}",
                f"http-request track-sc0 {who} table guesses",
                "http-request set-var(txn.password) bool(true) if { req.hdr(authorization) -m found }",
                "http-request set-var(txn.password) bool(true) if METH_POST { path,url_dec -m reg '^/+login/*$' }",
                f"{_GUESSED} if {{ var(txn.password) -m bool }} {{ sc0_gpc0_rate ge {WRONG_PASSWORDS} }}",
                "http-response sc-inc-gpc0(0) if { var(txn.password) -m bool } { status 401 }",
                "default_backend grafana",
            ],
        )
    yield _section("backend grafana", [_server("grafana", METRICS["grafana"])])


def _for_senders(settings: Settings) -> Iterator[str]:
    """The port for OTLP over HTTP, which a web page could send. gRPC needs no such rules: a browser sends it only after an
    answer that the collector does not give."""
    yield _section(
        "frontend people.otlp from people",
        [
            f"bind :{PEOPLE + OTLP_HTTP}",
            f"maxconn {_SENDERS_AT_ONCE}",
            f"{_unknown('the collector')} unless {{ var(txn.known) -m bool }}",
            f"{_OF_STRANGERS} if {{ req.hdr(origin) -m found }}",
            f"{_NO_PATH} unless METH_POST {{ path -m reg '{_paths('/v1/(traces|metrics|logs)')}' }}",
            "default_backend otlp",
        ],
    )
    yield _section("backend otlp", [_server("otel_collector", OTLP_HTTP, host=settings.host("otel_collector"))])


def _for_collector(edge: str) -> Iterator[str]:
    """Ports for the collector, at its address `edge`: it passes spans to Jaeger and records to Loki, and shares no
    network with either."""
    yield _section(
        "frontend collector.traces",
        [
            "mode tcp",
            f"bind {edge}:{OTLP_GRPC}",
            f"maxconn {_COLLECTOR_AT_ONCE}",
            "timeout client 1h",
            "default_backend traces",
        ],
    )
    yield _section("backend traces", ["mode tcp", "timeout server 1h", _server("jaeger", OTLP_GRPC)])
    yield _section(
        "frontend collector.logs",
        [
            f"bind {edge}:{METRICS['loki']}",
            f"maxconn {_COLLECTOR_AT_ONCE}",
            f"{_NO_PATH} unless METH_POST {{ path {LOKI_OTLP} }}",
            "default_backend records",
        ],
    )
    yield _section("backend records", [_server("loki", METRICS["loki"])])
