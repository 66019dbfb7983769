"""What is said when an engine cannot be used, and what is tried when it does not start."""

import pytest
from docker.errors import DockerException

from config.docker_settings import Docker
from toolchain import engine
from toolchain.engine import Attempt, EngineUnreachableError
from toolchain.report import ToolchainError


def _wrapped(cause: Exception) -> DockerException:
    """As the client does it: an error that names another one in its arguments."""
    error = DockerException("Error while fetching server API version", ConnectionError("Connection aborted.", cause))
    error.__cause__ = cause
    return error


def test_a_socket_that_is_forbidden() -> None:
    error = EngineUnreachableError(engine.LOCAL_SOCKET, _wrapped(PermissionError(13, "Permission denied")))
    assert not error.down
    assert "may not use" in str(error)
    assert "usermod -aG docker" in error.fix


@pytest.mark.parametrize("cause", [FileNotFoundError(2, "No such file"), ConnectionRefusedError(111, "refused")])
def test_a_local_engine_that_does_not_run(cause: OSError) -> None:
    error = EngineUnreachableError(engine.LOCAL_SOCKET, _wrapped(cause))
    assert error.down
    assert "no Docker engine runs" in str(error)


def test_a_remote_engine_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    where = Docker(host="tcp://192.0.2.1:2376", certificates="tls")

    def refuse(where: Docker) -> None:
        raise EngineUnreachableError(where.host, ConnectionRefusedError(111, "refused"))

    monkeypatch.setattr(engine, "connect", refuse)
    monkeypatch.setattr(engine, "_start", lambda _: pytest.fail("started"))
    with pytest.raises(ToolchainError, match=r"192\.0\.2\.1:2376 does not answer") as caught:
        engine.ensure(where)
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
    ("info", "expected"),
    [
        ({"Driver": "overlay2", "MemoryLimit": True, "SwapLimit": True}, None),
        ({"Driver": "vfs", "MemoryLimit": True, "SwapLimit": True}, "overlay"),
        ({"Driver": "overlay2", "MemoryLimit": False, "SwapLimit": False}, "cannot limit memory"),
        ({"Driver": "overlay2", "MemoryLimit": True, "SwapLimit": False}, "cannot limit swap"),
    ],
)
def test_shortcomings_are_told(info: dict[str, object], expected: str | None) -> None:
    found = engine.shortcomings(info)
    assert len(found) == (1 if expected else 0)
    assert expected is None or expected in found[0]
