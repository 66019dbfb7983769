"""The catalogue of services: one row for each service that a stack can run.

The settings `images.<service>`, `memory.<service>` and `publish.<name>`, the ports, the networks and the stacks come
from here. `images.yaml` pins the image, and the module with the service's name says how it runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from config.sizes import GIB, MIB

Stack = Literal["metrics", "logs", "traces", "correlation"]
Zone = Literal["inside", "edge", "users"]
"""`inside`: services that store data, and their clients. `users`: your containers. `edge`: between the two."""

INSIDE: tuple[Zone, ...] = ("inside",)
OUTSIDE: tuple[Zone, ...] = ("edge", "users")
BETWEEN: tuple[Zone, ...] = ("inside", "edge")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A port that the stack can open on the host, set by `publish.<name>`."""

    address: str | None = None
    """`address:port` by default; None if the port is closed by default."""
    note: str | None = None
    """Text for docs/configuration.md."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One service, the same in every stack. Memory is in bytes."""

    name: str
    stack: Stack
    memory: int
    """Memory limit on a host of 16 GiB."""
    least: int | None = None
    """Minimum of a limit that grows with the host (measured, docs/performance.md); None if the limit is the same on
    every host."""
    full_on: int = 16 * GIB
    """Size of the host from which on the limit is `memory`."""
    most: int | None = None
    """Highest limit that a stack file may set; None for no bound."""
    port: int | None = None
    """Port of its metrics, and of its API if it has one. It is the service's default, so the service's own docs apply."""
    publish: Mapping[str, Published] = field(default_factory=dict)
    """Name of a setting below `publish` → the port that it opens."""
    zones: tuple[Zone, ...] = INSIDE
    """Networks that it joins. A stack may select fewer."""
    edge_address: int | None = None
    """Index of its address in the network `edge`. Never change one: running containers would be replaced."""


def _exporter(name: str, port: int, memory: int, edge_address: int) -> Row:
    return Row(
        name=name,
        stack="metrics",
        memory=memory,
        port=port,
        publish={name: Published()},
        zones=OUTSIDE,
        edge_address=edge_address,
    )


_ROWS = (
    Row(
        name="prometheus",
        stack="metrics",
        memory=2 * GIB,
        least=512 * MIB,
        most=4 * GIB,
        port=9090,
        publish={"prometheus": Published(address="127.0.0.1:9090")},
        zones=BETWEEN,
        edge_address=0,
    ),
    Row(
        name="alertmanager",
        stack="metrics",
        memory=96 * MIB,
        port=9093,
        publish={"alertmanager": Published(address="127.0.0.1:9093")},
    ),
    Row(name="node_exporter", stack="metrics", memory=64 * MIB, port=9100, publish={"node_exporter": Published()}),
    Row(name="cadvisor", stack="metrics", memory=192 * MIB, port=8080, publish={"cadvisor": Published()}),
    Row(name="socket_proxy", stack="metrics", memory=48 * MIB, port=8404),
    Row(name="scrape_proxy", stack="metrics", memory=24 * MIB, port=8404, zones=OUTSIDE, edge_address=2),
    Row(name="api_proxy", stack="metrics", memory=32 * MIB, port=8405, zones=BETWEEN, edge_address=1),
    _exporter("postgres_exporter", 9187, 64 * MIB, 5),
    _exporter("redis_exporter", 9121, 48 * MIB, 6),
    _exporter("nginx_exporter", 9113, 24 * MIB, 7),
    _exporter("blackbox_exporter", 9115, 64 * MIB, 4),
    _exporter("mongodb_exporter", 9216, 96 * MIB, 8),
    _exporter("elasticsearch_exporter", 9114, 64 * MIB, 9),
    Row(
        name="loki",
        stack="logs",
        memory=2 * GIB,
        least=512 * MIB,
        most=4 * GIB,
        port=3100,
        publish={"loki": Published(note="The reading part of its API, for tools like logcli.")},
    ),
    Row(name="alloy", stack="logs", memory=384 * MIB, least=256 * MIB, port=12345, publish={"alloy": Published()}),
    Row(name="promtail", stack="logs", memory=256 * MIB, least=128 * MIB, port=9080, publish={"promtail": Published()}),
    Row(
        name="otel_collector",
        stack="traces",
        memory=1024 * MIB,
        least=256 * MIB,
        port=8888,
        publish={
            "otlp_grpc": Published(
                address="127.0.0.1:4317",
                note="The OpenTelemetry Collector. Containers reach it as `otel-collector:4317` in `networks`.",
            ),
            "otlp_http": Published(
                address="127.0.0.1:4318",
                note="The OpenTelemetry Collector. Containers reach it as `otel-collector:4318` in `networks`.",
            ),
        },
        zones=OUTSIDE,
        edge_address=3,
    ),
    Row(name="elasticsearch", stack="traces", memory=3 * GIB, least=1024 * MIB, most=4 * GIB),
    Row(name="opensearch", stack="traces", memory=3 * GIB, least=1024 * MIB, most=4 * GIB),
    Row(
        name="jaeger",
        stack="traces",
        memory=768 * MIB,
        least=384 * MIB,
        most=2 * GIB,
        port=8888,
        publish={"jaeger": Published(address="127.0.0.1:16686")},
        zones=BETWEEN,
        edge_address=10,
    ),
    Row(name="jaeger_es_index_cleaner", stack="traces", memory=32 * MIB, zones=BETWEEN, edge_address=11),
    Row(
        name="grafana",
        stack="correlation",
        memory=GIB,
        least=560 * MIB,
        full_on=8 * GIB,
        most=GIB,
        port=3000,
        publish={"grafana": Published(address="127.0.0.1:3000")},
    ),
    Row(
        name="caddy",
        stack="correlation",
        memory=64 * MIB,
        port=9180,
        publish={"caddy": Published(note="TLS in front of Grafana; `0.0.0.0:443` for everybody. Needs `grafana.tls`.")},
    ),
)
ROWS: Mapping[str, Row] = {row.name: row for row in _ROWS}
"""Service → its row, in the order in which stacks list them."""

SERVICES = tuple(ROWS)
EXPORTERS = frozenset(row.name for row in _ROWS if row.stack == "metrics") - {"prometheus", "alertmanager"}
"""Services whose limits together may take 1 GiB (`Settings`)."""


def publications() -> dict[str, Published]:
    """Name of each setting below `publish` → its port."""
    return {name: published for row in _ROWS for name, published in row.publish.items()}
