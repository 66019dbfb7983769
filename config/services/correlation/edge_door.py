"""The door for edges, behind Caddy and `api_proxy`: Alloy, which sets the label `host` of all metrics and lines.

    Caddy ── TLS ──▶ api_proxy ─┬─ metrics ──▶ a port of the edge's own here ── host ──▶ Prometheus
              credential, path, ├─ lines, edge in a header ──▶ here ── host ──▶ Loki
                           rate └─ OTLP, edge in a header ──▶ otel_collector ── host ──▶ Jaeger, Loki

Prometheus' own receiver of remote write cannot relabel, so an edge could send in the name of another. The collector's
receiver of remote write is alpha, and takes version 2 of the protocol only. One Prometheus in agent mode for each edge
would do the same, with 60 MiB for each. docs/architecture.md compares them.
"""

from collections.abc import Iterator

from config.container import ConfigFiles, Container
from config.ports import METRICS
from config.services.logs import alloy, log_pipeline, shipper
from config.services.logs.alloy import Raw, block
from config.settings import Settings
from config.settings.edges import door_port

PORT = METRICS["edge_door"]

WAITS = "8h"
"""How long samples wait here while Prometheus is away. Lines do not wait: while Loki is away, the door takes none."""
RECORDED = r"ALERTS.*|.*:.*"
"""Metrics that only rules create. An edge has none, and one that sends them all the same would mislead those of the centre."""
OF_PROMETHEUS = "/api/v1/metrics/write"
"""Path of the listeners for metrics."""
LINES = 1900
"""Port for the lines of all edges."""
TENANT = "X-Scope-OrgID"
"""Header by which Alloy is told whose lines a request has: it makes the label `__tenant_id__` of it, whatever labels the lines
have themselves."""
_TENANT = "__tenant_id__"


def container(settings: Settings) -> Container:
    text = config_file(settings)
    return Container(
        service="edge_door",
        command=alloy.command(PORT),
        user="473:473",
        port=PORT,
        tools=False,
        grace_seconds=30,
        data=alloy.DATA,
        forwards_data=True,
        config=ConfigFiles(
            files={"config.alloy": text},
            validate=alloy.VALIDATE,
            expect=alloy.live(text, PORT),
        ),
    )


def config_file(settings: Settings) -> str:
    """The text of `config.alloy`."""
    blocks = [block("logging", level="warn"), *_sinks()]
    for edge in sorted(settings.edges):
        blocks += _of_edge(edge)
    return "\n".join(line for lines in blocks for line in (*lines, ""))


def _of_edge(edge: str) -> Iterator[list[str]]:
    name = edge.replace("-", "_")
    yield block(
        f'prometheus.receive_http "{name}"',
        _listens(door_port(edge)),
        forward_to=[Raw(f"prometheus.relabel.{name}.receiver")],
    )
    yield block(
        f'prometheus.relabel "{name}"',
        block("rule", source_labels=["__name__"], regex=RECORDED, action="drop"),
        block("rule", target_label="host", replacement=edge),
        forward_to=[Raw("prometheus.remote_write.prometheus.receiver")],
        max_cache_size=10_000,  # of relabelled series; the rest is relabelled again
    )


def _listens(port: int) -> list[str]:
    return block("http", listen_address="0.0.0.0", listen_port=port)  # noqa: S104 - inside


def _sinks() -> Iterator[list[str]]:
    to_prometheus = block(
        "endpoint",
        block(
            "queue_config",
            capacity=10_000,
            max_samples_per_send=2000,
            max_shards=10,
            max_backoff="10s",
            retry_on_http_429=True,
        ),
        name="prometheus",
        url=f"http://prometheus:{METRICS['prometheus']}/api/v1/write",
        send_native_histograms=True,
    )
    wal = block("wal", truncate_frequency="15m", max_keepalive_time=WAITS)
    yield block('prometheus.remote_write "prometheus"', to_prometheus, wal)
    yield block(
        'loki.source.api "lines"',
        _listens(LINES),
        forward_to=[Raw("loki.relabel.host.receiver")],
        use_incoming_timestamp=True,
    )
    # Labels that lines may have. Others would each be a stream.
    kept = "|".join((*log_pipeline.LABELS, "host"))
    yield block(
        'loki.relabel "host"',
        block("rule", source_labels=[_TENANT], regex=".+", action="keep"),
        block("rule", source_labels=[_TENANT], target_label="host"),
        block("rule", action="labelkeep", regex=kept),
        forward_to=[Raw("loki.write.loki.receiver")],
    )
    to_loki = block(
        "endpoint",
        block("queue_config", capacity=f"{8 * shipper.BATCH_BYTES}B"),
        url=shipper.PUSH_URL,
        batch_wait="200ms",
        batch_size=f"{8 * shipper.BATCH_BYTES}B",
        remote_timeout=shipper.TIMEOUT,
        min_backoff_period=shipper.FIRST_RETRY,
        max_backoff_period=shipper.LAST_RETRY,
        max_backoff_retries=0,
        retry_on_http_429=False,  # as for the shipper
    )
    yield block('loki.write "loki"', to_loki)
