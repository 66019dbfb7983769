"""What the end-to-end tests share: a machine with engine, CLI and images, and deployments.

Several test sessions run side by side, and each takes a whole file at a time (`make e2e`). So a file has deployments of
its own, and no names, ports or timing that it shares with another one.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from docker import DockerClient

from tests.support import leftovers, machine, small_stack
from tests.support.deployment import Deployment
from toolchain import images, pulumi_cli

LONGEST = (
    "shop",
    "upgrade",
    "alloy",
    "strangers",
    "traces_elasticsearch",
    "commands",
    "promtail",
    "remote_host",
    "exporters",
    "backup",
    "changes",
    "config_delivery",
    "traces",
    "present_engine",
    "alert_delivery",
    "traces_opensearch",
)
"""Files that take minutes: begun first, none of them is what everybody waits for at the end. The shop is over before the
newcomer of test_commands deploys another one, whose lines its tests would see."""


def pytest_configure(config: pytest.Config) -> None:
    """Names the marker of `_as_it_was`."""
    config.addinivalue_line(
        "markers", "whatever_was_set: the test asks nothing of the settings that the one before has left"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts them first; sessions beside each other take the files in this order."""
    rank = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have measured, whichever process ran them."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def client() -> DockerClient:
    """The local engine."""
    return machine.client()


@pytest.fixture(scope="session")
def environment() -> Mapping[str, str]:
    """What a process needs to find the Pulumi CLI and its providers."""
    return pulumi_cli.ensure().environment()


@pytest.fixture(scope="session")
def local_images(client: DockerClient) -> dict[str, str]:
    """Service → reference of an image built here; empty where the official ones can be pulled."""
    return images.local_images()


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
        own_prefix = leftovers.new_prefix()
        config = small_stack.config(own_prefix, local_images, **more)
        new_deployment = Deployment.create(tmp_path_factory.mktemp(name), name, client, environment, config)
        try:
            yield new_deployment
        finally:
            new_deployment.remove()

    return deploy


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """The stack that the tests of a file look at and change. Each leaves it as it found it, or says so in its name."""
    with deploy("e2e") as shared_deployment:
        shared_deployment.up()
        yield shared_deployment


@pytest.fixture(autouse=True)
def _as_it_was(request: pytest.FixtureRequest) -> None:
    """Puts back on the engine what the test before has set, unless the test is marked `whatever_was_set`: such a one asks
    nothing of it, and its own first update puts that back with its own change. An update takes ten seconds of CPU.
    """
    if "deployment" not in request.fixturenames:
        return
    deployment = request.getfixturevalue("deployment")
    if not deployment.to_be_put_back:
        return
    if deployment.live is None:
        deployment.up("--refresh")
    elif not request.node.get_closest_marker("whatever_was_set") and deployment.live != deployment.fingerprint():
        deployment.up()


@pytest.fixture
def stack(deployment: Deployment, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The file's deployment, for a test that changes it: whatever the test sets is put back before the next one.

    A test that changes something by hand sets `live` to None, or ends with an `up --refresh` of its own.
    """
    config, text = copy.deepcopy(deployment.config), deployment.file.read_text()
    yield deployment
    deployment.config = config
    deployment.file.write_text(text)
    deployment.to_be_put_back = True
