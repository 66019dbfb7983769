"""Lists the actions that the stack may take by itself, and checks that the door to the engine lets nothing else through.

An action waits for alerts about your own containers, so a missing one breaks no promise of the stack.
"""

from collections.abc import Iterator

from docker import DockerClient
from docker.errors import NotFound

from check.containers import container
from check.finding import Finding
from config import service_names
from config.container import STACK_LABEL
from config.ports import DOCKER_API
from config.services.correlation import healer
from config.services.correlation.incidents.program.actions import Action
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
    """Yields one for each action, and one for the door."""
    for action in healer.actions(settings):
        mode = "dry run" if action.dry_run else "live"
        missing = _missing(client, action) if action.container else ""
        detail = "; ".join([mode, action.at_most, *([missing] if missing else [])])
        yield Finding(f"when {action.alert} fires: {action.what}", kept=True, detail=detail)
    if "engine_door" in settings.services:
        yield _door(client, settings)


def _missing(client: DockerClient, action: Action) -> str:
    """Why an action would never act; empty if it may."""
    try:
        found = client.containers.get(action.container)
    except NotFound:
        return f"there is no container {action.container} now"
    if stack := found.labels.get(STACK_LABEL):
        return f"denied: {action.container} is a container of the stack {stack}"
    service = next((found.labels[one] for one in reversed(service_names.LABELS) if found.labels.get(one)), None)
    if service and not action.service and service != action.of_container:
        return f"only for alerts that name the container: its service is {service}, so set service: {service}"
    return ""


def _door(client: DockerClient, settings: Settings) -> Finding:
    """Asks it for what would harm nobody: a restart of a container that does not exist, and what the engine is."""
    what = "the door to the engine lets nothing else through"
    asked = {
        f"POST /containers/{settings.prefix}-nobody/restart": ("POST", f"/containers/{settings.prefix}-nobody/restart"),
        "GET /info": ("GET", "/info"),
    }
    passed = []
    try:
        knocks = container(client, settings, "healer")
    except NotFound:
        return Finding(what, kept=False, detail=f"no container {settings.prefix}-healer to knock from")
    for words, (method, path) in asked.items():
        code, said = execute(knocks, ["python3", "-c", _ASK, method, f"http://engine_door:{DOCKER_API}{path}"])
        status = (said.strip().splitlines() or [f"exit code {code}"])[-1]
        if status != _FORBIDDEN:
            passed.append(f"{words}: {status}")
    return Finding(what, kept=not passed, detail="; ".join(passed) or f"{len(asked)} other requests refused")
