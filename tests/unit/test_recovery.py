"""What a killed deployment left is cleared, and nothing else; what the engine has lost is noticed."""

import json
import os
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from config.container import STACK_LABEL
from config.sizes import MIB
from operate import recovery
from toolchain.report import ToolchainError

PREFIX = "nervous-dev"
LABELS = {STACK_LABEL: PREFIX}


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("locks", "abandoned"),
    [
        ([], False),
        ([{"pid": "dead", "hostname": "here"}], True),
        ([{"pid": "dead", "hostname": "here"}, {"pid": "dead", "hostname": "here"}], True),
        ([{"pid": "dead", "hostname": "elsewhere"}], False),
        ([{"pid": "dead", "hostname": "here"}, {"pid": "dead", "hostname": "elsewhere"}], False),
        ([{"pid": "another program's", "hostname": "here"}], True),
        (["no JSON"], False),
        ([{"hostname": "here"}], False),
    ],
    ids=str,
)
def test_a_lock_is_abandoned_when_its_process_of_this_machine_is_dead(
    locks: list[Any], tmp_path: Path, *, abandoned: bool
) -> None:
    folder = tmp_path / "organization" / "nervous-system" / "dev"
    folder.mkdir(parents=True)
    pids = {"dead": dead(), "another program's": os.getpid()}
    for number, lock in enumerate(locks):
        if isinstance(lock, dict):
            lock |= {"hostname": socket.gethostname() if lock["hostname"] == "here" else "elsewhere"}
            if "pid" in lock:
                lock |= {"pid": pids[lock["pid"]]}
        (folder / f"{number}.json").write_text(lock if isinstance(lock, str) else json.dumps(lock))
    assert recovery.is_abandoned(tmp_path, "dev") == abandoned
    assert not recovery.is_abandoned(tmp_path, "prod")


def test_only_a_backend_in_the_file_system_has_locks_to_look_at(tmp_path: Path) -> None:
    assert recovery.locks(tmp_path.as_uri()) == tmp_path / ".pulumi" / "locks"
    assert recovery.locks("s3://bucket/state") is None
    assert recovery.locks("") is None
    assert not recovery.is_abandoned(None, "dev")


@dataclass
class FakeContainer:
    name: str
    id: str
    status: str = "running"
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    removed: bool = False
    attrs: dict[str, Any] = field(
        default_factory=lambda: {"HostConfig": {"Memory": 64 * MIB}, "State": {"ExitCode": 0}}
    )

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v
        self.removed = True


class FakeEngine:
    """As much of a client as is asked."""

    def __init__(self, *containers: FakeContainer) -> None:
        self._containers = {container.name: container for container in containers}
        self.containers = SimpleNamespace(get=self._get, list=lambda **_: list(containers))
        self.volumes = SimpleNamespace(list=lambda: [SimpleNamespace(name=f"{PREFIX}-loki")])
        self.networks = SimpleNamespace(list=lambda **_: [SimpleNamespace(id="network")])

    def _get(self, name: str) -> FakeContainer:
        if name not in self._containers:
            raise NotFound(name)
        return self._containers[name]


@dataclass
class FakeCli:
    deployment: dict[str, Any]
    name: str = "dev"
    commands: list[str] = field(default_factory=list)

    def ask(self, *arguments: str) -> str:
        self.commands.append(arguments[0])
        return json.dumps({"deployment": self.deployment})


def container(identifier: str, *, must_run: bool = True, memory: int = 64) -> dict[str, Any]:
    return {"type": recovery.CONTAINER, "id": identifier, "inputs": {"mustRun": must_run, "memory": memory}}


def creating(name: str) -> dict[str, Any]:
    return {"type": "creating", "resource": {"type": recovery.CONTAINER, "inputs": {"name": name}}}


@pytest.mark.parametrize(
    ("leftover", "removed"),
    [
        (FakeContainer(f"{PREFIX}-loki", "orphan"), True),
        (FakeContainer(f"{PREFIX}-loki", "known"), False),
        (FakeContainer(f"{PREFIX}-loki", "orphan", labels={}), False),
        (FakeContainer(f"{PREFIX}-jaeger", "orphan"), False),
    ],
    ids=["was being created", "the state knows it", "not of this stack", "another one"],
)
def test_a_container_is_removed_that_was_being_created_when_the_kill_came(
    leftover: FakeContainer, *, removed: bool
) -> None:
    deployment = {"resources": [container("known")], "pending_operations": [creating(f"{PREFIX}-loki")]}
    cli = FakeCli(deployment)
    assert recovery.repair(cli, "", PREFIX, FakeEngine(leftover)) == ()  # type: ignore[arg-type]
    assert leftover.removed == removed
    assert cli.commands == ["stack", "refresh"]


@pytest.mark.parametrize(
    ("resource", "status", "options"),
    [
        (container("one"), "running", ()),
        (container("one"), "exited", ("--refresh",)),
        (container("gone"), "running", ("--refresh",)),
        (container("one", must_run=False), "exited", ()),
        (container("one", memory=80), "running", ("--refresh",)),
        (container("one", must_run=False, memory=80), "exited", ()),
        ({"type": recovery.VOLUME, "id": f"{PREFIX}-loki"}, "running", ()),
        ({"type": recovery.VOLUME, "id": f"{PREFIX}-jaeger"}, "running", ("--refresh",)),
        ({"type": recovery.NETWORK, "id": "network"}, "running", ()),
        ({"type": recovery.NETWORK, "id": "another"}, "running", ("--refresh",)),
        ({"type": "pulumi:pulumi:Stack"}, "running", ()),
    ],
    ids=str,
)
def test_an_update_refreshes_when_something_is_gone(
    resource: dict[str, Any], status: str, options: tuple[str, ...]
) -> None:
    cli = FakeCli({"resources": [resource]})
    engine = FakeEngine(FakeContainer(f"{PREFIX}-one", "one", status))
    assert recovery.repair(cli, "", PREFIX, engine) == options  # type: ignore[arg-type]
    assert cli.commands == ["stack"]


@pytest.mark.parametrize(
    ("status", "code", "inputs", "removed"),
    [
        ("created", 128, {"mustRun": False}, True),
        ("exited", 137, {"mustRun": False}, True),
        ("exited", 1, {"mustRun": False}, False),
        ("exited", 0, {"mustRun": False}, False),
        ("created", 0, {"mustRun": False, "start": False}, False),
        ("exited", 137, {"mustRun": True}, False),
    ],
    ids=["never started", "killed", "refused", "done", "is never to start", "a service"],
)
def test_what_was_to_run_once_and_was_kept_from_it_runs_again(
    status: str, code: int, inputs: dict[str, Any], *, removed: bool
) -> None:
    loader = FakeContainer(f"{PREFIX}-loki-loader", "one", status)
    loader.attrs["State"] = {"ExitCode": code}
    cli = FakeCli({"resources": [{"type": recovery.CONTAINER, "id": "one", "inputs": inputs}]})
    recovery.repair(cli, "", PREFIX, FakeEngine(loader))  # type: ignore[arg-type]
    assert loader.removed == removed


def test_a_stack_that_was_never_deployed_needs_nothing() -> None:
    assert recovery.repair(FakeCli({}), "", PREFIX, FakeEngine()) == ()  # type: ignore[arg-type]


STATE = '{"version": 3}'


def state(folder: Path, file: str, copy: str | None) -> Path:
    stacks = folder / ".pulumi" / "stacks" / "nervous-system"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text(file)
    if copy is not None:
        (stacks / "dev.json.bak").write_text(copy)
    return stacks / "dev.json"


@pytest.mark.parametrize("damaged", ["", '{"version"', "\0" * 100, "null"])
def test_a_damaged_state_is_kept_and_the_one_before_it_used(damaged: str, tmp_path: Path) -> None:
    file = state(tmp_path, damaged, STATE)
    assert recovery.restore_state(tmp_path.as_uri(), "nervous-system", "dev")
    assert file.read_text() == STATE
    assert file.with_name("dev.json.damaged").read_text() == damaged
    assert not recovery.restore_state(tmp_path.as_uri(), "nervous-system", "dev")


@pytest.mark.parametrize("copy", [None, "{"])
def test_a_damaged_state_without_a_whole_copy_is_told_and_left_alone(copy: str | None, tmp_path: Path) -> None:
    file = state(tmp_path, "{", copy)
    with pytest.raises(ToolchainError, match="the state of dev is damaged"):
        recovery.restore_state(tmp_path.as_uri(), "nervous-system", "dev")
    assert file.read_text() == "{"


def test_a_whole_state_is_left_alone_and_so_is_one_that_is_not_here(tmp_path: Path) -> None:
    file = state(tmp_path, STATE, "{")
    assert not recovery.restore_state(tmp_path.as_uri(), "nervous-system", "dev")
    assert file.read_text() == STATE
    assert not recovery.restore_state(tmp_path.as_uri(), "nervous-system", "prod")
    assert not recovery.restore_state("s3://bucket", "nervous-system", "dev")
