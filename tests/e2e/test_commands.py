"""The commands as a newcomer types them, in a fresh clone of the repository."""

import json
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from docker import DockerClient

from config.sizes import MIB
from examples.shop.load.faults import SERVICES
from tests.e2e import signals
from tests.e2e.customers import Customers
from tests.e2e.newcomer import Newcomer
from tests.support import leftovers
from tests.support.deployment import DATA, SHORT
from tests.support.ports import free_port, publish
from tests.support.wait import until

Containers = dict[str, tuple[str, str]]
"""Name → id and start."""
RATE = 8
"""Requests per second of the shop's customers. A tenth of the traces is kept, and a third of these is an order."""
LINES_OF_A_FIRST, LINES_OF_A_NO_OP = 120, 40
"""Lines that a `make up` prints at most."""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory, client: DockerClient) -> Iterator[Newcomer]:
    """Has typed nothing yet. What is deployed is `dev` as it is in the repository, but under another name, on free ports, and
    scraped and decided more often."""
    user = Newcomer.arrive(tmp_path_factory.mktemp("newcomer"), "newcomer", client)
    user.config["prefix"] = leftovers.new_prefix()
    user.config["publish"] = publish("prometheus", "alertmanager", "loki", "jaeger", "grafana")
    user.config["metrics"] |= SHORT
    user.config["traces"] |= {"sampling": {"decision_wait": "1s"}}
    user.write(user.stack, user.config)
    try:
        yield user
    finally:
        user.make("down", PURGE="1")


@pytest.fixture(scope="module")
def first_up(newcomer: Newcomer) -> str:
    """What the first `make up` printed."""
    return newcomer.make("up")


def test_up_ends_with_a_green_check_and_addresses_that_answer(newcomer: Newcomer, first_up: str) -> None:
    assert "all kept" in first_up
    assert re.search(r"^✓ plan: \d+ to create ", first_up, re.MULTILINE)
    assert re.search(r"^✓ update: \d+ created ", first_up, re.MULTILINE)
    assert re.search(r"^user admin, password: ", first_up, re.MULTILINE)
    addresses = dict(re.findall(r"^(prometheus|alertmanager): (http://\S+)$", first_up, re.MULTILINE))
    listens = newcomer.config["publish"]
    assert addresses == {name: f"http://{listens[name]}" for name in ("prometheus", "alertmanager")}
    for address in addresses.values():
        assert requests.get(f"{address}/-/ready", timeout=10).ok


def test_a_first_up_shows_each_service_when_it_is_well_in_few_lines(newcomer: Newcomer, first_up: str) -> None:
    lines = first_up.splitlines()
    assert len(lines) < LINES_OF_A_FIRST
    well = re.findall(r"^  ✓ (\w+) is well, \d+ s$", first_up, re.MULTILINE)
    running = newcomer.client.containers.list(filters={"name": f"^/{newcomer.config['prefix']}-"})
    assert sorted(well) == sorted(str(one.name).removeprefix(f"{newcomer.config['prefix']}-") for one in running)


@pytest.mark.usefixtures("first_up")
def test_a_second_up_changes_nothing(newcomer: Newcomer) -> None:
    """How long it takes is in docs/performance.md, by `make bench`."""
    before = newcomer.containers()
    printed = newcomer.make("up")
    assert newcomer.containers() == before
    assert re.search(r"^✓ plan: nothing to change ", printed, re.MULTILINE)
    assert "update" not in printed, "an update that changes nothing takes as long as its plan"
    assert "all kept" in printed
    assert len(printed.splitlines()) < LINES_OF_A_NO_OP, printed


@pytest.mark.usefixtures("first_up")
def test_what_nobody_else_may_read_is_closed_to_them(newcomer: Newcomer) -> None:
    assert stat.S_IMODE(newcomer.state.stat().st_mode) == 0o700
    passphrase = newcomer.state / "passphrase"
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert len(passphrase.read_text()) >= 32


@pytest.mark.usefixtures("first_up")
def test_preview_and_drift_find_nothing_to_do(newcomer: Newcomer) -> None:
    assert "unchanged" in newcomer.make("preview")
    assert re.search(
        r"^✓ newcomer: nothing would change, nothing was changed by hand", newcomer.make("drift"), re.MULTILINE
    )


@pytest.mark.usefixtures("first_up")
def test_check_and_drift_are_red_and_name_a_stopped_container(newcomer: Newcomer) -> None:
    stopped = newcomer.client.containers.get(f"{newcomer.config['prefix']}-alertmanager")
    stopped.stop()
    try:
        printed = newcomer.operate("check", "--patience", "3", fails=True)
        assert re.search(r"✗ +alertmanager is healthy +exited", printed), printed
        printed = newcomer.integration_tests(fails=True, PATIENCE="0")  # the check, as a test of each finding
        assert "test_the_stack_keeps_its_promise[every rule can be evaluated] PASSED" in printed
        assert "test_the_stack_keeps_its_promise[alertmanager is healthy] FAILED" in printed
        assert "AssertionError: exited" in printed
        newcomer.make("drift", fails=True)
    finally:
        stopped.start()


@dataclass
class Shop:
    """The newcomer's, beside the stack."""

    url: str
    printed: str
    deployed: float
    """When `make shop` came to its end, in seconds of a monotonic clock."""
    customers: Customers


@pytest.fixture(scope="class")
def before(newcomer: Newcomer) -> Containers:
    """What there is without the shop."""
    return newcomer.containers()


@pytest.fixture(scope="class")
def shop(newcomer: Newcomer, before: Containers) -> Iterator[Shop]:
    """With customers from its first second on."""
    assert before
    listen = f"127.0.0.1:{free_port()}"
    try:
        printed = newcomer.make("shop", LISTEN=listen)
        deployed = time.monotonic()
        with Customers(f"http://{listen}", RATE) as customers:
            yield Shop(f"http://{listen}", printed, deployed, customers)
    finally:
        newcomer.make("shop-down")


@pytest.mark.usefixtures("first_up")
class TestShop:
    def test_it_comes_where_it_is_told(self, shop: Shop) -> None:
        assert f"shop: {shop.url}" in shop.printed
        assert requests.get(f"{shop.url}/products", timeout=10).json()["products"]

    def test_it_is_seen_in_all_three_signals(self, newcomer: Newcomer, shop: Shop) -> None:
        def took() -> float:
            return time.monotonic() - shop.deployed

        def golden() -> bool:
            return all(signals.with_signal(newcomer, signal) == set(SERVICES) for signal in signals.GOLDEN)

        def orders() -> set[str]:
            """A tenth of all traces is."""
            traces = newcomer.get("jaeger", "/api/traces", service="orders", limit="500")["data"]
            return shop.customers.orders & {trace["traceID"] for trace in traces}

        signals.an_order_is_told(newcomer, until(orders).pop())
        seconds = took()
        until(golden)
        print(
            f"after `make shop`: {seconds:.0f} s to an order as a tree and its lines, {took():.0f} s to golden signals"
        )

    def test_every_promise_is_kept_on_a_host_of_4_gb_under_its_load(
        self, newcomer: Newcomer, before: Containers, shop: Shop
    ) -> None:
        shop.customers.reports.clear()
        findings = json.loads(newcomer.make("check", JSON="1"))  # as programs ask for it
        assert {"alertmanager is healthy", "every rule can be evaluated"} <= {finding["what"] for finding in findings}
        assert not [finding for finding in findings if not finding["kept"]]
        assert shop.customers.reports
        assert shop.customers.answers == {"200", "201"}
        assert before.items() <= newcomer.containers().items()  # nobody was restarted
        running = newcomer.client.containers.list(filters={"name": f"^/{newcomer.config['prefix']}-"})
        assert not [one.name for one in running if one.attrs["State"]["OOMKilled"] or one.attrs["RestartCount"]]
        limits = {str(one.name): one.attrs["HostConfig"]["Memory"] for one in running if one.name in before}
        assert 0 < sum(limits.values()) <= 3 * 1024 * MIB
        assert all(limits.values())

    def test_it_goes_with_all_that_it_had(self, newcomer: Newcomer, before: Containers, shop: Shop) -> None:
        assert newcomer.containers().keys() > before.keys()
        shop.customers.__exit__()
        newcomer.make("shop-down")
        assert newcomer.containers() == before
        assert not list((newcomer.clone / "examples" / "shop").glob("Pulumi.*.yaml"))


def test_a_stack_that_is_not_there_is_told_in_one_message(newcomer: Newcomer) -> None:
    for target in ("up", "check", "down"):
        printed = newcomer.make(target, stack="nosuch", fails=True)
        assert printed.count("no file Pulumi.nosuch.yaml") == 1
        assert "prod" in printed  # what there is


def test_wrong_settings_are_told_in_one_message_before_anything_is_touched(newcomer: Newcomer) -> None:
    prefix = leftovers.new_prefix()
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


def test_an_engine_that_does_not_answer_is_told_in_one_message(newcomer: Newcomer) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    newcomer.write("away", {"docker": {"host": address}})
    for target in ("up", "check", "shop"):
        printed = newcomer.make(target, stack="away", fails=True)
        assert printed.count(f"the Docker engine at {address} does not answer") == 1


# The last ones: they take the stack down.


@pytest.mark.usefixtures("first_up")
def test_down_keeps_the_data_and_says_nothing_of_others(newcomer: Newcomer) -> None:
    prefix = newcomer.config["prefix"]
    newcomer.make("down")
    assert newcomer.containers() == {}
    assert newcomer.volumes() == {f"{prefix}-{service}" for service in (*DATA, "grafana")}


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
