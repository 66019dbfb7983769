"""A hostile container in the user's network, without rights or capabilities."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container

from engine.docker_api import execute
from tests.support.deployment import Deployment

LISTENS = """read -r line; echo "$line" >> /tmp/got
while read -r header && [ "${#header}" -gt 1 ]; do :; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok'
"""
REDIRECTS = """read -r line; echo "$line" >> /tmp/got
while read -r header && [ "${#header}" -gt 1 ]; do :; done
printf 'HTTP/1.1 302 Found\\r\\nLocation: %s\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' "$(cat /tmp/target)"
"""


@dataclass
class Neighbour:
    """Has busybox."""

    container: Container

    def run(self, script: str) -> tuple[int, str]:
        """Exit code and output."""
        return execute(self.container, ["sh", "-c", script])

    def reached(self, *addresses: str) -> set[str]:
        """Those of `addresses` (`host:port`) that take a connection, all tried at once."""
        tries = [
            f"(nc -w 2 {host} {port} -e true < /dev/null > /dev/null 2>&1 && echo {host}:{port}) &"
            for host, _, port in (address.rpartition(":") for address in addresses)
        ]
        return set(self.run("\n".join([*tries, "wait"]))[1].split())

    def listens(self, port: int, answer: str, target: str = "") -> None:
        """Answers each request on `port`; what was asked for is kept."""
        self.run(f"cat > /tmp/answer <<'X'\n{answer}X\necho '{target}' > /tmp/target")
        self.run(f"(exec nc -ll -p {port} -e sh /tmp/answer > /dev/null 2>&1 < /dev/null &)")

    @property
    def request_lines(self) -> list[str]:
        """First lines of requests."""
        return self.run("cat /tmp/got 2> /dev/null")[1].splitlines()


@contextlib.contextmanager
def neighbour(stack: Deployment, network: str, *, aliases: tuple[str, ...] = (), **labels: str) -> Iterator[Neighbour]:
    client = stack.client
    endpoint: Any = {network: client.api.create_endpoint_config(aliases=list(aliases))}
    created_container = client.api.create_container(
        stack.settings.image("busybox"),
        ["sleep", "3600"],
        name=f"{network}-neighbour",
        user="65534:65534",
        labels={f"observability.{key}": value for key, value in labels.items()},
        networking_config=client.api.create_networking_config(endpoint),
        host_config=client.api.create_host_config(cap_drop=["ALL"], mem_limit="64m"),
    )
    container = client.containers.get(created_container["Id"])
    try:
        container.start()
        yield Neighbour(container)
    finally:
        container.remove(force=True, v=True)


def listening(container: Container) -> set[int]:
    """TCP ports on which processes of `container` wait for others, as its kernel says."""
    container.reload()
    result = subprocess.run(
        ["nsenter", "-t", str(container.attrs["State"]["Pid"]), "-n", "cat", "/proc/net/tcp", "/proc/net/tcp6"],
        check=True,
        capture_output=True,
        text=True,
    )
    fields = [line.split() for line in result.stdout.splitlines() if " 0A " in line]
    return {int(one[1].rpartition(":")[2], 16) for one in fields if not one[1].startswith("0100007F")}
