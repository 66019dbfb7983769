"""Kafka for tests, from Maven Central, and the Java agent that serves its metrics. It is no image of the stack."""

from pathlib import Path

from toolchain import maven
from toolchain.report import Step

VERSION, AGENT_VERSION = "4.3.1", "1.0.1"


def assemble(folder: Path) -> None:
    """Fills the folder with the server's jars in `lib`, and the agent's in `agent`. They run on the machine's Java, 17 or later."""
    with Step(f"kafka {VERSION}: from Maven Central"):
        maven.ensure()
        maven.copy([f"org.apache.kafka:kafka_2.13:{VERSION}"], folder / "lib")
        maven.copy([f"io.prometheus.jmx:jmx_prometheus_javaagent:{AGENT_VERSION}"], folder / "agent")
