"""What `make check` finds when it is broken on purpose, all of it at once, by hand, on one stack; and that nothing else is
complained of."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests

import check
from config.container import DIRECTORY, MOUNT
from engine.docker_api import execute
from tests.support.deployment import Deployment
from tests.support.ports import publish
from tests.support.wait import until

MANY = 101
REQUEST = "a failed request is found again"


def edit(stack: Deployment, service: str, file: str, old: str, new: str) -> None:
    """A line of a service's file, in its volume, as somebody does who knows where it is."""
    path = f"{DIRECTORY}/{file}"
    mounts = stack.container(service).attrs["Mounts"]
    [volume] = [mount["Name"] for mount in mounts if mount["Destination"] == MOUNT]
    stack.client.containers.run(  # raises when the words are not there
        stack.settings.image("busybox"),
        ["sh", "-c", 'grep -q "$1" "$3" && sed -i "s/$1/$2/" "$3"', "sh", old, new, path],
        volumes={volume: {"bind": MOUNT, "mode": "rw"}},
        remove=True,
        mem_limit="32m",
    )


def retention_of_logs(stack: Deployment) -> None:
    edit(stack, "loki", "limits.yml", "retention_period: 30d", "retention_period: 365d")


def sampling(stack: Deployment) -> None:
    edit(stack, "otel_collector", "collector.yml", "sampling_percentage: 10", "sampling_percentage: 90")
    stack.container("otel_collector").kill("SIGHUP")


def container_without_limit(stack: Deployment) -> None:
    """Made again by hand: the engine does not lift the limit of one that is there."""
    container = stack.container("otel_collector")
    api: Any = stack.client.api
    facts = container.attrs
    config = {
        **facts["Config"],
        "HostConfig": {**facts["HostConfig"], "Memory": 0, "MemorySwap": 0, "NetworkMode": "none"},
    }
    container.remove(force=True)
    api.create_container_from_config(config, container.name)
    api.disconnect_container_from_network(container.name, "none")
    for name, each in facts["NetworkSettings"]["Networks"].items():
        address = (each["IPAMConfig"] or {}).get("IPv4Address")
        api.connect_container_to_network(container.name, name, aliases=each["Aliases"], ipv4_address=address)
    api.start(container.name)


def target_down(stack: Deployment) -> None:
    stack.container("node_exporter").pause()


def shipper_stopped(stack: Deployment) -> None:
    stack.container("alloy").stop()


def label_of_logs(stack: Deployment) -> None:
    now = str(time.time_ns())
    streams = [{"stream": {"service": f"user-{number}"}, "values": [[now, "hello"]]} for number in range(MANY)]
    requests.post(
        f"{stack.past_front('loki')}/loki/api/v1/push", json={"streams": streams}, timeout=30
    ).raise_for_status()


def label_of_metrics(stack: Deployment) -> None:
    def point(number: int) -> dict[str, Any]:
        user = {"key": "user_id", "value": {"stringValue": f"u-{number}"}}
        return {"timeUnixNano": str(time.time_ns()), "asInt": "1", "attributes": [user]}

    service = {"key": "service.name", "value": {"stringValue": "careless"}}
    points = [point(number) for number in range(MANY)]
    logins = {"name": "logins", "sum": {"dataPoints": points, "isMonotonic": True, "aggregationTemporality": 2}}
    body = {"resourceMetrics": [{"resource": {"attributes": [service]}, "scopeMetrics": [{"metrics": [logins]}]}]}
    until(lambda: requests.post(f"{stack.url('otlp_http')}/v1/metrics", json=body, timeout=10).ok)  # it may be starting


BREAKS: Mapping[Callable[[Deployment], None], set[str]] = {
    retention_of_logs: {"logs are kept 30d", "the files of loki are as declared"},
    sampling: {"the files of otel_collector are as declared"},
    container_without_limit: {"otel_collector is limited to 128 MiB"},
    target_down: {
        "node_exporter is healthy",
        "targets of node_exporter are up",
        "node_exporter counts the traffic of the host",
    },
    shipper_stopped: {
        "alloy is healthy",
        "targets of alloy are up",
        "Loki and the log shipper answer",
        "cAdvisor sees every container",
    },
    label_of_logs: {"no label of the logs has more than 100 values"},
    label_of_metrics: {"no label of applications' metrics has more than 100 values"},
}
"""What is done by hand → what is told of it."""


@pytest.fixture(scope="module")
def stack(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    with deploy("finds", publish=publish("loki", "otlp_http")) as deployment:
        deployment.up()
        yield deployment


@pytest.fixture(scope="module")
def whole(stack: Deployment) -> dict[str, check.Finding]:
    """What the check finds of the stack as it was deployed."""
    return {finding.what: finding for finding in check.run(stack.settings)}


@pytest.fixture(scope="module")
def broken(stack: Deployment, whole: dict[str, check.Finding]) -> Iterator[dict[str, check.Finding]]:
    """What it finds broken, once it has found all that it ever finds."""
    for do in BREAKS:
        do(stack)
    expected = set.union(*BREAKS.values())

    def failures(patience: float) -> dict[str, check.Finding]:
        return {finding.what: finding for finding in check.run(stack.settings, patience=patience) if not finding.kept}

    def all_of_it() -> dict[str, check.Finding] | None:
        findings = failures(20)  # so that the request is there
        return findings if expected <= findings.keys() else None

    findings = until(all_of_it, seconds=150)
    assert findings
    yield failures(90) if REQUEST in findings else findings  # or later, where others have the processor too
    stack.container("node_exporter").unpause()  # else nobody can stop it
    stack.container("otel_collector").remove(force=True)  # Pulumi does not know this one


def test_a_stack_that_nobody_has_touched_keeps_every_promise(whole: dict[str, check.Finding]) -> None:
    assert [finding for finding in whole.values() if not finding.kept] == []
    assert "its metric leads to its trace" in whole


ENDED = "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"
"""Counts the processes that have ended and that nobody has collected. Each takes one of the host's process numbers."""


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("service", ["prometheus", "alertmanager", "node_exporter"])
def test_a_check_leaves_no_process_in_a_container(stack: Deployment, service: str) -> None:
    assert execute(stack.container(service), ["sh", "-c", ENDED]) == (0, "0\n")


@pytest.mark.parametrize("do", BREAKS, ids=lambda do: do.__name__)
def test_the_check_finds(do: Callable[[Deployment], None], broken: dict[str, check.Finding]) -> None:
    assert BREAKS[do] <= broken.keys()
    for what in BREAKS[do]:
        print(f"{what}: {broken[what].detail}")


def test_it_complains_of_nothing_else(broken: dict[str, check.Finding]) -> None:
    assert broken.keys() == set.union(*BREAKS.values())
