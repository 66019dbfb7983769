"""Checks that Prometheus scrapes, keeps, evaluates and reports what the settings say."""

import urllib.parse
from collections.abc import Iterator, Sequence

from docker import DockerClient

from check.finding import Finding
from check.pages import ask
from config.own_jobs import OwnJob
from config.services.metrics import scrape
from config.settings import Settings
from config.settings.units import seconds

MOST_VALUES = 100
"""Values of one label of applications' metrics. Above this, a label is no longer low-cardinality."""
OF_MANY = {"__name__", "instance", "le"}
"""Labels that have as many values as there are metrics, containers and buckets."""


def findings(client: DockerClient, settings: Settings, own_jobs: Sequence[OwnJob] = ()) -> Iterator[Finding]:
    """Yields what Prometheus and Alertmanager report about themselves."""
    try:
        yield from _targets(client, settings, own_jobs)
        if settings.role == "edge":
            return  # which answers no queries
        yield _retention(client, settings)
        yield from _rules(client, settings)
        yield from _alerting(client, settings)
        yield _containers_seen(client, settings)
        yield _host_network_seen(client, settings)
        yield _labels(client, settings)
    except LookupError as error:
        yield Finding("Prometheus and Alertmanager answer", kept=False, detail=str(error))


def _targets(client: DockerClient, settings: Settings, own_jobs: Sequence[OwnJob]) -> Iterator[Finding]:
    active = ask(client, settings, "prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
    for job in sorted(scrape.watched(settings)):
        targets = [target for target in active if target["labels"]["job"] == job]
        if job == "application" and not targets:
            continue  # no container asks to be scraped
        down = [f"{target['labels']['instance']}: {target['lastError'] or target['health']}" for target in targets
                if target["health"] != "up"]  # fmt: skip
        yield Finding(
            f"targets of {job} are up", kept=bool(targets) and not down, detail="; ".join(down) or f"{len(targets)} up"
        )
    for own in own_jobs:
        # Their label `job` may be another one.
        targets = [target for target in active if target["scrapePool"] == own.name]
        down = [
            f"{one['labels']['instance']}: {one['lastError'] or one['health']}"
            for one in targets
            if one["health"] != "up"
        ]
        # What is wrong with a service of yours is no broken promise of the stack.
        detail = "; ".join([f"{len(targets) - len(down)} of {len(targets)} targets are up", *down])
        yield Finding(f"your job {own.name} is scraped", kept=True, detail=detail)


def _retention(client: DockerClient, settings: Settings) -> Finding:
    wanted = settings.metrics.retention
    in_force = ask(client, settings, "prometheus", "/api/v1/status/runtimeinfo")["data"]["storageRetention"]
    time, _, size = in_force.partition(" or ")
    matches = seconds(time) == seconds(wanted.time) and size == _human(wanted.size)
    return Finding(f"metrics are kept {wanted.time}, at most {_human(wanted.size)}", matches, f"in force: {in_force}")


def _human(size: int) -> str:
    """Bytes as Prometheus reports them: 1073741824 → `1GiB`."""
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
    """Checks that cAdvisor sees all containers. One that sees none looks healthy otherwise (google/cadvisor 3749: after
    an engine's upgrade)."""
    query = "/api/v1/query?query=container_memory_working_set_bytes"
    series = ask(client, settings, "prometheus", query)["data"]["result"]
    names = {sample["metric"].get("name") for sample in series}
    missing = [service for service in settings.services if f"{settings.prefix}-{service}" not in names]
    return Finding(
        "cAdvisor sees every container",
        not missing,
        f"unseen: {', '.join(missing)}" if missing else f"{len(names)} seen",
    )


def _host_network_seen(client: DockerClient, settings: Settings) -> Finding:
    """Checks that node_exporter reads the counters of the host's network. They would be those of its own container if the
    engine had placed the mount elsewhere (`config/services/metrics/node_exporter.py`)."""

    def received(metric: str) -> list[float]:
        query = urllib.parse.quote(f'{metric}{{job="node_exporter"}}')
        series = ask(client, settings, "prometheus", f"/api/v1/query?query={query}")["data"]["result"]
        return [float(sample["value"][1]) for sample in series]

    hosts, own = received("node_netstat_IpExt_InOctets"), received("process_network_receive_bytes_total")
    # Both come from one scrape, so of one network they are nearly the same.
    same = any(abs(of_host - of_own) <= 0.01 * of_own for of_host in hosts for of_own in own)
    counts_host = bool(hosts) and not same
    return Finding(
        "node_exporter counts the traffic of the host",
        counts_host,
        "it counts" if counts_host else "it counts that of its own container" if same else "it counts none",
    )


def _labels(client: DockerClient, settings: Settings) -> Finding:
    """Counts the label values of metrics that applications send or expose. The stack's own metrics are bounded where
    they are made."""
    counts = ask(client, settings, "prometheus", "/api/v1/status/tsdb?limit=1000")["data"]["labelValueCountByLabelName"]
    suspects = [label["name"] for label in counts if label["value"] > MOST_VALUES and label["name"] not in OF_MANY]
    match = urllib.parse.quote('{job=~"application|otlp|spans"}')
    values = {
        name: ask(client, settings, "prometheus", f"/api/v1/label/{name}/values?match[]={match}")["data"]
        for name in suspects
    }
    most = {name: len(of_label) for name, of_label in values.items() if len(of_label) > MOST_VALUES}
    return Finding(
        f"no label of applications' metrics has more than {MOST_VALUES} values",
        kept=not most,
        detail=", ".join(f"{name} {count}" for name, count in sorted(most.items())) or f"{len(counts)} labels",
    )
