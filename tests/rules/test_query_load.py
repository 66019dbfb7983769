"""Rules have room whatever is queried, by the real Prometheus with the flags of a stack."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from config.services.metrics.prometheus import container
from config.yaml_text import dump
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from toolchain import images

HEAVY = "sum_over_time(sum_over_time(vector(1)[1h:1s])[6h:1s])"
"""Minutes of CPU, and needs no data."""
ATTACK = 12
"""Seconds."""
GROUPS = 12
EVERY = 2
"""Seconds between two evaluations of a group."""


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    target = {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    groups = [
        {"name": f"g{one}", "interval": f"{EVERY}s", "rules": [{"record": "r", "expr": "count(up)"}]}
        for one in range(GROUPS)
    ]
    (tmp_path / "rules.yml").write_text(dump({"groups": groups}))
    main = {"global": {"scrape_interval": "1s"}, "rule_files": ["rules.yml"], "scrape_configs": [target]}
    (tmp_path / "prometheus.yml").write_text(dump(main))
    own = ("--config.file=", "--storage.tsdb.path=", "--web.external-url=")
    flags = [flag for flag in container(settings_of({})).command if not flag.startswith(own)]
    command = [str(images.binary("prometheus")), *flags, f"--config.file={tmp_path / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", tmp_path / "log", seconds=30):
        yield url


def evaluated(page: str) -> float:
    """How often groups have been evaluated in all, and were not missed."""
    iterations, missed = (
        sum(float(value) for value in re.findall(rf"(?m)^{name}{{.*}} (\S+)$", page))
        for name in ("prometheus_rule_group_iterations_total", "prometheus_rule_group_iterations_missed_total")
    )
    return iterations - missed


@pytest.mark.parametrize("clients", [8, 60])
def test_rules_are_evaluated_while_heavy_queries_are_asked_by(prometheus: str, clients: int) -> None:
    own = requests.Session()  # as a scrape of itself: a connection that is there already
    before = evaluated(own.get(f"{prometheus}/metrics", timeout=10).text)
    end = time.monotonic() + ATTACK

    def ask() -> None:
        while time.monotonic() < end:
            with suppress(requests.RequestException):
                requests.get(f"{prometheus}/api/v1/query", {"query": HEAVY}, timeout=ATTACK)

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
    for one in asking:
        one.start()
    time.sleep(ATTACK)
    more = evaluated(own.get(f"{prometheus}/metrics", timeout=10).text) - before
    assert more >= GROUPS * ATTACK / EVERY * 0.8
