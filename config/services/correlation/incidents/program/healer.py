"""The service `healer`: does what the settings allow when an alert fires, once for each time that it fires, and says so.

It reads alerts and nothing else: no log line and no trace comes here. What it may do to a container, the door knows too.
"""

import json
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from . import versions
from .actions import Action, Actions, read
from .alerts import moment, seconds, told
from .asking import Asker, NoAnswerError
from .door import Door, DoorError, RollbackDoor
from .ledger import Ledger
from .page import sample, serve
from .recreation import STACK_LABEL
from .running import Looks, RulesFile, log
from .text import duration, one_line, quoted

RECOVERY = 300
"""Seconds that a container has to recover until it is restarted again."""
_PATIENCE = 5.0
_UNWELL = 330
"""Seconds without a word of Alertmanager's, after which the service is not well. A roll back may take most of that."""
_SHOWN, _SAID = 50, 300
"""Decisions that the page shows, and characters of each."""
_REMEMBERED = 1000
"""Refusals that are not said again."""

Alert = dict[str, Any]


class Healer:
    """Reads its rules from `file`, and again at SIGHUP; notes what it does in `folder`."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file = RulesFile(file, read)
        self._asker = Asker()
        self._ledger = Ledger(folder / "attempts.json", time.time())
        self._program = versions.of_program()
        self._heard = time.monotonic()
        self._decisions: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._refused: deque[tuple[str, ...]] = deque(maxlen=_REMEMBERED)
        self._counts: Counter[str] = Counter()

    @property
    def _rules(self) -> Actions:
        return self._file.rules

    def run(self, port: int) -> None:
        """Runs until SIGTERM."""
        pages = {
            "/metrics": self.metrics,
            "/decisions": self.decisions,
            "/rules": lambda: self._file.version,
            "/program": lambda: self._program,
        }
        serve(port, pages, lambda: time.monotonic() - self._heard < _UNWELL)
        for action in self._rules.actions:
            log("info", f"{_mode(action)}: {action.what} when {action.alert} fires, {action.at_most}", event="may")
        Looks(self.look, self._file.again).run()

    def look(self) -> None:
        """One look at the alerts, and what follows from it."""
        try:
            alerts = told(self._asker, self._rules.apis["alertmanager"], time.monotonic() + _PATIENCE)
        except NoAnswerError:
            return
        self._heard = time.monotonic()
        self._ledger.set_right(time.time())
        for action in self._rules.actions:
            about = [alert for alert in alerts if action.concerns(alert["labels"])]
            decided = max(map(self._ledger.last, _both(action)))
            due = [alert for alert in about if seconds(alert) > decided]
            if due:
                self._consider(action, due[0], time.time())

    def metrics(self) -> str:
        """The page for Prometheus."""
        modes = Counter("dry run" if action.dry_run else "live" for action in self._rules.actions)
        return "".join(
            [
                f"healer_config_last_reload_successful {int(self._file.taken)}\n",
                *(sample("healer_actions", number, mode=mode) for mode, number in sorted(modes.items())),
                *(sample("healer_decisions_total", number, event=one) for one, number in sorted(self._counts.items())),
            ]
        )

    def decisions(self) -> str:
        """The newest decisions, as `incidents` reads them."""
        return json.dumps(list(self._decisions))

    def _consider(self, action: Action, alert: Alert, now: float) -> None:
        """Decides about an action whose alert fires, and had not begun to when that was last decided.

        A denial stands as long as the alert fires: people have been told, and nothing is restarted while they look at it.
        """
        ledger, (noted, denied) = self._ledger, _both(action)
        if ledger.lost > now - action.period:
            self._refuse(action, alert, f"what was done before is unknown, so it waits {duration(action.period)}")
        elif ledger.times(noted, now - action.period) >= action.times:
            self._deny(action, alert, denied, f"the bound of {action.at_most} is used up")
        elif action.kind == "restart" and now - ledger.last(noted) < RECOVERY:
            return  # it has time to recover
        else:
            try:
                why = self._forbidden(action, alert) if action.container else ""
            except (DoorError, NoAnswerError, KeyError, TypeError, ValueError) as error:
                self._refuse(action, alert, _words(error))  # and tries again
                return
            if why:
                self._deny(action, alert, denied, why)
            elif self._noted(action, alert, noted):
                self._do(action, alert)

    def _deny(self, action: Action, alert: Alert, denied: str, why: str) -> None:
        self._noted(action, alert, denied)
        self._refuse(action, alert, why)

    def _noted(self, action: Action, alert: Alert, what: str) -> bool:
        """Writes down what is decided, before it is done; returns whether that was possible."""
        try:
            self._ledger.note(what, time.time(), [name for one in self._rules.actions for name in _both(one)])
        except OSError as error:
            self._refuse(action, alert, f"it cannot note what it does: {error.strerror}")
            return False
        return True

    def _forbidden(self, action: Action, alert: Alert) -> str:
        """Why the container must not be touched; empty if it may."""
        if action.kind == "roll_back":
            earlier = RollbackDoor(self._rules.apis["rollbacks"]).earlier(action.container)
            if isinstance(earlier, str):
                return earlier
            return "" if self._began(alert) >= earlier.since else "what the alert is about began before the deployment"
        labels = Door(self._rules.apis["door"]).labels(action.container)
        if labels is None:
            return f"there is no container {action.container}"
        if STACK_LABEL in labels:
            return f"{action.container} is a container of the stack {one_line(labels[STACK_LABEL], 80)}"
        return ""

    def _began(self, alert: Alert) -> float:
        """Since when the alert's condition holds: an alert waits for up to ten minutes until it fires, and a deployment in that
        time may be the remedy.

        Raises:
            NoAnswerError: Prometheus does not tell, or it is an alert of Loki's.
        """
        labels = alert["labels"]
        which = ",".join(f"{name}={quoted(str(labels.get(name, '')))}" for name in ("alertname", "service", "name"))
        address, until = self._rules.apis["prometheus"], time.monotonic() + _PATIENCE
        query = f"min(ALERTS_FOR_STATE{{{which}}})"
        found = self._asker.get("Prometheus", address, "/api/v1/query", until, query=query)["data"]["result"]
        if not found:
            raise NoAnswerError("Prometheus does not tell since when it is so")
        return float(found[0]["value"][1])

    def _do(self, action: Action, alert: Alert) -> None:
        if action.dry_run:
            self._say("dry-run", action, alert, f"dry run: would {action.what}")
            return
        output, begun = "", time.monotonic()
        try:
            if action.kind == "silence":
                self._silence(action)
                ended = f"for {duration(action.lasts)}"
            elif action.kind == "restart":
                Door(self._rules.apis["door"]).restart(action.container)
                ended = f"which took {duration(time.monotonic() - begun)}"
            elif action.kind == "roll_back":
                image = RollbackDoor(self._rules.apis["rollbacks"]).roll_back(action.container).image
                ended = f"to {image}, which took {duration(time.monotonic() - begun)}"
            else:
                output, ended = Door(self._rules.apis["door"]).run(action.container, action.command)
        except (DoorError, NoAnswerError, KeyError, TypeError, ValueError) as error:
            self._say("failed", action, alert, f"failed: {action.what}: {_words(error)}")
            return
        self._say("acted", action, alert, f"done: {action.what}, {ended}", output=output)

    def _silence(self, action: Action) -> None:
        now = time.time()
        names = {"alertname": action.silenced, "service": action.silenced_service}
        silence = {
            "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in names.items()],
            "startsAt": moment(now),
            "endsAt": moment(now + action.lasts),
            "createdBy": "healer",
            "comment": f"{action.alert} fires, and this follows from it (actions in the stack file)",
        }  # fmt: skip
        address = self._rules.apis["silences"]
        self._asker.post("Alertmanager", address, "/api/v2/silences", time.monotonic() + _PATIENCE, silence)

    def _refuse(self, action: Action, alert: Alert, why: str) -> None:
        """Says that an action is denied, once for each time that its alert fires."""
        key = (*_both(action), why, str(alert.get("fingerprint", "")), str(alert.get("startsAt", "")))
        if key not in self._refused:
            self._refused.append(key)
            self._say("denied", action, alert, f"denied: {action.what}: {why}")

    def _say(self, event: str, action: Action, alert: Alert, said: str, *, output: str = "") -> None:
        """One line, which the log shipper brings to Loki, and one on the page for `incidents`."""
        service = str(alert["labels"].get("service", ""))
        self._counts[event] += 1
        self._decisions.append(
            {
                "at": time.time(),
                "event": event,
                "alert": action.alert,
                "service": service,
                "said": one_line(said, _SAID),
            }
        )
        level = "warn" if event in {"denied", "failed"} else "info"
        log(level, said, event=event, incident=service, alert=action.alert, output=output)


def _both(action: Action) -> tuple[str, str]:
    """What an attempt and a denial are noted as. Those of a dry run leave what acts alone."""
    noted = f"dry run: {action.what}" if action.dry_run else action.what
    return noted, f"denied: {noted}"


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, DoorError | NoAnswerError) else "the engine answered what is not understood"


def _mode(action: Action) -> str:
    return "dry run" if action.dry_run else "live"
