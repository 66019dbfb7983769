"""Elasticsearch: one node that stores Jaeger's traces. Only this stack's network reaches it."""

from config.container import Container
from config.ports import ELASTICSEARCH
from config.settings import Settings
from config.settings.units import MIB

HEALTH = f"http://127.0.0.1:{ELASTICSEARCH}/_cluster/health?wait_for_status=yellow&timeout=5s"

_FLOOD = 512 * MIB


def container(settings: Settings) -> Container:
    """Its settings are variables of its environment, which its image makes options of."""
    return Container(
        service="elasticsearch",
        command=(),
        user="1000:0",
        port=ELASTICSEARCH,
        health=("curl", "-fs", "-o", "/dev/null", HEALTH),
        grace_seconds=60,
        go_memory_percent=0,
        environment={
            "ES_JAVA_OPTS": heap(settings.memory_mib("elasticsearch")),
            "xpack.security.enabled": "false",
            "xpack.ml.enabled": "false",
            "xpack.watcher.enabled": "false",
            "ingest.geoip.downloader.enabled": "false",
            **single_node(settings),
        },
        data="/usr/share/elasticsearch/data",
        read_only=False,  # at its start it writes a keystore beside its config, and libraries into /tmp
    )


def heap(limit_mib: int) -> str:
    """Half of the container's limit: the rest is for buffers outside the heap, and for the page cache."""
    return f"-Xms{limit_mib // 2}m -Xmx{limit_mib // 2}m"


def watermarks(settings: Settings) -> dict[str, str]:
    """What is free of the disk when a day gets no index any more (`low`), and when no trace is stored any more (`flood_stage`).

    In bytes, by the share of the traces: of a large disk 15 % are room for weeks, and the host's own alerts (`HostDiskFull`, from
    90 % on) come before.
    """
    flood = max(_FLOOD, settings.traces.disk // 20) // MIB
    return {"low": f"{2 * flood}mb", "high": f"{3 * flood // 2}mb", "flood_stage": f"{flood}mb"}


def single_node(settings: Settings) -> dict[str, str]:
    """What Elasticsearch and OpenSearch call alike."""
    return {
        "cluster.name": "traces",
        "discovery.type": "single-node",
        # Mapped files need vm.max_map_count on the host, far above most hosts' value. Read ones need no setting.
        "node.store.allow_mmap": "false",
        **{f"cluster.routing.allocation.disk.watermark.{name}": value for name, value in watermarks(settings).items()},
    }
