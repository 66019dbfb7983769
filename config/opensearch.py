"""OpenSearch: one node that stores Jaeger's traces. Only this stack's network reaches it."""

from config import elasticsearch
from config.container import Container
from config.ports import ELASTICSEARCH
from config.settings import Settings


def container(settings: Settings) -> Container:
    """Its settings are variables of its environment, which its image makes options of."""
    return Container(
        service="opensearch",
        command=(),
        user="1000:1000",
        port=ELASTICSEARCH,
        health=("curl", "-fs", "-o", "/dev/null", elasticsearch.HEALTH),
        grace_seconds=60,
        go_memory_percent=0,
        environment={
            "OPENSEARCH_JAVA_OPTS": elasticsearch.heap(settings.memory_mib("opensearch")),
            # Else its image demands a password for an admin, and makes certificates of its own.
            "DISABLE_SECURITY_PLUGIN": "true",
            "DISABLE_INSTALL_DEMO_CONFIG": "true",
            # Else its image starts a second JVM, which counts within the limit.
            "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI": "true",
            **elasticsearch.single_node(settings),
        },
        data="/usr/share/opensearch/data",
        read_only=False,  # at its start it writes beside its config, and libraries into /tmp
    )
