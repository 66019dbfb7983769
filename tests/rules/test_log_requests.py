"""Requests that the real shippers count in access logs, with the files of a stack. Each line is of a service of its own."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import yaml
from tenacity import RetryError, retry, retry_if_result, stop_after_delay, wait_fixed

from config import metric_names
from config.services.logs import alloy, promtail
from config.services.logs.shipper import PUSH_URL
from config.settings import Settings
from config.yaml_text import dump
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import until_ready
from toolchain import images

TIME = "24/Nov/2026:14:00:00 +0000"
COMBINED = f'10.0.0.9 - - [{TIME}] "GET /orders HTTP/1.1" {{}} 512 "-" "curl/8.14.1"'


def _json(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


TIMED: dict[str, tuple[str, str, float | None]] = {
    "combined": (COMBINED.format(200), "2xx", None),
    "combined, failed": (COMBINED.format(502), "5xx", None),
    "combined, not found": (COMBINED.format(404), "4xx", None),
    "$request_time at the end": (COMBINED.format(200) + " 0.123", "2xx", 0.123),
    "$request_time after the address": (COMBINED.format(200) + ' "10.0.0.1" 1.500 0.007', "2xx", 1.5),
    "rt=": (COMBINED.format(503) + ' rt=0.250 uct="0.001" urt="0.249"', "5xx", 0.25),
    "common": (f'10.0.0.9 - - [{TIME}] "POST /orders HTTP/1.1" 201 5', "2xx", None),
    "Traefik": (COMBINED.format(200) + ' 7 "shop@docker" "http://172.20.0.3:80" 12ms', "2xx", 0.012),
    "Envoy": (
        '[2026-11-24T14:00:00.123Z] "GET /orders HTTP/1.1" 503 UH 0 19 40 - "-" "curl/8.14.1" "7f3a" "shop" "-"',
        "5xx",
        None,
    ),
    "uvicorn": ('INFO:     10.0.0.9:55 - "GET /orders HTTP/1.1" 200 OK', "2xx", None),
    "Gin": ('[GIN] 2026/11/24 - 14:00:00 | 500 |    1.5ms |  10.0.0.9 | GET      "/orders"', "5xx", 0.0015),
    "Gin, quick": ('[GIN] 2026/11/24 - 14:00:00 | 200 |     500µs |  10.0.0.9 | GET      "/orders"', "2xx", 0.0005),
    "Fiber": ("14:00:00 | 200 |  1ms | 10.0.0.9 | GET | /orders | -", "2xx", 0.001),
    "morgan": ("GET /orders 304 12.500 ms - -", "3xx", None),
    "nginx, JSON": (
        _json(request="GET /orders HTTP/1.1", status="200", body_bytes_sent="5", request_time="0.123"), "2xx", 0.123,
    ),
    "nginx, numbers": (_json(request_uri="/orders", request_method="GET", status=500, request_time=2), "5xx", 2),
    "nginx, no time": (
        _json(remote_addr="10.0.0.9", body_bytes_sent="5", request="GET / HTTP/1.1", status="200"), "2xx", None,
    ),
    "Traefik, JSON": (
        _json(DownstreamStatus=200, Duration=1_234_567, RequestMethod="GET", RequestPath="/orders"), "2xx", 0.001234567,
    ),
    "Caddy": (
        _json(
            level="error", logger="http.log.access.log0", request={"method": "GET", "uri": "/"}, status=502, duration=0.5
        ),
        "5xx",
        0.5,
    ),
    "Envoy, JSON": (_json(method="GET", path="/", response_code=200, response_flags="-", duration=7), "2xx", 0.007),
    "Echo": (_json(method="GET", uri="/", status=200, latency=1_500_000, latency_human="1.5ms"), "2xx", 0.0015),
    "pino-http": (
        _json(level=30, req={"method": "GET", "url": "/"}, res={"statusCode": 200}, responseTime=9), "2xx", 0.009,
    ),
}  # fmt: skip
"""Format → line, class of its status, seconds."""

NOT_COUNTED = (
    COMBINED.format(200).replace("/orders", "/health"),
    COMBINED.format(503).replace("/orders", "/health"),
    COMBINED.format(500).replace("/orders", "/metrics"),
    COMBINED.format(200).replace("/orders", "/metrics"),
    COMBINED.format(200).replace("/orders", "/metrics").replace("curl/8.14.1", "Prometheus/3.15.0"),
    COMBINED.format("-"),
    COMBINED.format(200).replace("GET /orders HTTP/1.1", "\\x16\\x03\\x01"),
    '2026/11/24 14:00:00 [error] 29#29: *1 open() failed, client: 10.0.0.9, request: "GET /orders HTTP/1.1", host: "x"',
    'DEBUG:urllib3.connectionpool:https://api:443 "GET /orders HTTP/1.1" 500 12',
    'HTTP Request: GET http://api/orders "HTTP/1.1 500 Internal Server Error"',
    _json(level="error", msg="order failed", method="GET", path="/orders", status=500),
    _json(level="error", msg="no answer", method="GET", url="https://api/orders", status=500, request_time=1),
    _json(level="error", logger="http.log.error", request={"method": "GET", "uri": "/"}, status=502, duration=0.5),
    "level=error msg=failed method=GET path=/orders status=500",
    "Completed 500 Internal Server Error in 12ms",
)


@dataclass(frozen=True)
class Shipper:
    name: str
    page: str

    def values(self, name: str) -> dict[tuple[str, str, str], float]:
        """(service, source, status) → value of its series of this name."""
        return {(labels["service"], labels["source"], labels["status"]): value for labels, value in self._samples(name)}

    def labels(self) -> set[str]:
        """Names of all labels of the counts."""
        return {name for labels, _ in self._samples(rf"{metric_names.ACCESS_LOG_PREFIX}\w+") for name in labels}

    def dropped(self, reason: str) -> float:
        """How many lines were dropped for this reason."""
        return sum(value for labels, value in self._samples(r"\w+_dropped_lines_total") if labels["reason"] == reason)

    def _samples(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        answer = requests.get(f"{self.page}/metrics", timeout=10)
        assert answer.ok, answer.text
        for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", answer.text, re.MULTILINE):
            yield dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)


def _containers(folder: Path) -> dict[Path, dict[str, str]]:
    """Files with lines of containers → their labels. Two of one service, one of the stack's own."""
    labels = {"source": "docker", "stream": "stdout"}
    return {
        folder / "web-1.txt": {**labels, "service": "web", "container": "web-1"},
        folder / "web-2.txt": {**labels, "service": "web", "container": "web-2"},
        folder / "loki.txt": {**labels, "service": "loki", "container": f"{settings_of().prefix}-loki"},
    }


def _alloy(settings: Settings, folder: Path, port: int, loki: str) -> list[str]:
    targets = [
        "{"
        + ", ".join(f"{key} = {json.dumps(value)}" for key, value in {"__path__": str(path), **labels}.items())
        + "}"
        for path, labels in _containers(folder).items()
    ]
    more = (
        'loki.source.file "test" {\n'
        f"  targets = [{', '.join(targets)}]\n"
        "  forward_to = [loki.process.pipeline.receiver]\n"
        "}\n"
    )
    file = folder / "config.alloy"
    file.write_text(alloy.config_file(settings).replace(PUSH_URL, loki) + more)
    return [
        str(images.binary("alloy")), "run", str(file), f"--storage.path={folder / 'data'}",
        f"--server.http.listen-addr=127.0.0.1:{port}", "--disable-reporting", "--stability.level=experimental",
    ]  # fmt: skip


def _promtail(settings: Settings, folder: Path, port: int, loki: str) -> list[str]:
    delivered = promtail.container(settings).config
    assert delivered
    config = yaml.safe_load(delivered.files["promtail.yml"])
    config["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": port}
    config["clients"][0]["url"] = loki
    config["positions"]["filename"] = str(folder / "positions.yaml")
    [docker] = [job for job in config["scrape_configs"] if job["job_name"] == "docker"]
    del docker["docker_sd_configs"], docker["relabel_configs"]
    docker["static_configs"] = [
        {"targets": ["localhost"], "labels": {"__path__": str(path), **labels}}
        for path, labels in _containers(folder).items()
    ]
    file = folder / "promtail.yml"
    file.write_text(dump(config, width=1_000_000))
    return [str(images.binary("promtail")), f"-config.file={file}"]


class _Loki(BaseHTTPRequestHandler):
    """Takes whatever is sent: Promtail reads no further while Loki is away."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(requests.codes.no_content)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the library
        """Nothing."""


@pytest.fixture(scope="module")
def loki() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Loki) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/loki/api/v1/push"
        server.shutdown()


@pytest.fixture(scope="module", params=["alloy", "promtail"])
def shipper(request: pytest.FixtureRequest, loki: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipper]:
    """One that has read all lines."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    apps = folder / "apps"
    settings = settings_of({"logs": {"shipper": name, "files": str(apps), "system": "off"}})
    lines = {f"{place} of {kind}": line for place, (kind, line) in enumerate((k, v[0]) for k, v in TIMED.items())}
    lines |= {f"not counted {place}": line for place, line in enumerate(NOT_COUNTED)}
    for service, line in lines.items():
        (apps / service).mkdir(parents=True)
        (apps / service / "access.log").write_text(f"{line}\n")
    (apps / "web").mkdir()
    (apps / "web" / "access.log").write_text(f"{COMBINED.format(200)}\n")
    for path in _containers(folder):
        path.write_text(f"{COMBINED.format(200)}\n" * 3)
    port = free_port()
    command = {"alloy": _alloy, "promtail": _promtail}[name](settings, folder, port, loki)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            page = f"http://127.0.0.1:{port}"
            until_ready(process, f"{page}/metrics", folder / "log", seconds=60)
            started = Shipper(name, page)
            wanted = len(TIMED) + 1 + 6
            waiting = retry(
                stop=stop_after_delay(60), wait=wait_fixed(0.2), retry=retry_if_result(lambda count: count < wanted)
            )
            try:
                waiting(lambda: sum(started.values(metric_names.ACCESS_LOG_REQUESTS).values()))()
            except RetryError:
                print((folder / "log").read_text()[-3000:])
            yield started
        finally:
            process.terminate()
            process.wait(60)


def test_each_format_is_counted_by_its_status_and_nothing_else_is(shipper: Shipper) -> None:
    expected = {
        (f"{place} of {kind}", "file", status): 1.0 for place, (kind, (_, status, _)) in enumerate(TIMED.items())
    }
    # The containers of one service are one series. Promtail counts each source by itself.
    expected |= {("web", "docker", "2xx"): 6, ("web", "file", "2xx"): 1}
    assert shipper.values(metric_names.ACCESS_LOG_REQUESTS) == expected


def test_the_time_that_a_line_tells_is_in_seconds(shipper: Shipper) -> None:
    expected = {
        (f"{place} of {kind}", "file", status): pytest.approx(seconds)
        for place, (kind, (_, status, seconds)) in enumerate(TIMED.items())
        if seconds is not None
    }
    assert shipper.values(f"{metric_names.ACCESS_LOG_DURATION}_sum") == expected
    assert set(shipper.values(f"{metric_names.ACCESS_LOG_DURATION}_count").values()) == {1}


def test_no_label_has_many_values(shipper: Shipper) -> None:
    assert shipper.labels() - {"component_id", "component_path"} == {"service", "source", "status", "le"}


def test_what_is_dropped_is_counted(shipper: Shipper) -> None:
    assert (shipper.dropped("health_check"), shipper.dropped("scrape")) == (1, 1)
