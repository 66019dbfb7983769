"""The real front of the APIs, between everybody who asks and services that would answer anything."""

import http.client
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from config.ports import METRICS, OTLP_GRPC, OTLP_HTTP
from config.services.metrics import api_proxy
from config.settings.publish import ExternalUrls
from tests.support.ports import free_port
from tests.support.program import config_of, settings_of
from toolchain import images
from toolchain.images.recipes import RECIPES

PORTS = {
    "jaeger": 16686,
    **{service: METRICS[service] for service in ("prometheus", "alertmanager", "loki", "grafana")},
}
URLS = {"prometheus": "https://Ops.example.com/prometheus", "alertmanager": "http://alerts.example.com:8080"}
CONFIG = {
    "external_urls": URLS,
    "exporters": {"redis": {"address": "cache:6379"}, "probes": [{"name": "home", "target": "https://shop.example"}]},
    "grafana": {"tls": {"domain": "g.example"}},
    "publish": {
        **{service: f"127.0.0.1:{port}" for service, port in PORTS.items()},
        "alloy": "127.0.0.1:12345",
        "redis_exporter": "127.0.0.1:9121",
        "blackbox_exporter": "127.0.0.1:9115",
        "caddy": "127.0.0.1:443",
    },
}
SETTINGS = settings_of(CONFIG, secrets=["grafana_password"])
SLOW = "query=slow"


class Service(BaseHTTPRequestHandler):
    """Answers all, and lets every site read it. A password is right when it is `right`."""

    protocol_version = "HTTP/1.1"
    running, most, lock = 0, 0, threading.Lock()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        if SLOW in self.path:
            with Service.lock:
                Service.running += 1
                Service.most = max(Service.most, Service.running)
            time.sleep(0.3)
            with Service.lock:
                Service.running -= 1
        credentials = self.headers["Authorization"] or (body if self.path.endswith("login") else "right")
        self.send_response(200 if "right" in credentials else 401)
        for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods"):
            self.send_header(name, "*")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer  # noqa: N815 - as it calls them

    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass
class Proxy:
    ports: dict[int, int]
    """Port in the container → here."""

    def ask(
        self, port: int, request: str, body: str | None = None, source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and body. `request`: method and path. Of a header's name, `_` is `-`."""
        method, _, path = request.partition(" ")
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=20, source_address=(source, 0))
        try:
            http_headers = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Host": f"127.0.0.1:{port}", **http_headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def people(self, service: str, request: str, **headers: str) -> int:
        return self.ask(api_proxy.PEOPLE + api_proxy.port_inside(service), request, **headers)[0]

    def grafana(self, service: str, request: str) -> int:
        return self.ask(api_proxy.GRAFANA + api_proxy.port_inside(service), request)[0]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("api")
    text = config_of("api_proxy", SETTINGS).files["haproxy.cfg"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.request_queue_size = 200
    text = re.sub(
        r"(?m)^(    server \w+) \S+ resolvers engine init-addr none", rf"\1 127.0.0.1:{server.server_port}", text
    )
    text = text.replace(f"bind {SETTINGS.edge.address('api_proxy')}:", "bind :")
    ports = {int(port): free_port() for port in re.findall(r"(?m)^    bind :(\d+)$", text)}
    text = re.sub(r"(?m)^    bind :(\d+)$", lambda match: f"    bind 127.0.0.1:{ports[int(match[1])]}", text)
    (folder / "haproxy.cfg").write_text(text)
    product = images.product("api_proxy", RECIPES["api_proxy"])
    [libraries] = (product / "usr/lib").glob("*-linux-gnu")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(product / "usr/sbin/haproxy"), "-db", "-f", str(folder / "haproxy.cfg")],
            stdout=log, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        )  # fmt: skip
        try:
            front = Proxy(ports)
            _wait(front, folder / "log")
            yield front
        finally:
            process.terminate()
            process.wait()
            server.shutdown()


def _wait(proxy: Proxy, log: Path) -> None:
    for _ in range(100):
        try:
            proxy.ask(api_proxy.PORT, "GET /metrics")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


# What people and Grafana may ask

READ_BY_BOTH = {
    "prometheus": [
        "GET /api/v1/query?query=up",
        "HEAD /api/v1/query?query=up",
        "POST /api/v1/query",
        "POST /api/v1/query_range",
        "POST /api/v1/query_exemplars",
        "GET /api/v1/labels",
        "POST /api/v1/series",
        "GET /api/v1/label/__name__/values",
        "GET /api/v1/label/U__http_2e_status/values?start=1",
        "GET /api/v1/metadata?limit=1",
        "GET /api/v1/rules?type=alert",
        "GET /api/v1/alerts",
        "GET /api/v1/status/buildinfo",
    ],
    "loki": [
        "GET /loki/api/v1/query_range?query={}&limit=1",
        "POST /loki/api/v1/query",
        "GET /loki/api/v1/labels",
        "GET /loki/api/v1/label/service/values",
        "GET /loki/api/v1/series",
        "GET /loki/api/v1/index/stats",
        "GET /loki/api/v1/index/volume",
        "GET /loki/api/v1/patterns",
        "GET /loki/api/v1/detected_fields",
        "GET /loki/api/v1/detected_field/level/values",
        "GET /loki/api/v1/detected_labels",
        "GET /loki/api/v1/tail?query={}",
        "GET /loki/api/v1/status/buildinfo",
        "GET /loki/api/v1/rules",
        "GET /prometheus/api/v1/rules",
    ],
    "jaeger": [
        "GET /api/services",
        "GET /api/services/a%2Fb/operations",
        "GET /api/traces?service=shop",
        "GET /api/traces/4bf92f",
        "GET /api/v3/services",
        "GET /api/dependencies?endTs=1",
    ],
    "alertmanager": [
        "GET /api/v2/status",
        "GET /api/v2/alerts?active=true",
        "GET /api/v2/alerts/groups",
        "GET /api/v2/silences",
        "GET /api/v2/silence/1a2b-3c",
        "GET /api/v2/receivers",
    ],
}
READ_BY_PEOPLE = {
    "prometheus": ["GET /", "GET /query?g0.expr=up", "GET /graph", "GET /assets/index-1.js", "GET /api/v1/targets", "GET /-/ready"],
    "loki": ["GET /ready", "GET /metrics"],
    "jaeger": ["GET /", "GET /search?service=shop", "GET /trace/4bf92f", "GET /static/js/main.js"],
    "alertmanager": ["GET /", "GET /script.js", "GET /lib/elm-datepicker/css/elm-datepicker.css", "GET /-/healthy"],
    "alloy": ["GET /", "GET /graph", "GET /component/loki.write.default", "GET /api/v0/web/components", "GET /-/ready"],
    "redis_exporter": ["GET /", "GET /metrics"],
}  # fmt: skip
REFUSED_TO_BOTH = {
    "prometheus": [
        "POST /-/quit",
        "POST /-/reload",
        "GET /-/quit",
        "PUT /-/reload",
        "POST /api/v1/admin/tsdb/delete_series",
        "POST /api/v1/admin/tsdb/snapshot",
        "POST /api/v1/write",
        "POST /api/v1/read",
        "POST /api/v1/otlp/v1/metrics",
        "GET /debug/pprof/cmdline",
        "GET /api/v1/label/../admin/values",
        "GET /api/v1/query/../admin",
        "GET /federate?match[]=up",
        "GET //debug/pprof/",
        "GET /assets/%2e%2e/debug",
        "POST /api/v1/rules",
        "DELETE /api/v1/series",
        "OPTIONS /api/v1/query",
    ],
    "loki": [
        "GET /ingester/shutdown",
        "POST /ingester/shutdown",
        "GET /ingester/prepare_shutdown",
        "POST /ingester/prepare_shutdown",
        "GET /loki/api/v1/../../../ingester/shutdown",
        "GET /loki/api/v1/label/..%2F..%2F..%2F..%2Fingester%2Fshutdown%3F/values",
        "GET /%69ngester/shutdown",
        "GET //ingester/shutdown",
        "POST /flush",
        "GET /flush",
        "GET /config",
        "GET /services",
        "GET /ring",
        "POST /log_level?log_level=debug",
        "POST /loki/api/v1/push",
        "POST /api/prom/push",
        "POST /otlp/v1/logs",
        "POST /loki/api/v1/delete",
        "GET /loki/api/v1/delete",
        "DELETE /loki/api/v1/delete",
        "POST /loki/api/v1/rules/space",
        "DELETE /loki/api/v1/rules/space",
        "POST /api/prom/rules/space",
        "GET /debug/pprof/heap",
        "GET /memberlist",
    ],
    "jaeger": [
        "POST /api/archive/4bf92f",
        "POST /api/transform",
        "POST /api/traces",
        "PUT /",
        "DELETE /api/traces/1",
        "GET /debug/pprof",
        "GET /debug/vars",
    ],
    "alertmanager": [
        "POST /api/v2/alerts",
        "POST /-/reload",
        "PUT /api/v2/silences",
        "OPTIONS /api/v2/silences",
        "DELETE /api/v2/silences",
        "GET /debug/pprof/heap",
        "POST /api/v1/silences",
    ],
}
REFUSED_TO_PEOPLE = {
    "alloy": [
        "GET /-/reload",
        "POST /-/reload",
        "GET /debug/pprof/heap",
        "GET /-/support",
        "GET /api/v0/component/x/y",
    ],
    "redis_exporter": [
        "GET /scrape?target=loki:3100",
        "GET /metrics?target=loki:3100",
        "POST /-/reload",
        "GET /debug/pprof/",
    ],
    "blackbox_exporter": ["GET /probe?target=http://loki:3100/ingester/shutdown", "GET /config"],
}
CHANGES = {"alertmanager": ["POST /api/v2/silences", "DELETE /api/v2/silence/1a2b-3c"]}


def _each(table: dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(service, request, id=f"{service}: {request}")
        for service, requests in table.items()
        for request in requests
    ]


@pytest.mark.parametrize(("service", "request_"), _each(READ_BY_BOTH))
def test_people_and_grafana_read(proxy: Proxy, service: str, request_: str) -> None:
    assert proxy.people(service, request_, Content_Type="application/json") == 200
    assert proxy.grafana(service, request_) == 200


@pytest.mark.parametrize(("service", "request_"), _each(READ_BY_PEOPLE))
def test_people_see_pages(proxy: Proxy, service: str, request_: str) -> None:
    assert proxy.people(service, request_) == 200


@pytest.mark.parametrize(("service", "request_"), _each(REFUSED_TO_BOTH))
def test_both_doors_refuse(proxy: Proxy, service: str, request_: str) -> None:
    assert proxy.people(service, request_, Content_Type="application/json") in {400, 403, 415}
    assert proxy.grafana(service, request_) in {400, 403}


@pytest.mark.parametrize(("service", "request_"), _each(REFUSED_TO_PEOPLE))
def test_the_door_for_people_refuses(proxy: Proxy, service: str, request_: str) -> None:
    assert proxy.people(service, request_) == 403


@pytest.mark.parametrize(("service", "request_"), _each(CHANGES))
def test_people_silence_alerts_and_viewers_of_grafana_do_not(proxy: Proxy, service: str, request_: str) -> None:
    assert proxy.people(service, request_, Content_Type="application/json") == 200
    assert proxy.grafana(service, request_) == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_is_no_silence(proxy: Proxy, kind: str) -> None:
    assert proxy.people("alertmanager", "POST /api/v2/silences", Content_Type=kind) == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_the_door_for_records_takes_records_only(proxy: Proxy, method: str) -> None:
    assert proxy.ask(METRICS["loki"], f"POST {api_proxy.LOKI_OTLP}")[0] == 200
    assert proxy.ask(METRICS["loki"], f"{method} {api_proxy.LOKI_OTLP}")[0] == 403
    for path in ("/loki/api/v1/push", "/ingester/shutdown", f"{api_proxy.LOKI_OTLP}/", "/otlp/v1/%6cogs"):
        assert proxy.ask(METRICS["loki"], f"POST {path}")[0] == 403


def test_the_door_for_spans_hands_bytes_on(proxy: Proxy) -> None:
    assert proxy.ask(OTLP_GRPC, "GET /whatever")[0] == 200


# OTLP by HTTP


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_senders_send_and_pages_of_any_site_do_not(proxy: Proxy, signal: str) -> None:
    port, request = api_proxy.PEOPLE + OTLP_HTTP, f"POST /v1/{signal}"
    assert proxy.ask(port, request, "x" * 100_000)[0] == 200
    assert proxy.ask(port, request, Host="localhost:4318")[0] == 200
    assert proxy.ask(port, request, Host="evil.example")[0] == 421
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{port}"):
        assert proxy.ask(port, request, Origin=origin)[0] == 403
    assert proxy.ask(port, request, Sec_Fetch_Site="cross-site")[0] == 403
    assert proxy.ask(port, f"OPTIONS /v1/{signal}", Origin="https://evil.example")[0] == 403
    assert proxy.ask(port, "POST /v1/other")[0] == 403


# Who asks

PEOPLE = ["prometheus", "alertmanager", "loki", "jaeger", "alloy", "redis_exporter", "grafana"]
OWN = [
    "127.0.0.1:9090",
    "127.0.0.1",
    "localhost:19090",
    "LOCALHOST",
    "[::1]:9090",
    "192.168.1.7:9090",
    "10.0.0.1",
    "[fd00::7]",
]
FOREIGN = [
    "evil.example",
    "evil.example:9090",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.localhost.example:9093",
    "xlocalhost",
    "127.0.0.1@evil.example",
    "prometheus",
    "1.2.3.4.5",
    "ops.example.com.evil.example",
    "",
]


@pytest.mark.parametrize("host", OWN)
@pytest.mark.parametrize("service", PEOPLE)
def test_an_address_in_numbers_and_localhost_are_known_with_any_port(proxy: Proxy, service: str, host: str) -> None:
    assert proxy.people(service, "GET /", Host=host) in {200, 403 if service == "loki" else 200}  # it has no page


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("service", PEOPLE)
def test_any_other_host_name_is_refused(proxy: Proxy, service: str, host: str) -> None:
    status, _, body = proxy.ask(api_proxy.PEOPLE + api_proxy.port_inside(service), "GET /metrics", Host=host)
    assert status in {421, 400}
    if status == 421:
        assert body.count("\n") == 1
        assert (f"external_urls.{service}" in body) == (service in ExternalUrls.model_fields)


@pytest.mark.parametrize(
    ("service", "host", "status"),
    [
        ("prometheus", "ops.example.com", 200),
        ("prometheus", "OPS.example.com:443", 200),
        ("alertmanager", "alerts.example.com:8080", 200),
        ("grafana", "g.example", 200),
        ("alertmanager", "ops.example.com", 421),
        ("jaeger", "ops.example.com", 421),
    ],
)
def test_a_name_that_the_settings_have_is_known_to_its_service(
    proxy: Proxy, service: str, host: str, status: int
) -> None:
    assert proxy.people(service, "GET /", Host=host) == status


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:19093", "http://localhost:19093", 200),  # by a tunnel
        ("127.0.0.1:9093", "http://127.0.0.1:9093", 200),
        ("[::1]:9093", "http://[::1]:9093", 200),
        ("alerts.example.com:8080", "http://alerts.example.com:8080", 200),
        ("127.0.0.1:9093", "http://alerts.example.com:8080", 200),  # by a proxy that does not hand on the name
        ("127.0.0.1:9093", "https://evil.example", 403),
        ("127.0.0.1:9093", "null", 403),
        ("127.0.0.1:9093", "", 403),
        ("127.0.0.1:9093", "http://127.0.0.1:8000", 403),  # another page of this host's
        ("localhost:9093", "http://127.0.0.1:9093", 403),
        ("127.0.0.1:9093", "https://127.0.0.1:9093.evil.example", 403),
        ("127.0.0.1:9093", "file://", 403),
        ("127.0.0.1:9093", "https://alerts.example.com:8080", 403),
    ],
)
@pytest.mark.parametrize("request_", ["POST /api/v2/silences", "DELETE /api/v2/silence/1", "GET /api/v2/alerts"])
def test_only_its_own_pages_ask(proxy: Proxy, host: str, origin: str, status: int, request_: str) -> None:
    request_headers = {"Host": host, "Origin": origin, "Content_Type": "application/json"}
    assert proxy.people("alertmanager", request_, **request_headers) == status


@pytest.mark.parametrize("service", PEOPLE)
@pytest.mark.parametrize("request_", ["OPTIONS /api/v2/silences", "OPTIONS /", "GET /api/search"])
def test_no_other_site_is_told_that_it_may_ask(proxy: Proxy, service: str, request_: str) -> None:
    port = api_proxy.PEOPLE + api_proxy.port_inside(service)
    request_headers = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST"}
    status, headers, _ = proxy.ask(port, request_, **request_headers)
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


def test_no_answer_opens_a_service_to_other_sites_or_lets_them_frame_it(proxy: Proxy) -> None:
    _, headers, _ = proxy.ask(api_proxy.PEOPLE + METRICS["alertmanager"], "GET /api/v2/alerts")
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"


LINK = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


@pytest.mark.parametrize(
    ("service", "request_", "more", "status"),
    [
        pytest.param("prometheus", "GET /graph", LINK, 200, id="a link to a page"),
        pytest.param("grafana", "GET /d/overview", LINK, 200, id="a link to a dashboard"),
        pytest.param("prometheus", "GET /api/v1/query?query=up", LINK, 403, id="a link to a query"),
        pytest.param("grafana", "GET /api/datasources/proxy/uid/loki/x", LINK, 403, id="a link to a data source"),
        pytest.param("grafana", "GET /%61pi/datasources/proxy/uid/loki/x", LINK, 403, id="the same, disguised"),
        pytest.param("grafana", "GET /apis/x", LINK, 403, id="a link to the newer API"),
        pytest.param("grafana", "POST /login", LINK, 403, id="a form"),
        pytest.param("prometheus", "GET /graph", {**LINK, "Sec_Fetch_Dest": "iframe"}, 403, id="a frame"),
        pytest.param(
            "prometheus", "GET /", {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}, 403, id="an image"
        ),
        pytest.param("prometheus", "GET /", {"Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}, 403, id="a script"),
    ],
)
def test_only_a_link_to_a_page_is_followed_from_another_site(
    proxy: Proxy, service: str, request_: str, more: dict[str, str], status: int
) -> None:
    for site in ("cross-site", "same-site"):
        assert proxy.people(service, request_, Sec_Fetch_Site=site, **more) == status
    for site in ("same-origin", "none"):
        assert proxy.people(service, request_, Sec_Fetch_Site=site, **more) in {200, 401}


# Grafana's pages


@pytest.mark.parametrize("path", ["/metrics", "/%6detrics", "//metrics", "/debug/pprof/heap"])
def test_grafanas_metrics_are_not_public(proxy: Proxy, path: str) -> None:
    assert proxy.people("grafana", f"GET {path}") == 403
    assert proxy.ask(api_proxy.BEHIND_CADDY, f"GET {path}", Host="g.example")[0] == 403


def test_a_dashboard_may_be_called_metrics(proxy: Proxy) -> None:
    assert proxy.people("grafana", "GET /d/abc/metrics") == 200


def _by_form(password: str) -> dict[str, str]:
    return {"request": "POST /login", "body": password}


def _by_header(password: str) -> dict[str, str]:
    return {"request": "GET /api/user", "Authorization": password}


@pytest.mark.parametrize("guess", [_by_form, _by_header])
def test_wrong_passwords_are_bounded_by_the_address_that_they_come_from(proxy: Proxy, guess: object) -> None:
    assert callable(guess)
    port = api_proxy.PEOPLE + METRICS["grafana"]
    guesser, other = ("127.0.0.11", "127.0.0.12") if guess is _by_form else ("127.0.0.13", "127.0.0.14")
    wrong = [proxy.ask(port, source=guesser, **guess("wrong"))[0] for _ in range(api_proxy.WRONG_PASSWORDS + 2)]
    assert wrong == [401] * api_proxy.WRONG_PASSWORDS + [429] * 2
    assert proxy.ask(port, source=guesser, **guess("right"))[0] == 429
    assert proxy.ask(port, "GET /d/overview", source=guesser)[0] == 200  # who is logged in goes on
    assert proxy.ask(port, source=other, **guess("right"))[0] == 200
    assert proxy.ask(METRICS["loki"], f"POST {api_proxy.LOKI_OTLP}", source=guesser)[0] == 200


def test_behind_caddy_they_are_by_the_address_that_it_tells_last(proxy: Proxy) -> None:
    def status(password: str, address: str) -> int:
        request_headers = {"Host": "g.example", "X_Forwarded_For": address}
        return proxy.ask(api_proxy.BEHIND_CADDY, "POST /login", password, **request_headers)[0]

    for count in range(api_proxy.WRONG_PASSWORDS):
        assert status("wrong", f"9.9.9.{count}, 203.0.113.7") == 401
    assert status("right", "8.8.8.8, 203.0.113.7") == 429
    assert status("right", "203.0.113.7, 203.0.113.8") == 200


# How much at once


@pytest.mark.parametrize(
    ("door", "path", "most"),
    [
        (api_proxy.PEOPLE + 9090, "/api/v1/query", api_proxy.QUERIES["people"]),
        (api_proxy.GRAFANA + 9090, "/api/v1/query_range", api_proxy.QUERIES["grafana"]),
        (api_proxy.GRAFANA + 3100, "/loki/api/v1/query_range", api_proxy.QUERIES["grafana"]),
    ],
)
def test_a_few_of_many_queries_run_at_once_and_all_are_answered(proxy: Proxy, door: int, path: str, most: int) -> None:
    Service.most = 0
    with ThreadPoolExecutor(20) as threads:
        futures = [threads.submit(proxy.ask, door, f"GET {path}?{SLOW}") for _ in range(20)]
        assert {one.result()[0] for one in futures} == {200}
    assert Service.most == most


def test_while_queries_wait_pages_and_the_other_door_are_answered(proxy: Proxy) -> None:
    with ThreadPoolExecutor(20) as threads:
        futures = [threads.submit(proxy.ask, api_proxy.PEOPLE + 9090, f"GET /api/v1/query?{SLOW}") for _ in range(20)]
        time.sleep(0.1)
        begun = time.monotonic()
        assert proxy.people("prometheus", "GET /alerts") == 200
        assert proxy.grafana("prometheus", "GET /api/v1/query?query=up") == 200
        assert time.monotonic() - begun < 1
        assert {one.result()[0] for one in futures} == {200}
