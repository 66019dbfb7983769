"""A new stack has no alert but the Watchdog for two hours. The test extends a recording of its first minutes."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from config.alerts import render
from tests.rules.fresh_stack import RECORDED
from tests.rules.run import only_summaries, write
from tests.support.program import settings_of
from toolchain import images

MINUTES = 120
OF_THE_MACHINE = "HostCpuHigh|HostIoPressure|HostClockSkewed"
"""Alerts caused by the recording machine: it had no time service, and other programs used it."""


def longer(values: str) -> str:
    """The values, extended at the pace of the last ten minutes. A series that had ended by then stays away."""
    numbers: list[float | None] = []
    for part in values.split():
        value, _, more = part.partition("x")
        count = int(more or 0) + (value != "_" or not more)
        numbers += count * [None if value == "_" else float(value)]
    last = numbers[-11:]
    steps = [b - a for a, b in itertools.pairwise(last) if a is not None and b is not None]
    pace = sum(steps) / len(steps) if steps and min(steps) >= 0 else 0
    return f"{values} {(numbers[-1] or 0) + pace:.7g}+{pace:.7g}x{MINUTES - len(numbers)}"


def firing(folder: Path, **thresholds: float | str) -> set[str]:
    """Names of the alerts that fire within two hours."""
    series: dict[str, str] = json.loads(RECORDED.read_text())
    jobs = frozenset(re.findall('job="(.+?)"', one)[0] for one in series if one.startswith("up{"))
    rules = render(settings_of({"alerts": {"thresholds": thresholds}}), jobs)
    write(folder, {name: only_summaries(text) for name, text in rules.items()})
    case: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": one, "values": longer(values)} for one, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[2h]))',
                "eval_time": f"{MINUTES}m",
                "exp_samples": [],
            }
        ],
    }
    test = {"rule_files": [*rules], "evaluation_interval": "1m", "tests": [case]}
    (folder / "fresh.test.yml").write_text(yaml.safe_dump(test))
    command: list[str | Path] = [images.binary("promtool"), "test", "rules", folder / "fresh.test.yml"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    names = set(re.findall(r'\{alertname="(\w+)"\}', output))
    assert names, output
    return {name for name in names if not re.fullmatch(OF_THE_MACHINE, name)}


def test_a_fresh_stack_has_no_alert_but_the_watchdog_within_two_hours(tmp_path: Path) -> None:
    assert firing(tmp_path) == {"Watchdog"}


def test_the_recording_has_the_series_that_rules_read(tmp_path: Path) -> None:
    low = firing(tmp_path, memory=5, latency_p95="1ms", container_memory=1)
    assert low >= {"HostMemoryHigh", "ApplicationSlow", "ContainerMemoryHigh"}
