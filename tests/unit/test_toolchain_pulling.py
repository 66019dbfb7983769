"""What an engine is asked to pull, by which login, and what is said when it does not."""

import base64
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import docker
import pytest

from toolchain.images import pulling
from toolchain.report import ToolchainError

LOGIN = base64.b64encode(b"me:secret").decode()
DIGEST = "sha256:" + "a" * 64


class Engine(ThreadingHTTPServer):
    """The Docker API, as far as pulls go (`/images/{name}/json` and `/images/create` of API 1.41)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.present: set[str] = set()
        self.pulled: list[tuple[str, str, dict[str, Any]]] = []
        self.words: list[dict[str, Any]] = [
            {"id": "a", "status": "Downloading", "progressDetail": {"current": 5 << 20}}
        ]
        self.status = 200

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=f"tcp://127.0.0.1:{self.server_port}", version="1.41")


class Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        there = urlsplit(self.path).path.split("/images/")[1].removesuffix("/json") in self.server.present
        self._answer(200 if there else 404, {"Id": "sha256:1"} if there else {"message": "No such image"})

    def do_POST(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        header = self.headers.get("X-Registry-Auth", "e30=")
        login = json.loads(base64.urlsafe_b64decode(header))
        self.server.pulled.append((query["fromImage"][0], query["tag"][0], login))
        self._answer(self.server.status, *self.server.words)

    def _answer(self, status: int, *lines: dict[str, Any]) -> None:
        text = "".join(f"{json.dumps(line)}\r\n" for line in lines).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `docker login`."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_only_what_the_engine_lacks_is_pulled_by_tag_and_digest(engine: Engine) -> None:
    engine.present = {"prom/prometheus:v3"}
    pulling.pull(engine.client(), {"prom/prometheus:v3", f"ghcr.io/google/cadvisor:v0@{DIGEST}"})
    assert engine.pulled == [("ghcr.io/google/cadvisor:v0", DIGEST, {})]


def test_an_engine_that_has_all_is_asked_for_nothing(engine: Engine) -> None:
    engine.present = {"a:1"}
    pulling.pull(engine.client(), {"a:1"})
    assert engine.pulled == []


def test_the_login_of_the_registry_goes_along_and_no_other_gets_it(engine: Engine, docker_config: Path) -> None:
    (docker_config / "config.json").write_text(json.dumps({"auths": {"mirror.example:5000": {"auth": LOGIN}}}))
    pulling.pull(engine.client(), {"mirror.example:5000/prom/prometheus:v3", "ghcr.io/google/cadvisor:v0"})
    logins = {name: login.get("username") for name, _, login in engine.pulled}
    assert logins == {"mirror.example:5000/prom/prometheus": "me", "ghcr.io/google/cadvisor": None}


def test_a_login_to_docker_hub_is_used_for_images_without_a_registry(engine: Engine, docker_config: Path) -> None:
    login = {"auths": {"https://index.docker.io/v1/": {"auth": LOGIN}}}
    (docker_config / "config.json").write_text(json.dumps(login))
    pulling.pull(engine.client(), {"prom/prometheus:v3", "docker.io/grafana/grafana:13"})
    assert [login.get("username") for *_, login in engine.pulled] == ["me", "me"]


def test_a_helper_that_keeps_the_logins_is_asked(
    engine: Engine, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docker_config / "config.json").write_text(json.dumps({"credHelpers": {"mirror.example": "vault"}}))
    helper = docker_config / "docker-credential-vault"
    helper.write_text(f'#!{sys.executable}\nprint(\'{{"Username": "kept", "Secret": "s"}}\')\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker_config), prepend=":")
    pulling.pull(engine.client(), {"mirror.example/prom/prometheus:v3"})
    assert engine.pulled[0][2]["Username"] == "kept"


def test_a_helper_that_is_not_there_is_told_in_one_line(engine: Engine, docker_config: Path) -> None:
    (docker_config / "config.json").write_text(json.dumps({"credsStore": "nowhere"}))
    with pytest.warns(UserWarning, match="not installed"), pytest.raises(ToolchainError, match="nowhere") as caught:
        pulling.pull(engine.client(), {"mirror.example/prom/prometheus:v3"})
    assert "credsStore" in caught.value.fix
    assert engine.pulled == []


def test_a_config_that_is_no_json_is_told_and_nothing_is_pulled_as_a_stranger(
    engine: Engine, docker_config: Path
) -> None:
    (docker_config / "config.json").write_text("{half")
    with pytest.raises(ToolchainError, match=r"config\.json"):
        pulling.pull(engine.client(), {"mirror.example/prom/prometheus:v3"})
    assert engine.pulled == []


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("toomanyrequests: You have reached your pull rate limit", "docker login mirror.example"),
        ("unauthorized: authentication required", "docker login mirror.example"),
        ("pull access denied for x", "docker login mirror.example"),
        ("Get https://mirror.example/v2/: no basic auth credentials", "docker login mirror.example"),
        ("manifest unknown", "correct the reference"),
        ("dial tcp: i/o timeout", "images.registry"),
    ],
)
@pytest.mark.parametrize("streamed", [True, False], ids=["in the middle", "at once"])
def test_a_refusal_names_the_image_and_what_to_do(engine: Engine, words: str, fix: str, streamed: bool) -> None:  # noqa: FBT001
    engine.words = [{"error": words} if streamed else {"message": words}]
    engine.status = 200 if streamed else 500
    with pytest.raises(ToolchainError) as caught:
        pulling.pull(engine.client(), {"mirror.example/prom/prometheus:v3"})
    assert str(caught.value) == f"mirror.example/prom/prometheus:v3 cannot be pulled: {words}"
    assert fix in caught.value.fix
