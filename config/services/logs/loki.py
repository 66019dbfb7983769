"""Loki as a single binary: stores logs, deletes them after their retention, and evaluates alerts on them.

Tested with 3.7.8. Loki polls two files, so that they change without a restart: `LIMITS` with limits and retention, and
`RULES` with the log alerts. Only a change of `MAIN` needs a restart.
"""

from collections.abc import Mapping
from typing import Any

from config.container import DIRECTORY, ConfigFiles, Container, Secret
from config.ports import METRICS
from config.services.logs import loki_rules
from config.services.traces import otlp_limits
from config.settings import Settings
from config.settings.edges import EdgeBounds
from config.settings.logs import DISK_FULL, S3
from config.settings.units import prometheus_size, seconds
from config.sizes import MIB
from config.yaml_text import digest, dump

PORT = METRICS["loki"]
DATA = "/loki"
TENANT = "fake"
"""Loki's name for its only tenant if there is no authentication."""

MAIN = "loki.yml"
LIMITS = "limits.yml"
RULES = f"rules/{TENANT}/logs.yml"

POLL = "5s"
"""Interval at which Loki reads the polled files."""
COMPACTION_INTERVAL = "10m"
"""Interval at which the index is compacted and expired entries are removed from it."""
DELETE_DELAY = "2h"
"""Time between the removal from the index and the deletion of the chunks, so that running queries still find theirs."""
CHECKPOINT_INTERVAL = "5m"

OTLP_STREAMS = 10
"""Limit of streams by OTLP, as a multiple of the limit for the shipper. Beyond its limit the shipper loses lines, while
the collector waits, and with it all that comes by OTLP. A stream with one line takes 4 kB (Loki 3.7: 16,000 of them are
66 MB)."""

S3_CREDENTIALS = "s3_credentials"


def container(settings: Settings) -> Container:
    """The image has no shell, so `busybox` loads the files and requests the pages."""
    has_key = settings.logs.s3 is not None and S3_CREDENTIALS in settings.secrets
    return Container(
        service="loki",
        command=(
            # The overrides exporter shows the limits that are in force.
            "-target=all,overrides-exporter",
            f"-config.file={DIRECTORY}/{MAIN}",
            f"-runtime-config.file={DIRECTORY}/{LIMITS}",
            f"-ruler.storage.local.directory={DIRECTORY}/rules",
        ),
        user="10001:10001",
        port=PORT,
        tools=False,
        health=("/usr/bin/loki", "-health", f"-health.url=http://127.0.0.1:{PORT}/ready"),
        grace_seconds=60,  # at every stop, it writes what it has in memory
        environment={"AWS_SHARED_CREDENTIALS_FILE": f"{DIRECTORY}/secrets/{S3_CREDENTIALS}"} if has_key else {},
        data=DATA,
        config=_config(settings, with_key=has_key),
    )


def _config(settings: Settings, *, with_key: bool) -> ConfigFiles:
    limits, main, rules = limits_of(settings), main_file(settings), loki_rules.rule_file(settings)
    of_main, of_limits, of_rules = (f"version-{digest({'': dump(document)})}" for document in (main, limits, rules))
    # Loki shows its main file, but not the polled ones. So each version is attached to something that Loki shows and
    # that has no effect.
    main["memberlist"] = {"cluster_label": of_main}  # a single process does not gossip
    # The validator reads only the main file, so that gets the limits too; the polled ones are always in force. A map in
    # both files would end Loki at its start: it reads the second into a copy of the first, and reports duplicate keys.
    main["limits_config"] = {name: value for name, value in limits.items() if name not in streams_by_way(0)}
    overrides = {TENANT: limits, of_limits: {"max_concurrent_tail_requests": 1}}  # an unused tenant
    rules["groups"].append({"name": of_rules, "rules": []})
    metrics = f"http://127.0.0.1:{PORT}/metrics"
    return ConfigFiles(
        files={MAIN: dump(main), LIMITS: dump({"overrides": overrides}), RULES: dump(rules, width=10_000)},
        validate=f"/usr/bin/loki -verify-config -config.file={MAIN}",
        secrets={S3_CREDENTIALS: Secret(S3_CREDENTIALS, credentials_file)} if with_key else {},
        reload="poll",
        since_start={f"http://127.0.0.1:{PORT}/config": f"cluster_label: {of_main}"},
        expect={  # one page for several checks
            f"{metrics}?limits": f'user="{of_limits}"',
            f"{metrics}?rules": f';{of_rules}"',
            f"{metrics}?reload": 'loki_runtime_config_last_reload_successful{config="loki"} 1',
        },
    )


def metric_relabel_configs() -> list[dict[str, Any]]:
    """Rules that drop the version metrics: they are for `expect`, and in Prometheus each version would stay a label
    value. The sizes of Loki's own messages are a quarter of its series, and nothing asks about them."""
    return [
        {"source_labels": ["__name__"], "regex": "loki_(?:request|response)_message_bytes_.*", "action": "drop"},
        {"source_labels": ["user"], "regex": "version-.*", "action": "drop"},
        {"source_labels": ["rule_group"], "regex": ".*;version-.*", "action": "drop"},
    ]


def credentials_file(secret: str) -> str:
    """Turns `<access key id>:<secret access key>` into an AWS credentials file.

    Raises:
        ValueError: the secret does not have this form.
    """
    key, colon, value = secret.strip().partition(":")
    if not (key and colon and value):
        msg = f"the secret {S3_CREDENTIALS} is not of the form <access key id>:<secret access key>"
        raise ValueError(msg)
    return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {value}\n"


def main_file(settings: Settings) -> dict[str, Any]:
    """`loki.yml` without limits. Sizes in memory are fractions of the container's limit."""
    memory = settings.memory_mib("loki") * MIB
    chunk = memory // 2048  # 1 MiB if the limit is 2 GiB: a thousand open chunks take half of it
    store = "s3" if settings.logs.s3 else "filesystem"
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "tracing": {"enabled": False},
        "server": {
            "http_listen_port": PORT,
            # Its own log is shipped too: at `info`, every query would add lines for the next query to read.
            "log_level": "warn",
            "http_server_read_timeout": "75s",  # longer than `query_timeout`
            "http_server_write_timeout": "75s",
            # Also applies between the parts of this process: bounds the longest answer to a query.
            "grpc_server_max_recv_msg_size": memory // 32,
            "grpc_server_max_send_msg_size": memory // 32,
        },
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": DATA,
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
        },
        "storage_config": _storage(settings.logs.s3),
        "schema_config": {"configs": _schema(settings.logs.s3)},
        # An unpacked request takes several times its size; without a bound, one could exceed the memory limit.
        "distributor": {
            "max_recv_msg_size": max(memory // 128, 2 * int(settings.logs.limits.line_size)),
            "max_decompressed_size": max(memory // 32, 2 * int(settings.logs.limits.line_size)),
        },
        "ingester": {
            "chunk_encoding": "snappy",  # gzip, the default, makes them a third smaller and costs CPU
            "chunk_target_size": chunk,
            "chunk_block_size": chunk // 4,
            "lifecycler": {"min_ready_duration": "0s"},  # the wait would be for other instances
            "wal": {
                "flush_on_shutdown": True,
                "checkpoint_duration": CHECKPOINT_INTERVAL,
                "replay_memory_ceiling": prometheus_size(memory // 4),  # default 4GB: killed at each start
                "disk_full_threshold": DISK_FULL / 100,
            },
        },
        "compactor": {
            "retention_enabled": True,
            "delete_request_store": store,
            "compaction_interval": COMPACTION_INTERVAL,
            "retention_delete_delay": DELETE_DELAY,
            "retention_delete_worker_count": 10,
        },
        "querier": {
            "max_concurrent": 4,
            # Queries always include data in memory. The default, 3h, would hide an older line until its chunk is
            # written.
            "query_ingesters_within": "0s",
        },
        "query_scheduler": {"max_outstanding_requests_per_tenant": 1024},
        "query_range": {
            "results_cache": {"cache": {"embedded_cache": {"enabled": True, "max_size_mb": memory // MIB // 64}}}
        },
        "chunk_store_config": {
            "chunk_cache_config": {"embedded_cache": {"enabled": True, "max_size_mb": memory // MIB // 16}}
        },
        "runtime_config": {"period": POLL},
        # Limits that Loki exposes, for the check after a deployment.
        "tenant_limits_allow_publish": ["retention_period", "retention_stream", "max_global_streams_per_user"],
        "ruler": {
            "alertmanager_url": f"http://alertmanager:{METRICS['alertmanager']}",
            "rule_path": f"{DATA}/rules",
            "poll_interval": POLL,
            "storage": {"type": "local"},
        },
    }


def _storage(s3: S3 | None) -> dict[str, Any]:
    on_disk = {"filesystem": {"directory": f"{DATA}/chunks"}}
    if s3 is None:
        return on_disk
    elsewhere = {"endpoint": s3.endpoint, "s3forcepathstyle": True} if s3.endpoint else {}
    return {**on_disk, "aws": {"bucketnames": s3.bucket, "region": s3.region, **elsewhere}}


def _schema(s3: S3 | None) -> list[dict[str, Any]]:
    """Where each day's logs are stored. A day that has begun keeps its store."""

    def since(day: str, store: str) -> dict[str, Any]:
        index = {"prefix": "index_", "period": "24h"}  # retention works on tables of a day
        return {"from": day, "store": "tsdb", "object_store": store, "schema": "v13", "index": index}

    first = "2024-01-01"  # before any log of this project
    if s3 is None:
        return [since(first, "filesystem")]
    if s3.since is None:
        return [since(first, "s3")]
    return [since(first, "filesystem"), since(s3.since.isoformat(), "s3")]


def limits_of(settings: Settings) -> dict[str, Any]:
    """Retention, and the limits for noisy or careless senders."""
    logs = settings.logs
    rate, burst = logs.limits.rate, 2 * (logs.limits.rate + logs.limits.line_size)
    return {
        **retention(settings),
        "reject_old_samples": True,
        "reject_old_samples_max_age": "7d",
        "max_query_lookback": f"{seconds(logs.retention.longest):.0f}s",
        "max_query_length": "0s",
        # Data beyond these is lost. A shipper stays below the default, even when it catches up after an outage.
        "ingestion_rate_mb": rate / MIB,
        "ingestion_burst_size_mb": burst / MIB,
        "per_stream_rate_limit": prometheus_size(rate),  # the shipper's fuse, not this, limits a single service
        "per_stream_rate_limit_burst": prometheus_size(burst),
        "max_global_streams_per_user": logs.limits.streams,
        **streams_by_way(logs.limits.streams, settings.edges),
        "max_line_size": prometheus_size(logs.limits.line_size),
        "max_line_size_truncate": True,
        "max_label_names_per_series": 6,
        "max_label_name_length": 64,
        "max_label_value_length": settings.metrics.limits.label_value_length,  # a service has the same name everywhere
        "max_structured_metadata_size": prometheus_size(otlp_limits.LOKI["size"]),
        "max_structured_metadata_entries_count": otlp_limits.LOKI["entries"],
        # The shipper sets both; a second label would only repeat them.
        "discover_service_name": [],
        "discover_log_levels": False,
        # OTLP: these become labels, everything else structured metadata. The collector sets them
        # (`config/services/traces/otel_collector.py`). `service.name` is dropped, because `service` is made of it.
        "otlp_config": {
            "resource_attributes": {
                "ignore_defaults": True,
                "attributes_config": [
                    {
                        "action": "index_label",
                        "attributes": ["service", "source", *(["host"] if settings.edges else [])],
                    },
                    {"action": "drop", "attributes": ["service.name"]},
                ],
            },
            "log_attributes": [{"action": "index_label", "attributes": ["level"]}],
        },
        # `disabled` would log an error at every query. This mode deletes nothing on request.
        "deletion_mode": "filter-only",
        "query_timeout": "1m",
        "max_entries_limit_per_query": 5000,
        "max_query_series": 1000,
        "max_query_parallelism": 8,
        "tsdb_max_query_parallelism": 16,
        "max_concurrent_tail_requests": 10,
    }


def streams_by_way(streams: int, edges: Mapping[str, EdgeBounds] | None = None) -> dict[str, Any]:
    """Separate stream limits for the shipper and for OTLP, where senders choose the names of their services. If one
    reaches its limit, Loki still accepts new streams of the other. Needs Loki 3.6; `policy_override_limits` is in its
    source, `pkg/validation/limits.go`, but not in its documentation. Each edge has a limit of its own, whatever it says its
    source is: of the policies that match a stream, those with the highest priority apply."""
    bounds = {
        "shipped": ('{service=~".+",source!="otlp"}', streams),
        "otlp": ('{source="otlp"}', OTLP_STREAMS * streams),
    }
    of_edges = {f"edge-{name}": (f'{{host="{name}"}}', bound.streams) for name, bound in (edges or {}).items()}
    priority = {**dict.fromkeys(bounds, 1), **dict.fromkeys(of_edges, 2)}
    bounds |= of_edges
    return {
        "policy_stream_mapping": {
            way: [{"selector": selector, "priority": priority[way]}] for way, (selector, _) in bounds.items()
        },
        "policy_override_limits": {way: {"max_global_streams_per_user": most} for way, (_, most) in bounds.items()},
        # Otherwise each limit would apply to the streams of all policies together.
        "use_owned_stream_count": True,
    }


def retention(settings: Settings) -> dict[str, Any]:
    """Retention of all streams, and of single levels and services. If several selectors match, the one with the highest
    priority applies."""
    retention_settings = settings.logs.retention
    by_label: dict[str, Mapping[Any, str]] = {
        "level": retention_settings.levels,
        "service": retention_settings.services,
    }
    streams = [
        {"selector": f'{{{label}="{value}"}}', "priority": priority, "period": period}
        for priority, (label, periods) in enumerate(by_label.items(), start=1)
        for value, period in sorted(periods.items())
    ]
    return {"retention_period": retention_settings.time, "retention_stream": streams}
