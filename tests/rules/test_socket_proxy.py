"""The real proxy of the Docker socket between a client that takes all it can get and one that behaves."""

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, ClassVar
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from config import service_names
from config.ports import DOCKER_API, DOCKER_API_FAR
from config.services.metrics import socket_proxy
from config.settings import Settings
from config.sizes import MIB
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from tests.unit.relabel import relabelled
from toolchain import images
from toolchain.images.recipes import RECIPES

BOUND = 16 * socket_proxy.ONE_CLIENT
MANY = BOUND + 40
GREEDY, OTHER = "127.0.0.7", "127.0.0.8"
LOG = "/containers/abc/logs?follow=1"


def _container(
    name: str, policy: str = "unless-stopped", *, restarts: int = 0, ended: str = "", **labels: str
) -> dict[str, Any]:
    """As the engine tells of it; one that has `ended` did so at that time, with 3."""
    state = {"Status": "running", "Running": not ended, "Restarting": False, "StartedAt": ENDED_NEVER}
    state |= {"FinishedAt": ended or ENDED_NEVER, "ExitCode": 3 if ended else 0}
    config = {"Tty": False, "Labels": {label.replace("_", "."): value for label, value in labels.items()}}
    host = {"RestartPolicy": {"Name": policy, "MaximumRetryCount": 0}}
    return {
        "Id": "",
        "Name": f"/{name}",
        "RestartCount": restarts,
        "Config": config,
        "State": state,
        "HostConfig": host,
    }


SAID = (
    "<!channel> see <https://evil.example|here>",
    "*a*",
    "`a`",
    "{{ .ExternalURL }}",
    "a\nb",
    "a\x1b[2Jb",
    "a\u202eb",
    "a\u2028b",
    "a\u200bb",
    "a\ufffdb",
    "Ünïcode-заказы.注文 ☕:8080/x@eu",
    "x" * 128,
    "ü" * 128,
    "ü" * 129,
)
"""Labels that say what the service of a container is called, as somebody might write them."""
ENDED_NEVER = "0001-01-01T00:00:00Z"
NOW, HOURS_AGO = (f"{datetime.now(UTC) - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}.123456789Z" for hours in (0, 2))
CONTAINERS = {
    "abc": _container("shop"),
    "loop": _container("shop-web-1a2b3c4", restarts=41),
    "job": _container("nightly", "no", ended=NOW),
    "old": _container("last-week", "no", ended=HOURS_AGO),
    "created": _container("never-started", ended=ENDED_NEVER),
    "bare": _container("bare", ""),
    "odd": _container("odd", observability_service='a "b" <c>'),
    "coolify": _container(
        "u8s0k8ocws0wkkk48c0w4kc4-091512345678",
        com_docker_compose_service="u8s0k8ocws0wkkk48c0w4kc4-091512345678",
        coolify_serviceName="shop",
    ),
    "preview": _container(
        "u8s0k8ocws0wkkk48c0w4kc4-pr-7",
        com_docker_compose_service="u8s0k8ocws0wkkk48c0w4kc4-pr-7",
        coolify_serviceName="shop",
    ),
    "long": _container("long", observability_service=600 * "x"),
    **{f"said{number}": _container(f"c{number}x", observability_service=label) for number, label in enumerate(SAID)},
    **{
        f"name{number}": _container(name)
        for number, name in enumerate(
            (
                "shop_web.1.x7k2m9q4w8e1r5t6y3u0i2o4p",
                "shop-web-v1.24.3",
                "shop-web-1.24.3",
                "shop-web-1a2b3c4_uncommitted_0011223344556677",
                "shop-web-1a2b3c4d-12ab-5678-9abc-def012345678",
                "shop-web-12ab-5678-9abc-def012345678",
                "shop-web-green",
                "shop.web.1.upcoming-26123",
                "u8s0k8ocws0wkkk48c0w4kc4",
                "job-20261124-deadbeef",
                "api-v2",
                "cache7",
                "1234",
            )
        )
    },
}
for _id, _one in CONTAINERS.items():
    _one["Id"] = _id


class Engine(BaseHTTPRequestHandler):
    """Follows a log that says nothing, and knows two containers. Loki too, which has no lines of them."""

    protocol_version = "HTTP/1.1"
    thinks = 0.0
    """Seconds before it answers."""
    logs: ClassVar[list[str]] = []
    """What it was asked for of logs."""

    def do_GET(self) -> None:
        time.sleep(self.thinks)
        if "/logs" in self.path:
            self.logs.append(self.path)
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            time.sleep(60)
            return
        greedy = {"Names": ["/shop-orders"], "NetworkSettings": {"Networks": {"shop": {"IPAddress": GREEDY}}}}
        match = re.search(r"/containers/(\w+)/json", self.path)
        answer: object = [greedy]
        if "all=1" in self.path:
            answer = [{"Id": one} for one in CONTAINERS]
        elif match:
            answer = CONTAINERS[match[1]]
        text = json.dumps(answer, ensure_ascii=False)
        for sign in "<>&\u2028\u2029":  # as Go writes it
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # who asked has gone
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 1000

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        return super().get_request()[0], ("", 0)


@dataclass
class Proxy:
    port: int
    metrics: int
    log: Path
    process: int
    far: int
    """The port of the copy of the logs that goes to a remote store."""

    def memory(self) -> int:
        """Bytes that it holds."""
        [kib] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process}/status").read_text())
        return int(kib) * 1024

    def connect(self, source: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15, source_address=(source, 0))

    def open_request(self, source: str, path: str) -> socket.socket:
        connection = self.connect(source)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
        return connection

    def status(self, source: str, path: str = "/_ping") -> int:
        """Of the answer; 0 if there is none."""
        try:
            with self.open_request(source, path) as connection:
                return int((connection.recv(1000) or b"- 0").split()[1])
        except ConnectionError:
            return 0


@contextmanager
def running(folder: Path, engine: Path, loki: int, settings: Settings) -> Iterator[Proxy]:
    """The proxy of a stack, in front of the `engine` on a socket and of the Loki on a port of this machine."""
    ports = {port: free_port() for port in (DOCKER_API, DOCKER_API_FAR, socket_proxy.PORT, 3100)}
    for name, text in config_of("socket_proxy", settings).files.items():
        moved = text.replace("/var/run/docker.sock", str(engine)).replace("core.sleep(60)", "core.sleep(1)")
        moved = moved.replace("timeout client-fin 10s", "timeout client-fin 1s")
        for port, other in ports.items():
            moved = moved.replace(f"bind :{port}\n", f"bind 127.0.0.1:{other}\n").replace(f":{port}", f":{other}")
        moved = re.sub("server loki .*", f"server loki 127.0.0.1:{loki}", moved)
        (folder / name).write_text(moved.replace("default-path config", f"default-path origin {folder}"))
    product = images.product("socket_proxy", RECIPES["socket_proxy"])
    [libraries] = (product / "usr/lib").glob("*-linux-gnu")
    with (folder / "log").open("w") as log:
        command = [str(product / "usr/sbin/haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        )
        try:
            new_proxy = Proxy(
                ports[DOCKER_API], ports[socket_proxy.PORT], folder / "log", process.pid, ports[DOCKER_API_FAR]
            )
            _until(lambda: new_proxy.status(OTHER) == 200, (folder / "log").read_text)
            yield new_proxy
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder, loki = tmp_path_factory.mktemp("proxy"), free_port()
    engine = folder / "engine.sock"
    config = {"memory": {"socket_proxy": "16MiB"}, "logs": {"remote": {"url": "https://far.example.com"}}}
    servers = Server(str(engine), Engine), ThreadingHTTPServer(("127.0.0.1", loki), Engine)
    with servers[0], servers[1]:
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with running(folder, engine, loki, settings_of(config)) as new_proxy:
                yield new_proxy
        finally:
            for server in servers:
                server.shutdown()


def _until(holds: Callable[[], bool], report: Callable[[], str]) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(report())


def _half(proxy: Proxy) -> socket.socket:
    connection = proxy.connect(GREEDY)
    connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: ")
    return connection


HELD: dict[str, Callable[[Proxy], socket.socket]] = {
    "logs that are followed": lambda proxy: proxy.open_request(GREEDY, LOG),
    "connections that ask for nothing": lambda proxy: proxy.connect(GREEDY),
    "headers that never end": _half,
}


@pytest.mark.parametrize("hold", HELD)
def test_who_holds_all_that_it_gets_is_refused_more_and_nobody_else_is(proxy: Proxy, hold: str) -> None:
    before = len(_told(proxy))
    with ExitStack() as stack:
        for _ in range(MANY):
            try:
                stack.enter_context(HELD[hold](proxy))
            except ConnectionError:
                continue
        assert proxy.status(OTHER) == 200
        assert proxy.status(GREEDY) == 0
        _until(lambda: len(_told(proxy)) > before, proxy.log.read_text)
    assert "client shop-orders: " in _told(proxy)[-1]
    _until(lambda: proxy.status(GREEDY) == 200, proxy.log.read_text)


def _told(proxy: Proxy) -> list[str]:
    return [line for line in proxy.log.read_text().splitlines() if "connections refused" in line]


@pytest.mark.parametrize(
    "path", ["/events", "/v1.41/events", "/info", "/containers/json?size=1", "/containers/json?a=b&s%69ze=1"]
)
def test_what_costs_the_engine_and_nobody_asks_for_is_refused_and_the_connection_ends(proxy: Proxy, path: str) -> None:
    with proxy.open_request(OTHER, path) as connection:
        answer = b""
        while more := connection.recv(1000):
            answer += more
    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("path", [socket_proxy.CONTAINERS, "/containers/abc/json", "/containers/job/logs?follow=1"])
def test_the_proxy_lives_when_the_engine_is_slow_and_those_who_asked_have_gone(
    proxy: Proxy, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy ends itself by a signal when something inside has turned in circles for a second or two."""
    port = proxy.metrics if path == socket_proxy.CONTAINERS else proxy.port
    assert proxy.status(OTHER, "/_ping") == 200  # it forgets what it was told
    monkeypatch.setattr(Engine, "thinks", 4)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
            time.sleep(0.2)
    time.sleep(3.5)
    monkeypatch.undo()
    _until(lambda: proxy.status(OTHER) == 200, proxy.log.read_text)
    with urlopen(f"http://127.0.0.1:{proxy.metrics}{socket_proxy.CONTAINERS}") as answer:
        assert b"engine_container_running" in answer.read()


def test_answers_of_the_engine_are_not_kept(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """HAProxy 2.6 keeps what a task of Lua has seen; at Lua's bound it ends itself."""
    monkeypatch.setitem(CONTAINERS["abc"], "Args", 1000 * ["as long as what a real engine says"])

    def memory_after(times: int) -> int:
        """Bytes after that."""
        for _ in range(times):
            assert proxy.status(OTHER, "/_ping") == 200  # it forgets what it was told
            assert proxy.status(OTHER, "/containers/abc/json") == 200
        return proxy.memory()

    before = memory_after(200)
    assert memory_after(200) - before < 2 * MIB


def _since(proxy: Proxy, port: int, container: str, since: int) -> int | None:
    """From when the engine is asked for a log; None if it is not asked."""
    before = len(Engine.logs)
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        path = f"/containers/{container}/logs?follow=1&since={since}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
        connection.recv(1000)
    assert len(Engine.logs) <= before + 1
    return int(Engine.logs[-1].partition("since=")[2]) if len(Engine.logs) > before else None


@pytest.mark.parametrize("first", ["near", "far"])
def test_the_two_readers_of_a_log_know_nothing_of_each_other(proxy: Proxy, first: str) -> None:
    ports = {"near": proxy.port, "far": proxy.far}
    second = "far" if first == "near" else "near"
    for port in ports.values():
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
            assert b" 200 " in connection.recv(1000)
    now = int(time.time())
    for reader in (first, second):
        # The first word of a reader since its start is not believed. Later on its own word is right.
        assert now - 3100 <= (_since(proxy, ports[reader], "abc", now - 10) or 0) <= now - 3000
        assert _since(proxy, ports[reader], "abc", now - 10) == now - 10
        # A log that has ended is read once by each.
        assert now - 3100 <= (_since(proxy, ports[reader], "job", 0) or 0) <= now - 2990
        assert _since(proxy, ports[reader], "job", 0) is None
    # Containers that are there are remembered when Prometheus asks for the page.
    with urlopen(f"http://127.0.0.1:{proxy.metrics}{socket_proxy.CONTAINERS}") as answer:
        assert answer.status == 200
    assert _since(proxy, proxy.far, "job", 0) is None


def test_on_an_edge_a_log_is_read_from_before_its_position_because_no_store_can_be_asked(tmp_path: Path) -> None:
    edge = {"role": "edge", "host_name": "web-2", "centre": {"url": "https://centre.example.com"}}
    engine, nobody = tmp_path / "engine.sock", free_port()
    with Server(str(engine), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with running(tmp_path, engine, nobody, settings_of(edge, secrets=["centre_password"])) as edge_proxy:
                now = int(time.time())
                assert now - 3100 <= (_since(edge_proxy, edge_proxy.port, "abc", now - 10) or 0) <= now - 3000
                assert _since(edge_proxy, edge_proxy.port, "abc", now - 10) == now - 10
        finally:
            server.shutdown()


def test_the_reader_for_far_away_gets_no_more_than_the_other_one(proxy: Proxy) -> None:
    for path in ("/events", "/info", "/containers/json?size=1"):
        with socket.create_connection(("127.0.0.1", proxy.far), timeout=15) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 403")


def test_the_page_is_refused_when_the_engine_is_down(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "do_GET", lambda self: self.send_error(500))
    with pytest.raises(HTTPError, match="502"):
        urlopen(f"http://127.0.0.1:{proxy.metrics}{socket_proxy.CONTAINERS}")


# What Prometheus is told of the engine's containers.


@pytest.fixture(scope="module")
def page(proxy: Proxy) -> list[str]:
    with urlopen(f"http://127.0.0.1:{proxy.metrics}{socket_proxy.CONTAINERS}") as answer:
        text: str = answer.read().decode()
    return text.splitlines()


def test_prometheus_can_read_the_page(page: list[str]) -> None:
    tool = images.binary("promtool")
    text = "\n".join([*page, ""])
    result = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert not [line for line in result.stderr.splitlines() if "no help text" not in line]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            'engine_container_running{name="shop",service="shop",id="abc",restart="unless-stopped"} 1',
            id="one that runs",
        ),
        pytest.param(
            'engine_container_restarts_total{name="shop-web-1a2b3c4",service="shop-web",id="loop",restart="unless-stopped"} 41',
            id="how often the engine has started one again, and its service without the version",
        ),
        pytest.param(
            'engine_container_running{name="nightly",service="nightly",id="job",restart="no"} 0',
            id="one that has ended",
        ),
        pytest.param(
            'engine_container_exit_code{name="nightly",service="nightly",id="job",restart="no"} 3',
            id="what it ended with",
        ),
        pytest.param(
            'engine_container_running{name="bare",service="bare",id="bare",restart="no"} 1', id="one without a policy"
        ),
        pytest.param(
            'engine_container_running{name="odd",service="odd",id="odd",restart="unless-stopped"} 1',
            id="its name where its service has signs that no name has",
        ),
        pytest.param(
            'engine_container_running{name="long",service="long",id="long",restart="unless-stopped"} 1',
            id="its name where its service is too long",
        ),
    ],
)
def test_the_page_tells_of_a_container(page: list[str], line: str) -> None:
    assert line in page


def test_the_page_is_silent_about_what_ended_long_ago_or_never_ran(page: list[str]) -> None:
    assert not [line for line in page if "last-week" in line or "never-started" in line]


def test_services_are_called_as_everywhere_else(page: list[str]) -> None:
    """Logs and cAdvisor's series get theirs by rules of Prometheus' kind."""
    named = {match[1]: match[2] for line in page if (match := re.search(r'name="([^"]+)",service="([^"]+)"', line))}
    for one in CONTAINERS.values():
        labels = {f"label_{key.replace('.', '_')}": value for key, value in one["Config"]["Labels"].items()}
        result = relabelled({"name": one["Name"], **labels}, service_names.rules("name", "label_"))
        name = one["Name"][1:]
        if name in named:
            assert result
            assert named[name] == result["service"]
