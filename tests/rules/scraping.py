"""The stack's way from Prometheus to a page: the real Prometheus and the real scrape_proxy, on loopback."""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from config.container import ConfigFiles
from config.ports import METRICS, SCRAPES
from config.settings import Settings
from config.yaml_text import dump
from tests.support.ports import free_port
from tests.support.services import running
from toolchain import images
from toolchain.images.recipes import RECIPES


def address() -> str:
    """An address of this machine that is none of loopback, which the proxy refuses. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


@contextmanager
def running_proxy(folder: Path, settings: Settings, config: ConfigFiles) -> Iterator[int]:
    """The proxy with its files in `folder`. Its port while it runs."""
    port, page, edge = free_port(), free_port(), settings.listens("scrape_proxy")
    for name, text in config.files.items():
        here = text.replace(f"bind {edge}:{SCRAPES}", f"bind 127.0.0.1:{port}")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(here.replace(f"bind {edge}:{METRICS['scrape_proxy']}", f"bind 127.0.0.1:{page}"))
    product = images.product("scrape_proxy", RECIPES["scrape_proxy"])
    [libraries] = (product / "usr/lib").glob("*-linux-gnu")
    command = [product / "usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    ready = f"http://127.0.0.1:{page}/metrics"
    with running(command, ready, folder / "proxy.log", seconds=20, environment=environment):
        yield port


@contextmanager
def running_prometheus(
    folder: Path, settings: Settings, jobs: Sequence[Mapping[str, Any]], proxy: int
) -> Iterator[str]:
    """Prometheus with its files in `folder`, which scrapes by `jobs` each second, through the proxy. Its URL while it runs."""
    port = free_port()
    configs = json.loads(json.dumps(jobs).replace(f"{settings.host('scrape_proxy')}:{SCRAPES}", f"127.0.0.1:{proxy}"))
    (folder / "prometheus.yml").write_text(dump({"global": {"scrape_interval": "1s"}, "scrape_configs": configs}))
    command = [images.binary("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", folder / "prometheus.log", seconds=30):
        yield url


def targets(prometheus: str, pool: str) -> list[dict[str, Any]]:
    """The targets of a scrape config, once all of them have been asked."""
    answer = requests.get(f"{prometheus}/api/v1/targets", timeout=10).json()
    matches: list[dict[str, Any]] = [one for one in answer["data"]["activeTargets"] if one["scrapePool"] == pool]
    return matches if matches and all(one["health"] != "unknown" for one in matches) else []
