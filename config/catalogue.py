"""The catalogue of services: one row for each service that a stack can run.

The settings `images.<service>`, `memory.<service>` and `publish.<name>`, the ports, the networks and the stacks come
from here. The module with the service's name says how it runs. The rows of exporters are in `config/exporter_rows.py`.
"""

from collections.abc import Mapping

from config.exporter_rows import EXPORTER_ROWS
from config.row import BETWEEN, OUTSIDE, Pin, Published, Row
from config.sizes import GIB, MIB

# HAProxy with allow-lists of paths, in front of the Docker socket and of APIs without a login.
# renovate: datasource=docker depName=haproxy
HAPROXY = Pin(
    "docker.io/library/haproxy", "3.2-alpine", "sha256:79799e8b2977e60802774fa53d29e6b54e045402cdd8a8b9fe43923e7095a047"
)
# A shell for services whose image has none.
# renovate: datasource=docker depName=busybox
BUSYBOX = Pin(
    "docker.io/library/busybox", "1.38.0", "sha256:fd7dc98638c8e305f4dc34e979f1c0fdfdcaeb0fbf8fcff77ae834b6da3d7e6e"
)
# Python for the programs that are delivered as config files.
# renovate: datasource=docker depName=python
PYTHON = Pin(
    "docker.io/library/python",
    "3.14.7-alpine3.24",
    "sha256:9e9fde4d32eedce0b661d9ab91e826b62dddf28e928c230ec55f1866cac66b01",
)
# renovate: datasource=docker depName=grafana/alloy
ALLOY = Pin(
    "docker.io/grafana/alloy", "v1.20.1", "sha256:2aa2099af76c0098d4af7a4d6e48f86cb66dc1a000222ad927a1c67c6542d13f"
)

_ROWS = (
    Row(
        name="prometheus",
        stack="metrics",
        # renovate: datasource=docker depName=prom/prometheus
        image=Pin(
            "docker.io/prom/prometheus",
            "v3.15.0",
            "sha256:efd719c99d83b060d9daefdcf00360461adf279f45ef5391f8d111892118753e",
        ),
        memory=2 * GIB,
        least=512 * MIB,
        most=4 * GIB,
        on_edge=(160 * MIB, 96 * MIB),
        port=9090,
        publish={"prometheus": Published(address="127.0.0.1:9090")},
        zones=BETWEEN,
        edge_address=0,
    ),
    Row(
        name="alertmanager",
        stack="metrics",
        # renovate: datasource=docker depName=prom/alertmanager
        image=Pin(
            "docker.io/prom/alertmanager",
            "v0.34.1",
            "sha256:e9733bafb1bdef9b00e25a21f8f99dc26a22224bf16641ad754d1649f4c3357a",
        ),
        memory=96 * MIB,
        port=9093,
        publish={"alertmanager": Published(address="127.0.0.1:9093")},
    ),
    Row(
        name="node_exporter",
        stack="metrics",
        # renovate: datasource=docker depName=prom/node-exporter
        image=Pin(
            "docker.io/prom/node-exporter",
            "v1.12.1",
            "sha256:1b4e4438faca4dd7e001dd445d161a4a2091b0fededa84093b3a8dfeae1f1be0",
        ),
        memory=64 * MIB,
        on_edge=(48 * MIB, 32 * MIB),
        port=9100,
        publish={"node_exporter": Published()},
    ),
    Row(
        name="cadvisor",
        stack="metrics",
        # renovate: datasource=docker depName=ghcr.io/google/cadvisor
        image=Pin(
            "ghcr.io/google/cadvisor",
            "v0.60.6",
            "sha256:b8e7d1093144fd088f425ff003d75a4aa405de075db78dae3bc563730b1bd07a",
        ),
        memory=192 * MIB,
        on_edge=(112 * MIB, 80 * MIB),
        port=8080,
        publish={"cadvisor": Published()},
    ),
    Row(
        name="socket_proxy",
        stack="metrics",
        image=HAPROXY,
        memory=48 * MIB,
        on_edge=(40 * MIB, 32 * MIB),
        port=8404,
    ),
    Row(
        name="scrape_proxy",
        stack="metrics",
        image=HAPROXY,
        memory=24 * MIB,
        on_edge=(24 * MIB, 24 * MIB),
        port=8404,
        zones=OUTSIDE,
        edge_address=2,
    ),
    Row(
        name="api_proxy",
        stack="metrics",
        image=HAPROXY,
        memory=32 * MIB,
        on_edge=(24 * MIB, 24 * MIB),
        port=8405,
        zones=BETWEEN,
        edge_address=1,
    ),
    *EXPORTER_ROWS,
    Row(
        name="long_term",
        stack="metrics",
        # renovate: datasource=docker depName=victoriametrics/victoria-metrics
        image=Pin(
            "docker.io/victoriametrics/victoria-metrics",
            "v1.152.0",
            "sha256:86ca5fdb6d87d56ba047b044039019ba2bd9042b36e35f6ea34e437b6c825cef",
        ),
        memory=256 * MIB,
        port=8428,
    ),
    Row(
        name="loki",
        stack="logs",
        # renovate: datasource=docker depName=grafana/loki
        image=Pin(
            "docker.io/grafana/loki", "3.7.8", "sha256:1107dd5274e0ada47e42472b7a7e71f3b2a2fe878878108f3e2f9e51528f0193"
        ),
        memory=2 * GIB,
        least=512 * MIB,
        most=4 * GIB,
        port=3100,
        publish={"loki": Published(note="The reading part of its API, for tools like logcli.")},
    ),
    Row(
        name="alloy",
        stack="logs",
        image=ALLOY,
        memory=384 * MIB,
        least=256 * MIB,
        on_edge=(160 * MIB, 112 * MIB),
        port=12345,
        publish={"alloy": Published()},
    ),
    Row(
        name="promtail",
        stack="logs",
        # The last release line: Promtail's end of life was in March 2026.
        # renovate: datasource=docker depName=grafana/promtail
        image=Pin(
            "docker.io/grafana/promtail",
            "3.6.11",
            "sha256:a761cb834cfaeee29745440d4884d6748f0a08d8f68928db1d707018c1dcfbe9",
        ),
        memory=256 * MIB,
        least=128 * MIB,
        port=9080,
        publish={"promtail": Published()},
    ),
    Row(
        name="otel_collector",
        stack="traces",
        # renovate: datasource=docker depName=otel/opentelemetry-collector-contrib
        image=Pin(
            "docker.io/otel/opentelemetry-collector-contrib",
            "0.162.0",
            "sha256:39923a8e431bd1f57be82411999d389fcfe40857492e4365456d97a4c1f74be6",
        ),
        memory=1024 * MIB,
        least=256 * MIB,
        on_edge=(128 * MIB, 96 * MIB),
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
    Row(
        name="elasticsearch",
        stack="traces",
        # renovate: datasource=docker depName=docker.elastic.co/elasticsearch/elasticsearch
        image=Pin(
            "docker.elastic.co/elasticsearch/elasticsearch",
            "8.19.22",
            "sha256:e98f9c3b09beb2fbb9eaf667d602df3f0e00bd3644138b8458dc17ba1a675595",
        ),
        memory=3 * GIB,
        least=1024 * MIB,
        most=4 * GIB,
    ),
    Row(
        name="opensearch",
        stack="traces",
        # renovate: datasource=docker depName=opensearchproject/opensearch
        image=Pin(
            "docker.io/opensearchproject/opensearch",
            "3.7.0",
            "sha256:123e6591a47b1d54686890551bdb35739c85193ecded381219fc9e059e18128f",
        ),
        memory=3 * GIB,
        least=1024 * MIB,
        most=4 * GIB,
    ),
    Row(
        name="jaeger",
        stack="traces",
        # The last version that waits for Elasticsearch or OpenSearch: 2.20 uses another library and loses what they refuse.
        # 2.21 can be configured to wait, but has no API v1 any more, with which Grafana's Jaeger data source searches traces
        # (jaeger #9260). Update it once the data source of the pinned Grafana searches with `/api/v3` (see `renovate.json`).
        # renovate: datasource=docker depName=jaegertracing/jaeger
        image=Pin(
            "docker.io/jaegertracing/jaeger",
            "2.19.0",
            "sha256:ede4864215be4cd85bd8c3129a2fea6c5713c5653c7282c429dba123014bc68b",
        ),
        memory=768 * MIB,
        least=384 * MIB,
        most=2 * GIB,
        port=8888,
        publish={"jaeger": Published(address="127.0.0.1:16686")},
        zones=BETWEEN,
        edge_address=10,
    ),
    Row(
        name="jaeger_es_index_cleaner",
        stack="traces",
        # Its digest could not be confirmed: a stack that stores traces in Elasticsearch or OpenSearch pins one in
        # `images.jaeger_es_index_cleaner`. The version is Jaeger's.
        # renovate: datasource=docker depName=jaegertracing/jaeger-es-index-cleaner
        image=Pin("docker.io/jaegertracing/jaeger-es-index-cleaner", "2.19.0"),
        memory=32 * MIB,
        zones=BETWEEN,
        edge_address=11,
    ),
    Row(
        name="grafana",
        stack="correlation",
        # renovate: datasource=docker depName=grafana/grafana
        image=Pin(
            "docker.io/grafana/grafana",
            "13.2.3",
            "sha256:b28bae15e219c998fb0e0424ed724930cc61b1f61fb404d47c862f9a23f9e572",
        ),
        memory=GIB,
        least=560 * MIB,
        full_on=8 * GIB,
        most=GIB,
        port=3000,
        publish={"grafana": Published(address="127.0.0.1:3000")},
    ),
    Row(
        name="incidents",
        stack="correlation",
        image=PYTHON,
        memory=64 * MIB,
        port=8406,
    ),
    Row(
        name="engine_door",
        stack="correlation",
        image=HAPROXY,
        memory=24 * MIB,
        zones=("door",),
    ),
    Row(
        name="rollback_door",
        stack="correlation",
        image=PYTHON,
        memory=48 * MIB,
        zones=("door",),
    ),
    Row(
        name="healer",
        stack="correlation",
        image=PYTHON,
        memory=48 * MIB,
        port=8407,
        zones=("inside", "door"),
    ),
    Row(
        name="caddy",
        stack="correlation",
        # renovate: datasource=docker depName=caddy
        image=Pin(
            "docker.io/library/caddy",
            "2.11.7-alpine",
            "sha256:d8542f48d34a9cf4e4c11a478865229840e87e4c96ea3f439101f31a5d35f75f",
        ),
        memory=64 * MIB,
        port=9180,
        publish={
            "caddy": Published(
                note="TLS in front of Grafana, and of the door for edges; `0.0.0.0:443` for everybody. Needs `grafana.tls` "
                "or `door`."
            )
        },
    ),
    Row(
        name="edge_door",
        stack="correlation",
        image=PYTHON,
        memory=128 * MIB,
        port=8409,
    ),
)
ROWS: Mapping[str, Row] = {row.name: row for row in _ROWS}
"""Service → its row, in the order in which stacks list them."""

SERVICES = tuple(ROWS)
EXPORTERS = frozenset(row.name for row in _ROWS if row.stack == "metrics") - {
    "prometheus",
    "alertmanager",
    "long_term",
}
"""Services whose limits together may take 1 GiB (`Settings`)."""


MOST_SERVERS = 4
"""Servers of one kind that a stack can watch: an exporter for each, with an address of its own in the network `edge`."""


def instance(exporter: str, place: int) -> str:
    """Name of the exporter that watches the server at `place` in its list: ``redis_exporter``, ``redis_exporter-2``."""
    return f"{exporter}-{place + 1}" if place else exporter


def row_of(service: str) -> Row:
    """The row of a service. ``redis_exporter-2`` has the row of ``redis_exporter``."""
    return ROWS[service.partition("-")[0]]


def place_of(service: str) -> int:
    """The place of an exporter's server in its list: 0 for ``redis_exporter``, 1 for ``redis_exporter-2``."""
    return int(service.partition("-")[2] or 1) - 1


def publications() -> dict[str, Published]:
    """Name of each setting below `publish` → its port."""
    return {name: published for row in _ROWS for name, published in row.publish.items()}
