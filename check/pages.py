"""Fetches what the services of a stack report about themselves."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from check.containers import container
from config.ports import metrics_port
from config.settings import Settings
from engine.page_shell import PageShell

_idle = defaultdict[str, list[PageShell]](list)
"""Id of a container → its shells that fetch nothing at the moment, for whichever thread comes next."""


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


def hang_up() -> None:
    """Ends the shells that fetch pages."""
    while _idle:
        for shell in _idle.popitem()[1]:
            shell.close()


def _fetched(service: Container, url: str, header: str = "") -> tuple[int, str]:
    """wget's exit code and page, fetched inside `service`; code 1 if the container does not run."""
    key = str(service.id)
    while True:
        try:
            shell, is_new = _idle[key].pop(), False
        except IndexError:
            is_new = True
        try:
            shell = PageShell(service) if is_new else shell
            answer = shell.fetch(url, header)
        except ConnectionError as error:
            if is_new:
                return 1, str(error)
            continue  # it had ended, with its container perhaps
        _idle[key].append(shell)
        return answer


def page(client: DockerClient, settings: Settings, service: str, path: str, header: str = "") -> str:
    """The text that `service` answers at `path`.

    Raises:
        LookupError: no answer.
    """
    url = f"http://{settings.host(service)}:{metrics_port(service)}{path}"
    code, text = _fetched(asker(client, settings), url, header)
    if code:
        raise LookupError(f"{service} does not answer {path}: {text.strip()}")
    return text


def metric(client: DockerClient, settings: Settings, service: str, name: str) -> float:
    """The sum of a metric over all its series on the page `/metrics` of `service`.

    Raises:
        LookupError: no answer.
    """
    return total(page(client, settings, service, "/metrics"), name)


def total(text: str, name: str, *labels: str) -> float:
    """The sum of a metric on a page over its series that have all `labels`, each as it stands there: `exporter="otlp"`."""
    series = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for own, value in series if all(f",{label}," in f",{own}," for label in labels))


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


def ask_all(client: DockerClient, settings: Settings, service: str, paths: Sequence[str]) -> list[Any]:
    """The JSON that `service` answers at each of `paths`; None for one without an answer.

    Raises:
        LookupError: there is no container to ask from.
    """
    service_url = f"http://{settings.host(service)}:{metrics_port(service)}"
    prometheus = asker(client, settings)
    answers = (_fetched(prometheus, f"{service_url}{path}") for path in paths)
    return [None if code else _json(text) for code, text in answers]


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
    code, text = _fetched(asker(client, settings), url)
    try:
        return json.loads(text if code == 0 else "")
    except ValueError:
        raise LookupError(f"{url} does not answer: {text.strip()[:200]}") from None
