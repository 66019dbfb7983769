"""Images from a mirror that the stack names, as behind a closed network: pulled by tag and digest."""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import ImageNotFound

from config.images import pins
from config.services.metrics import scrape
from config.settings.docker import Docker
from tests.support.deployment import Deployment
from tests.support.wait import until
from toolchain import engine_setup
from toolchain import images as image_builds
from toolchain.images import pulling
from toolchain.registry import LOGIN, Registry, running
from toolchain.report import ToolchainError

SERVICES = (
    *("prometheus", "alertmanager", "node_exporter", "cadvisor", "socket_proxy", "scrape_proxy", "api_proxy"),
    *("loki", "alloy", "otel_collector", "jaeger"),
)


@pytest.fixture(scope="module")
def until_closed() -> Iterator[ExitStack]:
    """Holds the registry, so that a test can close it before the end."""
    with ExitStack() as cleanup:
        yield cleanup


@pytest.fixture(scope="module")
def registry(until_closed: ExitStack) -> Registry:
    return until_closed.enter_context(running())


@pytest.fixture(scope="module")
def images(registry: Registry, client: DockerClient, local_images: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Service → `path:tag@digest`, as the mirror has them and the engine has not."""
    references = {}
    for service in (*SERVICES, "busybox"):
        pin = pins()[service]
        path = pin.repository.partition("/")[2]
        source = _on_engine(service, client, local_images)
        references[service] = f"{path}:{pin.tag}@{registry.push(client, source, path, pin.tag)}"
    _forget(client, registry, references)
    yield references
    _forget(client, registry, references)


def _on_engine(service: str, client: DockerClient, local_images: Mapping[str, str]) -> str:
    """An image of the service that the engine has."""
    if service not in local_images:
        client.images.pull(pins()[service].reference)
    return local_images.get(service, pins()[service].reference)


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
    with deploy("mirror", images={"registry": registry.address, **images}) as deployment:
        deployment.up()
        yield deployment


def test_a_mirror_with_a_login_is_pulled_from_by_docker_login_and_by_nothing_else(
    client: DockerClient, local_images: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    config, source = tmp_path / "config.json", _on_engine("busybox", client, local_images)
    with running(closed=True) as mirror:
        login = base64.b64encode(":".join(LOGIN.values()).encode()).decode()
        config.write_text(json.dumps({"auths": {mirror.address: {"auth": login}}}))
        member = engine_setup.connect(Docker())
        mirror.push(member, source, "nervous/busybox", "1")
        reference = f"{mirror.address}/nervous/busybox:1"
        config.unlink()
        with pytest.raises(ToolchainError) as refused:
            pulling.pull(engine_setup.connect(Docker()), {reference})
        assert f"docker login {mirror.address}" in (refused.value.fix or "")
        assert not image_builds.present(member, reference)
        pulling.pull(member, {reference})
        client.images.get(reference)
        client.images.remove(reference, noprune=True)


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
    until(lambda: {series["metric"]["job"] for series in stack.query("up == 1")} == jobs)
    until(lambda: not stack.query("up == 0"))  # a target may have been asked before it listened


def test_a_second_up_changes_nothing_and_a_refresh_finds_no_drift(stack: Deployment) -> None:
    before = stack.containers()
    stack.up("--refresh", "--expect-no-changes")
    assert stack.containers() == before


def test_a_wrong_digest_is_told_and_nothing_is_half_done(stack: Deployment, images: Mapping[str, str]) -> None:
    before = stack.containers()
    right = stack.config["images"]
    wrong = images["prometheus"].partition("@")[0] + "@sha256:" + "0" * 64
    stack.config["images"] = {**right, "prometheus": wrong}
    output = stack.up(fails=True)
    assert wrong in output
    assert "manifest unknown" in output or "not found" in output
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
