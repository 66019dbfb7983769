"""Messages about engines that lack something the stack needs, from their own recorded answers."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from check import engine as engine_check
from config.settings.docker import Docker
from engine.preflight import NEWEST_API, Engine, Verdict, elsewhere, judge
from tests.unit.engines import answers

PROVIDER = Path(__file__).parents[2] / "toolchain" / "pulumi" / "go.mod"

PODMAN = {
    "Version": "3.2.3",
    "ApiVersion": "1.40",
    "MinAPIVersion": "1.24",
    "Components": [
        {"Name": "Podman Engine", "Version": "3.2.3", "Details": {"APIVersion": "3.2.3", "MinAPIVersion": "3.1.0"}},
        {"Name": "Conmon", "Version": "conmon version 2.0.29, commit: "},
    ],
}
"""As `docker version` showed it (podman issue 11227)."""
DESKTOP = {"OperatingSystem": "Docker Desktop", "KernelVersion": "5.15.49-linuxkit-pr", "Name": "docker-desktop"}
"""As `docker info` showed it (src-cli pull request 1008)."""
SNAP = {"DockerRootDir": "/var/snap/docker/common/var-lib-docker", "OperatingSystem": "Ubuntu Core 18"}
SNAPSHOTS = [["driver-type", "io.containerd.snapshotter.v1"]]
ROOTLESS = ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]
USUAL = ["name=apparmor,profile=docker-default", "name=seccomp,profile=builtin", "name=cgroupns"]


def engine(info: Mapping[str, Any] | None = None, version: Mapping[str, Any] | None = None) -> Engine:
    return Engine.ask(SimpleNamespace(**answers("docker_20_10", info, version)))


@pytest.mark.parametrize(
    ("info", "version"),
    [
        pytest.param({}, {}, id="as Debian 12 has it"),
        pytest.param({"SecurityOptions": USUAL, "CgroupVersion": "2"}, {}, id="guarded by AppArmor, cgroup v2"),
        pytest.param({"Driver": "overlayfs", "DriverStatus": SNAPSHOTS}, {"ApiVersion": "1.56", "MinAPIVersion": "1.40"}, id="Docker 29"),
        pytest.param({"Driver": "zfs", "DriverStatus": [["Zpool", "tank"]]}, {}, id="on zfs"),
        pytest.param({"LiveRestoreEnabled": True}, {}, id="live restore"),
        pytest.param({"Swarm": {"LocalNodeState": "active"}}, {}, id="a node of a swarm"),
        pytest.param({"ExperimentalBuild": True}, {}, id="experimental"),
        pytest.param({"LoggingDriver": "local"}, {}, id="logs in files of the engine"),
        pytest.param({"LoggingDriver": "journald"}, {}, id="logs in the journal"),
        pytest.param({"LoggingDriver": "syslog"}, {}, id="logs sent elsewhere, and kept for reading"),
        pytest.param({"MemoryLimit": None, "Warnings": None, "CgroupVersion": ""}, {}, id="says little"),
        pytest.param({}, {"ApiVersion": "dev"}, id="a version that is none"),
        pytest.param({}, {"ApiVersion": "1.40"}, id="the oldest"),
        pytest.param({}, {"MinAPIVersion": "1.44"}, id="Docker 29.0, which takes nothing older"),
    ],
)  # fmt: skip
def test_an_engine_that_can_do_all_is_not_complained_of(info: dict[str, Any], version: dict[str, Any]) -> None:
    assert judge(engine(info, version)) == Verdict()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("docker_20_10", "Docker 20.10.24+dfsg1, API 1.41, images in overlay2, cgroup v1"),
        ("docker_29", "Docker 29.4.0, API 1.56, images in containerd (overlayfs), cgroup v1"),
    ],
)
def test_an_engine_that_the_tests_run_on_is_known_and_not_complained_of(name: str, line: str) -> None:
    recorded = Engine.ask(SimpleNamespace(**answers(name)))
    assert (str(recorded), judge(recorded)) == (line, Verdict())


def test_an_engine_that_tells_nothing_of_itself_is_not_complained_of() -> None:
    assert judge(Engine({}, {})) == Verdict()


@pytest.mark.parametrize(
    ("info", "version", "message", "fix"),
    [
        pytest.param({}, {"ApiVersion": "1.39"}, "its API is 1.39", "update Docker", id="Docker 18.09"),
        pytest.param(
            {}, {"MinAPIVersion": "1.60"}, "no API older than 1.60", "a newer checkout", id="of years to come"
        ),
        pytest.param({"OSType": "windows"}, {}, "of windows", "Linux containers", id="Windows containers"),
        pytest.param({}, PODMAN, "Podman", "Docker's own packages", id="Podman"),
        pytest.param(DESKTOP, {}, "Docker Desktop", "ssh", id="Docker Desktop"),
        pytest.param(SNAP, {}, "snap of Docker", "snap remove docker", id="snap"),
        pytest.param(
            {"SecurityOptions": [*USUAL, "name=userns"]}, {}, "userns-remap", "daemon.json", id="userns-remap"
        ),
    ],
)
def test_what_the_stack_cannot_live_with_is_refused(
    info: dict[str, Any], version: dict[str, Any], message: str, fix: str
) -> None:
    [problem] = judge(engine(info, version)).refusals
    assert message in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("info", "version", "message"),
    [
        pytest.param({"Driver": "vfs"}, {}, "copies every image layer (vfs)", id="vfs"),
        pytest.param({"Driver": "btrfs"}, {}, "on disk with the storage driver btrfs", id="btrfs"),
        pytest.param({"Driver": "btrfs", "DriverStatus": SNAPSHOTS}, {}, "snapshotter btrfs: no container", id="btrfs in containerd"),
        pytest.param({"Driver": "fuse-overlayfs", "DriverStatus": SNAPSHOTS}, {}, "snapshotter fuse-overlayfs", id="fuse in containerd"),
        pytest.param({"MemoryLimit": False, "SwapLimit": False}, {}, "cannot limit memory", id="no memory limit"),
        pytest.param({"SwapLimit": False}, {}, "cannot limit swap", id="no swap limit"),
        pytest.param({"SecurityOptions": ROOTLESS}, {}, "runs without root", id="rootless"),
        pytest.param({"SecurityOptions": [*USUAL, "name=selinux"]}, {}, "SELinux", id="SELinux"),
        pytest.param({"LoggingDriver": "none"}, {}, "none, which the engine cannot read", id="no logs"),
        pytest.param({"LoggingDriver": "gelf"}, {"ApiVersion": "1.40"}, "gelf, which", id="logs sent elsewhere before 20.10"),
        pytest.param({"IPv4Forwarding": False}, {}, "forwards no packets", id="no forwarding"),
        pytest.param({"Name": "colima"}, {}, "virtual machine colima", id="colima"),
        pytest.param({"Name": "orbstack", "OperatingSystem": "OrbStack"}, {}, "virtual machine orbstack", id="OrbStack"),
    ],
)  # fmt: skip
def test_what_the_stack_loses_is_told_with_a_fix(info: dict[str, Any], version: dict[str, Any], message: str) -> None:
    verdict = judge(engine(info, version))
    assert not verdict.refusals
    [problem] = verdict.losses
    assert message in problem.what
    assert problem.fix


def test_the_newest_api_is_that_of_the_client_in_pulumis_provider() -> None:
    """docker/docker 28.5 speaks 1.51 (its api/common.go)."""
    [version] = re.findall(r"github.com/docker/docker v(\d+\.\d+)", PROVIDER.read_text())
    assert (version, NEWEST_API) == ("28.5", (1, 51))


@pytest.mark.parametrize(
    ("info", "version", "line"),
    [
        ({}, {}, "Docker 20.10.24+dfsg1, API 1.41, images in overlay2, cgroup v1"),
        (
            {"Driver": "overlayfs", "DriverStatus": SNAPSHOTS, "ServerVersion": "29.4.3", "CgroupVersion": "2"},
            {"ApiVersion": "1.54"},
            "Docker 29.4.3, API 1.54, images in containerd (overlayfs), cgroup v2",
        ),
    ],
)
def test_an_engine_is_named_in_one_line(info: dict[str, Any], version: dict[str, Any], line: str) -> None:
    assert str(engine(info, version)) == line


OWN = {"Address": "/var/run/docker/containerd/containerd.sock", "Namespaces": {"Containers": "moby"}}
IN_CONTAINERD = {"Driver": "overlayfs", "DriverStatus": SNAPSHOTS}


@pytest.mark.parametrize(
    ("info", "moved"),
    [
        pytest.param({}, {}, id="where everybody has it"),
        pytest.param({"DockerRootDir": "/data/docker"}, {"data_root": "/data/docker"}, id="another disk"),
        pytest.param({**IN_CONTAINERD, "Containerd": OWN}, {"containerd": OWN["Address"]}, id="its own containerd"),
        pytest.param({"Containerd": OWN}, {}, id="its own containerd, which nobody asks"),
        pytest.param({**IN_CONTAINERD, "Containerd": None}, {}, id="does not tell (before Docker 27)"),
        pytest.param(
            {**IN_CONTAINERD, "Containerd": {"Address": "/var/run/containerd/containerd.sock"}},
            {},
            id="by the link /var/run",
        ),
    ],
)
def test_what_the_engine_has_elsewhere_is_found(info: dict[str, Any], moved: dict[str, str]) -> None:
    defaults = Docker()
    assert elsewhere(engine(info), data_root=defaults.data_root, containerd=defaults.containerd) == moved


@pytest.mark.parametrize(
    ("info", "outcome", "message"),
    [
        ({}, True, "Docker 20.10.24+dfsg1, API 1.41, images in overlay2, cgroup v1"),
        ({"SwapLimit": False}, True, "; the engine cannot limit swap here"),
        ({"SecurityOptions": ["name=userns"]}, False, "userns-remap"),
        ({**IN_CONTAINERD, "Containerd": OWN}, False, f"set docker.containerd to {OWN['Address']}"),
    ],
)
def test_the_check_names_the_engine_and_what_is_wrong_with_it(
    info: dict[str, Any],
    outcome: bool,  # noqa: FBT001 - a column
    message: str,
) -> None:
    client: Any = SimpleNamespace(**answers("docker_20_10", info))
    settings: Any = SimpleNamespace(docker=Docker())
    [finding] = engine_check.findings(client, settings)
    assert finding.kept == outcome
    assert message in finding.detail
    assert "\n" not in finding.detail
