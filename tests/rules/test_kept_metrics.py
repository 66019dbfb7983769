"""`metrics.keep: used`, by the real Prometheus that scrapes a page with metrics that are read and some that are not."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import yaml

from config.additions import Additions, Dashboard
from config.container import ConfigFiles
from config.services.metrics.prometheus import container
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from tests.support.wait import until
from toolchain import images

PAGE = """\
shop_orders_total 7
shop_stock{item="tea"} 3
shop_price{item="tea"} 2
shop_unread{item="tea"} 1
# TYPE shop_seconds histogram
shop_seconds_bucket{le="1"} 4
shop_seconds_bucket{le="+Inf"} 5
shop_seconds_sum 6
shop_seconds_count 5
"""
RULE = {"alert": "ShopIdle", "expr": "rate(shop_orders_total[5m]) == 0"}
DASHBOARD = {
    "panels": [{"targets": [{"expr": "histogram_quantile(0.9, rate(shop_seconds_bucket[5m]))"}]}],
    "templating": {"list": [{"query": {"query": "label_values(shop_stock, item)", "refId": "values"}}]},
}


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def config(keep: str) -> ConfigFiles:
    settings = settings_of(
        {"metrics": {"keep": keep, "applications": {"static": [{"service": "shop", "targets": ["shop:80"]}]}}}
    )
    rules = {"shop.yml": json.dumps({"groups": [{"name": "shop", "rules": [RULE]}]})}
    service_config = container(
        settings, Additions(rules=rules, dashboards={"shop": Dashboard(json.dumps(DASHBOARD))})
    ).config
    assert service_config
    return service_config


def stored(folder: Path, page: str, keep: str) -> set[str]:
    """Names of the metrics that Prometheus has from `page`, by the stack's own config but for the addresses."""
    service_config, port = config(keep), free_port()
    main = yaml.safe_load(service_config.files["prometheus.yml"])
    [job] = [job for job in main["scrape_configs"] if job["job_name"] == "application"]
    scraped = {
        "job_name": "application",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [page]}],
        "metric_relabel_configs": job["metric_relabel_configs"],
    }
    for name, text in {**service_config.files, "prometheus.yml": json.dumps({"scrape_configs": [scraped]})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    url = f"http://127.0.0.1:{port}"
    command = [images.binary("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, f"{url}/-/ready", folder / "log", seconds=60):

        def names() -> set[str]:
            answer = requests.get(f"{url}/api/v1/label/__name__/values", timeout=10).json()
            return {name for name in answer["data"] if name.startswith("shop_")}

        until(names)
        return names()


def test_what_a_rule_or_a_dashboard_reads_is_stored_and_nothing_else(tmp_path: Path, page: str) -> None:
    assert stored(tmp_path, page, "used") == {"shop_orders_total", "shop_stock", "shop_seconds_bucket"}


def test_everything_is_stored_by_default(tmp_path: Path, page: str) -> None:
    assert stored(tmp_path, page, "all") == {
        line.split("{")[0].split()[0] for line in PAGE.splitlines() if line[0] != "#"
    }


@pytest.mark.parametrize("keep", ["all", "used"])
def test_promtool_accepts_the_file(tmp_path: Path, keep: str) -> None:
    (tmp_path / "prometheus.yml").write_text(config(keep).files["prometheus.yml"])
    checked = subprocess.run(
        [images.binary("promtool"), "check", "config", "--syntax-only", tmp_path / "prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
