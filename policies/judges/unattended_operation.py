"""Unattended operation: a container reports its health, restarts by itself, and does not fill the disk with its log."""

import re
from collections.abc import Iterator, Mapping

import durationpy
from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, in_list, resource_policy
from policies.readers.declared_resources import Properties, Resource, is_started, keeps_running

WITHOUT_HEALTH: Mapping[str, str] = {
    "alloy": "its image has no tool for a check; the update asks its /-/healthy, and Prometheus scrapes it",
    "promtail": "its image has no tool for a check; the update asks its page, and Prometheus scrapes it",
    "otel_collector": "its image holds only the binary; the update asks its page, and Prometheus scrapes it",
    "nginx_exporter*": "its image has no tool for a check; Prometheus scrapes it",
    "mongodb_exporter*": "its image has no tool for a check; Prometheus scrapes it",
    "jaeger_es_index_cleaner": "a loop without a port; an alert watches when it last succeeded",
}
"""Containers without a health check → what watches them instead."""

_NEVER_FAILS = re.compile(
    r"^(?:(?:/\S*/)?\w*sh -\w*c )?(?:/\S*/)?(?:true|:|echo|exit 0|sleep|ls|pwd|date)\b(?![^;&]*[;&])|^:$|(?:\|\||;|&)\s*(?:(?:/\S*/)?true|:|exit(?: 0)?|echo\b[^;&|]*)$"
)
"""Commands that succeed whatever the service does."""
MOST_SECONDS = 900
"""A container that hangs must be noticed within 15 minutes."""

_MOST = {"max-size": re.compile(r"0*[1-9]\d*[kKmMgGbB]{0,2}"), "max-file": re.compile(r"0*[1-9]\d{0,2}")}
_SUCH = {"max-size": "10m", "max-file": "3"}

ROTATING = frozenset({"local", "journald"})
"""Log drivers that drop old lines by default."""


def _check_health(resource: Resource, config: Config) -> Iterator[str]:
    if not keeps_running(resource.props) or in_list(resource.name, config["without"]):
        return
    check = resource.props.get("healthcheck") or {}
    tests = [str(test) for test in check.get("tests") or ()]
    command = " ".join(
        tests[1:] if tests[:1] != ["NONE"] and tests and tests[0].upper() in {"CMD", "CMD-SHELL"} else tests
    ).strip()
    if not command or command.upper() == "NONE":
        yield "it has no health check, so nobody notices when it hangs: add one, or name it in the policy's config with a reason"
    elif _NEVER_FAILS.search(command):
        yield f"its health check {command[-60:]!r} never fails, so nobody notices when it hangs: ask the service's own page"
    elif (seconds := _noticed_after(check)) > MOST_SECONDS:
        yield (
            f"its health check notices that it hangs only after {seconds / 60:.0f} minutes (interval times retries), but at most "
            f"{MOST_SECONDS // 60} are allowed: check more often"
        )


def _noticed_after(check: Properties) -> float:
    """Seconds until a container that hangs is unhealthy. Docker's defaults: every 30 seconds, three times."""
    try:
        every = durationpy.from_str(str(check.get("interval") or "30s")).total_seconds() or 30
    except (durationpy.DurationError, ValueError, KeyError):  # the provider refuses it
        every = 30
    return float(every) * float(check.get("retries") or 3)


def _check_log(resource: Resource, _: Config) -> Iterator[str]:
    if not is_started(resource.props):
        return
    driver, options = resource.props.get("logDriver"), resource.props.get("logOpts") or {}
    for key in ("max-size", "max-file"):
        if (value := options.get(key)) and not _MOST[key].fullmatch(str(value)):
            yield f"its {key} is {value}, which bounds nothing: set a number above 0, such as {key} {_SUCH[key]}"
    if driver in ROTATING:
        return
    if driver != "json-file":
        yield f"its log driver is {driver or 'the default of the engine'}: set json-file with max-size and max-file"
    elif missing := [key for key in ("max-size", "max-file") if not options.get(key)]:
        yield f"its log grows until the disk is full: set {' and '.join(missing)} of log_opts"


def _check_restart(resource: Resource, _: Config) -> Iterator[str]:
    policy = resource.props.get("restart") or "no"
    if keeps_running(resource.props) and policy not in {"always", "unless-stopped"}:
        yield f"it stays down after a crash or a reboot (restart is {policy}): set restart to unless-stopped"
    elif not keeps_running(resource.props) and policy in {"always", "unless-stopped"}:
        yield f"it repeats its job for ever (restart is {policy}): set restart to no, or must_run to true"


HEALTH = resource_policy(
    "health-check",
    "Every container that keeps running has a health check.",
    _check_health,
    fix="Add a health check that asks the service's own page.",
    config={"without": allow_list(WITHOUT_HEALTH, "Containers without a health check → what watches them instead.")},
)

LOG = resource_policy(
    "log-rotation",
    "Every container's log is rotated.",
    _check_log,
    fix="Set log_driver to json-file, and max-size and max-file of log_opts.",
)

RESTART = resource_policy(
    "restart-policy",
    "Services restart by themselves, jobs do not.",
    _check_restart,
    fix="Set restart to unless-stopped for a service, and to no for a job.",
    severity=Severity.MEDIUM,
)

POLICIES: tuple[Policy, ...] = (HEALTH, LOG, RESTART)
