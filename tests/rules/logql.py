"""Checks the log alerts with Loki itself: each case of `logs.logql.yml` is a tenant of one real Loki, with its own rules.

promtool does not know LogQL, and Loki has no such tool. So this pushes lines with times in the past, lets Loki's ruler evaluate
the rules every second, and asks it which alerts fire.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml
from tenacity import retry, stop_after_delay, wait_fixed

from config.alerts import as_yaml
from config.alerts.rule import HEADLINE
from config.services.logs import loki, loki_rules
from config.settings import Settings
from config.settings.units import seconds
from tests.support.ports import free_port
from tests.support.program import settings_of
from toolchain import images

CASES = Path(__file__).with_name("logs.logql.yml")
PATIENCE_SECONDS = 60


def cases() -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = yaml.safe_load(CASES.read_text())["tests"]
    return tests


def judge(folder: Path, queries: Mapping[str, str]) -> Iterator[str]:
    """Faults of the log alerts and of `queries` (place → LogQL)."""
    tenants = {f"case-{number}": case for number, case in enumerate(cases())}
    settings = settings_of()
    every_group = [as_yaml(group, settings.addresses) for group in loki_rules.groups(settings)]
    every_rule = [rule for group in every_group for rule in group["rules"]]
    rules = {"groups": [{"name": "logs", "interval": "1s", "rules": every_rule}]}
    for tenant in tenants:
        (folder / "rules" / tenant).mkdir(parents=True)
        (folder / "rules" / tenant / "logs.yml").write_text(yaml.safe_dump(rules))
    with running(folder) as url:
        for tenant, case in tenants.items():
            _push(url, tenant, case["streams"])
        pushed = time.time()
        for tenant, case in tenants.items():
            try:
                alerts = _evaluated(url, tenant, since=pushed)
            except AssertionError as error:
                yield f"{CASES.name}: {case['name']}: {error}"
                continue
            for check in case["alert_rule_test"]:
                expected, actual = check["exp_alerts"], _firing(alerts[check["alertname"]])
                if sorted(expected, key=str) != sorted(actual, key=str):
                    yield f"{CASES.name}: {case['name']}:\n  expected {expected}\n  got      {actual}"
        for where, query in queries.items():
            answer = requests.get(f"{url}/loki/api/v1/format_query", params={"query": query}, timeout=10)
            if not answer.ok:
                yield f"{where}: Loki cannot read this query: {answer.text.strip()}"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A Loki with this project's own configuration, its data and rules in `folder`; yields its address."""
    http, grpc = free_port(), free_port()
    main = loki.main_file(Settings(environment="test", prefix="test"))
    main["auth_enabled"] = True  # or there would be no tenants
    main["common"]["path_prefix"] = str(folder)
    main["storage_config"]["filesystem"]["directory"] = str(folder / "chunks")
    main["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": http}
    main["server"] |= {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": grpc}
    main["ruler"] |= {"rule_path": str(folder / "evaluated"), "alertmanager_url": ""}
    main["ruler"]["storage"]["local"] = {"directory": str(folder / "rules")}
    (folder / "loki.yml").write_text(yaml.safe_dump(main))
    binary = os.environ.get("LOKI") or images.binary("loki")
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen([binary, f"-config.file={folder / 'loki.yml'}"], stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{http}"
        _until_ready(url, process, log)
        yield url
    finally:
        process.kill()
        process.wait()


@retry(stop=stop_after_delay(PATIENCE_SECONDS), wait=wait_fixed(0.2), reraise=True)
def _until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    assert process.poll() is None, f"Loki does not start:\n{log.read_text()}"
    # Loki's own `/ready` waits ten seconds longer, which no test needs.
    _push(url, "nobody", [{"labels": {"service": "nobody"}, "line": "hello", "from": "1s"}])


def _push(url: str, tenant: str, streams: list[dict[str, Any]]) -> None:
    now = time.time()
    body = [
        {
            "stream": labels,
            "values": [
                [f"{int((now - ago) * 1e9)}", stream["line"], stream.get("metadata", {})] for ago in _times(stream)
            ],
        }
        for stream in streams
        for labels in _labels(stream)
    ]
    headers = {"X-Scope-OrgID": tenant}
    requests.post(f"{url}/loki/api/v1/push", json={"streams": body}, headers=headers, timeout=10).raise_for_status()


def _labels(stream: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The labels of a stream. With `many` names of a service, that many streams."""
    for number in range(stream.get("many", 1)):
        yield {name: value % number if "%d" in value else value for name, value in stream["labels"].items()}


def _times(stream: Mapping[str, str]) -> Iterator[float]:
    """The age of each line in seconds: from `from` down to `to` (exclusive), in steps of `every`."""
    ago, last = seconds(stream["from"]), seconds(stream.get("to", "0s"))
    step = seconds(stream["every"]) if "every" in stream else ago
    while ago > last:
        yield ago
        ago -= step


@retry(stop=stop_after_delay(PATIENCE_SECONDS), wait=wait_fixed(0.2), reraise=True)
def _evaluated(url: str, tenant: str, *, since: float) -> dict[str, Any]:
    """Name → rule as the ruler shows it, once it has evaluated all of them after `since`."""
    answer = requests.get(f"{url}/prometheus/api/v1/rules", headers={"X-Scope-OrgID": tenant}, timeout=10).json()
    [group] = answer["data"]["groups"]
    rules = {rule["name"]: rule for rule in group["rules"]}
    for name, rule in rules.items():
        assert rule["health"] == "ok", f"{name}: {rule.get('lastError') or rule['health']}"
        when = rule["lastEvaluation"].rstrip("Z").partition(".")[0]
        assert time.mktime(time.strptime(when, "%Y-%m-%dT%H:%M:%S")) - time.timezone > since, f"{name} is not evaluated"
    return rules


def _firing(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The firing alerts of a rule, in the form of `exp_alerts` in a case."""
    return [
        {
            "exp_labels": {name: value for name, value in alert["labels"].items() if name != "alertname"},
            "exp_annotations": {"summary": alert["annotations"][HEADLINE]},
        }
        for alert in rule["alerts"]
        if alert["state"] == "firing"
    ]
