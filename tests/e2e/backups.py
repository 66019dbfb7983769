"""A backup that lies in a folder and is put back in place, whatever the storage of traces and the shipper of logs."""

import json
import re
import time
from pathlib import Path

import requests

from operate import volume_helper
from operate.backup.manifest import Manifest
from tests.support import leftovers, tracing
from tests.support.deployment import Deployment
from tests.support.shipping import Logs
from tests.support.shop import Shop
from tests.support.wait import until


def silence(stack: Deployment, comment: str) -> None:
    """A silence for an hour."""
    body = {
        "matchers": [{"name": "alertname", "value": "Old", "isRegex": False}],
        "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
        "createdBy": "test",
        "comment": comment,
    }
    requests.post(f"{stack.url('alertmanager')}/api/v2/silences", json=body, timeout=10).raise_for_status()


def silences(stack: Deployment) -> list[str]:
    """Their comments."""
    return sorted(entry["comment"] for entry in stack.get("alertmanager", "/api/v2/silences"))


def series(stack: Deployment, then: str) -> list[str]:
    """Every series that Prometheus has of that moment, with its value."""
    result = stack.get("prometheus", "/api/v1/query", query='{__name__=~".+"}', time=then)["data"]["result"]
    return sorted(json.dumps(one, sort_keys=True) for one in result)


def failed(stack: Deployment, service: str) -> set[str]:
    """Ids of traces that are kept, and found by now."""
    with tracing.application(stack, service) as application:
        identifiers = {tracing.trace_id(application.span("failed", 5, error=True)) for _ in range(20)}
    until(lambda: identifiers <= tracing.traces_of(stack, service).keys())
    return identifiers


def take(stack: Deployment, folder: Path) -> Path:
    """Where the backup of the running stack is that has just been made in `folder`."""
    printed = stack.operate("backup", "--to", str(folder))
    print(printed)
    [address] = re.findall(r"ready to be restored: (\S+)", printed)
    return Path(address)


def manifest(address: Path) -> Manifest:
    return Manifest.model_validate_json((address / "manifest.json").read_text())


def runs_as_before(stack: Deployment, containers: dict[str, str]) -> bool:
    """Whether the stack has these containers, and nothing holds one of its services."""
    helpers = stack.client.containers.list(all=True, filters={"name": f"^/{stack.prefix}-backup$"})
    running = [stack.container(service).status == "running" for service in stack.settings.services]
    return stack.containers() == containers and not helpers and all(running)


def there_and_back(stack: Deployment, folder: Path) -> None:
    """What the backup has comes back, what the stack has kept since goes, and without REPLACE nothing is touched.

    Meanwhile a container writes lines, which were shipped before, are shipped while the backup is taken and after it, and
    are read again after the restore: each is found once.
    """
    shipper = stack.settings.logs.shipper
    with Shop(stack.client, f"{leftovers.new_prefix()}-shop") as shop:
        image = volume_helper.image(stack.client, stack.settings.image("busybox"))
        logs = Logs(stack, shop, shipper, image, folder)
        counting = logs.count("counting", every="0.1")
        traces = failed(stack, "before-the-backup")
        silence(stack, "before")
        until(lambda: logs.counted("counting") > 50)
        then = f"{time.time() - 10:.3f}"  # cAdvisor gives its samples times of its own: the last ones are still to come
        samples = series(stack, then)
        assert len(samples) > 500

        address = take(stack, folder)
        for service, copy in manifest(address).volumes.items():
            print(f"{service}: {copy.bytes} bytes, held for {copy.seconds_held} s")
        failed(stack, "since-the-backup")
        silence(stack, "since")

        words, containers = ("restore", "--from", str(address)), stack.containers()
        printed = stack.operate(*words, fails=True)
        assert "already has data, in" in printed
        assert "REPLACE=1" in printed
        assert runs_as_before(stack, containers)
        assert silences(stack) == ["before", "since"]

        printed = stack.operate(*words, "--replace")
        print(printed)
        assert "all kept" in printed  # the check after it
        assert series(stack, then) == samples
        assert silences(stack) == ["before"]
        assert traces <= tracing.traces_of(stack, "before-the-backup").keys()
        assert not tracing.traces_of(stack, "since-the-backup")
        logs.all_there_once("counting", logs.stop_counting(counting))
