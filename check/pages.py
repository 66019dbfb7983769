"""Fetches what the services of a stack report about themselves."""

import json
import re
from collections.abc import Sequence
from typing import Any

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.containers import container
from config.ports import metrics_port
from config.settings import Settings
from engine.docker_api import LIMIT, execute, fetch


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
    code, text = fetch(
        asker(client, settings), f"http://{settings.host(service)}:{metrics_port(service)}{path}", *headers
    )
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


_SEVERAL = f"""limited() {{
{LIMIT}}}
for url; do limited wget -q -O - "$url" 2>/dev/null; printf "\\n\\036\\n"; done
"""
"""Fetches each of its arguments. The sign that separates records follows each answer."""
_AT_ONCE = 100
"""URLs for one command: it ends within the minute that the engine's client waits."""


def ask_all(client: DockerClient, settings: Settings, service: str, paths: Sequence[str]) -> list[Any]:
    """The JSON that `service` answers at each of `paths`; None for one without an answer.

    Raises:
        LookupError: there is no container to ask from.
    """
    urls = [f"http://{settings.host(service)}:{metrics_port(service)}{path}" for path in paths]
    answers: list[Any] = []
    for first in range(0, len(urls), _AT_ONCE):
        some = urls[first : first + _AT_ONCE]
        _, text = execute(asker(client, settings), ["sh", "-c", _SEVERAL, "sh", *some])
        parts = [*text.split("\n\x1e\n"), *[""] * len(some)]
        answers += map(_json, parts[: len(some)])
    return answers


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


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
