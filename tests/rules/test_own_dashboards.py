"""Dashboards as people bring them, in the real Grafana and asked of the real Prometheus.

Grafana migrates old schemas in its web page, which cannot be built here, so only what its server does is seen.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from config.services.correlation import dashboard_files, grafana
from config.services.correlation.own_dashboards import panels
from config.yaml_text import dump
from tests.brought_boards import UIDS, texts
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from tests.support.wait import until
from toolchain import images

ADMIN = ("admin", "of-the-test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grafana")


@pytest.fixture(scope="module")
def prometheus(folder: Path) -> Iterator[str]:
    port = free_port()
    target = {"job_name": "node_exporter", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    (folder / "prometheus.yml").write_text(dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [target]}))
    command = [str(images.binary("prometheus")), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", folder / "prometheus.log", seconds=120):
        yield url


@pytest.fixture(scope="module")
def grafana_url(folder: Path, prometheus: str) -> Iterator[str]:
    """URL of a Grafana that is provisioned with all shapes, by the settings of a stack."""
    (folder / "brought").mkdir()
    for name, text in texts().items():
        (folder / "brought" / name).write_text(text)
    settings = settings_of({"grafana": {"dashboards": ["brought"]}})
    boards = dashboard_files.read(settings, folder, stack_key="dashboards")
    for kind in ("datasources", "dashboards", "plugins", "notifiers", "alerting"):
        (folder / "provisioning" / kind).mkdir(parents=True)
    (folder / "boards").mkdir()
    for uid, board in boards.items():
        (folder / "boards" / f"{uid}.json").write_text(grafana.marked(board.text)[0])
    sources = [{**source, "url": prometheus} for source in grafana.data_sources(settings)]
    provider = {**grafana._providers(settings)[0], "options": {"path": str(folder / "boards")}}
    files = {"datasources": {"datasources": sources}, "dashboards": {"providers": [provider]}}
    for kind, content in files.items():
        (folder / "provisioning" / kind / "stack.yml").write_text(dump({"apiVersion": 1, **content}))
    port = free_port()
    main = grafana.main_file(settings, boards)
    main["paths"] = {key: str(folder / key) for key in ("data", "logs", "plugins", "provisioning")}
    main["server"] = {"http_addr": "127.0.0.1", "http_port": str(port)}
    main["security"] |= {"admin_password": ADMIN[1], "secret_key": "of-the-test"}
    (folder / "grafana.ini").write_text(grafana._ini(main))
    binary = images.binary("grafana")
    home = binary.parent / "data"
    command = [str(binary), "server", f"--homepath={home}", f"--config={folder / 'grafana.ini'}"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/api/health", folder / "grafana.log", seconds=120):
        # It answers before it has read all files.
        until(lambda: len(get(url, "/api/search?type=dash-db")) == len(boards))
        yield url


def get(url: str, path: str) -> Any:
    answer = requests.get(f"{url}{path}", auth=ADMIN, timeout=30)
    answer.raise_for_status()
    return answer.json()


def test_grafana_has_every_shape_beside_the_stacks_own(grafana_url: str) -> None:
    uids = {one["uid"] for one in get(grafana_url, "/api/search?type=dash-db")}
    own = {path.stem for path in dashboard_files.OURS.glob("*.json")}
    assert uids == {*UIDS.values(), *own}


@pytest.mark.parametrize("uid", UIDS.values())
def test_grafana_answers_every_query_of_a_brought_dashboard(grafana_url: str, uid: str) -> None:
    board = get(grafana_url, f"/api/dashboards/uid/{uid}")["dashboard"]
    count = 0
    for panel in panels(board):
        source = panel.get("datasource") or {}
        if not isinstance(source, dict) or source.get("type", "prometheus") != "prometheus":
            continue
        source = {"type": "prometheus", "uid": "prometheus"} if "$" in source.get("uid", "$") else source
        for target in panel.get("targets") or ():
            query = {
                **target,
                "expr": target["expr"].replace("$job", "node_exporter"),
                "datasource": source,
                "instant": True,
            }
            body = {"queries": [query], "from": "now-5m", "to": "now"}
            answer = requests.post(f"{grafana_url}/api/ds/query", json=body, auth=ADMIN, timeout=30)
            assert answer.ok, answer.text
            count += 1
    assert count


def test_a_default_panel_asks_prometheus(grafana_url: str) -> None:
    assert json.dumps(get(grafana_url, "/api/datasources/uid/prometheus")["isDefault"]) == "true"
