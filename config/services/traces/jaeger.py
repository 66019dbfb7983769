"""Jaeger v2: stores the traces that the collector sends, and shows them.

Tested with 2.13. The options also exist in 2.19 to 2.21, or depend on the version in the image's tag. Indices set
neither `rotation`, which came with 2.20, nor the older options, which 2.20 and later refuse: the default of both is one
index per day.
"""

from typing import Any

from config import images
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import ELASTICSEARCH, JAEGER_PAGES, JAEGER_STATUS, METRICS, OTLP_GRPC
from config.services.metrics import scrape_proxy
from config.services.traces import otel_collector
from config.settings import Settings
from config.settings.units import go_duration, seconds
from config.yaml_text import digest, dollars_doubled, dump

PORT = METRICS["jaeger"]
MAIN = "jaeger.yml"
BADGER = "/badger"
DAY_SECONDS = 86_400

_DAMAGED = (
    "initialize storage '[^']+': (manifest has (bad magic|checksum mismatch|unsupported version: [0-9]{2})|.*might be corrupted"
    "|file does not exist for table|Encryption key mismatch)"  # nothing is encrypted here
)
"""Errors of Badger 4.8 for a damaged manifest or key registry, or a missing table. Versions of manifests have one
digit."""
STORAGE, METRIC_STORAGE = "traces", "spans"
"""Names of the two storages in its config."""


def container(settings: Settings) -> Container:
    """Has a data volume only with `badger`."""
    embedded = settings.traces.storage == "badger"
    has_password = "traces_password" in settings.secrets and settings.traces.cluster is not None
    return Container(
        service="jaeger",
        command=(f"--config={DIRECTORY}/{MAIN}",),
        user="10001:10001",
        port=PORT,
        health=http_health(JAEGER_STATUS, "/status"),
        grace_seconds=30,
        environment={"OTEL_TRACES_SAMPLER": "always_off"},  # otherwise it stores a trace of each query that it answers
        data=BADGER if embedded else None,
        damaged_paths={_DAMAGED: ("keys", "values")},  # Badger's files are useless without each other
        quiesce="stopped",  # when it exits, it truncates sparse files of 2 GiB to their length
        claims_data=embedded,
        config=_config(settings, with_password=has_password),
        names=scrape_proxy.cluster_names(settings),
        after=("elasticsearch", "opensearch"),  # it does not start without its storage
    )


def version(settings: Settings) -> str:
    """Digest of the files. The running Jaeger exposes it as a label."""
    return digest({MAIN: dump(main_file(settings))})


def _config(settings: Settings, *, with_password: bool) -> ConfigFiles:
    main, running = main_file(settings), version(settings)
    main["service"]["telemetry"]["resource"]["config.version"] = running
    return ConfigFiles(
        files={MAIN: dump(dollars_doubled(main))},
        validate=f"/cmd/jaeger/jaeger-linux validate --config={MAIN}",
        secrets={"traces_password": Secret("traces_password")} if with_password else {},
        reload="restart",  # the collector queues spans meanwhile
        expect={f"http://127.0.0.1:{PORT}/metrics": f'config_version="{running}"'},
    )


def main_file(settings: Settings) -> dict[str, Any]:
    """The content of `jaeger.yml`."""
    prometheus = {"endpoint": f"http://prometheus:{METRICS['prometheus']}"}
    # The collector's naming of span metrics.
    span_metrics = {"normalize_calls": True, "normalize_duration": True, "latency_unit": "s"}
    return {
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": f"0.0.0.0:{JAEGER_STATUS}"}},
            "jaeger_storage": {
                "backends": {STORAGE: {settings.traces.storage: _backend(settings)}},
                "metric_backends": {METRIC_STORAGE: {"prometheus": prometheus | span_metrics}},
            },
            "jaeger_query": {
                "storage": {"traces": STORAGE, "metrics": METRIC_STORAGE},
                "http": {"endpoint": f"0.0.0.0:{JAEGER_PAGES}"},
            },
        },
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"0.0.0.0:{OTLP_GRPC}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": STORAGE}},
        "service": {
            "extensions": ["healthcheckv2", "jaeger_storage", "jaeger_query"],
            # No batch processor: a span is acknowledged only once it is stored, and the collector keeps it until then.
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {
                "resource": {"service.name": "jaeger"},
                "logs": {"level": "warn"},
                "metrics": {"level": "normal", "readers": [otel_collector.own_metrics(PORT)]},
            },
        },
    }


def _backend(settings: Settings) -> dict[str, Any]:
    traces = settings.traces
    retention = seconds(traces.retention)
    if traces.storage == "badger":
        return {
            "ephemeral": False,
            "directories": {"keys": f"{BADGER}/keys", "values": f"{BADGER}/values"},
            "ttl": {"spans": go_duration(retention)},
        }
    authentication = {}
    if traces.cluster and traces.cluster.user:
        password = f"{DIRECTORY}/secrets/traces_password"
        authentication = {"auth": {"basic": {"username": traces.cluster.user, "password_file": password}}}
    once = {"shards": 1, "replicas": 0}  # the defaults are 5 and 1: a single node would stay yellow for ever
    return {
        "server_urls": [storage_url(settings)],
        **authentication,
        **_waits_for_storage(settings.image("jaeger")),
        # The default, three days, would hide older traces that are still stored.
        "max_span_age": go_duration(retention + DAY_SECONDS),
        "indices": dict.fromkeys(("spans", "services", "dependencies", "sampling"), once),
    }


_WRITE_MODE_SINCE = (2, 21, 0)


def _waits_for_storage(image: str) -> dict[str, str]:
    """Options that report a failed write to the collector, so that it keeps the spans.

    Up to 2.19, Jaeger accepts nothing while its storage is away. 2.20 accepts the spans and loses them: its only writer
    is a bulk writer that drops failed writes (`BulkIndexer` of its `esclient/bulk.go`). Later versions can write
    synchronously. They then drop a document that the storage refuses for good, which would otherwise be retried for
    ever.
    """
    release = images.version(image)
    if release and release < _WRITE_MODE_SINCE:
        return {}
    return {"write_mode": "sync", "poison_pill_handling": "drop"}


def storage_url(settings: Settings) -> str:
    """URL of Elasticsearch or OpenSearch."""
    cluster = settings.traces.cluster
    return cluster.url if cluster else f"http://{settings.traces.storage}:{ELASTICSEARCH}"
