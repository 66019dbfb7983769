"""Writes one line to Loki for each deployment that changed something. The dashboards show it as an annotation.

The line is written once all services are proven healthy. Loki keeps it, so it outlives Grafana and its volume. It goes
through the collector, whose queue on disk holds it while Loki is away. If the collector is away too, a line says so,
the deployment still succeeds, and the next deployment that changes something reports these changes too.

A Pulumi command runs it as ``python -m engine.annotation`` with the order as JSON in ``ORDER``. The output of the
last run says what has been reported already. It does not import Pulumi, so it starts fast.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException

from config.ports import OTLP_HTTP
from engine.docker_api import WGET, connect, execute

SERVICE = "deployments"
"""Value of the lines' label `service`."""
INFO = 9
"""OpenTelemetry's severity number for INFO. It becomes the label `level`."""
LOGS = f"http://otel_collector:{OTLP_HTTP}/v1/logs"
PATIENCE_SECONDS = 30
"""How long to try again if the collector does not take the line."""
NOT_TOLD = "this deployment is not marked on the dashboards yet, but with the next change: the collector does not take its mark:"

Running = Mapping[str, Mapping[str, str]]
"""Service → what a deployment can change about it: `image`, `memory`, `files`, `container`."""


@dataclass(frozen=True)
class Order:
    """One annotation, as `components/stack.py` orders it."""

    docker: Mapping[str, Any]
    """The fields of `settings.Docker`."""
    asker: str
    """Name of a container that has wget and reaches the collector."""
    environment: str
    services: Running


def changes(before: Running, now: Running) -> dict[str, str]:
    """Service → its change in words: `memory 64 MiB → 96 MiB, files or secrets`. Services without a change are left
    out."""
    result = {}
    for service in sorted({*before, *now}):
        if service not in now:
            result[service] = "removed"
        elif service not in before:
            result[service] = f"new, {now[service]['image']}"
        elif differences := list(_differences(before[service], now[service])):
            result[service] = ", ".join(differences)
    return result


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    differences = [
        f"{what} {before.get(what)} → {now[what]}" for what in ("image", "memory") if before.get(what) != now[what]
    ]
    if before.get("files") != now["files"]:
        differences.append("files or secrets")
    return differences or (["another container"] if before.get("container") != now["container"] else [])


def annotate(order: Order, before: Running) -> None:
    """Sends the line to the collector; does nothing if nothing has changed.

    Raises:
        RuntimeError: the collector does not take it within `PATIENCE_SECONDS`.
    """
    report = changes(before, order.services)
    if not report:
        return
    message = "; ".join(f"{service}: {what}" for service, what in report.items())
    line = {"message": message, "environment": order.environment, "changed": ",".join(report)}
    if commit := clean_commit(Path(__file__).parents[1]):
        line["commit"] = commit
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


def clean_commit(folder: Path) -> str:
    """The commit that is checked out in `folder`, in full; empty without git, or if a file of it was
    changed. With it, the annotation says how to return to the commit before."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return "" if git("status", "--porcelain", "--untracked-files=no") else git("rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return ""


def main() -> None:
    order = Order(**json.loads(os.environ["ORDER"]))
    before = json.loads(os.environ.get("PULUMI_COMMAND_STDOUT") or "{}")
    services = order.services
    try:
        annotate(order, before)
    except (RuntimeError, DockerException, OSError) as error:
        print(f"{NOT_TOLD} {error}", file=sys.stderr)
        services = before
    print(json.dumps(services, sort_keys=True))


if __name__ == "__main__":
    main()
