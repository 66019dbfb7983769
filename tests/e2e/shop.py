"""What the user runs on the same host: containers of their own in a network of their own."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container


@dataclass
class Shop:
    """`with Shop(client, name) as shop`: a network, and whatever was started in it, until the end."""

    client: DockerClient
    name: str
    """Of the network; names of containers begin with it."""
    _containers: list[Container] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._network = self.client.networks.create(self.name, driver="bridge")
        return self

    def __exit__(self, *_: object) -> None:
        for container in self._containers:
            self.remove(container)
        self._network.remove()

    def start(
        self,
        service: str,
        image: str,
        command: list[str],
        *,
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        networks: tuple[str, ...] | None = None,
    ) -> Container:
        """A container called `<network>-<service>`, in `networks` when its own is not meant."""
        first, *more = networks or (self.name,)
        container = self.client.containers.create(
            image,
            command,
            name=f"{self.name}-{service}",
            labels=dict(labels or {}),
            environment=dict(environment or {}),
            network=first,
            mem_limit="256m",
        )
        self._containers.append(container)
        for network in more:
            self.client.networks.get(network).connect(container)
        container.start()
        return container

    def remove(self, container: Container) -> None:
        """Now, and not at the end."""
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)
