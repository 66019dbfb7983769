"""Scrape configs of the user's own, by the real promtool, Prometheus and HAProxy: with passwords, tokens and TLS."""

import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from config import own_jobs
from config.ports import METRICS, SCRAPES
from config.services.metrics import own_scrapes, scrape_proxy
from config.settings import Settings
from config.yaml_text import dump
from tests.rules.services import running, until_ready
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.wait import until
from toolchain import images
from toolchain.images.recipes import RECIPES

SECRET = "hunter2"
SECRETS = ("scrape_password", "scrape_token")
LOGINS = {"/basic": "Basic bWU6aHVudGVyMg==", "/token": f"Bearer {SECRET}"}
"""Path of a page → the login that it wants."""


def address() -> str:
    """An address of this machine that is none of loopback, which the proxy refuses. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.connect(("198.51.100.1", 9))
        return str(found.getsockname()[0])


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if self.headers["Authorization"] != LOGINS.get(path):
            self.send_error(401)
            return
        targets = json.dumps([{"targets": [query], "labels": {"team": "x"}}])
        body, kind = (
            (targets, "application/json") if path == "/targets" else (f'page{{path="{path}"}} 1\n', "text/plain")
        )
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def served(certificate: Path | None = None) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Page)  # noqa: S104 - the proxy refuses loopback
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def make_certificate(folder: Path) -> Path:
    """Writes `ca.pem`, a certificate for the name shop.internal that is its own authority. Returns the file with its
    key."""
    command = "openssl req -x509 -days 2 -nodes -newkey rsa:2048 -keyout key.pem -out ca.pem -subj /CN=shop.internal"
    subprocess.run([*command.split(), "-addext", "subjectAltName=DNS:shop.internal"], cwd=folder, check=True)
    (folder / "server.pem").write_text((folder / "ca.pem").read_text() + (folder / "key.pem").read_text())
    return folder / "server.pem"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prometheus that scrapes pages by jobs of the user's own, through the proxy."""
    folder, here = tmp_path_factory.mktemp("jobs"), address()
    plain, encrypted = served(), served(make_certificate(folder))
    open_, closed = f"{here}:{plain.server_port}", f"{here}:{encrypted.server_port}"
    tls = {"ca_file": "ca.pem", "server_name": "shop.internal"}
    static = [{"targets": [open_]}]
    brought: list[dict[str, Any]] = [
        {
            "job_name": "basic",
            "metrics_path": "/basic",
            "static_configs": static,
            "basic_auth": {"username": "me", "password_file": "scrape_password"},
        },
        {
            "job_name": "token",
            "metrics_path": "/token",
            "scheme": "https",
            "tls_config": tls,
            "static_configs": [{"targets": [closed]}],
            "authorization": {"credentials_file": "scrape_token"},
        },
        {
            "job_name": "nameless",
            "scheme": "https",
            "tls_config": {"ca_file": "ca.pem"},
            "static_configs": [{"targets": [closed]}],
        },
        {"job_name": "unknown", "scheme": "https", "static_configs": [{"targets": [closed]}]},
        {
            "job_name": "listed",
            "http_sd_configs": [{"url": f"http://{open_}/targets?{open_}", "refresh_interval": "1s"}],
        },
        {"job_name": "astray", "http_sd_configs": [{"url": f"http://{open_}/targets?127.0.0.1:1"}]},
        {"job_name": "looked-up", "dns_sd_configs": [{"names": ["shop.example"], "type": "A", "port": 1}]},
    ]
    (folder / "brought.yml").write_text(dump({"scrape_configs": brought}))
    settings = settings_of({"metrics": {"scrape_files": ["brought.yml"]}}, secrets=SECRETS)
    jobs = own_jobs.read(settings, folder, stack_key="jobs")
    (folder / "secrets").mkdir()
    for name in SECRETS:
        (folder / "secrets" / name).write_text(SECRET)
    for name, text in scrape_proxy.container(settings, jobs).config.files.items():  # type: ignore[union-attr]
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with running_proxy(folder, settings) as port, plain, encrypted:
        configs = json.loads(
            json.dumps(own_scrapes.jobs(settings, jobs)).replace(
                f"{settings.host('scrape_proxy')}:{SCRAPES}", f"127.0.0.1:{port}"
            )
        )
        (folder / "prometheus.yml").write_text(dump({"global": {"scrape_interval": "1s"}, "scrape_configs": configs}))
        subprocess.run([str(images.binary("promtool")), "check", "config", "prometheus.yml"], cwd=folder, check=True)
        yield from running_prometheus(folder)


class running_proxy:  # noqa: N801 - used as a function
    """The proxy of the stack, on loopback. Its port while it runs."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._port, page = free_port(), free_port()
        text = (folder / "haproxy.cfg").read_text()
        edge = settings.listens("scrape_proxy")
        for before, after in ((SCRAPES, self._port), (METRICS["scrape_proxy"], page)):
            text = text.replace(f"bind {edge}:{before}", f"bind 127.0.0.1:{after}")
        (folder / "haproxy.cfg").write_text(text)
        product = images.product("scrape_proxy", RECIPES["scrape_proxy"])
        [libraries] = (product / "usr/lib").glob("*-linux-gnu")
        self._log = (folder / "proxy.log").open("w")
        self._process = subprocess.Popen(
            [str(product / "usr/sbin/haproxy"), "-db", "-f", str(folder / "haproxy.cfg")],
            stdout=self._log, stderr=self._log, env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        )  # fmt: skip
        until_ready(self._process, f"http://127.0.0.1:{page}/metrics", folder / "proxy.log", seconds=20)

    def __enter__(self) -> int:
        return self._port

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(20)
        self._log.close()


def running_prometheus(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [str(images.binary("prometheus")), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", folder / "prometheus.log", seconds=30):
        yield url


def targets(prometheus: str, job: str) -> list[dict[str, Any]]:
    """The targets of a job, once all of them have been asked."""
    answer = requests.get(f"{prometheus}/api/v1/targets", timeout=10).json()
    found: list[dict[str, Any]] = [one for one in answer["data"]["activeTargets"] if one["scrapePool"] == job]
    return found if found and all(one["health"] != "unknown" for one in found) else []


@pytest.mark.parametrize("job", ["basic", "token", "listed"])
def test_a_page_behind_a_login_an_own_authority_or_a_discovery_is_read(prometheus: str, job: str) -> None:
    [target] = until(lambda: targets(prometheus, job))
    assert (target["health"], target["lastError"]) == ("up", "")
    assert target["labels"]["job"] == target["labels"]["service"] == job
    assert target["labels"]["instance"].startswith(address())
    if job == "listed":
        assert target["labels"]["team"] == "x"


@pytest.mark.parametrize("job", ["nameless", "unknown"])
def test_a_certificate_of_another_name_or_of_nobody_known_is_refused(prometheus: str, job: str) -> None:
    [target] = until(lambda: targets(prometheus, job))
    assert target["health"] == "down"
    assert "503" in target["lastError"]


def test_what_a_discovery_finds_in_the_stack_itself_is_not_asked(prometheus: str) -> None:
    [target] = until(lambda: targets(prometheus, "astray"))
    assert target["health"] == "down"
    assert "403" in target["lastError"]


def test_no_secret_shows_in_a_file_or_a_page(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    pages = [
        requests.get(f"{prometheus}{path}", timeout=10).text for path in ("/api/v1/targets", "/api/v1/status/config")
    ]
    folders = [*tmp_path_factory.getbasetemp().glob("jobs*")]
    files = [
        file.read_text()
        for folder in folders
        for file in (*folder.glob("*.yml"), *folder.glob("*.cfg"), *folder.glob("*.log"))
    ]
    assert SECRET not in "".join(pages + files)
