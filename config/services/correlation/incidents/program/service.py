"""The service: reads the alerts from Alertmanager every few seconds, and posts incidents to it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import healing, message, versions
from .alerts import moment, seconds, told
from .asking import Asker, NoAnswerError
from .evidence import PATIENCE, collect
from .page import sample, serve
from .rules import Rules, read
from .running import Looks, RulesFile, log
from .story import NAME, SEVERITIES, Alert, Incident, Key, Story

_AGAIN = 60
"""Seconds after which Alertmanager is told again what it knows."""
_LASTS = 300
"""Seconds for which Alertmanager believes that an incident goes on, if nobody tells it so again."""
_UNWELL = 60
"""Seconds after which a service that does not hear Alertmanager is not well."""


class Service:
    """Reads its rules from `file`, and again at SIGHUP."""

    def __init__(self, file: Path) -> None:
        self._file = RulesFile(file, read)
        self._asker = Asker()
        self._story = Story(self._tell, self._report)
        self._program = versions.of_program()
        self._heard = time.monotonic()
        self._told: list[dict[str, Any]] = []
        self._told_at = 0.0
        self._began = 0
        self._adopted = False

    def run(self, port: int) -> None:
        """Runs until SIGTERM."""
        pages = {"/metrics": self.metrics, "/rules": lambda: self._file.version, "/program": lambda: self._program}
        serve(port, pages, lambda: time.monotonic() - self._heard < _UNWELL)
        Looks(self.look, self._file.again).run()

    @property
    def _rules(self) -> Rules:
        return self._file.rules

    def look(self) -> None:
        """One look at the alerts, and what follows from it."""
        try:
            alerts = told(self._asker, self._rules.apis["alertmanager"], time.monotonic() + PATIENCE)
        except NoAnswerError:
            return  # nothing is over because nobody tells
        self._heard = time.monotonic()
        if not self._adopted:
            self._story.adopt(_known(alerts))
            self._adopted = True
        self._story.look(self._firing(alerts), time.time())
        healing.tell(self._asker, self._rules.apis, self._story.open)
        self._post()

    def metrics(self) -> str:
        """The page for Prometheus."""
        counts = dict(self._asker.counts)
        return "".join(
            [
                f"incidents_config_last_reload_successful {int(self._file.taken)}\n",
                *(sample("incidents_open", 1, about=one.service, severity=one.severity) for one in self._story.open),
                f"incidents_begun_total {self._began}\n",
                f"incidents_alerts_left_out_total {self._story.left_out}\n",
                *(
                    sample("incidents_questions_total", number, to=whom, answered="yes" if answered else "no")
                    for (whom, answered), number in sorted(counts.items())
                ),
            ]
        )

    def _firing(self, alerts: Iterable[dict[str, Any]]) -> list[Alert]:
        """The alerts about your services."""
        found = []
        for one in alerts:
            labels = {name: str(one["labels"].get(name, "")) for name in ("alertname", "service", "severity")}
            about_yours = labels["service"] and labels["service"] not in self._rules.own
            if labels["alertname"] != NAME and about_yours and labels["severity"] in SEVERITIES:
                found.append(Alert(labels["alertname"], labels["service"], labels["severity"], seconds(one)))
        return found

    def _tell(self, alert: Alert, alerts: Iterable[Key]) -> tuple[str, dict[str, str]]:
        evidence = collect(self._asker, self._rules, alert.service, alert.fired)
        return evidence.service, message.annotations(evidence, alerts, self._rules)

    def _report(self, event: str, incident: Incident) -> None:
        """One line, which the log shipper brings to Loki: the timeline of the incident, and its marks on the boards."""
        self._began += event == "began"
        said = incident.annotations.get("headline", "") if event in {"began", "rose"} else incident.service
        more = {"alerts": ", ".join(sorted(f"{name} ({service})" for name, service in incident.alerts)[:20])}
        log("info", said, event=event, incident=incident.service, severity=incident.severity, **more)

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
            log("warn", f"could not tell of its incidents, and tries again: {error}")
            return
        self._story.over.clear()
        self._told, self._told_at = [_without_end(one) for one in alerts], now

    def _document(self, incident: Incident, ends: float) -> dict[str, Any]:
        return {
            "labels": {**incident.labels, "environment": self._rules.environment},
            "annotations": incident.annotations,
            "startsAt": moment(incident.opened),
            "endsAt": moment(max(ends, incident.opened + 1)),
        }


def _known(alerts: Iterable[dict[str, Any]]) -> list[Incident]:
    """The incidents that this program told of before it was restarted."""
    found = []
    for one in alerts:
        labels, annotations = one["labels"], one.get("annotations")
        if labels.get("alertname") == NAME and isinstance(annotations, dict) and labels.get("severity") in SEVERITIES:
            texts = {str(name): str(text) for name, text in annotations.items()}
            found.append(
                Incident(str(labels.get("service", "")), labels["severity"], seconds(one), texts, seen=time.time())
            )
    return found


def _without_end(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "endsAt"}
