"""Sends one test alert to every receiver, and finds out what came back."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from docker import DockerClient

from check import pages
from check.containers import container
from check.finding import Finding
from config.ports import METRICS
from config.services.metrics.alertmanager_receivers import TEST_ALERT, integration
from config.settings import Settings
from config.settings.units import seconds
from engine.docker_api import WGET, execute

PATIENCE_SECONDS = 60
"""Seconds for the receivers' answers, from when Alertmanager sends. It retries after 0.5, 0.8, 1.1 s and so on."""
LINES = 2000
"""Lines of the log that are read."""
_ADDRESS = f"http://127.0.0.1:{METRICS['alertmanager']}"


@dataclass(frozen=True)
class Manager:
    """A running Alertmanager."""

    metrics: Callable[[], str]
    """Returns its page `/metrics`."""
    post: Callable[[str, str], None]
    """Sends a JSON text to one of its paths. Raises LookupError if it refuses it."""
    log: Callable[[], str]
    """Returns the end of its log."""


def manager(client: DockerClient, settings: Settings) -> Manager:
    """The Alertmanager of a deployed stack."""
    running = container(client, settings, "alertmanager")

    def post(path: str, text: str) -> None:
        header = "Content-Type: application/json"
        command = [*WGET, "-O", "-", "--header", header, "--post-data", text, f"{_ADDRESS}{path}"]
        code, out = execute(running, command)
        if code:
            raise LookupError(f"Alertmanager does not take the test alert: {out.strip()[:200]}")

    return Manager(
        metrics=lambda: pages.page(client, settings, "alertmanager", "/metrics"),
        post=post,
        log=lambda: running.logs(tail=LINES).decode(errors="replace"),
    )


def receivers(settings: Settings) -> dict[str, str]:
    """Name of each receiver that people hear of → its integration, as Alertmanager's metrics call it."""
    own = {"slack": "slack_webhook", "pagerduty": "pagerduty_key"}
    return {name: name for name, secret in own.items() if secret in settings.secrets} | {
        receiver.name: integration(receiver.kind) for receiver in settings.notifications.receivers
    }


def findings(of: Manager, settings: Settings, patience: float = PATIENCE_SECONDS) -> list[Finding]:
    """Sends the alert, and waits until every receiver has taken or refused it, at most `notifications.group_wait` and
    `patience` seconds. Returns one finding for each receiver.

    Raises:
        LookupError: Alertmanager does not answer, or refuses the alert.
    """
    limit = seconds(settings.notifications.group_wait) + patience
    integrations = receivers(settings)
    named = bool(settings.notifications.receivers)
    before = _successes(of.metrics(), integrations, named=named)
    began = time.time()
    group = f"{TEST_ALERT}-{int(began * 1000)}"  # a group of its own, which waits for no interval
    of.post("/api/v2/alerts", _alert(settings, group))
    while True:
        after = _successes(of.metrics(), integrations, named=named)
        successes = {name for name in integrations if after[name] > before[name]}
        refused = dict(_refusals(of.log(), group))
        given_up = {name for name, (_, final) in refused.items() if final}
        successes -= given_up  # it has taken another alert meanwhile
        waiting = integrations.keys() - successes - given_up
        if not waiting or time.time() > began + limit:
            break
        time.sleep(1)
    nothing = f"nothing came back within {limit:.0f} s: a silence may mute it, or its address does not answer"
    return [
        Finding(
            f"{name} ({kind}) takes the test alert",
            kept=name in successes,
            detail="" if name in successes else refused.get(name, (nothing, True))[0],
        )
        for name, kind in integrations.items()
    ]


def _alert(settings: Settings, group: str) -> str:
    """The test alert. It has no times, because the clock of the engine's host may be another one: it begins now, and ends
    after Alertmanager's `resolve_timeout`."""
    alert = {
        "labels": {
            "alertname": TEST_ALERT,
            "severity": "critical",
            "service": group,
            "environment": settings.environment,
        },
        "annotations": {
            "summary": "This is a test of the receivers. Nothing is wrong",
            "description": "Somebody ran make alert-test. It ends by itself.",
            "runbook_url": f"{settings.alerts.runbooks}/README.md",
        },
    }
    return json.dumps([alert])


def _successes(text: str, integrations: Mapping[str, str], *, named: bool) -> dict[str, float]:
    """Receiver → number of messages that it has taken."""

    def value(metric: str, name: str) -> float:
        labels = f'integration="{integrations[name]}"' + (f',receiver_name="{name}"' if named else "")
        match = re.search(rf"^{metric}\{{{re.escape(labels)}\}} (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else 0

    requests = "alertmanager_notification_requests"
    return {name: value(f"{requests}_total", name) - value(f"{requests}_failed_total", name) for name in integrations}


def _refusals(log: str, group: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    """(receiver, (what it said, whether Alertmanager has given up)) for each failure of this group in the log."""
    for line in log.splitlines():
        if group not in line or not (match := re.search(r' err="((?:[^"\\]|\\.)*)"', line)):
            continue
        words = match[1].replace('\\"', '"').replace("\\n", " ")
        if retried := re.search(r"will retry.* receiver=(\S+) ", line):
            yield retried[1], (words, False)
        elif given_up := re.match(r"([\w-]+)/\w+\[\d+\]: (.*)", words):
            yield given_up[1], (given_up[2], True)
