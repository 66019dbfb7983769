"""The choice of the engine: a stack never silently uses another engine than Docker's own tools would."""

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest

from config import docker_cli
from config.docker_cli import MISLEADING, VARIABLES
from config.settings.docker import Docker
from engine import other_engine
from engine.docker_api import UnreadableConfigError, connect
from toolchain import debian, engine_setup
from toolchain.engine_setup import EngineUnreachableError
from toolchain.report import ToolchainError

ROOTLESS = "unix:///run/user/1000/docker.sock"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has set up nothing."""
    for name in (*VARIABLES, "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


def write_context(home: Path, name: str, host: str, *, tls: bool = False) -> None:
    identifier = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker" / "contexts" / "meta" / identifier / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}))
    if tls:
        (home / ".docker" / "contexts" / "tls" / identifier / "docker").mkdir(parents=True)


def use_context(home: Path, name: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_nothing_is_unclear_where_nothing_is_set_up() -> None:
    assert other_engine.question(Docker(), "Pulumi.dev.yaml") is None


def test_a_stack_file_that_names_its_engine_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", ROOTLESS)
    assert other_engine.question(Docker(host="unix:///var/run/docker.sock"), "Pulumi.dev.yaml") is None


def test_docker_host_means_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", ROOTLESS)
    unclear = other_engine.question(Docker(), "Pulumi.dev.yaml")
    assert unclear
    assert "DOCKER_HOST means another one" in unclear[0]
    assert f'nervous-system:docker: {{host: "{ROOTLESS}"}}' in unclear[1]


def test_docker_host_with_certificates_names_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://vps:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    unclear = other_engine.question(Docker(), "Pulumi.dev.yaml")
    assert unclear
    assert '{host: "tcp://vps:2376", certificates: /certs}' in unclear[1]


@pytest.mark.parametrize("by", ["environment", "config"])
def test_a_context_of_the_docker_cli_means_another_engine(by: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_context(home, "colima", "unix:///home/me/.colima/default/docker.sock", tls=True)
    if by == "environment":
        monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    else:
        use_context(home, "colima")
    unclear = other_engine.question(Docker(), "Pulumi.dev.yaml")
    assert unclear
    assert "colima" in unclear[0]
    assert 'host: "unix:///home/me/.colima/default/docker.sock", certificates: ' in unclear[1]


def test_a_context_that_there_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    unclear = other_engine.question(Docker(), "Pulumi.dev.yaml")
    assert unclear
    assert "DOCKER_CONTEXT=gone" in unclear[0]


def test_the_default_context_is_the_default_engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_context(home, "default")
    assert other_engine.question(Docker(), "Pulumi.dev.yaml") is None
    use_context(home, "colima")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert other_engine.question(Docker(), "Pulumi.dev.yaml") is None


def test_two_names_of_one_socket_are_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker Desktop on macOS, whose context names another socket than the one that it links to."""
    link = tmp_path / "docker.sock"
    link.symlink_to(other_engine.DEFAULT.removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{link}")
    assert other_engine.question(Docker(), "Pulumi.dev.yaml") is None


@pytest.mark.parametrize("content", ["{half", "[]", '{"auths": {"r": {"auth": "no colon"}}}', '{"auths": {"r": 1}}'])
def test_a_broken_config_of_the_docker_cli_is_named_in_one_line(content: str, home: Path) -> None:
    file = home / ".docker" / "config.json"
    file.parent.mkdir()
    file.write_text(content)
    message = ""
    try:
        docker_cli.cli_config()
        connect({"host": "unix:///nowhere.sock"})
    except (ValueError, UnreadableConfigError) as error:
        message = str(error)
    assert str(file) in message
    assert "\n" not in message


@pytest.mark.parametrize("variable", MISLEADING)
def test_certificates_of_the_environment_are_refused_for_they_would_be_used_for_any_engine(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_engine.must_be_clear(Docker(), "Pulumi.dev.yaml")
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(ConnectionError, match=f"unset {variable}"):
        other_engine.must_be_clear(Docker(host="ssh://vps"), "Pulumi.dev.yaml")


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No engine of the system runs; what would be installed or started is written down."""
    installs: list[str] = []

    def refuse(where: Docker) -> None:
        raise EngineUnreachableError(where.host, FileNotFoundError(2, "No such file"))

    monkeypatch.setattr(engine_setup, "connect", refuse)
    monkeypatch.setattr(engine_setup, "_share_mounts", lambda: None)
    monkeypatch.setattr(engine_setup, "_dockerd", lambda: None)
    monkeypatch.setattr(debian, "install", lambda *packages: installs.append(packages[0]))

    def start(_: Docker) -> None:
        raise ToolchainError("started")

    monkeypatch.setattr(engine_setup, "_start", start)
    return installs


@pytest.mark.parametrize(
    "path", ["run/docker.sock", ".docker/run/docker.sock", ".docker/desktop/docker.sock", ".colima/default/docker.sock"]
)
def test_nothing_is_installed_beside_an_engine_of_this_user(path: str, home: Path, gone: list[str]) -> None:
    file = home / path
    file.parent.mkdir(parents=True)
    folder = os.open(file.parent, os.O_RDONLY)  # a socket's whole path has at most 107 characters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{folder}/docker.sock")
        with pytest.raises(ToolchainError, match="one listens at") as caught:
            engine_setup.ensure(Docker())
        assert f"unix://{file}" in caught.value.fix
        assert gone == []
        with pytest.raises(ToolchainError, match="started"):
            engine_setup.ensure(Docker(host=engine_setup.LOCAL_SOCKET))
    os.close(folder)
    assert gone == ["docker.io"]


def test_commands_without_a_stack_use_the_engine_of_docker_s_own_tools(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine_setup.configured().host == engine_setup.LOCAL_SOCKET
    write_context(home, "colima", ROOTLESS)
    use_context(home, "colima")
    assert engine_setup.configured().host == ROOTLESS
    monkeypatch.setenv("DOCKER_HOST", "tcp://localhost:2375")
    assert engine_setup.configured().host == "tcp://localhost:2375"
    monkeypatch.setenv("DOCKER_HOST", "ftp://x")
    with pytest.raises(ToolchainError, match="DOCKER_HOST"):
        engine_setup.configured()
