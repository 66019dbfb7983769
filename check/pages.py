"""Fetches what the services of a stack report about themselves."""

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
    """The container that sends the requests: Prometheus' one, which has the tools and reaches every service, so no port
    must be reachable from here.

    Raises:
        LookupError: it does not exist.
    """
    try:
        return container(client, settings, "prometheus")
    except NotFound as error:
        raise LookupError(str(error)) from None


def page(client: DockerClient, settings: Settings, service: str, path: str, *headers: str) -> str:
    """The text that `service` answers at `path`.

    Raises:
        LookupError: no answer.
    """
    code, text = fetch(asker(client, settings), f"http://{settings.host(service)}:{METRICS[service]}{path}", *headers)
    if code:
        raise LookupError(f"{service} does not answer {path}: {text.strip()}")
    return text


def metric(client: DockerClient, settings: Settings, service: str, name: str) -> float:
    """The sum of a metric over all its series on the page `/metrics` of `service`.

    Raises:
        LookupError: no answer.
    """
    text = page(client, settings, service, "/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def ask(client: DockerClient, settings: Settings, service: str, path: str) -> Any:
    """The JSON that `service` answers at `path`.

    Raises:
        LookupError: no answer, or no JSON.
    """
    text = page(client, settings, service, path)
    try:
        return json.loads(text)
    except ValueError:
        raise LookupError(f"{service} answers {path} with no JSON: {text[:100]!r}") from None


def inside(client: DockerClient, settings: Settings, url: str) -> Any:
    """The JSON at any URL, fetched by the same container.

    Raises:
        LookupError: no answer, or no JSON.
    """
    code, text = fetch(asker(client, settings), url)
    try:
        return json.loads(text if code == 0 else "")
    except ValueError:
        raise LookupError(f"{url} does not answer: {text.strip()[:200]}") from None
