"""What the end-to-end tests share: a machine with engine, CLI and images, and one deployment."""

import copy
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.e2e import leftovers
from tests.e2e.deployment import SHORT, Deployment
from toolchain import engine, images, pulumi_cli


@pytest.fixture(scope="session")
def client() -> DockerClient:
    """The local engine, installed and started when it must be; rid of what killed sessions left on it."""
    found = engine.ensure()
    leftovers.remove(found)
    return found


@pytest.fixture(scope="session")
def environment() -> Mapping[str, str]:
    """What a process needs to find the Pulumi CLI and its providers."""
    return pulumi_cli.ensure().environment()


@pytest.fixture(scope="session")
def local_images(client: DockerClient) -> dict[str, str]:
    """Service → reference of an image built here; empty where the official ones can be pulled."""
    return images.local_images()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings(prefix: str, local_images: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """The stack config of a small test stack with short intervals and free ports."""
    return {
        "prefix": prefix,
        "images": dict(local_images),
        "memory": {"ceiling": "2GiB", "prometheus": "256MiB"},
        "metrics": {**SHORT, "retention": {"time": "2h", "size": "512MiB"}},
        "publish": {name: f"127.0.0.1:{free_port()}" for name in ("prometheus", "alertmanager")},
        **more,
    }


@pytest.fixture(scope="session")
def prefix() -> str:
    """What this session's names on the engine begin with: several sessions may run beside each other."""
    return f"{leftovers.PREFIX}{secrets.token_hex(3)}"


@pytest.fixture(scope="session")
def deploy(
    tmp_path_factory: pytest.TempPathFactory,
    client: DockerClient,
    environment: Mapping[str, str],
    local_images: Mapping[str, str],
) -> Callable[..., AbstractContextManager[Deployment]]:
    """`with deploy("name", **settings) as stack`: a stack of a test's own, not up yet, and gone at the end."""

    @contextmanager
    def deploy(name: str, **more: Any) -> Iterator[Deployment]:
        own_prefix = f"{leftovers.PREFIX}{secrets.token_hex(3)}"
        config = settings(own_prefix, local_images, **more)
        made = Deployment.create(tmp_path_factory.mktemp(name), name, client, environment, config)
        try:
            yield made
        finally:
            made.destroy()

    return deploy


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory,
    client: DockerClient,
    environment: Mapping[str, str],
    local_images: Mapping[str, str],
    prefix: str,
) -> Iterator[Deployment]:
    """The stack that most tests look at and change. Each test leaves it as it found it, or says so in its name."""
    folder: Path = tmp_path_factory.mktemp("stack")
    made = Deployment.create(folder, "e2e", client, environment, settings(prefix, local_images))
    try:
        made.up()
        yield made
    finally:
        made.destroy()


@pytest.fixture
def stack(deployment: Deployment) -> Iterator[Deployment]:
    """The shared deployment, for a test that changes it: whatever the test sets is put back, on the engine too.

    A test that changes something by hand sets `live` to None, or ends with an `up --refresh` of its own.
    """
    config, text = copy.deepcopy(deployment.config), deployment.file.read_text()
    yield deployment
    deployment.config = config
    deployment.file.write_text(text)
    if deployment.live is None:
        deployment.up("--refresh")
    elif deployment.live != deployment.fingerprint():
        deployment.up()
