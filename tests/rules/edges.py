"""A centre and its edges, by the real binaries with the files that a stack would give them: every part has a port of its own
on this machine in place of an address in its network."""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from config.services.correlation import edge_door
from config.services.logs import loki
from config.services.metrics import edge_front, scrape
from config.services.traces import otel_collector
from config.settings import Settings
from config.yaml_text import dollars_doubled, dump
from tests.support.collector import Collector, collector, until_true
from tests.support.ports import free_port
from tests.support.program import config_of, described, settings_of
from tests.support.services import running
from toolchain import images
from toolchain.images.recipes import RECIPES

EDGES = {"web-2": {}, "db-1": {"rate": "64KiB", "streams": 10, "series": 1000}}
SECRETS = ("edge_password_web-2", "edge_password_web-2_next", "edge_password_db-1")
PASSWORDS = {
    "edge_password_web-2": "credential-of-web-2-which-is-long",
    "edge_password_web-2_next": "credential-of-web-2-that-follows",
    "edge_password_db-1": "credential-of-db-1-which-is-long",
}
CENTRE: dict[str, Any] = {
    "edges": EDGES,
    "door": {"domain": "localhost", "certificate": "internal"},
    "publish": {"caddy": "127.0.0.1:443"},
    "host_name": "centre",
    "traces": {"sampling": {"rest": 100, "decision_wait": "1s"}},
}


CENTRE_NAME = "centre.example"
"""What settings call the centre. It is `localhost` here, which they refuse: in a container that would be the edge itself."""
TRACE = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Page:
    """A target: a page in OpenMetrics with one counter, which each scrape raises by one, and which has an exemplar."""

    port: int = 0
    count: int = 0
    extra: str = ""

    @contextmanager
    def served(self) -> Iterator[None]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.count += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
                self.end_headers()
                counter = f'# TYPE scrapes counter\nscrapes_total {page.count} # {{trace_id="{TRACE}"}} 1\n'
                self.wfile.write(f"{counter}{page.extra}# EOF\n".encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_port
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()


@dataclass
class Site:
    """A centre. Its parts can be ended and started again by name."""

    folder: Path
    settings: Settings = field(default_factory=lambda: settings_of(CENTRE, secrets=SECRETS))
    ports: dict[str, int] = field(default_factory=dict)
    collector: Collector | None = None
    _parts: dict[str, ExitStack] = field(default_factory=dict)

    def start(self, part: str) -> None:
        stack = ExitStack()
        stack.enter_context(self._running(part))
        self._parts[part] = stack

    def end(self, part: str) -> None:
        self._parts.pop(part).close()

    @contextmanager
    def running(self) -> Iterator["Site"]:
        parts = ("prometheus", "loki", "otel_collector", "edge_door", "api_proxy", "caddy")
        self.ports = {name: free_port() for name in (*parts, "grpc", "otlp", "admin", "metrics")}
        try:
            for part in parts:
                self.start(part)
            yield self
        finally:
            for part in reversed(parts):
                if part in self._parts:
                    self.end(part)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.ports['caddy']}"

    @property
    def ca(self) -> Path:
        return self.folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series of the central Prometheus."""
        page = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/query"
        answer = requests.get(page, {"query": expression}, timeout=10).json()
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def lines(self, selector: str) -> list[tuple[dict[str, str], str]]:
        """Labels and text of the lines in the central Loki."""
        page = f"http://127.0.0.1:{self.ports['loki']}/loki/api/v1/query_range"
        parameters = {"query": selector, "limit": "5000", "start": str(int((time.time() - 3600) * 1e9))}
        answer = requests.get(page, parameters, timeout=10)
        answer.raise_for_status()
        return [(one["stream"], line) for one in answer.json()["data"]["result"] for _, line, *_ in one["values"]]

    def counted(self, metric: str) -> float:
        """Sum of a metric of the front's, whose labels contain what is in braces."""
        page = requests.get(f"http://127.0.0.1:{self.ports['metrics']}/metrics", timeout=10).text
        name, _, labels = metric.rstrip("}").partition("{")
        lines = [
            line
            for line in page.splitlines()
            if line.startswith(f"{name}{{") and all(one in line for one in labels.split(",") if one)
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def send(self, path: str, body: bytes, user: str, password: str, **headers: str) -> requests.Response:
        """What anybody may send to the door."""
        http_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(
            f"{self.url}{path}", body, auth=(user, password), headers=http_headers, verify=str(self.ca), timeout=20
        )

    def _running(self, part: str) -> AbstractContextManager[Any]:
        folder = self.folder / part
        folder.mkdir(exist_ok=True, parents=True)
        context: AbstractContextManager[Any] = getattr(self, f"_{part}")(folder)
        return context

    def _prometheus(self, folder: Path) -> AbstractContextManager[None]:
        main = yaml.safe_load(config_of("prometheus", self.settings).files["prometheus.yml"])
        (folder / "prometheus.yml").write_text(dump({"global": main["global"], "storage": main["storage"]}))
        return _prometheus(described("prometheus", self.settings).command, folder, self.ports["prometheus"])

    def _loki(self, folder: Path) -> AbstractContextManager[None]:
        files = config_of("loki", self.settings).files
        main = yaml.safe_load(files[loki.MAIN])
        main["common"]["path_prefix"] = str(folder)
        main["storage_config"]["filesystem"]["directory"] = str(folder / "chunks")
        main["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": self.ports["loki"]}
        main["server"] |= {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": self.ports["grpc"]}
        main["ruler"] |= {"rule_path": str(folder / "evaluated"), "alertmanager_url": ""}
        main["ruler"]["storage"]["local"] = {"directory": str(folder / "rules")}
        (folder / loki.MAIN).write_text(dump(main))
        (folder / loki.LIMITS).write_text(files[loki.LIMITS])
        command = [images.binary("loki"), f"-config.file={folder / loki.MAIN}"]
        command += [f"-runtime-config.file={folder / loki.LIMITS}"]
        page = f"http://127.0.0.1:{self.ports['loki']}/loki/api/v1/status/buildinfo"
        return running(command, page, folder / "log", seconds=60)

    @contextmanager
    def _otel_collector(self, folder: Path) -> Iterator[None]:
        with collector(self.settings, folder, self.ports["otlp"]) as self.collector:
            yield

    def _edge_door(self, folder: Path) -> AbstractContextManager[None]:
        files = dict(config_of("edge_door", self.settings).files)
        config = json.loads(files[edge_door.FILE])
        config |= {"samples": f"127.0.0.1:{self.ports['prometheus']}", "lines": f"127.0.0.1:{self.ports['loki']}"}
        files[edge_door.FILE] = json.dumps(config)
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        port = self.ports["edge_door"]
        command = [sys.executable, "-B", "-m", edge_door.PROGRAM.folder.name, folder / edge_door.FILE, str(port)]
        page = f"http://127.0.0.1:{port}/-/healthy"
        return running(command, page, folder / "log", seconds=20, environment={**os.environ, "PYTHONPATH": str(folder)})

    def _api_proxy(self, folder: Path) -> AbstractContextManager[None]:
        config = config_of("api_proxy", self.settings)
        text = config.files["haproxy.cfg"]
        text = text.replace(f" edge_door:{edge_door.PORT} ", f" 127.0.0.1:{self.ports['edge_door']} ")
        text = re.sub(r" \S+:4319 resolvers", f" 127.0.0.1:{self.ports['otlp']} resolvers", text)
        text = text.replace(f"bind {self.settings.edge.address('api_proxy')}:", "bind :")
        here = {edge_front.PORT: self.ports["api_proxy"], 8405: self.ports["metrics"]}
        text = re.sub(
            r"(?m)^    bind :(\d+)$", lambda one: f"    bind 127.0.0.1:{here.get(int(one[1]), 0) or free_port()}", text
        )
        (folder / "haproxy.cfg").write_text(text)
        (folder / "secrets").mkdir(exist_ok=True)
        for name, secret in config.secrets.items():
            (folder / "secrets" / name).write_text(secret.render(PASSWORDS[secret.key]))
        product = images.product("api_proxy", RECIPES["api_proxy"])
        [libraries] = (product / "usr/lib").glob("*-linux-gnu")
        command = [product / "usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg"]
        page = f"http://127.0.0.1:{self.ports['metrics']}/metrics"
        environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        return running(command, page, folder / "log", seconds=20, environment=environment)

    def _caddy(self, folder: Path) -> AbstractContextManager[None]:
        text = config_of("caddy", self.settings).files["Caddyfile"]
        text = text.replace("https://localhost:443", f"https://localhost:{self.ports['caddy']}")
        text = text.replace("api_proxy:24318", f"127.0.0.1:{self.ports['api_proxy']}")
        text = text.replace("127.0.0.1:2019", f"127.0.0.1:{free_port()}")
        text = text.replace("http://:9180", f"http://127.0.0.1:{self.ports['admin']}")
        (folder / "Caddyfile").write_text(text)
        command = [images.binary("caddy"), "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
        environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        page = f"http://127.0.0.1:{self.ports['admin']}/version"
        return running(command, page, folder / "log", seconds=30, environment=environment)


def _prometheus(command: tuple[str, ...], folder: Path, port: int) -> AbstractContextManager[None]:
    own = ("--config.file=", "--storage.tsdb.path=", "--storage.agent.path=", "--web.external-url=")
    flags = [flag for flag in command if not flag.startswith(own)]
    data = "agent" if "--agent" in flags else "tsdb"
    mine = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.{data}.path={folder / 'data'}"]
    page = f"http://127.0.0.1:{port}/-/ready"
    mine.append(f"--web.listen-address=127.0.0.1:{port}")
    return running([images.binary("prometheus"), *flags, *mine], page, folder / "log", seconds=30)


def _alloy(text: str, folder: Path, port: int) -> AbstractContextManager[None]:
    (folder / "config.alloy").write_text(text)
    command = [images.binary("alloy"), "run", folder / "config.alloy", f"--storage.path={folder / 'data'}"]
    command += [f"--server.http.listen-addr=127.0.0.1:{port}", "--disable-reporting", "--stability.level=experimental"]
    return running(command, f"http://127.0.0.1:{port}/-/ready", folder / "log", seconds=60)


def _here(text: str) -> str:
    return text.replace(CENTRE_NAME, "localhost")


@dataclass
class Edge:
    """An edge that sends to `centre`."""

    folder: Path
    centre: str
    ca: Path
    name: str = "web-2"
    password: str = PASSWORDS["edge_password_web-2"]
    page: Page = field(default_factory=Page)
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("prometheus", "alloy", "otlp", "otel_collector")}
    )

    @property
    def settings(self) -> Settings:
        centre = {"url": self.centre.replace("localhost", CENTRE_NAME), "ca": self.ca.read_text().replace("\n", " ")}
        config = {"role": "edge", "host_name": self.name, "centre": centre}
        logs = {"files": str(self.folder / "apps"), "system": "off"}
        metrics = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        return settings_of({**config, "logs": logs, "metrics": metrics}, secrets=["centre_password"])

    @contextmanager
    def scraping(self) -> Iterator[None]:
        """Its Prometheus, which scrapes `page` every second."""
        folder = self._folder("prometheus")
        main = yaml.safe_load(config_of("prometheus", self.settings).files["prometheus.yml"])
        with self.page.served():
            targets = {"shop": self.page.port, "prometheus": self.ports["prometheus"]}
            jobs = [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for name, port in targets.items()
            ]
            main["scrape_configs"] = scrape.of_host(self.settings, jobs)
            (folder / "prometheus.yml").write_text(_here(dump(main)))
            with _prometheus(described("prometheus", self.settings).command, folder, self.ports["prometheus"]):
                yield

    def metrics(self, part: str) -> str:
        """The page of metrics of its Prometheus, shipper or collector."""
        return requests.get(f"http://127.0.0.1:{self.ports[part]}/metrics", timeout=10).text

    @contextmanager
    def shipping(self) -> Iterator[Path]:
        """Its shipper. Yields the folder whose log files it ships."""
        folder = self._folder("alloy")
        (self.folder / "apps").mkdir(exist_ok=True)
        text = _here(config_of("alloy", self.settings).files["config.alloy"])
        text = text.replace("/config/current/secrets", str(folder / "secrets"))
        with _alloy(text, folder, self.ports["alloy"]):
            yield self.folder / "apps"

    @contextmanager
    def receiving(self) -> Iterator[str]:
        """Its collector. Yields the address for OTLP."""
        folder = self._folder("otel_collector")
        config = config_of("otel_collector", self.settings)
        main = otel_collector.main_file(self.settings)
        main["extensions"]["file_storage"] |= {"directory": str(folder / "queue")}
        main["extensions"]["file_storage"]["compaction"]["directory"] = str(folder / "queue")
        main["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{self.ports['otlp']}"}}
        own = self.ports["otel_collector"]
        main["service"]["telemetry"]["metrics"]["readers"] = [otel_collector.own_metrics(own)]
        main["exporters"]["prometheus/otlp"]["endpoint"] = f"127.0.0.1:{free_port()}"
        (folder / "collector.yml").write_text(_here(dump(dollars_doubled(main), width=1_000_000)))
        [(name, secret)] = config.secrets.items()
        (folder / "secrets" / name).write_text(secret.render(self.password))
        flags = [f"--config={folder / file}" for file in ("collector.yml", f"secrets/{name}")]
        command = [images.binary("otelcol-contrib"), *flags]
        address = f"http://127.0.0.1:{self.ports['otlp']}"
        with running(command, f"http://127.0.0.1:{own}/metrics", folder / "log", seconds=60):
            until_true(requests.get)(address, timeout=5)  # it serves its metrics before it receives
            yield address

    def _folder(self, part: str) -> Path:
        folder = self.folder / part
        (folder / "secrets").mkdir(parents=True, exist_ok=True)
        (folder / "secrets" / "centre_password").write_text(self.password)
        return folder


def otlp(kind: str, *groups: Mapping[str, Any]) -> bytes:
    """A request of OTLP in JSON."""
    key = {"traces": "resourceSpans", "logs": "resourceLogs"}[kind]
    return json.dumps({key: groups}).encode()
