"""Lists the actions that the stack may take by itself, and checks that the door to the engine lets nothing else through.

An action waits for alerts about your own containers, so a missing one breaks no promise of the stack.
"""

from collections.abc import Iterator, Sequence

from docker import DockerClient
from docker.errors import NotFound

from check.containers import container
from check.finding import Finding
from config import service_names
from config.container import STACK_LABEL
from config.ports import DOCKER_API, ROLLBACKS
from config.services.correlation import healer
from config.services.correlation.incidents.program.actions import Action
from config.services.correlation.incidents.program.recreation import COMPOSE
from config.services.correlation.incidents.program.rollback_door import PATH
from config.settings import Settings
from engine.docker_api import execute

_ASK = """import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[2], b"", method=sys.argv[1]), timeout=5).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""
"""Prints the status of an answer."""
_FORBIDDEN = "403"


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields one for each action, and one for each door."""
    for action in healer.actions(settings):
        mode = "dry run" if action.dry_run else "live"
        missing = _missing(client, action) if action.container else ""
        detail = "; ".join([mode, action.at_most, *([missing] if missing else [])])
        yield Finding(f"when {action.alert} fires: {action.what}", kept=True, detail=detail)
    nobody = f"{settings.prefix}-nobody"
    doors = {
        "engine_door": ("the door to the engine", DOCKER_API, (f"POST /containers/{nobody}/restart", "GET /info")),
        "rollback_door": ("the door that rolls back", ROLLBACKS, (f"POST {PATH}{nobody}", "POST /containers/create")),
    }
    for service, (name, port, others) in doors.items():
        if service in settings.services:
            what = f"{name} lets nothing else through"
            yield _door(client, settings, what, f"http://{service}:{port}", others)


def _missing(client: DockerClient, action: Action) -> str:
    """Why an action would never act; empty if it may."""
    try:
        target = client.containers.get(action.container)
    except NotFound:
        return f"there is no container {action.container} now"
    if stack := target.labels.get(STACK_LABEL):
        return f"denied: {action.container} is a container of the stack {stack}"
    if action.kind == "roll_back" and not target.labels.get(f"{COMPOSE}project"):
        return f"denied: {action.container} was not made by Docker Compose"
    service = service_names.of_labels(target.labels)
    if service and not action.service and service != action.of_container:
        return f"only for alerts that name the container: its service is {service}, so set service: {service}"
    return ""


def _door(client: DockerClient, settings: Settings, what: str, url: str, requests: Sequence[str]) -> Finding:
    """Sends requests that the door must refuse, and that are harmless if it does not: they name a container that does not exist,
    or lack a necessary part."""
    passed = []
    try:
        knocks = container(client, settings, "healer")
    except NotFound:
        return Finding(what, kept=False, detail=f"no container {settings.prefix}-healer to knock from")
    for words in requests:
        method, path = words.split()
        code, output = execute(knocks, ["python3", "-c", _ASK, method, url + path])
        status = (output.strip().splitlines() or [f"exit code {code}"])[-1]
        if status != _FORBIDDEN:
            passed.append(f"{words}: {status}")
    return Finding(what, kept=not passed, detail="; ".join(passed) or f"{len(requests)} other requests refused")
