"""The service: looks at Alertmanager every few seconds, and tells it of incidents."""

import calendar
import json
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import message, versions
from .asking import MIB, Asker, NoAnswerError
from .evidence import PATIENCE, collect
from .page import sample, serve
from .rules import Rules, RulesError, read
from .story import NAME, SEVERITIES, Alert, Incident, Key, Story
from .text import one_line

EVERY = 5.0
"""Seconds between two looks."""
_AGAIN = 60
"""Seconds after which Alertmanager is told again what it knows."""
_LASTS = 300
"""Seconds for which Alertmanager believes that an incident goes on, if nobody tells it so again."""
_UNWELL = 60
"""Seconds after which a service that does not hear Alertmanager is not well."""
_ALERTS, _ANSWER = 2000, 4 * MIB
"""Alerts that are looked at, and bytes in which Alertmanager tells them. Nothing else is read at that time."""


class Service:
    """Reads its rules from `file`, and again at SIGHUP."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._asker = Asker()
        self._story = Story(self._tell, self._report)
        self._rules, self._version = _read(file)
        self._program = versions.of_program()
        self._taken = True
        self._wake, self._reload, self._end = threading.Event(), False, False
        self._heard = time.monotonic()
        self._told: list[dict[str, Any]] = []
        self._told_at = 0.0
        self._began = 0
        self._adopted = False

    def run(self, port: int) -> None:
        """Runs until SIGTERM."""
        signal.signal(signal.SIGHUP, self._signalled)
        signal.signal(signal.SIGTERM, self._signalled)
        pages = {"/metrics": self.metrics, "/rules": lambda: self._version, "/program": lambda: self._program}
        serve(port, pages, lambda: time.monotonic() - self._heard < _UNWELL)
        while not self._end:
            self._reread()
            self.look()
            self._wake.wait(EVERY)
            self._wake.clear()

    def look(self) -> None:
        """One look at the alerts, and what follows from it."""
        try:
            alerts = self._alerts()
        except NoAnswerError:
            return  # nothing is over because nobody tells
        self._heard = time.monotonic()
        if not self._adopted:
            self._story.adopt(_known(alerts))
            self._adopted = True
        self._story.look(self._firing(alerts), time.time())
        self._post()

    def metrics(self) -> str:
        """The page for Prometheus."""
        counts = dict(self._asker.counts)
        return "".join(
            [
                f"incidents_config_last_reload_successful {int(self._taken)}\n",
                *(sample("incidents_open", 1, about=one.service, severity=one.severity) for one in self._story.open),
                f"incidents_begun_total {self._began}\n",
                f"incidents_alerts_left_out_total {self._story.left_out}\n",
                *(
                    sample("incidents_questions_total", number, to=whom, answered="yes" if answered else "no")
                    for (whom, answered), number in sorted(counts.items())
                ),
            ]
        )

    def _signalled(self, number: int, _: object) -> None:
        self._reload |= number == signal.SIGHUP
        self._end |= number == signal.SIGTERM
        self._wake.set()

    def _reread(self) -> None:
        if not self._reload:
            return
        self._reload = False
        try:
            self._rules, self._version = _read(self._file)
            self._taken = True
        except (RulesError, OSError) as error:
            self._taken = False
            _log("error", f"keeps its old rules: {self._file.name}: {error}")

    def _alerts(self) -> list[dict[str, Any]]:
        until = time.monotonic() + PATIENCE
        which = {"active": "true", "silenced": "false", "inhibited": "false", "unprocessed": "false"}
        address = self._rules.apis["alertmanager"]
        told = self._asker.get("Alertmanager", address, "/api/v2/alerts", until, most=_ANSWER, **which)
        if not isinstance(told, list):
            raise NoAnswerError("Alertmanager answered what is not understood")
        return [one for one in told[:_ALERTS] if isinstance(one, dict) and isinstance(one.get("labels"), dict)]

    def _firing(self, alerts: Iterable[dict[str, Any]]) -> list[Alert]:
        """The alerts about your services."""
        found = []
        for told in alerts:
            labels = {name: str(told["labels"].get(name, "")) for name in ("alertname", "service", "severity")}
            about_yours = labels["service"] and labels["service"] not in self._rules.own
            if labels["alertname"] != NAME and about_yours and labels["severity"] in SEVERITIES:
                found.append(Alert(labels["alertname"], labels["service"], labels["severity"], _seconds(told)))
        return found

    def _tell(self, alert: Alert, alerts: Iterable[Key]) -> tuple[str, dict[str, str]]:
        evidence = collect(self._asker, self._rules, alert.service, alert.fired)
        return evidence.service, message.annotations(evidence, alerts, self._rules)

    def _report(self, event: str, incident: Incident) -> None:
        """One line, which the log shipper brings to Loki: the timeline of the incident, and its marks on the boards."""
        self._began += event == "began"
        said = incident.annotations.get("headline", "") if event in {"began", "rose"} else incident.service
        more = {"alerts": ", ".join(sorted(f"{name} ({service})" for name, service in incident.alerts)[:20])}
        _log("info", said, event=event, incident=incident.service, severity=incident.severity, **more)

    def _post(self) -> None:
        now = time.time()
        alerts = [self._document(one, now + _LASTS) for one in self._story.open]
        unchanged = [_without_end(one) for one in alerts] == self._told and not self._story.over
        if unchanged and (not alerts or now - self._told_at < _AGAIN):
            return
        over = [self._document(one, now) for one in self._story.over]
        until = time.monotonic() + PATIENCE
        try:
            self._asker.post("Alertmanager", self._rules.apis["alerts"], "/api/v2/alerts", until, [*over, *alerts])
        except NoAnswerError as error:
            _log("warn", f"could not tell of its incidents, and tries again: {error}")
            return
        self._story.over.clear()
        self._told, self._told_at = [_without_end(one) for one in alerts], now

    def _document(self, incident: Incident, ends: float) -> dict[str, Any]:
        return {
            "labels": {**incident.labels, "environment": self._rules.environment},
            "annotations": incident.annotations,
            "startsAt": _time(incident.opened),
            "endsAt": _time(max(ends, incident.opened + 1)),
        }


def _read(file: Path) -> tuple[Rules, str]:
    text = file.read_bytes()
    return read(text.decode(errors="replace")), versions.of_rules(text)


def _known(alerts: Iterable[dict[str, Any]]) -> list[Incident]:
    """The incidents that this program told of before it was restarted."""
    found = []
    for told in alerts:
        labels, annotations = told["labels"], told.get("annotations")
        if labels.get("alertname") == NAME and isinstance(annotations, dict) and labels.get("severity") in SEVERITIES:
            texts = {str(name): str(text) for name, text in annotations.items()}
            found.append(
                Incident(str(labels.get("service", "")), labels["severity"], _seconds(told), texts, seen=time.time())
            )
    return found


def _without_end(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "endsAt"}


def _seconds(told: dict[str, Any]) -> float:
    """When an alert has fired; now, if its time cannot be read."""
    try:
        return calendar.timegm(time.strptime(str(told["startsAt"])[:19], "%Y-%m-%dT%H:%M:%S"))
    except (KeyError, ValueError):
        return time.time()


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _log(level: str, said: str, **more: str) -> None:
    line = {
        "level": level,
        "message": one_line(said, 500),
        **{name: one_line(text, 500) for name, text in more.items()},
    }
    print(json.dumps(line, ensure_ascii=False), file=sys.stdout, flush=True)
