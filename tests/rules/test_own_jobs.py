"""Scrape configs of the user's own, by the real promtool, Prometheus and HAProxy: with passwords, tokens and TLS."""

import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from config import own_jobs
from config.services.metrics import own_scrapes, scrape_proxy
from config.yaml_text import dump
from tests.rules.scraping import address, running_prometheus, running_proxy, targets
from tests.support.program import settings_of
from tests.support.wait import until
from toolchain import images

SECRET = "hunter2"
SECRETS = ("scrape_password", "scrape_token")
LOGINS = {"/basic": "Basic bWU6aHVudGVyMg==", "/token": f"Bearer {SECRET}"}
"""Path of a page → the login that it wants."""


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
    config = scrape_proxy.container(settings, jobs).config
    assert config
    scrape_jobs = own_scrapes.jobs(settings, jobs)
    with (
        running_proxy(folder, settings, config) as port,
        plain,
        encrypted,
        running_prometheus(folder, settings, scrape_jobs, port) as url,
    ):
        subprocess.run([str(images.binary("promtool")), "check", "config", "prometheus.yml"], cwd=folder, check=True)
        yield url


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
