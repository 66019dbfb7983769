"""The rules of the service `healer`, `actions.json`: what it may do, to which container, when, and how often."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from .rules import RulesError, addresses, keyed, number, of_kind

Kind = Literal["restart", "roll_back", "diagnose", "silence"]
_KINDS = ("restart", "roll_back", "diagnose", "silence")
_NEEDS = {"restart": ("door",), "diagnose": ("door",), "roll_back": ("rollbacks", "prometheus")}
_MOST_TIMES, _LONGEST, _LONGEST_SILENCE = 20, 7 * 86400, 4 * 3600


@dataclass(frozen=True)
class Action:
    """What is done when an alert fires. What its kind does not need is empty."""

    alert: str
    """Name of the alert that has to fire."""
    service: str
    """Label `service` of that alert; empty for any."""
    kind: Kind
    container: str
    of_container: str
    """The service that the container's name says: the label `service` of an alert that names no container."""
    command: tuple[str, ...]
    silenced: str
    """Name of the alert that is silenced."""
    silenced_service: str
    lasts: int
    """Seconds of a silence."""
    times: int
    period: int
    """Seconds in which it happens at most `times` times."""
    at_most: str
    """The same in words."""
    dry_run: bool

    @property
    def what(self) -> str:
        """What it does, in words. Two that do the same have their bound together."""
        if self.kind == "restart":
            return f"restart {self.container}"
        if self.kind == "roll_back":
            return f"roll {self.container} back"
        if self.kind == "diagnose":
            return f"run {shlex.join(self.command)} in {self.container}"
        return f"silence {self.silenced} of {self.silenced_service}"

    def concerns(self, labels: Mapping[str, Any]) -> bool:
        """Whether an alert with these labels is what it waits for. Of an alert about another container it is not."""
        name, service = str(labels.get("name", "")), str(labels.get("service", ""))
        if labels.get("alertname") != self.alert or (self.container and name not in {"", self.container}):
            return False
        wanted = self.service or ("" if name else self.of_container)
        return not wanted or service == wanted


@dataclass(frozen=True)
class Actions:
    """The content of `actions.json`."""

    apis: Mapping[str, str]
    """`alertmanager`: where it only tells alerts; `silences`: where Alertmanager takes silences. Where there is an action for
    them: `door`, the way to the engine; `rollbacks`, the way to what rolls back, and `prometheus`."""
    actions: tuple[Action, ...]


def read(text: str) -> Actions:
    """The rules in `text`.

    Raises:
        RulesError: it is not JSON, a key is missing or unknown, or a value cannot be meant.
    """
    told = keyed(text, {"apis", "actions"})
    listed = of_kind("actions", told["actions"], list)
    actions = tuple(_action(f"actions.{place}", one) for place, one in enumerate(listed))
    needed = {api for action in actions for api in _NEEDS.get(action.kind, ())}
    found = addresses("apis", told["apis"], {"alertmanager", "silences"}, {"door", "rollbacks", "prometheus"})
    if missing := needed - found.keys():
        raise RulesError(f"apis.{min(missing)}: is missing")
    return Actions(found, actions)


def _action(key: str, told: Any) -> Action:
    known = {field.name for field in fields(Action)}
    if not isinstance(told, dict) or told.keys() != known:
        raise RulesError(f"{key}: has other keys than {', '.join(sorted(known))}")
    texts = ("alert", "service", "kind", "container", "of_container", "silenced", "silenced_service", "at_most")
    said = {name: of_kind(f"{key}.{name}", told[name], str) for name in texts}
    command = of_kind(f"{key}.command", told["command"], list)
    action = Action(
        **(said | {"kind": cast("Kind", said["kind"])}),
        command=tuple(of_kind(f"{key}.command", part, str) for part in command),
        lasts=number(f"{key}.lasts", told["lasts"], 0, _LONGEST_SILENCE),
        times=number(f"{key}.times", told["times"], 1, _MOST_TIMES),
        period=number(f"{key}.period", told["period"], 1, _LONGEST),
        dry_run=of_kind(f"{key}.dry_run", told["dry_run"], bool),
    )
    needs = {
        "restart": bool(action.container),
        "roll_back": bool(action.container),
        "diagnose": bool(action.container and action.command),
        "silence": bool(action.silenced and action.silenced_service and action.lasts),
    }
    if action.kind not in _KINDS or not action.alert or not needs[action.kind]:
        raise RulesError(f"{key}: does not say what is to be done")
    return action
