"""The policies on what listens, and on what a container may do to its host."""

from typing import Any

import pytest

from tests.policy.engine import UNKNOWN, of_one


def port(**port: Any) -> dict[str, Any]:
    return {"ports": [{"internal": 9090, "external": 9090, "protocol": "tcp", **port}]}


def bind(source: Any, **more: Any) -> dict[str, Any]:
    return {"mounts": [{"type": "bind", "source": source, "target": "/x", **more}]}


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
        pytest.param(port(), "published on 0.0.0.0", id="no address, which the engine takes for everywhere"),
        pytest.param(port(ip="::"), "published on ::", id="everywhere by IPv6"),
        pytest.param(port(ip="10.0.0.5"), "published on 10.0.0.5", id="a network"),
        pytest.param(port(ip="localhost.example"), "published on localhost.example", id="a name"),
        pytest.param({"publishAllPorts": True}, "publish_all_ports opens every port", id="all ports"),
        pytest.param(port(ip=UNKNOWN), "ports.0.ip is not known before", id="an unknown address"),
        pytest.param({"ports": UNKNOWN}, "ports is not known before", id="unknown ports"),
        pytest.param({"publishAllPorts": UNKNOWN}, "publishAllPorts is not known", id="perhaps all"),
    ],
)
def test_a_port_for_others_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = of_one("ports-on-loopback", props)
    assert says in violation


def test_a_port_is_allowed_by_its_container_and_number() -> None:
    config = {"allowed": {"gateway:9090": "the reverse proxy"}}
    assert of_one("ports-on-loopback", port(), name="gateway", config=config) == []
    assert len(of_one("ports-on-loopback", port(), name="other", config=config)) == 1
    assert len(of_one("ports-on-loopback", port(internal=80), name="gateway", config=config)) == 1


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, None, id="no path"),
        pytest.param(bind("/srv/app"), None, id="a folder of the host"),
        pytest.param({"volumes": [{"volumeName": "data", "containerPath": "/run"}]}, None, id="a volume"),
        pytest.param({"volumes": [{"fromContainer": UNKNOWN}]}, None, id="the volume of a container to come"),
        pytest.param(bind("/var/run/docker.sock"), "sees the Docker socket in /var/run/docker.sock", id="the socket"),
        pytest.param(bind("/var/run/docker.sock", readOnly=True), "sees the Docker socket", id="read-only"),
        pytest.param(bind("/run/user/1000/docker.sock"), "sees the Docker socket", id="a rootless one"),
        pytest.param(bind("/run/containerd/containerd.sock"), "sees the Docker socket", id="that of containerd"),
        pytest.param(
            bind("/run/docker/containerd/containerd.sock"), "sees the Docker socket", id="Docker's own containerd"
        ),
        pytest.param(
            bind("/srv/engine/exec/containerd/containerd.sock.ttrpc"), "sees the Docker", id="its second socket"
        ),
        pytest.param(bind("/run/docker"), "in /run/docker,", id="above Docker's own containerd"),
        pytest.param(bind("/var/run/docker/containerd"), "in /var/run/docker/containerd,", id="right above it"),
        pytest.param(bind("/var/run/containerd"), "in /var/run/containerd,", id="above containerd"),
        pytest.param(bind("/run/user/1000"), "in /run/user/1000,", id="above a rootless one"),
        pytest.param(bind("/run/user"), "in /run/user,", id="above all rootless ones"),
        pytest.param(bind("/run/snap.docker"), "in /run/snap.docker,", id="above the snap's"),
        pytest.param(bind("/run/podman"), "in /run/podman,", id="above Podman's"),
        pytest.param(bind("/run/postgresql"), None, id="the folder of another socket"),
        pytest.param(bind("/run/docker-app"), None, id="a folder that is only called so"),
        pytest.param(bind("/var/run/"), "in /var/run,", id="its folder"),
        pytest.param(bind("/srv/../run"), "in /run,", id="its folder, on a detour"),
        pytest.param(bind("/"), "in /,", id="everything"),
        pytest.param({"volumes": [{"hostPath": "/run", "containerPath": "/run"}]}, "in /run,", id="as a volume"),
        pytest.param(bind(UNKNOWN), "mounts.0.source is not known", id="an unknown path"),
        pytest.param({"mounts": UNKNOWN}, "mounts is not known", id="unknown mounts"),
        pytest.param({"volumes": UNKNOWN}, "volumes is not known", id="unknown volumes"),
    ],
)
def test_the_docker_socket(props: dict[str, Any], says: str | None) -> None:
    found = of_one("docker-socket", props)
    assert len(found) == (says is not None), found
    assert says is None or says in found[0]


def test_who_may_see_the_socket_may_only_read() -> None:
    socket = "/var/run/docker.sock"
    for name in ("socket_proxy", "cadvisor", "node_exporter"):
        assert of_one("docker-socket", bind(socket, readOnly=True), name=name) == []
        [violation] = of_one("docker-socket", bind(socket), name=name)
        assert "mount it read-only" in violation
    config = {"allowed": {"watcher": "it restarts what hangs"}}
    assert of_one("docker-socket", bind(socket, readOnly=True), name="watcher", config=config) == []
    assert len(of_one("docker-socket", bind(socket, readOnly=True), name="socket_proxy", config=config)) == 1


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"networkMode": "bridge", "ipcMode": "private", "privileged": False}, None, id="as it should be"),
        pytest.param(
            {"capabilities": {"drops": ["ALL"], "adds": ["CAP_NET_BIND_SERVICE"]}}, None, id="a weak capability"
        ),
        pytest.param({"securityOpts": ["no-new-privileges:true"]}, None, id="an option that guards"),
        pytest.param(bind("/etc/ssl/certs", readOnly=True), None, id="a system folder without keys, read-only"),
        pytest.param(bind("/srv/data"), None, id="another folder"),
        pytest.param(bind("/var/lib/app/data"), None, id="data below /var"),
        pytest.param({"privileged": True}, "it is privileged", id="privileged"),
        pytest.param({"networkMode": "host"}, "networkMode is host", id="network"),
        pytest.param({"pidMode": "host"}, "pidMode is host", id="processes"),
        pytest.param({"ipcMode": "host"}, "ipcMode is host", id="memory"),
        pytest.param({"usernsMode": "host"}, "usernsMode is host", id="users"),
        pytest.param({"capabilities": {"adds": ["CAP_SYS_ADMIN"]}}, "with CAP_SYS_ADMIN", id="a strong capability"),
        pytest.param({"capabilities": {"adds": ["net_admin"]}}, "with CAP_NET_ADMIN", id="in another spelling"),
        pytest.param({"capabilities": {"adds": ["ALL"]}}, "with CAP_ALL", id="all capabilities"),
        pytest.param({"securityOpts": ["seccomp=unconfined"]}, "seccomp=unconfined takes the guard off", id="seccomp"),
        pytest.param({"securityOpts": ["apparmor:unconfined"]}, "takes the guard off", id="AppArmor"),
        pytest.param({"securityOpts": ["label:disable"]}, "takes the guard off", id="SELinux"),
        pytest.param(bind("/etc"), "it may write to /etc of the host", id="a system folder"),
        pytest.param(bind("/etc/cron.d"), "it may write to /etc/cron.d", id="one below it"),
        pytest.param(bind("/"), "it may write to / of the host", id="everything"),
        pytest.param({"privileged": UNKNOWN}, "privileged is not known", id="perhaps privileged"),
        pytest.param({"networkMode": UNKNOWN}, "networkMode is not known", id="an unknown network"),
        pytest.param({"capabilities": {"adds": UNKNOWN}}, "capabilities.adds is not known", id="unknown capabilities"),
        pytest.param(bind("/etc", readOnly=UNKNOWN), "mounts.0.readOnly is not known", id="perhaps read-only"),
    ],
)
def test_apart_from_the_host(props: dict[str, Any], says: str | None) -> None:
    found = of_one("apart-from-the-host", props)
    assert len(found) == (says is not None), found
    assert says is None or says in found[0]


@pytest.mark.parametrize(
    ("props", "key"),
    [
        ({"privileged": True}, "app:privileged"),
        ({"networkMode": "host"}, "app:network"),
        ({"pidMode": "host"}, "app:pid"),
        ({"capabilities": {"adds": ["CAP_SYS_ADMIN"]}}, "app:CAP_SYS_ADMIN"),
        ({"securityOpts": ["seccomp=unconfined"]}, "app:seccomp=unconfined"),
        (bind("/etc"), "app:/etc"),
    ],
)
def test_it_is_allowed_by_its_container_and_name(props: dict[str, Any], key: str) -> None:
    assert of_one("apart-from-the-host", props, config={"allowed": {key: "because"}}) == []
    assert len(of_one("apart-from-the-host", props, name="other", config={"allowed": {key: "because"}})) == 1
