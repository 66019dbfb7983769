"""`make upgrade`: to an image that works, to one that does not, and to one that must not be."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
import requests
from docker import DockerClient

from tests.e2e import leftovers
from tests.e2e.deployment import Deployment
from tests.e2e.wait import until
from toolchain import jumps

LINES = [f"line {number}" for number in range(50)]


class Images:
    """Images made of others, as a release might bring them."""

    def __init__(self, client: DockerClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._made: list[str] = []

    def make(self, base: str, service: str, version: str, change: str) -> str:
        """`base` with a change in the words of a Dockerfile; its reference."""
        repository = f"{self._prefix}/{service}"
        container = self._client.containers.create(base)
        try:
            container.commit(repository, version, changes=change)
        finally:
            container.remove(v=True)
        self._made.append(f"{repository}:{version}")
        return self._made[-1]

    def remove(self) -> None:
        for image in self._made:
            self._client.images.remove(image)


@pytest.fixture(scope="module")
def images(client: DockerClient) -> Iterator[Images]:
    made = Images(client, leftovers.new_prefix())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]], images: Images) -> Iterator[Deployment]:
    """Gone before the images, which could not be removed while they run."""
    assert images
    with deploy("upgrade", grafana={"enabled": False}) as made:
        # The images of this test are in no registry, so they have no digest there.
        (made.folder / "policies.upgrade.json").write_text(json.dumps({"images-are-pinned": {"built_here": ".*"}}))
        made.up()
        yield made


@pytest.fixture(scope="module")
def before(stack: Deployment) -> str:
    """A time of which Prometheus has samples; Loki has the lines by then."""
    until(lambda: stack.query("up == 1"))
    now = time.time_ns()
    values = [[str(now + number), text] for number, text in enumerate(LINES)]
    push = {"streams": [{"stream": {"service": "kept-through-upgrades", "level": "info"}, "values": values}]}
    requests.post(f"{stack.url('loki')}/loki/api/v1/push", json=push, timeout=30).raise_for_status()
    until(lambda: _lines(stack) == LINES)
    return f"{time.time():.3f}"


def _lines(stack: Deployment) -> list[str]:
    query = {"query": '{service="kept-through-upgrades"}', "since": "1h", "limit": "1000", "direction": "forward"}
    found = stack.get("loki", "/loki/api/v1/query_range", **query)["data"]["result"]
    return [text for stream in found for _, text in stream["values"]]


def _samples(stack: Deployment, then: str) -> int:
    return len(stack.get("prometheus", "/api/v1/query", query="up", time=then)["data"]["result"])


def _image(stack: Deployment, service: str) -> str:
    return str(stack.container(service).attrs["Config"]["Image"])


def _version(image: str, patch: int) -> str:
    """Of `image`, with another patch level."""
    found = jumps.version(image)
    assert found
    return f"{found[0]}.{found[1]}.{found[2] + patch}"


def _upgrade(stack: Deployment, *, fails: bool = False) -> str:
    stack.write()
    printed = stack.toolchain("upgrade", "--to", str(stack.folder / "state" / "backups"), fails=fails)
    print(printed)
    return printed


def _backups(stack: Deployment) -> int:
    return len(list((stack.folder / "state" / "backups").glob("*/manifest.json")))


def test_another_image_comes_in_and_the_data_stay(stack: Deployment, images: Images, before: str) -> None:
    old, samples = _image(stack, "prometheus"), _samples(stack, before)
    assert samples
    new = images.make(old, "prometheus", _version(old, 1), 'LABEL "of"="the next release"')
    stack.config["images"]["prometheus"] = new
    printed = _upgrade(stack)
    assert f"prometheus: {old.partition('@')[0]} → {new}" in printed
    assert "all kept" in printed
    assert _image(stack, "prometheus") == new
    assert _samples(stack, before) == samples
    assert _backups(stack) == 1

    containers = stack.containers()
    assert "nothing to upgrade" in _upgrade(stack)
    assert stack.containers() == containers
    assert _backups(stack) == 1


def test_an_image_that_does_not_work_goes_again_and_the_data_stay(
    stack: Deployment, images: Images, before: str
) -> None:
    old = _image(stack, "loki")
    samples = _samples(stack, before)
    broken = images.make(old, "loki", _version(old, 1), 'ENTRYPOINT ["/usr/bin/loki", "-version"]')
    stack.config["images"]["loki"] = broken
    printed = _upgrade(stack, fails=True)
    assert "upgrade is not upgraded: the update, or the check after it, has failed" in printed
    assert "it runs the images of before again, and passes the check" in printed
    assert "no data was given up" in printed
    assert _image(stack, "loki") == old
    until(lambda: _lines(stack) == LINES)
    assert _samples(stack, before) == samples
    assert stack.settings.images.loki == old  # as the message says
    stack.config["images"]["loki"] = old
    stack.up("--expect-no-changes")


def test_an_unsafe_step_is_refused_before_anything_is_touched(stack: Deployment, images: Images, before: str) -> None:
    assert before
    old, config = _image(stack, "prometheus"), dict(stack.config)
    older = images.make(old, "prometheus", "2.54.1", 'LABEL "of"="an old release"')
    stack.config["images"] = {**config["images"], "prometheus": older}
    stack.config["logs"] = {"s3": {"bucket": "logs", "since": f"{datetime.now(UTC):%Y-%m-%d}"}}
    stack.write()
    text, containers, backups = stack.file.read_bytes(), stack.containers(), _backups(stack)
    printed = _upgrade(stack, fails=True)
    assert "upgrade is not upgraded, and nothing has been touched" in printed
    assert printed.count("an older version may not read what a newer one has written") == 1
    assert printed.count("logs.s3: Loki's period from") == 1
    assert stack.file.read_bytes() == text
    assert stack.containers() == containers
    assert _backups(stack) == backups
    stack.config = config
