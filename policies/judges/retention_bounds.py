"""SignalRetention bounds: data is kept as long as necessary and as short as possible, and fits the disk.

`readers/retention_settings.py` says where retention is read.
"""

import contextlib
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pulumi_policy import Policy
from pulumi_policy.proxy import UnknownValueError

from policies.policy_kit import ENVIRONMENT, Config, Violation, environment, stack_policy, violations
from policies.readers.declared_resources import CONTAINER, STACK, Resource, keeps_running
from policies.readers.retention_settings import (
    DiskUse,
    SearchStorage,
    SignalRetention,
    own_log,
    settings_in_file,
    settings_on_command_line,
)
from policies.readers.uploads import UnreadableError, files

DAYS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "prod*": {"metrics": (30, 400), "logs": (14, 90), "traces": (3, 30)},
    "*": {"metrics": (0, 400), "logs": (0, 90), "traces": (0, 30)},
}
"""Environment → signal → least and most days.

The least is what the investigation of an incident in production needs. The most: logs and traces hold personal data, which must
not be kept longer than needed (GDPR, article 5); metrics are kept for a year and a month, to compare with the year before. These
are defaults and not legal advice: set your own in the policy's config."""

BUDGET_OUTPUT = "disk_budget_mib"
"""Stack output with the stack's own disk budget in MiB. It can lower the budget, not raise it."""
DISK_GIB = 200
FILL_PERCENT = 75
"""Share of the disk that the stack may plan with. The host's services, images and headroom need the rest."""
LOGS_GIB_PER_DAY = 1.0
TRACES_GIB_PER_DAY = 2.0
"""What Loki and Jaeger write in a day if nothing limits their size: the host's budgets in the README."""


@dataclass(frozen=True)
class StackHost:
    """A container of this stack, by the names under which others reach it."""

    names: frozenset[str]


@dataclass(frozen=True)
class OwnBudget:
    """The disk budget that the stack sets for itself."""

    gib: float


Fact = SignalRetention | DiskUse | SearchStorage | StackHost | OwnBudget | Violation


def _read(resource: Resource, config: Config) -> Iterator[Fact]:
    if resource.resource_type == STACK and (own := resource.props.get(BUDGET_OUTPUT)) is not None:
        yield OwnBudget(float(own) / 1024)
    if resource.resource_type != CONTAINER:
        return
    container, where = resource.props, environment(resource, config)
    try:
        for file in files(container):
            yield from settings_in_file(file, where)
        yield from settings_on_command_line(resource, where)
    except (ValueError, UnreadableError, AttributeError, TypeError, KeyError) as error:
        yield Violation(f"container {resource.name}: {error}")
    if keeps_running(container):
        yield StackHost(frozenset(_names(resource)))
        yield from own_log(container)


def _names(resource: Resource) -> Iterator[str]:
    """The names under which others reach the container."""
    yield resource.name
    for key in ("name", "hostname"):
        with contextlib.suppress(UnknownValueError):  # a host name that the provider fills in
            yield str(resource.props.get(key))


def _judge(facts: list[Fact], config: Config) -> Iterator[str]:
    yield from violations(facts)
    for retention in dict.fromkeys(_retentions(facts)):
        least, most = _bounds(config["days"], retention.environment, retention.signal)
        start, end = f"{retention.where}: {retention.signal} are kept", f"in {retention.environment}"
        if retention.days is None and retention.gib is None:
            yield f"{start} for ever, but at most {most:g} days are allowed {end}: set a retention"
        elif retention.days is not None and retention.days > most:
            yield f"{start} {retention.days:g} days, but at most {most:g} are allowed {end}: shorten the retention"
        elif retention.days is not None and retention.days < least and not retention.part:
            yield f"{start} {retention.days:g} days, but at least {least:g} are needed {end}: lengthen the retention"


def _retentions(facts: list[Fact]) -> Iterator[SignalRetention]:
    """Every retention. Jaeger's traces in Elasticsearch or OpenSearch have one only through its index cleaner."""
    retentions = [fact for fact in facts if isinstance(fact, SignalRetention)]
    yield from retentions
    is_cleaned = any(retention.signal == "traces" for retention in retentions)
    for storage in facts:
        if isinstance(storage, SearchStorage) and not is_cleaned:
            yield SignalRetention(
                "traces", None, f"{storage.where} (no jaeger-es-index-cleaner deletes)", storage.environment
            )


def _bounds(days: Mapping[str, Mapping[str, Iterable[float]]], environment: str, signal: str) -> tuple[float, float]:
    for pattern, bounds in days.items():
        if fnmatch.fnmatchcase(environment, pattern) and signal in bounds:
            least, most = bounds[signal]
            return least, most
    return 0, float("inf")


def _judge_disk(facts: list[Fact], config: Config) -> Iterator[str]:
    sizes: dict[str, float] = {}
    for retention in dict.fromkeys(fact for fact in facts if isinstance(fact, SignalRetention) and not fact.part):
        if retention.signal == "metrics" and retention.gib is None:
            yield f"{retention.where}: the size of the metrics is unlimited: set retention.size beside the time"
        if retention.gib is not None:
            sizes["metrics"] = max(sizes.get("metrics", 0), retention.gib)
    on_disk = _signals_on_disk(facts)
    for signal in ("logs", "traces"):
        days = [one.days for one in _retentions(facts) if one.signal == signal and not one.part]
        if signal in on_disk and days and None not in days:
            longest = max(day for day in days if day is not None)
            sizes[f"{signal} of {longest:g} days"] = longest * config[f"{signal}_gib_per_day"]
    for use in _disk_uses(facts):
        what = use.what.partition(" in ")[0]
        sizes[what] = sizes.get(what, 0) + use.gib
    total, most = sum(sizes.values()), config["disk_gib"] * config["fill_percent"] / 100
    own = min((fact.gib for fact in facts if isinstance(fact, OwnBudget)), default=most)
    shares = ", ".join(f"{what} {gib:.0f}" for what, gib in sorted(sizes.items(), key=lambda share: -share[1])[:4])
    start = f"the stack would keep {total:.0f} GiB ({shares}), but"
    if total > most:
        yield (
            f"{start} {config['fill_percent']:g} % of the disk of {config['disk_gib']:g} GiB "
            f"is {most:.0f} GiB: shorten a retention, lower a size, or set the size of a bigger disk in the policy's config"
        )
    elif total > own:
        yield (
            f"{start} the stack's disk budget is {own:.0f} GiB: shorten a retention, "
            "lower a size, or raise disk.budget if the disk is large enough"
        )


def _signals_on_disk(facts: list[Fact]) -> set[str]:
    """Signals on the disk of this host, and not in an object store or in another cluster."""
    names = frozenset[str]().union(*(fact.names for fact in facts if isinstance(fact, StackHost)))
    logs = [fact for fact in facts if isinstance(fact, SignalRetention) and fact.signal == "logs"]
    signals = {"logs"} if all(retention.on_disk for retention in logs) else set()
    storages = [fact for fact in facts if isinstance(fact, SearchStorage)]
    if not storages or any(storage.hosts & names for storage in storages):
        signals.add("traces")
    return signals


def _disk_uses(facts: list[Fact]) -> Iterator[DiskUse]:
    """Queues and logs. A queue counts once, even if several containers carry its file; the log of each container counts."""
    queues = set()
    for use in (fact for fact in facts if isinstance(fact, DiskUse)):
        if not use.what.startswith("queue") or use not in queues:
            queues.add(use)
            yield use


RETENTION = stack_policy(
    "retention-bounds",
    "Metrics, logs and traces are kept as long as needed, and no longer than allowed.",
    _read,
    _judge,
    fix="Set the retention within the bounds of the environment, or set other bounds with `days` in the policy's config.",
    config={
        "environment": ENVIRONMENT,
        "days": {
            "type": "object",
            "default": {
                name: {signal: list(days) for signal, days in signals.items()} for name, signals in DAYS.items()
            },
            "description": "Environment, a name or a pattern as in a shell → metrics, logs, traces → least and most days. "
            "The first match counts.",
        },
    },
)

DISK = stack_policy(
    "disk-budget",
    "The data that is kept fits the disk.",
    _read,
    _judge_disk,
    fix="Shorten a retention or lower a size. For a bigger disk set disk_gib of disk-budget with --policy-pack-config.",
    config={
        "environment": ENVIRONMENT,
        "disk_gib": {"type": "number", "default": DISK_GIB, "description": "Size of the disk with the engine's data."},
        "fill_percent": {
            "type": "number",
            "default": FILL_PERCENT,
            "description": "Share of the disk that the stack may plan with.",
        },
        "logs_gib_per_day": {
            "type": "number",
            "default": LOGS_GIB_PER_DAY,
            "description": "What Loki writes in a day.",
        },
        "traces_gib_per_day": {
            "type": "number",
            "default": TRACES_GIB_PER_DAY,
            "description": "What Jaeger writes in a day.",
        },
    },
)

POLICIES: tuple[Policy, ...] = (RETENTION, DISK)
