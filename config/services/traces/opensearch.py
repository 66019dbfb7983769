"""OpenSearch: one node that stores Jaeger's traces. It is reachable only in this stack's network."""

from config.container import Container
from config.ports import ELASTICSEARCH
from config.services.traces import elasticsearch
from config.settings import Settings


def container(settings: Settings) -> Container:
    """Configured by environment variables, which the image turns into options."""
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
            # Otherwise the image requires an admin password, and creates its own certificates.
            "DISABLE_SECURITY_PLUGIN": "true",
            "DISABLE_INSTALL_DEMO_CONFIG": "true",
            # Otherwise the image starts a second JVM, which counts towards the limit.
            "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI": "true",
            **elasticsearch.single_node(settings),
        },
        data="/usr/share/opensearch/data",
        read_only=False,  # at its start it writes beside its config, and libraries into /tmp
    )
