"""What is judged of networks before a stack is deployed or removed: on a real engine, without a stack."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from docker import DockerClient

from config.container import STACK_LABEL
from config.settings.networks import own_networks
from operate import engine_networks
from tests.support import leftovers
from toolchain.report import ToolchainError


@pytest.fixture
def prefix(client: DockerClient) -> Iterator[str]:
    """A name whose networks, containers and volumes go in the end."""
    name = leftovers.new_prefix()
    yield name
    for container in client.containers.list(all=True, filters={"name": f"^/{name}"}):
        container.remove(force=True)
    for network in client.networks.list(names=[name]):
        network.remove()
    for volume in client.volumes.list(filters={"name": name}):
        volume.remove()


@pytest.fixture
def runs(client: DockerClient, local_images: dict[str, str]) -> Callable[..., None]:
    """Starts a container that does nothing."""

    def run(name: str, **options: Any) -> None:
        client.containers.run(local_images["busybox"], ["sleep", "600"], name=name, detach=True, **options)

    return run


@pytest.mark.parametrize("options", [{}, {"internal": True}], ids=["of Compose", "without a way out"])
def test_a_network_that_a_service_can_join_is_found(client: DockerClient, prefix: str, options: dict[str, Any]) -> None:
    client.networks.create(f"{prefix}-shop", driver="bridge", **options)
    engine_networks.must_find(client, [f"{prefix}-shop"], "networks")


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_a_network_of_dockers_own_is_refused(client: DockerClient, name: str) -> None:
    with pytest.raises(ToolchainError, match=f"^networks: {name} is one of Docker's own"):
        engine_networks.must_find(client, [name], "networks")


@pytest.mark.parametrize("place", range(4))
def test_who_is_in_the_way_of_a_removal_is_named(
    client: DockerClient, prefix: str, runs: Callable[..., None], place: int
) -> None:
    for network in own_networks(prefix):
        client.networks.create(network, driver="bridge")
    used = own_networks(prefix)[place]
    runs(f"{prefix}-prometheus", network=used, labels={STACK_LABEL: prefix})
    engine_networks.must_be_free(client, prefix, [])
    runs(f"{prefix}-of-mine", network=used)
    with pytest.raises(ToolchainError, match=f"{prefix}-of-mine: the network {used}$") as caught:
        engine_networks.must_be_free(client, prefix, [])
    assert "prometheus" not in str(caught.value)
    assert "docker network disconnect" in caught.value.fix


def test_who_has_a_volume_is_in_the_way_of_a_purge(
    client: DockerClient, prefix: str, runs: Callable[..., None]
) -> None:
    volume = f"{prefix}-loki"
    runs(f"{prefix}-reader", volumes={volume: {"bind": "/data"}}, network="none")
    engine_networks.must_be_free(client, prefix, [])
    with pytest.raises(ToolchainError, match=f"{prefix}-reader: the volume {volume}$"):
        engine_networks.must_be_free(client, prefix, [volume])


def test_networks_of_a_stack_with_a_longer_name_are_none_of_its_business(
    client: DockerClient, prefix: str, runs: Callable[..., None]
) -> None:
    client.networks.create(f"{prefix}-edge-2", driver="bridge")
    runs(f"{prefix}-of-mine", network=f"{prefix}-edge-2")
    engine_networks.must_be_free(client, prefix, [])
