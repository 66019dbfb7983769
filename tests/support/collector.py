"""The real collector with the file of a stack, and something in place of Jaeger and Loki that keeps what it is sent."""

import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import requests
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from config.services.traces import otel_collector
from config.settings import Settings
from config.yaml_text import dollars_doubled, dump
from tests.support.ports import free_port
from toolchain import images

KINDS = {"traces": ("resourceSpans", "scopeSpans", "spans"), "logs": ("resourceLogs", "scopeLogs", "logRecords")}
STORES = {"otlp_grpc/jaeger": "traces", "otlp_http/loki": "logs"}
PAGES = ("prometheus/otlp", "prometheus/spans")
P = ParamSpec("P")
R = TypeVar("R")


def until_true(judge: Callable[P, R]) -> Callable[P, R]:
    """What asserts is tried again for a minute."""
    failed = retry_if_exception_type((AssertionError, OSError))
    return retry(stop=stop_after_delay(60), wait=wait_fixed(0.2), retry=failed, reraise=True)(judge)


@dataclass
class Collector:
    url: str
    pages: Mapping[str, str]
    """Exporter → address of its page."""
    received: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"traces": [], "logs": []})
    """Requests that the stores have got."""

    def send(self, kind: str, *groups: dict[str, Any]) -> None:
        """`groups`: of one resource each (`group`, or as the protocol has them)."""
        key = KINDS[kind][0] if kind in KINDS else "resourceMetrics"
        body = json.dumps({key: groups})
        for number in ("NaN", "-Infinity", "Infinity"):  # texts, as protobuf's JSON has them
            body = body.replace(f'"doubleValue": {number}', f'"doubleValue": "{number}"')
        headers = {"Content-Type": "application/json"}
        answer = requests.post(f"{self.url}/v1/{kind}", data=body.encode(), headers=headers, timeout=60)
        assert answer.status_code == requests.codes.ok, answer.text

    def stored(self, kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Attributes of the resource, and the span or record, as the protocol's JSON has them."""
        of_resource, of_scope, parts = KINDS[kind]
        return [
            (attributes(group["resource"].get("attributes", [])), part)
            for request in list(self.received[kind])
            for group in request[of_resource]
            for scope in group[of_scope]
            for part in scope[parts]
        ]

    def page(self, exporter: str) -> str:
        answer = requests.get(self.pages[exporter], headers={"Accept": "application/openmetrics-text"}, timeout=10)
        answer.raise_for_status()
        return answer.text


@contextmanager
def collector(settings: Settings, folder: Path, edges: int = 0) -> Iterator[Collector]:
    """It runs in `folder`, which is empty, until the end of the context. `edges`: port for what a door lets in."""
    otlp, own, *pages = (free_port() for _ in range(2 + len(PAGES)))
    running = Collector(f"http://127.0.0.1:{otlp}", dict(zip(PAGES, map(_page, pages), strict=True)))
    with _store(running) as store:
        main = otel_collector.main_file(settings)
        main["extensions"]["file_storage"] |= {"directory": str(folder)}
        main["extensions"]["file_storage"]["compaction"]["directory"] = str(folder)
        main["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{otlp}"}}
        if edges:
            main["receivers"]["otlp/edges"]["protocols"]["http"]["endpoint"] = f"127.0.0.1:{edges}"
        main["service"]["telemetry"]["metrics"]["readers"] = [otel_collector.own_metrics(own)]
        for name, port in zip(PAGES, pages, strict=True):
            main["exporters"][name]["endpoint"] = f"127.0.0.1:{port}"
        stores = {name: f"otlp_http/{kind}" for name, kind in STORES.items()}
        for name, new in stores.items():
            options = {
                key: value for key, value in main["exporters"].pop(name).items() if key not in ("tls", "endpoint")
            }
            main["exporters"][new] = {**options, "endpoint": store, "encoding": "json", "compression": "none"}
        for pipeline in main["service"]["pipelines"].values():
            pipeline["exporters"] = [stores.get(name, name) for name in pipeline["exporters"]]
        file = folder / "collector.yml"
        file.write_text(dump(dollars_doubled(main), width=1_000_000))
        with _process(
            [str(images.binary("otelcol-contrib")), f"--config={file}"], folder / "collector.log", running.url
        ):
            yield running


def attributes(listed: list[dict[str, Any]]) -> dict[str, Any]:
    """Attributes of the protocol's JSON as texts and numbers."""
    return {each["key"]: _plain(each["value"]) for each in listed}


def _plain(value: dict[str, Any]) -> Any:
    kind: str
    plain: Any
    kind, plain = next(iter(value.items()), ("", None))
    if kind == "arrayValue":
        return [_plain(each) for each in plain.get("values", [])]
    if kind == "kvlistValue":
        return attributes(plain.get("values", []))
    return int(plain) if kind == "intValue" else plain


def listed(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as the protocol's JSON has them."""
    return [{"key": key, "value": value_of(value)} for key, value in plain.items()]


def value_of(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"kvlistValue": {"values": listed(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [value_of(each) for each in value]}}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {kinds[type(value)]: value}


def group(kind: str, resource: Mapping[str, Any], *parts: dict[str, Any]) -> dict[str, Any]:
    """Spans or records of one resource."""
    _, of_scope, name = KINDS[kind]
    return {"resource": {"attributes": listed(resource)}, of_scope: [{"scope": {"name": "test"}, name: parts}]}


def span(name: str, own: Mapping[str, Any] | None = None, *, takes: float = 0.01, **more: Any) -> dict[str, Any]:
    """A root of a trace of its own, of a server. `takes`: seconds."""
    now = time.time_ns()
    return {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(now - int(takes * 1e9)),
        "endTimeUnixNano": str(now),
        "attributes": listed(own or {}),
        **more,
    }


def record(body: Any, own: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    now = str(time.time_ns())
    return {"timeUnixNano": now, "severityNumber": 9, "body": value_of(body), "attributes": listed(own or {}), **more}


def _page(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


@contextmanager
def _store(running: Collector) -> Iterator[str]:
    class Store(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            running.received[self.path.rpartition("/")[2]].append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def _process(command: list[str], log: Path, url: str) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stderr=output, env={**os.environ, "GOMAXPROCS": "2"})
    try:
        _ready(process, url, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@until_true
def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    if process.poll() is not None:
        raise RuntimeError(log.read_text()[-3000:])
    requests.get(url, timeout=1)
