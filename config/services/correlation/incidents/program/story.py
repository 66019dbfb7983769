"""Which alerts are one incident, when it begins, and when it is over."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

TOGETHER = 120
"""Seconds. Alerts that come within this time after the first one belong to its incident."""
QUIET = 180
"""Seconds without an alert of its severity after which an incident is over: a milder one may stay for days. An Alertmanager that was restarted gets its alerts
again within a minute."""
SETTLED = 4
"""Seconds that an alert has been known for when its incident is told: others come in the same evaluation."""
MOST = 20
"""Open incidents. Further alerts wait until one of them is over; they are sent by themselves anyway."""
MOST_ALERTS = 200
"""Alerts of an incident, and alerts that wait for one."""
SEVERITIES = ("critical", "warning")
"""Severities of alerts that make an incident, the worst first."""

Key = tuple[str, str]
"""Name and service of an alert."""


@dataclass(frozen=True)
class Alert:
    """An alert that fires."""

    name: str
    service: str
    severity: str
    fired: float
    """Seconds since 1970."""

    @property
    def key(self) -> Key:
        return self.name, self.service


@dataclass
class Incident:
    """An incident that is not over."""

    service: str
    severity: str
    opened: float
    """When this program saw its first alert, in seconds since 1970."""
    annotations: dict[str, str]
    alerts: set[Key] = field(default_factory=set)
    seen: float = 0.0
    """When an alert of its severity last fired."""

    @property
    def labels(self) -> dict[str, str]:
        return {"alertname": NAME, "service": self.service, "severity": self.severity}


NAME = "Incident"
"""Name of the alert that this program sends, and that makes no incident."""

Tell = Callable[[Alert, Iterable[Key]], tuple[str, dict[str, str]]]
"""From the alert that an incident is about, and all of its alerts, to the service to blame and the annotations."""
Report = Callable[[str, Incident], None]
"""Gets each event: `began`, `joined` (by further alerts), `rose` (to a worse severity), `ended`."""


class Story:
    """The incidents that are open."""

    def __init__(self, tell: Tell, report: Report) -> None:
        self._tell, self._report = tell, report
        self.open: list[Incident] = []
        self.over: list[Incident] = []
        """Over since Alertmanager was told last."""
        self.left_out = 0
        """Alerts that found no room, in all."""
        self._waiting: dict[Key, float] = {}
        self._outlast: dict[Key, str] = {}
        """Alerts that go on after their incident, and their severity."""

    def adopt(self, incidents: Iterable[Incident]) -> None:
        """Incidents that Alertmanager still knows, after a restart of this program."""
        self.open.extend(list(incidents)[:MOST])

    def look(self, alerts: Iterable[Alert], now: float) -> None:
        """Goes on with the alerts that fire now."""
        firing: dict[Key, Alert] = {}
        for alert in sorted(alerts, key=lambda one: SEVERITIES.index(one.severity)):
            firing.setdefault(alert.key, alert)  # of several the worst
        for incident in self.open:
            if any(_keeps(incident, alert) for alert in firing.values()):
                incident.seen = now
        self._end(firing, now)
        new = [alert for alert in firing.values() if self._of(alert) is None and alert.key not in self._outlast]
        self._waiting = {alert.key: self._waiting.get(alert.key, now) for alert in new[:MOST_ALERTS]}
        for alert in new[:MOST_ALERTS]:
            self._join_or_open(alert, [one for one in new if one.key in self._waiting], now)
        for incident in list(self.open):
            self._rise(incident, firing, now)

    def _of(self, alert: Alert) -> Incident | None:
        """The incident that has this alert."""
        return next((incident for incident in self.open if _has(incident, alert)), None)

    def _join_or_open(self, alert: Alert, new: list[Alert], now: float) -> None:
        if self._of(alert):
            return
        for incident in self.open:
            if now - incident.opened <= TOGETHER or any(service == alert.service for _, service in incident.alerts):
                self._join(incident, {alert.key})
                return
        if now - self._waiting[alert.key] < SETTLED:
            return
        if len(self.open) >= MOST:
            self.left_out += 1
            return
        keys = {one.key for one in new}
        service, annotations = self._tell(alert, keys)
        if known := self._with(service):
            self._join(known, keys)
            return
        incident = Incident(service, alert.severity, now, annotations, keys, now)
        self.open.append(incident)
        self._report("began", incident)

    def _join(self, incident: Incident, keys: set[Key]) -> None:
        if len(incident.alerts | keys) > MOST_ALERTS:
            self.left_out += 1
            return
        incident.alerts |= keys
        self._report("joined", incident)

    def _with(self, service: str) -> Incident | None:
        """The incident that blames `service`. A second one would be the same alert for Alertmanager."""
        return next((one for one in self.open if one.service == service), None)

    def _rise(self, incident: Incident, firing: Mapping[Key, Alert], now: float) -> None:
        """An incident that has become worse is told anew: other receivers may have to know of it."""
        worst = min(
            (firing[key] for key in incident.alerts if key in firing),
            key=lambda alert: SEVERITIES.index(alert.severity),
            default=None,
        )
        if worst is None or SEVERITIES.index(worst.severity) >= SEVERITIES.index(incident.severity):
            return
        self.over.append(replace(incident))
        service, incident.annotations = self._tell(worst, incident.alerts)
        if self._with(service) is None:
            incident.service = service
        incident.severity = worst.severity
        self._report("rose", incident)

    def _end(self, firing: Mapping[Key, Alert], now: float) -> None:
        self._outlast = {
            key: severity
            for key, severity in self._outlast.items()
            if key in firing and firing[key].severity == severity  # else it is over, or has become worse
        }
        for incident in [one for one in self.open if now - one.seen > QUIET]:
            self.open.remove(incident)
            self.over.append(incident)
            self._outlast |= {key: alert.severity for key, alert in firing.items() if _has(incident, alert)}
            self._report("ended", incident)


def _has(incident: Incident, alert: Alert) -> bool:
    """Whether an alert belongs to an incident. One from before a restart has all alerts of its service."""
    return alert.key in incident.alerts if incident.alerts else alert.service == incident.service


def _keeps(incident: Incident, alert: Alert) -> bool:
    """Whether an alert keeps an incident open."""
    return _has(incident, alert) and SEVERITIES.index(alert.severity) <= SEVERITIES.index(incident.severity)
