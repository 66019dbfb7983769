"""How the engine is reached, and what is run inside its containers."""

import json
import struct
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import docker
import pytest
from docker.models.containers import Container

from engine.docker_api import LIMIT, LIMITED, connect, execute


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """With what the SDK's client is made."""
    arguments: dict[str, Any] = {}
    monkeypatch.setattr(docker, "DockerClient", lambda **options: arguments.update(options))
    return arguments


@pytest.mark.parametrize("address", ["unix:///var/run/docker.sock", "tcp://vps:2375"])
def test_the_engine_is_reached_where_the_settings_say(client: dict[str, Any], address: str) -> None:
    connect({"host": address, "certificates": None})
    assert client["base_url"] == address
    assert not client["tls"]


def test_a_tcp_engine_is_reached_with_the_certificates_and_verified(client: dict[str, Any], tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    connect({"host": "tcp://vps:2376", "certificates": str(tmp_path)})
    assert client["tls"].ca_cert == str(tmp_path / "ca.pem")
    assert client["tls"].cert == (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    assert client["tls"].verify is True


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    with pytest.raises(ConnectionError, match=rf"docker\.certificates: {tmp_path}/cert\.pem is not there"):
        connect({"host": "tcp://vps:2376", "certificates": str(tmp_path)})


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "No ED25519 host key is known for vps and you have requested strict checking.\nHost key verification failed.\n",
            "its host key is not known: compare",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n…\nHost key verification failed.\n",
            "its host key is not the one that is known: compare",
        ),
        ("deploy@vps: Permission denied (publickey).\n", "deploy@vps: Permission denied (publickey)."),
        (
            "no such identity: keys/x: No such file or directory\r\ndeploy@vps: Permission denied (publickey).\n",
            "no such identity: keys/x: No such file or directory; deploy@vps: Permission denied (publickey).",
        ),
        ("", "ssh ended without a word"),
    ],
)
def test_a_host_that_lets_nobody_in_is_told_in_one_line(
    stderr: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{stderr}END\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    settings = {"host": f"ssh://{len(stderr)}.example", "ssh_options": []}
    with pytest.raises(ConnectionError) as caught:
        connect(settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@dataclass
class Engine:
    """A server that answers as the engine does when a command is run inside a container.

    On a busy host head and output arrive in one piece; here they always do.
    """

    exit_code: int | None = 0
    output: tuple[bytes, ...] = ()
    refusal: str = ""
    silent: bool = False
    """After the head of its answer, as with a command that does not end."""
    commands: list[Any] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Container:
        handler = type("Handler", (_Handler,), {"says": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self._client = docker.DockerClient(f"tcp://127.0.0.1:{self._server.server_port}", version="1.41", timeout=1)
        return Container(attrs={"Id": "service"}, client=self._client)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._client.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    says: ClassVar[Engine]

    def do_GET(self) -> None:
        assert self.path == "/v1.41/exec/run/json"
        self._answer(200, {"ExitCode": self.says.exit_code})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1.41/containers/service/exec":
            self.says.commands.append(body["Cmd"])
            self._answer(201, {"Id": "run"})
        elif self.says.refusal:
            self._answer(409, {"message": self.says.refusal})
        else:
            upgraded = "Upgrade" in self.headers
            head = b"HTTP/1.1 " + (b"101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp" if upgraded else b"200 OK")
            frames = b"".join(
                struct.pack(">BxxxL", 1 + n % 2, len(text)) + text for n, text in enumerate(self.says.output)
            )
            self.wfile.write(head + b"\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n" + frames)
            if self.says.silent:
                self.says.over.wait()
            self.close_connection = True

    def _answer(self, status: int, document: object) -> None:
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: pytest shows what a test found."""


@pytest.mark.parametrize(
    ("engine", "result"),
    [
        (Engine(output=(b"caf", b"\xc3\xa9\n")), (0, "café\n")),
        (Engine(exit_code=2, output=(b"no such file",)), (2, "no such file")),
        (Engine(output=(b"\xff",)), (0, "\ufffd")),
        (Engine(exit_code=None), (0, "")),
    ],
    ids=["an answer in two parts", "a failure", "no text", "nothing"],
)
def test_a_command_inside_a_container_has_an_exit_code_and_a_text(engine: Engine, result: tuple[int, str]) -> None:
    with engine as service:
        assert execute(service, ("cat", "x")) == result
    assert engine.commands == [["cat", "x"]]


def test_a_command_that_does_not_end_is_a_failure_after_a_time() -> None:
    with Engine(output=(b"half",), silent=True) as service:
        code, out = execute(service, ("cat", "x"))
    assert code == 1
    assert "timed out" in out


def test_a_container_that_stopped_meanwhile_is_a_failure_in_the_engines_words() -> None:
    with Engine(refusal="container is not running") as service:
        code, out = execute(service, ("cat", "x"))
    assert code == 1
    assert "container is not running" in out


SHELLS = ("sh", "bash")
SOON = LIMIT.replace("118)", "3)")
"""The limit, after a few looks in place of ten seconds."""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_with_a_limit_prints_and_ends_as_it_does_without(shell: str) -> None:
    command = [shell, *LIMITED[1:], "sh", "-c", "echo page; echo complaint >&2; exit 7"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (7, "page\n", "complaint\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_that_hangs_is_killed_at_its_limit(shell: str) -> None:
    assert SOON != LIMIT
    result = subprocess.run([shell, "-c", SOON, "limited", "sleep", "60"], check=False, timeout=30, capture_output=True)
    assert result.returncode == 128 + 9
