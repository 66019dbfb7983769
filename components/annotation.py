"""Tells of each deployment that changed something: a line in Loki, which the dashboards show as an annotation.

It is written when all services have been proved well. Loki keeps it, so it outlives Grafana and its volume. It goes by the
collector, whose queue on disk waits for a Loki that is away. When the collector is away too, a line says so, the deployment
ends well, and what changed is told with the next one that changes something.

Run by a Pulumi command as ``python -m components.annotation`` with the order as JSON in ``ORDER``; what the last run printed
says what has been told before. It imports no Pulumi: it starts in a blink.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker.errors import DockerException

from components.engine import WGET, connect, execute
from config.ports import OTLP_HTTP

SERVICE = "deployments"
"""Label `service` of the lines."""
INFO = 9
"""OpenTelemetry's severity number, which becomes the label `level`."""
LOGS = f"http://otel_collector:{OTLP_HTTP}/v1/logs"
PATIENCE_SECONDS = 30
NOT_TOLD = "this deployment is not marked on the dashboards yet, but with the next change: the collector does not take its mark:"

Running = Mapping[str, Mapping[str, str]]
"""Service → what of it may change."""


@dataclass(frozen=True)
class Order:
    """What `components/stack.py` asks for."""

    docker: Mapping[str, Any]
    """`settings.Docker`."""
    asker: str
    """A container that has wget and reaches the collector."""
    environment: str
    services: Running


def changes(before: Running, now: Running) -> dict[str, str]:
    """Service → what has changed, in words."""
    told = {}
    for service in sorted({*before, *now}):
        if service not in now:
            told[service] = "removed"
        elif service not in before:
            told[service] = f"new, {now[service]['image']}"
        elif differences := list(_differences(before[service], now[service])):
            told[service] = ", ".join(differences)
    return told


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    found = [
        f"{what} {before.get(what)} → {now[what]}" for what in ("image", "memory") if before.get(what) != now[what]
    ]
    if before.get("files") != now["files"]:
        found.append("files or secrets")
    return found or (["another container"] if before.get("container") != now["container"] else [])


def annotate(order: Order, before: Running) -> None:
    """Writes the line.

    Raises:
        RuntimeError: the collector does not take it.
    """
    told = changes(before, order.services)
    if not told:
        return
    message = "; ".join(f"{service}: {what}" for service, what in told.items())
    line = {"message": message, "environment": order.environment, "changed": ",".join(told)}
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": INFO,
        "body": {"stringValue": json.dumps(line, ensure_ascii=False)},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE}}]}
    body = json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]})
    command = [*WGET, "-O", "-", "--header=Content-Type: application/json", f"--post-data={body}", LOGS]
    asker = connect(order.docker).containers.get(order.asker)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        code, words = execute(asker, command)
        if code == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(words.strip())
        time.sleep(1)


def main() -> None:
    order = Order(**json.loads(os.environ["ORDER"]))
    before = json.loads(os.environ.get("PULUMI_COMMAND_STDOUT") or "{}")
    told = order.services
    try:
        annotate(order, before)
    except (RuntimeError, DockerException, OSError) as error:
        print(f"{NOT_TOLD} {error}", file=sys.stderr)
        told = before
    print(json.dumps(told, sort_keys=True))


if __name__ == "__main__":
    main()
