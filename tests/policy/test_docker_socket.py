"""The policy on the Docker socket."""

from typing import Any

import pytest

from tests.policy.pack_host import UNKNOWN, of_one


def bind(source: Any, **more: Any) -> dict[str, Any]:
    return {"mounts": [{"type": "bind", "source": source, "target": "/x", **more}]}


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({}, None, id="no path"),
        pytest.param(bind("/srv/app"), None, id="a folder of the host"),
        pytest.param({"volumes": [{"volumeName": "data", "containerPath": "/run"}]}, None, id="a volume"),
        pytest.param(
            {"volumes": [{"fromContainer": UNKNOWN}]}, None, id="the volume of a container that does not exist yet"
        ),
        pytest.param(bind("/var/run/docker.sock"), "sees the Docker socket in /var/run/docker.sock", id="the socket"),
        pytest.param(bind("/var/run/docker.sock", readOnly=True), "sees the Docker socket", id="read-only"),
        pytest.param(bind("/run/user/1000/docker.sock"), "sees the Docker socket", id="a rootless one"),
        pytest.param(bind("/run/containerd/containerd.sock"), "sees the Docker socket", id="containerd's socket"),
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
        pytest.param(bind("/run/docker-app"), None, id="a folder with a similar name"),
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
    messages = of_one("docker-socket", props)
    assert len(messages) == (says is not None), messages
    assert says is None or says in messages[0]


def test_a_container_that_may_see_the_socket_must_mount_it_read_only() -> None:
    socket = "/var/run/docker.sock"
    for name in ("socket_proxy", "cadvisor", "node_exporter"):
        assert of_one("docker-socket", bind(socket, readOnly=True), name=name) == []
        [violation] = of_one("docker-socket", bind(socket), name=name)
        assert "mount it read-only" in violation
    config = {"allowed": {"watcher": "it restarts containers that hang"}}
    assert of_one("docker-socket", bind(socket, readOnly=True), name="watcher", config=config) == []
    assert len(of_one("docker-socket", bind(socket, readOnly=True), name="socket_proxy", config=config)) == 1


@pytest.mark.parametrize(
    "socket",
    [
        "/run/user/1000/docker.sock",
        "/home/you/.colima/default/docker.sock",
        "/home/you/.docker/desktop/docker.sock",
        "/tmp/engine/docker.sock",  # noqa: S108
    ],
)
def test_the_socket_of_an_engine_in_the_folder_of_a_user_is_judged_by_this_policy_alone(socket: str) -> None:
    mount = bind(socket, readOnly=True)
    assert of_one("docker-socket", mount, name="socket_proxy") == []
    assert of_one("apart-from-the-host", mount, name="socket_proxy") == []
    assert of_one("docker-socket", mount, name="shop") != []
