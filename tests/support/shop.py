"""What the user runs on the same host: containers of their own in a network of their own, or the example application."""

import contextlib
import io
import secrets
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from tests.support.deployment import ROOT, Deployment
from tests.support.ports import free_port
from toolchain.images import shop as shop_images


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
        files: Mapping[str, str] | None = None,
        owner: int = 0,
        alias: str = "",
        **more: Any,
    ) -> Container:
        """A container called `<network>-<service>`, and `alias` in its network, which is in `networks` when the shop's own is
        not meant. `files`: path → text, for the user `owner` only. `more`: arguments of docker-py."""
        first, *others = networks or (self.name,)
        container = self.client.containers.create(
            image,
            command,
            name=f"{self.name}-{service}",
            labels=dict(labels or {}),
            environment=dict(environment or {}),
            network=first,
            mem_limit="256m",
            **more,
        )
        self._containers.append(container)
        if alias:
            self.client.networks.get(first).disconnect(container)
            self.client.networks.get(first).connect(container, aliases=[alias])
        if files:
            container.put_archive("/", _archive(files, owner))
        for network in others:
            self.client.networks.get(network).connect(container)
        container.start()
        return container

    def remove(self, container: Container) -> None:
        """Now, and not at the end."""
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)


def _archive(files: Mapping[str, str], owner: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode, member.uid, member.gid = len(text.encode()), 0o600, owner, owner
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@contextlib.contextmanager
def deployed_beside(stack: Deployment, root: Path, *, database_password: str = "") -> Iterator[str]:
    """The address of the example application, which its own program in `root`, an empty folder, deploys into the network
    of `stack`. Without a password of the test's own its database has one that nobody else knows."""
    (root / ".venv").symlink_to(ROOT / ".venv")
    folder = root / "examples" / "shop"
    shutil.copytree(ROOT / "examples" / "shop", folder, ignore=shutil.ignore_patterns("__pycache__", "Pulumi.*.yaml"))
    address = f"127.0.0.1:{free_port()}"
    config = {
        "prefix": f"{stack.prefix}-shop",
        "network": stack.settings.apps_network,
        "listen": address,
        "images": shop_images.images(stack.client),
    }
    shop = Deployment(folder, stack.stack, stack.client, stack.environment, config, project="shop")
    shop.pulumi("stack", "init", shop.stack)
    shop.write()
    shop.secret("database_password", database_password or secrets.token_urlsafe())
    try:
        shop.up()
        yield f"http://{address}"
    finally:
        shop.remove()
