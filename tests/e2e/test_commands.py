"""The commands as a newcomer types them, in a fresh clone of the repository."""

import json
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping

import pytest
import requests
from docker import DockerClient

from tests.e2e import leftovers
from tests.e2e.conftest import free_port, settings
from tests.e2e.newcomer import Newcomer


@pytest.fixture(scope="module")
def newcomer(
    tmp_path_factory: pytest.TempPathFactory, client: DockerClient, local_images: Mapping[str, str]
) -> Iterator[Newcomer]:
    """Has typed nothing yet. The images are left to the command."""
    config = settings(f"{leftovers.PREFIX}{secrets.token_hex(3)}", {})
    del config["images"]
    made = Newcomer.arrive(tmp_path_factory.mktemp("newcomer"), "newcomer", config, client)
    try:
        yield made
    finally:
        made.make("down", PURGE="1")


@pytest.fixture(scope="module")
def first_up(newcomer: Newcomer) -> str:
    """What the first `make up` printed."""
    return newcomer.make("up")


def test_up_ends_with_a_green_check_and_addresses_that_answer(newcomer: Newcomer, first_up: str) -> None:
    assert "all kept" in first_up
    assert "unchanged" not in first_up
    addresses = dict(re.findall(r"^(prometheus|alertmanager): (http://\S+)$", first_up, re.MULTILINE))
    assert addresses == {name: f"http://{listen}" for name, listen in newcomer.config["publish"].items()}
    for address in addresses.values():
        assert requests.get(f"{address}/-/ready", timeout=10).ok


@pytest.mark.usefixtures("first_up")
def test_a_second_up_takes_seconds_and_changes_nothing(newcomer: Newcomer) -> None:
    before = newcomer.containers()
    start = time.monotonic()
    printed = newcomer.make("up")
    took = time.monotonic() - start
    assert newcomer.containers() == before
    assert re.search(r"^\s+\d+ unchanged$", printed, re.MULTILINE)
    assert not re.search(r"[+~-]+ *\d+ (created|updated|replaced|deleted)", printed)
    assert took < 45, f"{took:.0f} s"


@pytest.mark.usefixtures("first_up")
def test_what_nobody_else_may_read_is_closed_to_them(newcomer: Newcomer) -> None:
    assert stat.S_IMODE(newcomer.state.stat().st_mode) == 0o700
    passphrase = newcomer.state / "passphrase"
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert len(passphrase.read_text()) >= 32


@pytest.mark.usefixtures("first_up")
def test_preview_and_drift_find_nothing_to_do(newcomer: Newcomer) -> None:
    assert "unchanged" in newcomer.make("preview")
    newcomer.make("drift")


@pytest.mark.usefixtures("first_up")
def test_check_tells_programs_too(newcomer: Newcomer) -> None:
    printed = newcomer.toolchain("check", "--json")
    found = json.loads(printed[printed.index("[") :])
    assert {"alertmanager is healthy", "every rule can be evaluated"} <= {finding["what"] for finding in found}
    assert all(finding["kept"] for finding in found)


@pytest.mark.usefixtures("first_up")
def test_check_and_drift_are_red_and_name_a_stopped_container(newcomer: Newcomer) -> None:
    stopped = newcomer.client.containers.get(f"{newcomer.config['prefix']}-alertmanager")
    stopped.stop()
    try:
        printed = newcomer.toolchain("check", "--patience", "3", fails=True)
        assert re.search(r"✗ +alertmanager is healthy +exited", printed), printed
        newcomer.make("drift", fails=True)
    finally:
        stopped.start()


def test_a_stack_that_is_not_there_is_told_in_one_message(newcomer: Newcomer) -> None:
    for target in ("up", "check", "down"):
        printed = newcomer.make(target, stack="nosuch", fails=True)
        assert printed.count("no file Pulumi.nosuch.yaml") == 1
        assert "prod" in printed  # what there is


def test_wrong_settings_are_told_in_one_message_before_anything_is_touched(newcomer: Newcomer) -> None:
    prefix = f"{leftovers.PREFIX}{secrets.token_hex(3)}"
    newcomer.write(
        "broken",
        {
            "prefix": prefix,
            "publish": {"prometheus": f"127.0.0.1:{free_port()}"},
            "memory": {"ceiling": "64MiB", "promtheus": "1GiB"},
            "metrics": {"retention": {"time": "10m"}},
        },
    )
    for target in ("up", "check"):
        printed = newcomer.make(target, stack="broken", fails=True)
        assert "Pulumi.broken.yaml: nervous-system:memory.promtheus: unknown key; did you mean prometheus?" in printed
        assert "Pulumi.broken.yaml: nervous-system:metrics.retention.time: " in printed
        assert "Error" not in printed.replace("Error 1", "")  # make's own last line
    names = {str(network.name) for network in newcomer.client.networks.list()}
    assert prefix not in names


# The last ones: they take the stack down.


@pytest.mark.usefixtures("first_up")
def test_down_keeps_the_data_and_says_nothing_of_others(newcomer: Newcomer) -> None:
    prefix = newcomer.config["prefix"]
    newcomer.make("down")
    assert newcomer.containers() == {}
    assert newcomer.volumes() == {f"{prefix}-prometheus", f"{prefix}-alertmanager"}


@pytest.mark.usefixtures("first_up")
def test_down_with_purge_removes_the_data_too_and_nothing_of_others(newcomer: Newcomer, client: DockerClient) -> None:
    # Called almost like one of ours.
    prefix = newcomer.config["prefix"]
    neighbour = client.volumes.create(f"{prefix}-prometheus-2")
    try:
        newcomer.make("down", PURGE="1")
        assert newcomer.volumes() == {neighbour.name}
    finally:
        neighbour.remove()
    assert newcomer.config["prefix"] not in {str(network.name) for network in client.networks.list()}
    newcomer.make("drift", fails=True)  # the stack's state is gone as well
