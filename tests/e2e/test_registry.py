"""Images from a mirror that the stack names, as behind a closed network: pulled by tag and digest."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack

import pytest
from docker import DockerClient
from docker.errors import ImageNotFound

from config import scrape
from config.images import pins
from tests.e2e.deployment import Deployment
from tests.e2e.wait import until
from toolchain.registry import Registry, running

SERVICES = (
    *("prometheus", "alertmanager", "node_exporter", "cadvisor", "socket_proxy"),
    *("loki", "alloy", "otel_collector", "jaeger"),
)


@pytest.fixture(scope="module")
def until_closed() -> Iterator[ExitStack]:
    """Holds the registry, so that a test can close it before the end."""
    with ExitStack() as held:
        yield held


@pytest.fixture(scope="module")
def registry(until_closed: ExitStack) -> Registry:
    return until_closed.enter_context(running())


@pytest.fixture(scope="module")
def images(registry: Registry, client: DockerClient, local_images: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Service → `path:tag@digest`, as the mirror has them and the engine has not."""
    found = {}
    for service in (*SERVICES, "busybox"):
        pin = pins()[service]
        path = pin.repository.partition("/")[2]
        source = local_images.get(service)
        if source is None:
            source = pin.reference
            client.images.pull(source)
        found[service] = f"{path}:{pin.tag}@{registry.push(client, source, path, pin.tag)}"
    _forget(client, registry, found)
    yield found
    _forget(client, registry, found)


def _forget(client: DockerClient, registry: Registry, images: Mapping[str, str]) -> None:
    """Removes what the engine knows of the mirror, but for images that run."""
    for image in images.values():
        name = _by_digest(registry, image)
        with contextlib.suppress(ImageNotFound):
            client.images.remove(name, noprune=True)
        with pytest.raises(ImageNotFound):
            client.images.get(name)


def _by_digest(registry: Registry, image: str) -> str:
    path, _, rest = image.partition(":")
    return f"{registry.address}/{path}@{rest.partition('@')[2]}"


@pytest.fixture(scope="module")
def stack(
    deploy: Callable[..., AbstractContextManager[Deployment]], registry: Registry, images: Mapping[str, str]
) -> Iterator[Deployment]:
    with deploy("mirror", images={"registry": registry.address, **images}) as made:
        made.up()
        yield made


def test_every_container_runs_an_image_pulled_by_tag_and_digest(
    stack: Deployment, registry: Registry, images: Mapping[str, str], client: DockerClient
) -> None:
    for service in SERVICES:
        image, container = images[service], stack.container(service)
        assert container.status == "running"
        assert container.attrs["Config"]["Image"] == f"{registry.address}/{image}"
        pulled = client.images.get(_by_digest(registry, image))
        assert container.attrs["Image"] == pulled.id
    jobs = scrape.watched(stack.settings) - {"application"}
    until(lambda: len(stack.query("up == 1")) == len(jobs))


def test_a_second_up_changes_nothing_and_a_refresh_finds_no_drift(stack: Deployment) -> None:
    before = stack.containers()
    stack.up("--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert stack.containers() == before


def test_a_wrong_digest_is_told_and_nothing_is_half_done(stack: Deployment, images: Mapping[str, str]) -> None:
    before = stack.containers()
    right = stack.config["images"]
    wrong = images["prometheus"].partition("@")[0] + "@sha256:" + "0" * 64
    stack.config["images"] = {**right, "prometheus": wrong}
    said = stack.up(fails=True)
    assert wrong in said
    assert "manifest unknown" in said or "not found" in said
    assert stack.containers() == before
    assert stack.container("prometheus").status == "running"
    assert stack.query("up")

    stack.config["images"] = right
    stack.up("--expect-no-changes")


# The last one: the registry does not come back.
def test_with_the_images_on_the_engine_the_registry_may_be_gone(stack: Deployment, until_closed: ExitStack) -> None:
    until_closed.close()
    stack.pulumi("destroy", "--yes", "--skip-preview")
    stack.up()
    assert stack.container("prometheus").status == "running"
