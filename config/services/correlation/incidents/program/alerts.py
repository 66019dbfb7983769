"""The alerts that Alertmanager reports: which fire, about what, and since when."""

import calendar
import time
from typing import Any

from .asking import MIB, Asker, NoAnswerError

_MOST, _ANSWER = 2000, 4 * MIB
"""Alerts that are looked at, and bytes in which Alertmanager tells them. Nothing else is read at that time."""


def told(asker: Asker, address: str, until: float) -> list[dict[str, Any]]:
    """Alerts that are neither silenced nor muted, as Alertmanager at `address` tells them.

    Raises:
        NoAnswerError: it does not until `until`, in seconds of the monotonic clock.
    """
    which = {"active": "true", "silenced": "false", "inhibited": "false", "unprocessed": "false"}
    alerts = asker.get("Alertmanager", address, "/api/v2/alerts", until, most=_ANSWER, **which)
    if not isinstance(alerts, list):
        raise NoAnswerError("Alertmanager answered what is not understood")
    return [one for one in alerts[:_MOST] if isinstance(one, dict) and isinstance(one.get("labels"), dict)]


def seconds(alert: dict[str, Any]) -> float:
    """When an alert has fired; now, if its time cannot be read."""
    try:
        return calendar.timegm(time.strptime(str(alert["startsAt"])[:19], "%Y-%m-%dT%H:%M:%S"))
    except (KeyError, ValueError):
        return time.time()


def moment(at: float) -> str:
    """Seconds since 1970 as Alertmanager reads them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
