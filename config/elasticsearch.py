"""Elasticsearch: one node that stores Jaeger's traces. Only this stack's network reaches it."""

from config.container import Container
from config.ports import ELASTICSEARCH
from config.settings import Settings

HEALTH = f"http://127.0.0.1:{ELASTICSEARCH}/_cluster/health?wait_for_status=yellow&timeout=5s"

WATERMARKS = {"low": "85%", "high": "90%", "flood_stage": "95%"}
"""Of the disk: from the last one on every index is read-only, and no trace is stored any more."""


def container(settings: Settings) -> Container:
    """Its settings are variables of its environment, which its image makes options of."""
    return Container(
        service="elasticsearch",
        command=(),
        user="1000:0",
        port=ELASTICSEARCH,
        published={},
        health=("curl", "-fs", "-o", "/dev/null", HEALTH),
        grace_seconds=60,
        go_memory_percent=0,
        environment={
            "ES_JAVA_OPTS": heap(settings.memory_mib("elasticsearch")),
            "xpack.security.enabled": "false",
            "xpack.ml.enabled": "false",
            "xpack.watcher.enabled": "false",
            "ingest.geoip.downloader.enabled": "false",
            **single_node(),
        },
        data="/usr/share/elasticsearch/data",
        read_only=False,  # at its start it writes a keystore beside its config, and libraries into /tmp
    )


def heap(limit_mib: int) -> str:
    """Half of the container's limit: the rest is for buffers outside the heap, and for the page cache."""
    return f"-Xms{limit_mib // 2}m -Xmx{limit_mib // 2}m"


def single_node() -> dict[str, str]:
    """What Elasticsearch and OpenSearch call alike."""
    return {
        "cluster.name": "traces",
        "discovery.type": "single-node",
        # Mapped files need vm.max_map_count on the host, far above most hosts' value. Read ones need no setting.
        "node.store.allow_mmap": "false",
        **{f"cluster.routing.allocation.disk.watermark.{name}": value for name, value in WATERMARKS.items()},
    }
