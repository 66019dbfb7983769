"""How the engine is reached, and what is run inside its containers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import APIError

from components.engine import connect, execute


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """With what the SDK's client is made."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(docker, "DockerClient", lambda **options: made.update(options))
    return made


@pytest.mark.parametrize("address", ["unix:///var/run/docker.sock", "ssh://deploy@vps.example", "tcp://vps:2375"])
def test_the_engine_is_reached_where_the_settings_say(client: dict[str, Any], address: str) -> None:
    connect({"host": address, "certificates": None})
    assert client["base_url"] == address
    assert not client["tls"]
    assert client["use_ssh_client"]  # so that the config of the ssh client applies


def test_a_tcp_engine_is_reached_with_the_certificates_and_verified(client: dict[str, Any], tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    connect({"host": "tcp://vps:2376", "certificates": str(tmp_path)})
    assert client["tls"].ca_cert == str(tmp_path / "ca.pem")
    assert client["tls"].cert == (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    assert client["tls"].verify is True


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ((0, b"caf\xc3\xa9\n"), (0, "café\n")),
        ((2, b"no such file"), (2, "no such file")),
        ((0, b"\xff"), (0, "\ufffd")),
        ((None, None), (0, "")),
        (APIError("container is not running"), (1, "container is not running")),
    ],
    ids=["an answer", "a failure", "no text", "nothing", "a container that has stopped"],
)
def test_a_command_inside_a_container_has_an_exit_code_and_a_text(answer: Any, result: tuple[int, str]) -> None:
    def exec_run(command: list[str]) -> Any:
        assert command == ["cat", "x"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    service: Any = SimpleNamespace(exec_run=exec_run)
    assert execute(service, ("cat", "x")) == result
