"""Prometheus scrapes, keeps, judges and tells what the settings say."""

import json
from collections.abc import Iterator
from typing import Any

from docker import DockerClient
from docker.errors import NotFound

from check.containers import container
from check.finding import Finding
from components.engine import fetch
from config import scrape
from config.ports import METRICS
from config.settings import Settings
from config.units import seconds


def ask(client: DockerClient, settings: Settings, service: str, path: str) -> Any:
    """The JSON that `service` answers at `path`: asked inside its container, so no port must be reachable from here.

    Raises:
        LookupError: no container, or no answer.
    """
    url = f"http://127.0.0.1:{METRICS[service]}{path}"
    try:
        code, page = fetch(container(client, settings, service), url)
    except NotFound as error:
        raise LookupError(str(error)) from None
    if code:
        raise LookupError(f"{service} does not answer {path}: {page.strip()}")
    return json.loads(page)


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """What Prometheus and Alertmanager say of themselves."""
    try:
        yield from _targets(client, settings)
        yield _retention(client, settings)
        yield from _rules(client, settings)
        yield from _alerting(client, settings)
        yield _containers_seen(client, settings)
    except LookupError as error:
        yield Finding("Prometheus and Alertmanager answer", kept=False, detail=str(error))


def _targets(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    active = ask(client, settings, "prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
    for job in sorted(scrape.watched(settings)):
        targets = [target for target in active if target["labels"]["job"] == job]
        if job == "application" and not targets:
            continue  # nobody asks to be scraped
        down = [f"{target['labels']['instance']}: {target['lastError'] or target['health']}" for target in targets
                if target["health"] != "up"]  # fmt: skip
        yield Finding(
            f"targets of {job} are up", kept=bool(targets) and not down, detail="; ".join(down) or f"{len(targets)} up"
        )


def _retention(client: DockerClient, settings: Settings) -> Finding:
    wanted = settings.metrics.retention
    said = ask(client, settings, "prometheus", "/api/v1/status/runtimeinfo")["data"]["storageRetention"]
    time, _, size = said.partition(" or ")
    kept = seconds(time) == seconds(wanted.time) and size == _human(wanted.size)
    return Finding(f"metrics are kept {wanted.time}, at most {_human(wanted.size)}", kept, f"in force: {said}")


def _human(size: int) -> str:
    """Bytes as Prometheus reports them."""
    for unit, power in (("TiB", 4), ("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return f"{size}B"


def _rules(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    groups = ask(client, settings, "prometheus", "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    sick = [f"{rule['name']}: {rule.get('lastError', '')}" for rule in rules if rule["health"] == "err"]
    yield Finding("every rule can be evaluated", not sick, "; ".join(sick) or f"{len(rules)} rules")


def _alerting(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    managers = ask(client, settings, "prometheus", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    yield Finding("Prometheus knows its Alertmanager", len(managers) == 1, f"{len(managers)} active")
    alerts = ask(client, settings, "alertmanager", "/api/v2/alerts?filter=alertname%3D%22Watchdog%22")
    yield Finding("the dead man's switch reaches Alertmanager", len(alerts) == 1, f"{len(alerts)} Watchdog alerts")


def _containers_seen(client: DockerClient, settings: Settings) -> Finding:
    """cAdvisor that sees no container looks healthy otherwise (google/cadvisor 3749: after an engine's upgrade)."""
    query = "/api/v1/query?query=container_memory_working_set_bytes"
    series = ask(client, settings, "prometheus", query)["data"]["result"]
    seen = {sample["metric"].get("name") for sample in series}
    missing = [service for service in settings.services if f"{settings.prefix}-{service}" not in seen]
    return Finding(
        "cAdvisor sees every container",
        not missing,
        f"unseen: {', '.join(missing)}" if missing else f"{len(seen)} seen",
    )
