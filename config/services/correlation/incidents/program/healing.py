"""The actions of the service `healer`, for the messages of `incidents`."""

import time
from collections.abc import Iterable, Mapping

from . import message
from .asking import Asker, NoAnswerError
from .story import Incident
from .text import one_line

_PATIENCE = 2.0
"""Seconds."""
_BEFORE = 60
"""Seconds by which a decision may be older than the incident: both services look every few seconds."""


def tell(asker: Asker, apis: Mapping[str, str], incidents: Iterable[Incident]) -> None:
    """Adds to the annotations of each incident what was done about its alerts. A healer that does not answer is no news."""
    incidents = list(incidents)
    if "healer" not in apis or not incidents:
        return
    try:
        decisions = asker.get("Healer", apis["healer"], "/decisions", time.monotonic() + _PATIENCE)
        for incident in incidents:
            about = [one for one in decisions if _about(one, incident)]
            incident.annotations = message.with_actions(incident.annotations, map(_words, about))
    except (NoAnswerError, KeyError, TypeError, ValueError):
        return


def _about(decision: Mapping[str, object], incident: Incident) -> bool:
    key = (str(decision["alert"]), str(decision["service"]))
    its_own = key in incident.alerts if incident.alerts else key[1] == incident.service
    return its_own and float(str(decision["at"])) >= incident.opened - _BEFORE


def _words(decision: Mapping[str, object]) -> str:
    return f"{one_line(str(decision['said']), 300)} ({message.clock(float(str(decision['at'])))})"
