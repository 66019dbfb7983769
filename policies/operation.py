"""Operation: a container says whether it is well, comes back by itself, and does not fill the disk with its log."""

from collections.abc import Iterator, Mapping

from pulumi_policy import Policy, Severity

from declared import Config, Resource, each, is_started, keeps_running, reasons

WITHOUT_HEALTH: Mapping[str, str] = {
    "alloy": "its image has no tool to ask with; the update asks its /-/healthy, and Prometheus scrapes it",
    "promtail": "its image has no tool to ask with; the update asks its page, and Prometheus scrapes it",
    "otel_collector": "its image is nothing but the binary; the update asks its page, and Prometheus scrapes it",
    "nginx_exporter": "its image has no tool to ask with; Prometheus scrapes it",
    "mongodb_exporter": "its image has no tool to ask with; Prometheus scrapes it",
    "jaeger_es_index_cleaner": "a loop that serves nothing; an alert watches when it last succeeded",
}

ROTATING = frozenset({"local", "journald"})
"""Log drivers that drop old lines by themselves."""


def _check_health(resource: Resource, config: Config) -> Iterator[str]:
    if not keeps_running(resource.props) or resource.name in config["without"]:
        return
    tests = (resource.props.get("healthcheck") or {}).get("tests") or ()
    if not [test for test in tests if test not in {"CMD", "CMD-SHELL", "NONE"}]:
        yield "it has no health check, so nobody hears when it hangs: add one, or name it in the policy's config with a reason"


def _check_log(resource: Resource, _: Config) -> Iterator[str]:
    if not is_started(resource.props):
        return
    driver, options = resource.props.get("logDriver"), resource.props.get("logOpts") or {}
    if driver in ROTATING:
        return
    if driver != "json-file":
        yield f"its log driver is {driver or 'what the engine has as default'}: set json-file with max-size and max-file"
    elif missing := [key for key in ("max-size", "max-file") if not options.get(key)]:
        yield f"its log grows until the disk is full: set {' and '.join(missing)} of log_opts"


def _check_restart(resource: Resource, _: Config) -> Iterator[str]:
    policy = resource.props.get("restart") or "no"
    if keeps_running(resource.props) and policy not in {"always", "unless-stopped"}:
        yield f"after a crash or a reboot it stays away (restart is {policy}): set restart to unless-stopped"
    elif not keeps_running(resource.props) and policy in {"always", "unless-stopped"}:
        yield f"it does its job again and again (restart is {policy}): set restart to no, or must_run to true"


HEALTH = each(
    "health-check",
    "Every container that keeps running has a health check.",
    _check_health,
    fix="Add a health check that asks the service's own page.",
    config={
        "without": reasons(WITHOUT_HEALTH, "Containers without a health check → how one hears that they are not well.")
    },
)

LOG = each(
    "log-rotation",
    "No container's log fills the disk.",
    _check_log,
    fix="Set log_driver to json-file, and max-size and max-file of log_opts.",
)

RESTART = each(
    "restart-policy",
    "Services come back by themselves, jobs do not.",
    _check_restart,
    fix="Set restart to unless-stopped for what keeps running, and to no for what ends.",
    severity=Severity.MEDIUM,
)

POLICIES: tuple[Policy, ...] = (HEALTH, LOG, RESTART)
