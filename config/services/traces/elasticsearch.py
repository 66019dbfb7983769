"""Elasticsearch: one node that stores Jaeger's traces. It is reachable only in this stack's network."""

from config.container import Container
from config.ports import ELASTICSEARCH
from config.settings import Settings
from config.sizes import MIB

HEALTH = f"http://127.0.0.1:{ELASTICSEARCH}/_cluster/health?wait_for_status=yellow&timeout=5s"

_FLOOD = 512 * MIB


def container(settings: Settings) -> Container:
    """Configured by environment variables, which the image turns into options."""
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
    """JVM options for a heap of half the container's limit. The rest is for buffers outside the heap and the page
    cache."""
    return f"-Xms{limit_mib // 2}m -Xmx{limit_mib // 2}m"


def watermarks(settings: Settings) -> dict[str, str]:
    """Free disk space below which a new day gets no index (`low`), and below which no trace is stored (`flood_stage`).

    They are bytes, derived from the traces' share of the disk, because 15 % of a large disk would be room for weeks.
    The host's own alerts (`HostDiskFull`, from 90 % on) fire earlier.
    """
    flood = max(_FLOOD, settings.traces.disk // 20) // MIB
    return {"low": f"{2 * flood}mb", "high": f"{3 * flood // 2}mb", "flood_stage": f"{flood}mb"}


def single_node(settings: Settings) -> dict[str, str]:
    """Settings that Elasticsearch and OpenSearch share."""
    return {
        "cluster.name": "traces",
        "discovery.type": "single-node",
        # Memory-mapped files need a vm.max_map_count far above the value of most hosts. Files that are read need no
        # setting.
        "node.store.allow_mmap": "false",
        **{f"cluster.routing.allocation.disk.watermark.{name}": value for name, value in watermarks(settings).items()},
    }
