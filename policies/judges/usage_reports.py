"""Usage reports: no service sends usage data to its vendor, or asks it for updates.

Products that report by default are known by their image. If the switch is in a config file, some container of the stack must
carry that file as an upload.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, allow_list, stack_policy
from policies.readers.declared_resources import CONTAINER, Resource, arguments, image_name, keeps_running, known_texts
from policies.readers.uploads import Kind, UnreadableError, files


@dataclass(frozen=True)
class RunningProduct:
    """A service of the stack."""

    container: str
    image: str
    command: str
    variables: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class ReportSwitch:
    """The switch for usage reports in a config file of a product."""

    product: str
    path: str
    off: bool


Fact = RunningProduct | ReportSwitch

_BY_FLAG = {
    "alloy": (r"--?disable-reporting(?:=true)?(?!\S)", "--disable-reporting"),
    "agent": (r"--?disable-reporting(?:=true)?(?!\S)", "-disable-reporting"),
}
"""Product → (pattern of the argument that turns reports off, its spelling in messages)."""
_BY_VARIABLE = {
    "grafana": {
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    },
    "elasticsearch": {"ingest.geoip.downloader.enabled": "false"},
}
"""Product → environment variables that turn reports off."""
_GRAFANA_INI = re.compile(r"^\[analytics\]\s*$(?P<section>[^\[]*)", re.MULTILINE)


def _read(resource: Resource, config: Config) -> Iterator[Fact]:
    if resource.resource_type != CONTAINER:
        return
    container = resource.props
    image = image_name(container)
    try:
        uploads = list(files(container))
    except UnreadableError:  # low-cardinality-labels reports it
        uploads = []
    for file in uploads:
        if file.kind is Kind.LOKI:
            off = (file.document.get("analytics") or {}).get("reporting_enabled") is False
            yield ReportSwitch("loki", file.path, off)
        elif file.path.endswith(".ini") and (section := _GRAFANA_INI.search(file.text)):
            yield ReportSwitch("grafana", file.path, _ini_is_off(section["section"]))
    if keeps_running(container) and resource.name not in config["allowed"]:
        yield RunningProduct(
            resource.name, image, " ".join(arguments(container)), frozenset(known_texts(container, "envs"))
        )


def _ini_is_off(section: str) -> bool:
    settings = dict(re.findall(r"^\s*(\w+)\s*=\s*(\w+)\s*$", section, re.MULTILINE))
    switches = ("reporting_enabled", "check_for_updates", "check_for_plugin_updates")
    return all(settings.get(switch) == "false" for switch in switches)


def _judge(facts: list[Fact], _: Config) -> Iterator[str]:
    switches = [fact for fact in facts if isinstance(fact, ReportSwitch)]
    for running in (fact for fact in facts if isinstance(fact, RunningProduct)):
        own = [fact for fact in switches if fact.product == running.image]
        if running.image == "loki":
            if not (own and all(file.off for file in own)) and "-reporting.enabled=false" not in running.command:
                yield _message(running, "Grafana Labs", "analytics: {reporting_enabled: false} in its config file")
        elif running.image in _BY_FLAG:
            pattern, switch = _BY_FLAG[running.image]
            if not re.search(pattern, running.command):
                yield _message(running, "Grafana Labs", switch)
        elif running.image in _BY_VARIABLE and not (own and all(file.off for file in own)):
            wanted = [f"{name}={value}" for name, value in _BY_VARIABLE[running.image].items()]
            if missing := [entry for entry in wanted if entry not in running.variables]:
                yield _message(running, "its vendor", ", ".join(missing))


def _message(running: RunningProduct, vendor: str, switch: str) -> str:
    return f"container {running.container}: it sends reports to {vendor} by default: set {switch}"


REPORTS = stack_policy(
    "no-usage-reports",
    "No service sends usage reports to its vendor.",
    _read,
    _judge,
    fix="Turn the reports off with the switch that the message names.",
    config={"allowed": allow_list({}, "Containers that may report → why.")},
    severity=Severity.MEDIUM,
)

POLICIES: tuple[Policy, ...] = (REPORTS,)
