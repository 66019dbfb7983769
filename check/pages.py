"""What the services of a stack say of themselves."""

import json
import re
from typing import Any

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.containers import container
from components.engine import fetch
from config.ports import METRICS
from config.settings import Settings


def asker(client: DockerClient, settings: Settings) -> Container:
    """Prometheus' container has the tools, and reaches every service: no port must be reachable from here.

    Raises:
        LookupError: there is none.
    """
    try:
        return container(client, settings, "prometheus")
    except NotFound as error:
        raise LookupError(str(error)) from None


def page(client: DockerClient, settings: Settings, service: str, path: str, *headers: str) -> str:
    """What `service` answers at `path`.

    Raises:
        LookupError: no answer.
    """
    code, text = fetch(asker(client, settings), f"http://{settings.host(service)}:{METRICS[service]}{path}", *headers)
    if code:
        raise LookupError(f"{service} does not answer {path}: {text.strip()}")
    return text


def metric(client: DockerClient, settings: Settings, service: str, name: str) -> float:
    """Sum over all series of a metric that `service` shows."""
    text = page(client, settings, service, "/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def ask(client: DockerClient, settings: Settings, service: str, path: str) -> Any:
    """The same, where it is JSON; anything else counts as no answer."""
    text = page(client, settings, service, path)
    try:
        return json.loads(text)
    except ValueError:
        raise LookupError(f"{service} answers {path} with no JSON: {text[:100]!r}") from None


def inside(client: DockerClient, settings: Settings, url: str) -> Any:
    """The JSON at any URL, asked by the same container.

    Raises:
        LookupError: no answer, or no JSON.
    """
    code, text = fetch(asker(client, settings), url)
    try:
        return json.loads(text if code == 0 else "")
    except ValueError:
        raise LookupError(f"{url} does not answer: {text.strip()[:200]}") from None
