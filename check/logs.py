"""Checks that Loki keeps, limits and evaluates logs as the settings say, and that the shipper sends them."""

from collections.abc import Iterator
from typing import Any

import yaml
from docker import DockerClient

from check import lifecycle
from check.finding import Finding
from check.pages import ask, metric, page
from config.services.logs import loki
from config.settings import Settings
from config.settings.units import seconds

MOST_VALUES = 100
"""Values of one label. Above this, a label is no longer low-cardinality."""

_SENT = {"alloy": "loki_write_sent_entries_total", "promtail": "promtail_sent_entries_total"}


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields what Loki and the shipper report about themselves."""
    try:
        yield _retention(client, settings)
        yield _limits(client, settings)
        yield from _rules(client, settings)
        yield _labels(client, settings)
        yield _shipper(client, settings)
        yield from lifecycle.findings(client, settings)
    except LookupError as error:
        yield Finding("Loki and the log shipper answer", kept=False, detail=str(error))


def _in_force(client: DockerClient, settings: Settings) -> dict[str, Any]:
    text = page(client, settings, "loki", "/config/tenant/v1/limits", f"X-Scope-OrgID: {loki.TENANT}")
    limits: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    return limits


def _retention(client: DockerClient, settings: Settings) -> Finding:
    """Compares Loki's limits with the settings, and reads its main file: without the compactor, nothing would be
    deleted."""
    limits, main = _in_force(client, settings), yaml.load(page(client, settings, "loki", "/config"), yaml.CSafeLoader)
    wanted = loki.retention(settings)
    deletes = main["compactor"]["retention_enabled"]
    retention = settings.logs.retention
    special = [f"{name} {time}" for name, time in (*retention.levels.items(), *retention.services.items())]
    return Finding(
        f"logs are kept {', '.join([retention.time, *special])}",
        kept=bool(deletes) and _spans(limits) == _spans(wanted),
        detail=f"in force: {_spans(limits)}" if deletes else "the compactor deletes nothing",
    )


def _spans(limits: dict[str, Any]) -> dict[str, float]:
    """Priority and selector → seconds: `{"all": 2592000.0, '1 {level="debug"}': 86400.0}`. Loki shows durations in
    another spelling than it was given."""
    streams = limits.get("retention_stream") or []
    return {"all": seconds(limits["retention_period"])} | {
        f"{stream['priority']} {stream['selector']}": seconds(stream["period"]) for stream in streams
    }


def _limits(client: DockerClient, settings: Settings) -> Finding:
    wanted, limits = settings.logs.limits, _in_force(client, settings)
    return Finding(
        f"logs make at most {wanted.streams} streams",
        kept=limits["max_global_streams_per_user"] == wanted.streams,
        detail=f"{limits['max_global_streams_per_user']} in force",
    )


def _rules(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    groups = ask(client, settings, "loki", "/prometheus/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    sick = [f"{rule['name']}: {rule.get('lastError', '')}" for rule in rules if rule["health"] == "err"]
    yield Finding(
        "every log alert can be evaluated", bool(rules) and not sick, "; ".join(sick) or f"{len(rules)} alerts"
    )
    managers = metric(client, settings, "loki", "loki_prometheus_notifications_alertmanagers_discovered")
    yield Finding("Loki knows its Alertmanager", managers == 1, f"{managers:.0f} discovered")


def _labels(client: DockerClient, settings: Settings) -> Finding:
    names = ask(client, settings, "loki", "/loki/api/v1/labels").get("data", [])
    values = {
        name: ask(client, settings, "loki", f"/loki/api/v1/label/{name}/values").get("data", []) for name in names
    }
    counts = {name: len(of_label) for name, of_label in values.items()}
    return Finding(
        f"no label of the logs has more than {MOST_VALUES} values",
        kept=all(count <= MOST_VALUES for count in counts.values()),
        detail=", ".join(f"{name} {count}" for name, count in sorted(counts.items())),
    )


def _shipper(client: DockerClient, settings: Settings) -> Finding:
    shipper = settings.logs.shipper
    lines = metric(client, settings, shipper, _SENT[shipper])
    return Finding("the log shipper brings lines", lines > 0, f"{lines:.0f} since its start")
