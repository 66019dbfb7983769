"""A second copy of containers' logs: the real Alloy, socket proxy and Lokis, in front of an engine that tells of two containers."""

import json
import re
import struct
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import requests

from config.ports import DOCKER_API, DOCKER_API_FAR
from config.settings import Settings
from tests.rules import test_remote_logs, test_socket_proxy
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running_loki
from tests.support.wait import until

NEVER = "0001-01-01T00:00:00Z"


def _time(seconds: float) -> str:
    """As the engine writes it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


@dataclass
class Container:
    name: str
    lines: list[tuple[float, str]] = field(default_factory=list)
    """When each was written, in seconds since 1970."""
    finished: str = NEVER

    def write(self, *texts: str, ago: float = 0) -> None:
        """`ago`: seconds. What is a while apart is not read again by chance, because the proxy goes back by some seconds."""
        for number, text in enumerate(texts):
            self.lines.append((time.time() - ago + number / 1000, text))

    @property
    def running(self) -> bool:
        return self.finished == NEVER

    @property
    def state(self) -> str:
        return "running" if self.running else "exited"


class Engine(BaseHTTPRequestHandler):
    """As much of the engine's API as a shipper asks for."""

    protocol_version = "HTTP/1.1"
    containers: ClassVar[dict[str, Container]] = {}
    over: ClassVar[threading.Event] = threading.Event()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if match := re.search(r"/containers/(\w+)/(json|logs)$", path):
            return self._log(match[1], query) if match[2] == "logs" else self._answer(self._description(match[1]))
        if path.endswith("/networks"):
            return self._answer([{"Id": "n", "Name": "bridge", "Scope": "local"}])
        return self._answer([self._listed(one) for one in self.containers] if path.endswith("/json") else "OK")

    def _listed(self, one: str) -> dict[str, object]:
        networks = {"bridge": {"NetworkID": "n", "IPAddress": "10.0.0.9"}}
        container = self.containers[one]
        return {
            "Id": one,
            "Names": [f"/{container.name}"],
            "Labels": {},
            "State": container.state,
            "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {"Networks": networks},
        }

    def _description(self, one: str) -> dict[str, object]:
        container = self.containers[one]
        state = {"Status": container.state, "Running": container.running, "Restarting": False, "ExitCode": 0}
        return {
            "Id": one,
            "Name": f"/{container.name}",
            "RestartCount": 0,
            "Config": {"Tty": False, "Labels": {}},
            "State": {**state, "StartedAt": _time(time.time() - 60), "FinishedAt": container.finished},
            "HostConfig": {"RestartPolicy": {"Name": "no"}},
        }

    def _answer(self, content: object) -> None:
        body = b"" if self.command == "HEAD" else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Api-Version", "1.44")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _log(self, one: str, query: dict[str, list[str]]) -> None:
        container, since, position = self.containers[one], float(query["since"][0]), 0
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.multiplexed-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):  # who asked has gone
            while not self.over.is_set():
                running, lines = container.running, container.lines[position:]
                position += len(lines)
                for at, text in lines:
                    if at >= since:
                        line = f"{_time(at)} {text}\n".encode()
                        frame = struct.pack(">BxxxL", 1, len(line)) + line
                        self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
                self.wfile.flush()
                if not running:
                    self.wfile.write(b"0\r\n\r\n")
                    return
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        pass


def lines(loki: str, service: str) -> list[str]:
    query = {"query": f'{{service="{service}"}}', "limit": "5000", "since": "1h"}
    streams = requests.get(f"{loki}/loki/api/v1/query_range", params=query, timeout=10).json()["data"]["result"]
    return sorted(text for stream in streams for _, text in stream["values"])


def test_what_containers_write_while_the_store_is_away_is_there_once_near_and_far(tmp_path: Path) -> None:
    near_port, far_port = free_port(), free_port()
    settings: Settings = settings_of(
        {"logs": {"files": str(tmp_path), "system": "off", "remote": {"url": test_remote_logs.FAR}}}
    )
    shop, job = Container("shop"), Container("job")
    Engine.containers, Engine.over = {"a1": shop}, threading.Event()
    all_texts: list[str] = []

    def write(*texts: str, ago: float = 0) -> None:
        all_texts.extend(texts)
        shop.write(*texts, ago=ago)

    engine = tmp_path / "engine.sock"
    with ExitStack() as whole:
        server = whole.enter_context(test_socket_proxy.Server(str(engine), Engine))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        whole.callback(server.shutdown)
        whole.callback(Engine.over.set)
        near = whole.enter_context(running_loki(tmp_path / "near", settings, near_port))
        (tmp_path / "proxy").mkdir()
        proxy = whole.enter_context(test_socket_proxy.running(tmp_path / "proxy", engine, near_port, settings))
        moved = {f"socket_proxy:{DOCKER_API}": proxy.port, f"socket_proxy:{DOCKER_API_FAR}": proxy.far}
        hosts = {host: f"127.0.0.1:{port}" for host, port in moved.items()}
        with test_remote_logs.shipping(tmp_path / "alloy", settings, near_port, far_port, hosts):
            with running_loki(tmp_path / "far", settings, far_port) as far:
                write(*(f"before {number}" for number in range(20)), ago=300)
                until(lambda: lines(near, "shop") == lines(far, "shop") == sorted(all_texts))
            write(*(f"meanwhile {number:04}" for number in range(3000)), ago=200)
            Engine.containers = {"a1": shop, "b2": job}
            job.write("first", ago=100)
            job.write("last")
            job.finished = _time(time.time())
            until(lambda: lines(near, "shop") == sorted(all_texts) and lines(near, "job") == ["first", "last"])
        # It is killed while the store is away.
        with test_remote_logs.shipping(tmp_path / "alloy", settings, near_port, far_port, hosts):
            write("after the kill")
            until(lambda: lines(near, "shop") == sorted(all_texts))
            with running_loki(tmp_path / "far", settings, far_port) as far:
                until(lambda: lines(far, "shop") == sorted(all_texts))
                until(lambda: lines(far, "job") == ["first", "last"])
                write("at last")
                until(lambda: lines(near, "shop") == lines(far, "shop") == sorted(all_texts))
                assert lines(near, "job") == ["first", "last"]
