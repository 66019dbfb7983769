"""The policy on published ports."""

from typing import Any

import pytest

from tests.policy.pack_host import UNKNOWN, of_one


def port(**port: Any) -> dict[str, Any]:
    return {"ports": [{"internal": 9090, "external": 9090, "protocol": "tcp", **port}]}


@pytest.mark.parametrize(
    "props",
    [
        pytest.param({}, id="no port"),
        pytest.param(port(ip="127.0.0.1"), id="loopback"),
        pytest.param(port(ip="127.8.0.1"), id="another loopback"),
        pytest.param(port(ip="::1"), id="IPv6's loopback"),
        pytest.param(port(ip="[::1]"), id="in brackets"),
        pytest.param({"publishAllPorts": False}, id="not all ports"),
    ],
)
def test_a_port_on_loopback_passes(props: dict[str, Any]) -> None:
    assert of_one("ports-on-loopback", props) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param(port(ip="0.0.0.0"), "port 9090 is published on 0.0.0.0", id="everywhere"),  # noqa: S104
        pytest.param(port(), "published on 0.0.0.0", id="no address, which the engine reads as every address"),
        pytest.param(port(ip="::"), "published on ::", id="everywhere by IPv6"),
        pytest.param(port(ip="10.0.0.5"), "published on 10.0.0.5", id="a network"),
        pytest.param(port(ip="localhost.example"), "published on localhost.example", id="a name"),
        pytest.param({"publishAllPorts": True}, "publish_all_ports opens every port", id="all ports"),
        pytest.param(port(ip=UNKNOWN), "ports.0.ip is not known before", id="an unknown address"),
        pytest.param({"ports": UNKNOWN}, "ports is not known before", id="unknown ports"),
        pytest.param({"publishAllPorts": UNKNOWN}, "publishAllPorts is not known", id="may be all"),
    ],
)
def test_a_port_that_others_reach_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = of_one("ports-on-loopback", props)
    assert says in violation


def test_a_port_is_allowed_by_its_container_and_number() -> None:
    config = {"allowed": {"gateway:9090": "the reverse proxy"}}
    assert of_one("ports-on-loopback", port(), name="gateway", config=config) == []
    assert len(of_one("ports-on-loopback", port(), name="other", config=config)) == 1
    assert len(of_one("ports-on-loopback", port(internal=80), name="gateway", config=config)) == 1
