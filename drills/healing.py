"""A container of yours that hangs: healer restarts it once, and not for ever."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from docker.models.containers import Container

from drills.frame import Drill
from drills.ground import PATIENCE_SECONDS, Ground, OnGround, reached
from drills.steady import RULES
from tests.support import leftovers
from tests.support.shop import Shop

SERVICE, ALERT = "drill-hung", "DrillHung"
PORT = 8080
SERVE = f"""\
mkdir -p /www; echo 'drill_hung_works 1' > /www/metrics
httpd -f -p {PORT} -h /www & echo $! > /pid
trap 'kill -9 $(cat /pid); exit' TERM; while :; do wait; done"""
"""The server is a separate process, because a container's first process cannot be stopped from inside."""
QUIET_SECONDS = 30
"""Time in which healer reads the alerts several times."""


@dataclass
class Hanging:
    """A container that serves metrics until it hangs, in a stack that may restart it once in an hour."""

    ground: Ground
    container: Container

    @property
    def started(self) -> str:
        self.container.reload()
        return str(self.container.attrs["State"]["StartedAt"])

    @property
    def up(self) -> str:
        """Selector for `up` of this container alone. The series of an earlier container remains for minutes."""
        return f'up{{service="{SERVICE}",instance="{self.container.name}:{PORT}"}}'

    @property
    def rules(self) -> dict[str, Any]:
        """A group with the alert."""
        texts = {"summary": "it hangs", "description": "On purpose."}
        alert = {"alert": ALERT, "expr": f"{self.up} == 0", "labels": {"severity": "warning"}, "annotations": texts}
        return {"name": "hung", "rules": [alert]}

    def serves(self) -> bool:
        return [one["value"][1] for one in self.ground.stack.query(self.up)] == ["1"]

    def hang(self) -> None:
        """Stops the server: from now on it accepts connections and does not answer."""
        reached("it is scraped", self.serves, PATIENCE_SECONDS)
        code, output = self.container.exec_run(["sh", "-c", "kill -STOP $(cat /pid)"])
        assert code == 0, output

    def healed(self) -> float:
        """Hangs, and waits until it was restarted and works; returns seconds."""
        before = self.started
        self.hang()
        begun = time.monotonic()
        reached("healer has restarted it", lambda: self.started != before, PATIENCE_SECONDS)
        took = time.monotonic() - begun
        reached("it is scraped again", self.serves, PATIENCE_SECONDS)
        reached("the alert is over", lambda: not self.alerts(ALERT), PATIENCE_SECONDS)
        return took

    def alerts(self, name: str) -> list[dict[str, Any]]:
        alerts = self.ground.stack.get("alertmanager", "/api/v2/alerts")
        return [one for one in alerts if one["labels"]["alertname"] == name and one["labels"]["service"] == SERVICE]

    def lines(self, event: str) -> int:
        """How many lines of healer's Loki has about such an event."""
        query = f'{{service="healer"}} | json | event="{event}" | alert="{ALERT}" |= "{self.container.name}"'
        streams = self.ground.stack.get("loki", "/loki/api/v1/query_range", query=query)["data"]["result"]
        return sum(len(stream["values"]) for stream in streams)


@contextlib.contextmanager
def hanging(ground: Ground) -> Iterator[Hanging]:
    """The stack's config is as before in the end."""
    stack, before = ground.stack, dict(ground.stack.config)
    rules = stack.folder / "drills.yml"
    with Shop(ground.client, f"{leftovers.new_prefix()}-hung") as shop:  # no name with the stack's prefix is healed
        networks = (stack.settings.apps_network,)
        container = shop.start(
            "http", stack.settings.image("busybox"), ["sh", "-c", SERVE],
            labels={"observability.service": SERVICE}, networks=networks,
        )  # fmt: skip
        service = Hanging(ground, container)
        try:
            rules.write_text(yaml.safe_dump({"groups": [*RULES["groups"], service.rules]}))
            target = {"service": SERVICE, "targets": [f"{container.name}:{PORT}"]}
            applications = [*before["metrics"]["applications"]["static"], target]
            stack.config["metrics"] = {**before["metrics"], "applications": {"static": applications}}
            stack.config["notifications"] = {**before["notifications"], "incidents": {}}
            action = {"alert": ALERT, "service": SERVICE, "restart": container.name, "at_most": "1 per 1h"}
            stack.config["actions"] = [{**action, "dry_run": False}]
            ground.make_up()
            yield service
        finally:
            rules.write_text(yaml.safe_dump(RULES))
            stack.config.clear()
            stack.config.update(before)
            ground.make_up()


def restarted(ground: Ground) -> str:
    with hanging(ground) as it:
        took = it.healed()
        once = it.started
        time.sleep(QUIET_SECONDS)
        assert it.started == once, "it was restarted again"
        reached("one line says so", lambda: it.lines("acted") == 1)
    return f"restarted {took:.0f} s after it hung, once"


def denied(ground: Ground) -> str:
    with hanging(ground) as it:
        it.healed()
        once = it.started
        it.hang()
        begun = time.monotonic()
        reached("one line says that it is denied", lambda: it.lines("denied") == 1, PATIENCE_SECONDS)
        took = time.monotonic() - begun
        reached(
            "the incident says so",
            lambda: any("Self-healing: denied: " in one["annotations"]["evidence"] for one in it.alerts("Incident")),
        )
        time.sleep(QUIET_SECONDS)
        assert it.started == once, "it was restarted again"
        assert it.lines("denied") == 1, "it is said again and again"
    return f"denied {took:.0f} s after it hung again, in one line"


def drills() -> list[OnGround]:
    cause = "the server of a container of yours is stopped (SIGSTOP): it takes connections and answers nothing"
    causes = {
        "heal-hung": (cause, "healer restarts the container once, it works again, and a line says so", restarted),
        "heal-denied": (
            f"{cause}; again after its restart, with `at_most: 1 per 1h`",
            "healer does nothing, and one line and the incident say that it is denied",
            denied,
        ),
    }
    return [Drill(name, fault, holds, run) for name, (fault, holds, run) in causes.items()]
