"""The rules of a centre with edges, for two hosts at once: each case of the stack that stands alone is one of both hosts, whose
series differ in the label `host` only."""

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.alerts import EVERYTHING, hosts, render
from tests.rules import run
from toolchain import images

HOSTS = ("centre", "web-2")
OF_ALL_HOSTS = {"Watchdog", "TargetMissing"}
"""Alerts that are about the centre as a whole."""
CENTRE = run.SETTINGS.model_copy(update={name: getattr(run.EDGES, name) for name in ("edges", "door", "host_name")})


def test_every_case_of_one_host_is_one_of_each_of_two_hosts(tmp_path: Path) -> None:
    jobs = frozenset(job for job in EVERYTHING if f'job="{job}"' in (run.HERE / "scrape.test.yml").read_text())
    rendered = render(CENTRE, EVERYTHING) | {"rules/scrape.yml": render(CENTRE, jobs)["rules/scrape.yml"]}
    run.write(tmp_path, {name: run.only_summaries(text) for name, text in rendered.items()})
    files = []
    for file in sorted(run.HERE.glob("*.test.yml")):
        document = yaml.safe_load(file.read_text())
        if {Path(name).stem for name in document["rule_files"]} & hosts.OF_SERVICES:
            continue
        document["tests"] = [_of_both(test) for test in document["tests"]]
        files.append(tmp_path / file.name)
        files[-1].write_text(yaml.safe_dump(document, allow_unicode=True))
    result = subprocess.run(
        [images.binary("promtool"), "test", "rules", *files], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-5000:]


def _of_both(test: dict[str, Any]) -> dict[str, Any]:
    of_rules = [one for one in test.get("alert_rule_test", ()) if one["alertname"] not in OF_ALL_HOSTS]
    return {
        **{key: value for key, value in test.items() if key != "promql_expr_test"},
        "input_series": [
            {**series, "series": _with_host(series["series"], host)}
            for series in test.get("input_series", ())
            for host in HOSTS
        ],
        "alert_rule_test": [
            {**one, "exp_alerts": [_alert(alert, host) for alert in one.get("exp_alerts") or () for host in HOSTS]}
            for one in of_rules
        ],
    }


def _with_host(series: str, host: str) -> str:
    renamed = re.sub(r'\bhost="', 'exported_host="', series)  # as Prometheus does with a page's own label
    name, _, labels = renamed.partition("{")
    return f'{name}{{host="{host}",{labels or "}"}'


def _alert(alert: dict[str, Any], host: str) -> dict[str, Any]:
    of_host = copy.deepcopy(alert)
    of_host.setdefault("exp_labels", {})["host"] = host
    if "summary" in of_host.get("exp_annotations", {}):
        of_host["exp_annotations"]["summary"] = f"{host}: {of_host['exp_annotations']['summary']}"
    return of_host


@pytest.mark.parametrize(
    ("expr", "of_each_host"),
    [
        ("sum by (job) (x)", "sum by (host, job) (x)"),
        ("sum by (\n  job\n) (x)", "sum by (host, job\n) (x)"),
        ("x and on () count(y)", "x and on (host) count by (host) (y)"),
        ("x unless on (instance) y", "x unless on (host, instance) y"),
        ("max_over_time(x[1h]) > 1", "max_over_time(x[1h]) > 1"),
        ("absent(up)", "absent(up)"),
        ("histogram_count(x)", "histogram_count(x)"),
    ],
)
def test_an_expression_groups_and_matches_by_host(expr: str, of_each_host: str) -> None:
    assert hosts.by_host(expr) == of_each_host


def test_a_stack_without_edges_has_no_label_host() -> None:
    assert not [name for name, text in render(run.SETTINGS, EVERYTHING).items() if re.search(r"\(host\b", text)]
