"""What is said when an engine cannot be used, and what is tried when it does not start."""

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import DockerException

from config.settings.docker import Docker
from tests.unit.engines import answers
from toolchain import engine_setup
from toolchain.engine_setup import Attempt, EngineUnreachableError
from toolchain.report import ToolchainError


def _wrapped(cause: Exception) -> DockerException:
    """As the client does it: an error that names another one in its arguments."""
    error = DockerException("Error while fetching server API version", ConnectionError("Connection aborted.", cause))
    error.__cause__ = cause
    return error


def test_a_socket_that_is_forbidden() -> None:
    error = EngineUnreachableError(engine_setup.LOCAL_SOCKET, _wrapped(PermissionError(13, "Permission denied")))
    assert not error.down
    assert "may not use" in str(error)
    assert "usermod -aG docker" in error.fix


@pytest.mark.parametrize("cause", [FileNotFoundError(2, "No such file"), ConnectionRefusedError(111, "refused")])
def test_a_local_engine_that_does_not_run(cause: OSError) -> None:
    error = EngineUnreachableError(engine_setup.LOCAL_SOCKET, _wrapped(cause))
    assert error.down
    assert "no Docker engine runs" in str(error)


def test_a_remote_engine_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    where = Docker(host="tcp://192.0.2.1:2376", certificates="tls")

    def refuse(where: Docker) -> None:
        raise EngineUnreachableError(where.host, ConnectionRefusedError(111, "refused"))

    monkeypatch.setattr(engine_setup, "connect", refuse)
    monkeypatch.setattr(engine_setup, "_start", lambda _: pytest.fail("started"))
    with pytest.raises(ToolchainError, match=r"192\.0\.2\.1:2376 does not answer") as caught:
        engine_setup.ensure(where)
    assert "docker.host" in caught.value.fix


def test_a_kernel_without_nf_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    output = "failed to start daemon: Error initializing network controller: failed to create NAT chain DOCKER: iptables failed"
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/sbin/iptables-legacy")
    second = Attempt().after(output)
    assert second is not None
    assert second.legacy_iptables
    third = second.after(output)
    assert third is not None
    assert "--iptables=false" in third.options
    assert third.after(output) is None


def test_another_failure_is_not_tried_again() -> None:
    assert Attempt().after("failed to start daemon: pid file found, ensure docker is not running") is None


@pytest.mark.parametrize(
    ("info", "note"),
    [({}, ""), ({"Driver": "vfs"}, "copies every image layer"), ({"MemoryLimit": False}, "cannot limit memory")],
)
def test_what_the_stack_loses_on_an_engine_is_a_note(
    info: dict[str, Any], note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client: Any = SimpleNamespace(**answers("docker_20_10", info))
    monkeypatch.setattr(engine_setup, "connect", lambda _: client)
    assert engine_setup.ensure(Docker(host="ssh://deploy@vps.example")) is client
    lines = capsys.readouterr().out.splitlines()
    assert "Docker 20.10.24+dfsg1, API 1.41, images in" in lines[0]
    assert len(lines) == (2 if note else 1)
    assert note in lines[-1]


def test_an_engine_that_the_stack_cannot_live_with_is_refused_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = SimpleNamespace(**answers("docker_20_10", {"SecurityOptions": ["name=userns"]}))
    monkeypatch.setattr(engine_setup, "connect", lambda _: client)
    with pytest.raises(ToolchainError, match=r"vps\.example cannot run this stack: it maps root of each") as caught:
        engine_setup.ensure(Docker(host="ssh://deploy@vps.example"))
    assert "daemon.json" in caught.value.fix
