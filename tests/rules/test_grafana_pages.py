"""What a real Grafana makes of its files: which dashboards it has in which folders, what it opens with, and how pages look.

It runs without a container, with the files of a stack and their paths changed.
"""

import base64
import functools
import http.server
import json
import os
import threading
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from tenacity import retry, stop_after_delay, wait_fixed

from config.container import DIRECTORY
from config.services.correlation import dashboard_files, grafana, long_term
from config.settings.grafana import FOLDER
from config.settings.secret_keys import GRAFANA_PASSWORD
from tests.support import dashboard_queries
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from toolchain import images

PASSWORD = "for-this-test"
FAR_PASSWORD = "hunter2 $HOME ${HOME}"
CONFIG = {
    "grafana": {
        "folders": {"Checkout team": ["checkout.json"]},
        "home": "checkout",
        "theme": "light",
        "time_zone": "Europe/Berlin",
        "week_start": "monday",
    },
    "metrics": {
        "long_term": {"url": "http://far.internal/w", "query": "http://far.internal", "user": "me", "tenant": "shop"}
    },
}
OURS = sorted(file.stem for file in dashboard_files.OURS.glob("*.json"))


@dataclass(frozen=True)
class Page:
    """A running Grafana."""

    url: str
    log: Path

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", auth=("admin", PASSWORD), timeout=30)
        answer.raise_for_status()
        return answer.json()


class Far(http.server.BaseHTTPRequestHandler):
    """A remote store that answers any query, and remembers who asked."""

    calls: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.calls.append({"path": self.path, **dict(self.headers)})
        body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("grafana")
    checkout = {"uid": "checkout", "title": "Checkout", "panels": []}
    (folder / "checkout.json").write_text(json.dumps(checkout))
    far = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Far)
    threading.Thread(target=far.serve_forever, daemon=True).start()
    settings = settings_of(CONFIG, secrets=[GRAFANA_PASSWORD, long_term.SECRET])
    dashboards = dashboard_files.read(settings, folder, stack_key="grafana.dashboards")
    config = grafana.container(settings, dashboards).config
    assert config
    home = folder / "home"
    (home / "bin").mkdir(parents=True)
    program = images.binary("grafana")
    (home / "bin" / "grafana").symlink_to(program)
    for part in ("conf", "public"):
        (home / part).symlink_to(program.parent / "data" / part)
    paths = {
        "http://far.internal": f"http://127.0.0.1:{far.server_port}",
        DIRECTORY: "files",
        grafana.COPIES: "copies",
        grafana.FOLDER_COPIES: "folders",
        grafana.DATA: "data",
        "/usr/share/grafana": "home",
        "/var/log/grafana": "logs",
    }
    moved = {there: here if "//" in here else str(folder / here) for there, here in paths.items()}
    port = free_port()
    secrets = {
        f"secrets/{name}": secret.render(PASSWORD if name == GRAFANA_PASSWORD else FAR_PASSWORD)
        for name, secret in config.secrets.items()
    }
    for name, text in {**config.files, **secrets}.items():
        here = functools.reduce(lambda all_of_it, move: all_of_it.replace(*move), moved.items(), text)
        file = folder / "files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_on_port(here, port) if name == grafana.MAIN else here)
    (folder / "data").mkdir()
    log = folder / "log"
    url = f"http://127.0.0.1:{port}"
    command = ["sh", folder / "files" / grafana.SCRIPT.name, "start"]
    with running(command, f"{url}/api/health", log, seconds=60, environment={"PATH": os.environ["PATH"]}):
        yield Page(url, log)
    far.shutdown()
    far.server_close()


def _on_port(text: str, port: int) -> str:
    ini = ConfigParser(interpolation=None)
    ini.read_string(text)
    ini["server"].update(http_port=str(port), http_addr="127.0.0.1")
    buffer = StringIO()
    ini.write(buffer)
    return buffer.getvalue()


def test_each_dashboard_is_in_its_folder(page: Page) -> None:
    wanted = {**dict.fromkeys(OURS, FOLDER), "checkout": "Checkout team"}

    @retry(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True)
    def read() -> None:
        assert {one["uid"]: one["folderTitle"] for one in page.get("/api/search?type=dash-db")} == wanted

    read()


def test_it_opens_with_the_chosen_dashboard(page: Page) -> None:
    assert page.get("/api/dashboards/home")["dashboard"]["title"] == "Checkout"


def test_pages_look_as_chosen(page: Page) -> None:
    settings = page.get("/api/frontend/settings")
    assert settings["dateFormats"]["defaultTimezone"] == "Europe/Berlin"
    assert settings["dateFormats"]["defaultWeekStart"] == "monday"
    assert page.get("/api/admin/settings")["users"]["default_theme"] == "light"


@pytest.mark.parametrize("uid", OURS)
def test_a_dashboard_leaves_the_time_zone_and_the_week_to_these_settings(page: Page, uid: str) -> None:
    dashboard = page.get(f"/api/dashboards/uid/{uid}")["dashboard"]
    assert dashboard.get("timezone", "") == dashboard.get("weekStart", "") == ""


@pytest.mark.parametrize("uid", OURS)
def test_a_dashboard_fits_the_schema_of_grafana(page: Page, uid: str) -> None:
    dashboard = json.loads((dashboard_files.OURS / f"{uid}.json").read_text())
    for panel in dashboard_queries.panels(dashboard):
        fields = panel.get("fieldConfig", {}).get("defaults", {})
        # Its schema knows special values that are true or false, and demands a pattern, which its page does not have.
        fields["mappings"] = [one for one in fields.get("mappings", []) if one["type"] != "special"]
    body = {"dashboard": json.dumps(dashboard)}
    answer = requests.post(f"{page.url}/api/dashboards/validate", json=body, auth=("admin", PASSWORD), timeout=60)
    assert answer.json() == {"isValid": True}, answer.json()["message"][-3000:]


def test_it_complains_of_nothing(page: Page) -> None:
    lines = [json.loads(line) for line in page.log.read_text().splitlines() if line.startswith("{")]
    assert [
        line["msg"] for line in lines if "dashboard" in line.get("logger", "") and line["level"] in {"error", "warn"}
    ] == []


def test_the_store_for_the_long_term_is_asked_with_its_password_which_shows_nowhere(page: Page) -> None:
    page.get(f"/api/datasources/proxy/uid/{long_term.UID}/api/v1/query?query=up")
    call = {key.lower(): value for key, value in Far.calls[-1].items()}
    assert call["path"] == "/api/v1/query?query=up"
    assert call["authorization"] == f"Basic {base64.b64encode(f'me:{FAR_PASSWORD}'.encode()).decode()}"
    assert call["x-scope-orgid"] == "shop"
    assert "hunter2" not in json.dumps(page.get("/api/datasources")) + page.log.read_text()
