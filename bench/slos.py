"""CPU of Prometheus for the rules of twenty SLOs, over thirty days of samples."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import requests
import yaml

from bench.figures import Row, row
from config.alerts import EVERYTHING, render
from config.alerts.scope import Scope
from config.alerts.slo_indicators import indicators
from config.settings import Settings
from config.settings.units import seconds
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from toolchain import images

DAYS = 30
SUBJECT = "20 SLOs: 10 of errors, 6 of response times, 3 of probes, 1 of a database"
SHARE = "CPU, % of a core"


def settings() -> Settings:
    errors = [{"name": f"errors-{number}", "service": f"s{number}", "objective": 99.9} for number in range(10)]
    slow = [
        {"name": f"slow-{number}", "service": f"s{number}", "objective": 99, "latency": "500ms"} for number in range(6)
    ]
    probes = [{"name": f"probe-{number}", "probe": f"p{number}", "objective": 99.9} for number in range(3)]
    slos = [*errors, *slow, *probes, {"name": "cache", "database": "redis", "objective": 99.9}]
    probed = [{"name": f"p{number}", "target": f"https://p{number}.example"} for number in range(3)]
    return settings_of({"slos": slos, "exporters": {"redis": {"address": "cache:6379"}, "probes": probed}})


def samples(end: int) -> Iterator[str]:
    """What the rules read, as often as it is recorded, as OpenMetrics, until `end` (seconds since 1970)."""
    recorded, *_ = indicators(Scope(settings(), EVERYTHING))

    def series(name: str, interval: float, least: float, most: float) -> Iterator[str]:
        every = int(interval)
        for at in range(end - DAYS * 86400, end, every):
            between = at // every * 7919 % 997 / 997  # no two in a row are alike, as with real ones
            yield f"{name} {least + (most - least) * between:.4g} {at}\n"

    for number in range(10):
        of = f'{{service="s{number}",source="spans"}}'
        yield from series(f"service:requests:rate5m{of}", recorded.often, 5, 15)
        yield from series(f"service:errors:rate5m{of}", recorded.often, 0, 0.01)
    for number in range(6):
        for bound in ("0.5", "+Inf"):
            of = f'{{service="s{number}",source="spans",le="{bound}"}}'
            yield from series(f"service_le:request_duration_seconds_bucket:rate5m{of}", recorded.buckets, 5, 6)
    for number in range(3):
        of = f'{{job="probe",probe="p{number}",service="p{number}",instance="x"}}'
        yield from series(f"probe_success{of}", recorded.tried, 1, 1)
    yield from series('redis_up{job="redis_exporter",service="redis"}', recorded.tried, 1, 1)
    yield "# EOF\n"


def run() -> list[Row]:
    """One row. Two of Prometheus have the same samples, and one of them the rules: the difference is what these cost."""
    rules = {name: text for name, text in render(settings(), EVERYTHING).items() if name.startswith("rules/slo")}
    intervals = [seconds(yaml.safe_load(text)["groups"][0]["interval"]) for text in rules.values()]
    lasts = 2 * max(intervals)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary, ExitStack() as end:
        folder = Path(temporary)
        (folder / "rules").mkdir()
        for name, text in rules.items():
            (folder / name).write_text(text)
        with (folder / "samples").open("w") as file:
            file.writelines(samples(int(time.time()) // 60 * 60))
        command: list[str | Path] = [
            images.binary("promtool"),
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=162h",
            "openmetrics",
        ]
        subprocess.run([*command, folder / "samples", folder / "with"], check=True, capture_output=True)
        (folder / "samples").unlink()
        shutil.copytree(folder / "with", folder / "without")
        started = [_start(end, folder, "with", "rule_files: [rules/*.yml]\n"), _start(end, folder, "without", "{}\n")]
        time.sleep(max(intervals))  # each group has been evaluated once
        before = [_cpu(address) for address in started]
        time.sleep(lasts)
        spent = [_cpu(address) - cpu for address, cpu in zip(started, before, strict=True)]
        query = {"query": "count({__name__=~'slo:.*'})"}
        [sample] = requests.get(f"{started[0]}/api/v1/query", query, timeout=60).json()["data"]["result"]
    return [
        row(SUBJECT, SHARE, "", (spent[0] - spent[1]) / lasts * 100),
        row(SUBJECT, "series", "", float(sample["value"][1])),
    ]


def _start(end: ExitStack, folder: Path, place: str, config: str) -> str:
    """The address of a Prometheus with the samples in `place`."""
    port, file = free_port(), folder / f"{place}.yml"
    file.write_text(config)
    command = [images.binary("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / place}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=60d"]
    address = f"http://127.0.0.1:{port}"
    end.enter_context(running(command, f"{address}/-/ready", folder / f"{place}.log", seconds=120))
    return address


def _cpu(address: str) -> float:
    page = requests.get(f"{address}/metrics", timeout=60).text
    [value] = re.findall(r"(?m)^process_cpu_seconds_total (\S+)$", page)
    return float(value)
