"""Actions that the stack may take by itself when an alert fires (docs/incidents.md)."""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError, model_validator

from config.settings.model import Model, ServiceName
from config.settings.units import Span, seconds

_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""Names of containers (moby, daemon/names)."""
_ID = re.compile(r"[0-9a-f]{1,64}")
_SPAN = TypeAdapter(Span)
_BOUND = re.compile(r"([0-9]+) per (\S+)")
MOST_TIMES = 20
SHORTEST, LONGEST = "5m", "7d"
LONGEST_SILENCE = "4h"
COMMAND = 2000
"""Characters, as JSON: the door compares a request as a whole, and has 16 KiB for it."""


def _container(text: str) -> str:
    if not _CONTAINER.fullmatch(text):
        msg = f"{text} is not the exact name of one container, as `docker ps` shows it: no pattern, no list, no id"
        raise ValueError(msg)
    if _ID.fullmatch(text):
        # The engine takes it for the beginning of an id if no container has this name, and that may be any container's.
        msg = f"{text} could also be the beginning of another container's id: give yours another name"
        raise ValueError(msg)
    return text


def _bound(text: str) -> str:
    match = _BOUND.fullmatch(text)
    if not match:
        msg = f"{text} is not a number and a time span: write it like 2 per 1h"
        raise ValueError(msg)
    times, period = int(match[1]), match[2]
    try:
        length = seconds(_SPAN.validate_python(period))
    except ValidationError:
        length = 0.0
    if not 1 <= times <= MOST_TIMES or not seconds(SHORTEST) <= length <= seconds(LONGEST):
        msg = f"{text} is not from 1 to {MOST_TIMES} times per {SHORTEST} to {LONGEST}: write it like 2 per 1h"
        raise ValueError(msg)
    return text


ContainerName = Annotated[str, AfterValidator(_container)]
Bound = Annotated[str, AfterValidator(_bound)]
"""How often in which time: ``2 per 1h``."""
AlertName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Diagnosis(Model):
    """Runs a command in a container, and logs what it says (up to 4,000 characters of the first 30 seconds)."""

    container: ContainerName
    command: tuple[str, ...]
    """A list, one item for each argument, run without a shell: `[pg_isready, -q]`. It must end by itself."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.command or not all(self.command):
            msg = "command: is empty, or has an empty item: write each argument as one item, like [pg_isready, -q]"
            raise ValueError(msg)
        if len(json.dumps(self.command)) > COMMAND:
            msg = f"command: is longer than {COMMAND} characters: put it into a script in the container"
            raise ValueError(msg)
        return self


class Silence(Model):
    """Silences the consequence of the alert."""

    alert: AlertName
    service: ServiceName
    """Only that alert of this service."""
    lasts: Span = "1h"
    """At most 4h."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if not 0 < seconds(self.lasts) <= seconds(LONGEST_SILENCE):
            msg = f"lasts {self.lasts}, which is longer than {LONGEST_SILENCE} or nothing"
            raise ValueError(msg)
        return self


class Action(Model):
    """What is done when an alert fires: one of `restart`, `roll_back`, `diagnose` and `silence`."""

    alert: AlertName
    """The alert that has to fire: one of the stack's, or of your `alerts.rule_files`."""
    service: ServiceName | None = None
    """Label `service` of that alert. By default that of the container's name; for `silence` any."""
    restart: ContainerName | None = None
    """Name of the container that is restarted, within its own time to stop."""
    roll_back: ContainerName | None = None
    """Name of a container of Docker Compose, in which the image that ran before takes the place of the one that the last
    deployment brought: within half an hour after that."""
    diagnose: Diagnosis | None = None
    silence: Silence | None = None
    at_most: Bound
    """How often in which time, like `2 per 1h`. What is more is denied, and a line says so."""
    dry_run: bool = True
    """Only says what would be done. `false` lets it act."""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        kinds = [kind for kind in ("restart", "roll_back", "diagnose", "silence") if getattr(self, kind)]
        if len(kinds) != 1:
            msg = f"says {' and '.join(kinds) or 'nothing that is to be done'}: give it one of restart, roll_back, diagnose, silence"
            raise ValueError(msg)
        if self.silence and (self.silence.alert, self.silence.service) == (self.alert, self.service or self.silence.service):  # fmt: skip
            msg = f"would silence the alert that starts it, {self.alert}: name one that follows from it"
            raise ValueError(msg)
        return self

    @property
    def container(self) -> str | None:
        """The container that it touches."""
        return self.diagnose.container if self.diagnose else self.restart or self.roll_back


def judge(actions: Iterable[Action], prefix: str, *, with_incidents: bool) -> None:
    """Checks actions against the rest of the settings. `with_incidents`: whether incidents are reported.

    Raises:
        ValueError: one of them may not be. The message names it.
    """
    seen: list[Action] = []
    for number, action in enumerate(actions):
        if action in seen:
            msg = f"actions.{number}: stands there twice, which would double its bound: leave it out"
            raise ValueError(msg)
        seen.append(action)
        name = action.container or ""
        if name == prefix or name.startswith(f"{prefix}-"):
            msg = f"actions.{number}: {name} has the prefix of this stack, and no action may touch the stack: name one of your own containers"
            raise ValueError(msg)
        if not with_incidents:
            msg = "actions: needs notifications.incidents: {}, which reports what the actions did"
            raise ValueError(msg)


def judge_alerts(actions: Iterable[Action], alerts: Iterable[str]) -> None:
    """Checks that the alerts of actions exist, and are none that must not be silenced.

    Raises:
        ValueError: there is no such alert. The message names the key below `actions`.
    """
    names = {*alerts}
    for number, action in enumerate(actions):
        keys = {"alert": action.alert, **({"silence.alert": action.silence.alert} if action.silence else {})}
        for key, alert in keys.items():
            if alert in SACRED:
                msg = f"{number}.{key}: {alert} only shows that alerting works: no action may use or silence it"
                raise ValueError(msg)
            if alert not in names:
                msg = f"{number}.{key}: no alert is called {alert}, neither here nor in alerts.rule_files"
                raise ValueError(msg)


SACRED = frozenset({"Watchdog", "Incident"})
