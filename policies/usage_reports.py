"""Usage reports: nothing tells its makers how it is used, nor asks them for news.

Those products that do so unless told otherwise are known by their image. Where the switch is in a config file, the file
has to be among the uploads of some container of the stack.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pulumi_policy import Policy, Severity

from declared import CONTAINER, Config, Resource, arguments, given, image_name, keeps_running, reasons, whole
from files import Kind, UnreadableError, files


@dataclass(frozen=True)
class Runs:
    """A service of the stack."""

    container: str
    image: str
    command: str
    variables: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class ConfigFile:
    """What a config file of a product says of its reports."""

    product: str
    path: str
    off: bool


Found = Runs | ConfigFile

# Product → (argument or variable that turns it off, how to say so).
_BY_FLAG = {
    "alloy": (r"--?disable-reporting(?:=true)?(?!\S)", "--disable-reporting"),
    "agent": (r"--?disable-reporting(?:=true)?(?!\S)", "-disable-reporting"),
}
_BY_VARIABLE = {
    "grafana": {
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    },
    "elasticsearch": {"ingest.geoip.downloader.enabled": "false"},
}
_GRAFANA_INI = re.compile(r"^\[analytics\]\s*$(?P<section>[^\[]*)", re.MULTILINE)


def _read(resource: Resource, config: Config) -> Iterator[Found]:
    if resource.resource_type != CONTAINER:
        return
    container = resource.props
    image = image_name(container)
    try:
        found = list(files(container))
    except UnreadableError:  # another policy says so
        found = []
    for file in found:
        if file.kind is Kind.LOKI:
            off = (file.document.get("analytics") or {}).get("reporting_enabled") is False
            yield ConfigFile("loki", file.path, off)
        elif file.path.endswith(".ini") and (section := _GRAFANA_INI.search(file.text)):
            yield ConfigFile("grafana", file.path, _ini_is_off(section["section"]))
    if keeps_running(container) and resource.name not in config["allowed"]:
        yield Runs(resource.name, image, " ".join(arguments(container)), frozenset(given(container, "envs")))


def _ini_is_off(section: str) -> bool:
    said = dict(re.findall(r"^\s*(\w+)\s*=\s*(\w+)\s*$", section, re.MULTILINE))
    switches = ("reporting_enabled", "check_for_updates", "check_for_plugin_updates")
    return all(said.get(switch) == "false" for switch in switches)


def _judge(found: list[Found], _: Config) -> Iterator[str]:
    said = [fact for fact in found if isinstance(fact, ConfigFile)]
    for running in (fact for fact in found if isinstance(fact, Runs)):
        own = [fact for fact in said if fact.product == running.image]
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
                yield _message(running, "its makers", ", ".join(missing))


def _message(running: Runs, makers: str, switch: str) -> str:
    return f"container {running.container}: it talks to {makers} over the internet unless told not to: set {switch}"


REPORTS = whole(
    "no-usage-reports",
    "No service reports to its makers.",
    _read,
    _judge,
    fix="Turn the reports off by the switch that the message names.",
    config={"allowed": reasons({}, "Containers that may report → why.")},
    severity=Severity.MEDIUM,
)

POLICIES: tuple[Policy, ...] = (REPORTS,)
