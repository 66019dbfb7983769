"""Settings of alerts and of their receivers."""

from typing import Self

from pydantic import Field, model_validator

from config.settings.model import Model, Name, ProjectFile, Url
from config.settings.receivers import RESERVED, Hours, Receiver
from config.settings.thresholds import Thresholds
from config.settings.units import Span, seconds

LONGEST_WAIT = "1d"


class Slack(Model):
    """Used when the secret `slack_webhook` is set."""

    channel: str = Field("#alerts", pattern=r"^[#@][\w.-]{1,80}$")
    """A channel or a person, by name."""


class Incidents(Model):
    """A message with the evidence of an incident, after the alerts themselves (docs/incidents.md). Off unless this block is
    there; `{}` turns it on."""

    lines: int = Field(5, ge=1, le=20)
    """The newest error lines that it quotes."""
    traces: int = Field(3, ge=0, le=10)
    """Failing and slow traces that it links to. 0 asks Jaeger nothing."""


class Notifications(Model):
    """Where alerts are sent, and how often. The secrets `slack_webhook` and `pagerduty_key` turn on Slack, which gets every
    alert, and PagerDuty, which gets the critical ones. [Receivers](notifications.md) of all kinds are listed here."""

    slack: Slack = Slack()
    receivers: tuple[Receiver, ...] = Field((), max_length=30)
    hours: dict[Name, Hours] = Field({}, max_length=20)
    """Hours that conditions of receivers name."""
    incidents: Incidents | None = None
    group_wait: Span = "30s"
    """How long the first alert of a group waits for others, to be sent together."""
    group_interval: Span = "5m"
    repeat_interval: Span = "4h"
    deadman_interval: Span = "5m"
    """How often the outside monitor gets a ping, while everything from scrape to notification works."""

    @model_validator(mode="after")
    def _no_storm(self) -> Self:
        shortest = {"group_interval": 1, "repeat_interval": 1, "deadman_interval": 5}
        for key, least in shortest.items():
            if seconds(getattr(self, key)) < least:
                msg = f"notifications.{key}: {getattr(self, key)} is shorter than {least}s"
                raise ValueError(msg)
        for key in ("group_wait", "group_interval", "deadman_interval"):
            if seconds(getattr(self, key)) > seconds(LONGEST_WAIT):
                msg = f"notifications.{key}: {getattr(self, key)} is longer than {LONGEST_WAIT}, and nobody would hear of anything so long"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [receiver.name for receiver in self.receivers]
        if doubled := {name for name in names if names.count(name) > 1}:
            msg = f"notifications.receivers: two have the name {min(doubled)}"
            raise ValueError(msg)
        if reserved := RESERVED & {*names}:
            msg = f"notifications.receivers: {min(reserved)} is the name of a receiver that the stack has itself: choose another name"
            raise ValueError(msg)
        for receiver in self.receivers:
            for condition in receiver.when:
                if condition.hours and condition.hours not in self.hours:
                    hint = f"known are {', '.join(self.hours)}" if self.hours else "there are none"
                    msg = f"notifications.receivers: {receiver.name}: no notifications.hours.{condition.hours}: {hint}"
                    raise ValueError(msg)
        return self


class Alerts(Model):
    """Alert rules and their thresholds."""

    runbooks: Url = "https://github.com/nervous-system/nervous-system/blob/main/docs/runbooks"
    """Address where `docs/runbooks` is published. Every alert links to its page there. Point it at your own fork."""
    rule_files: tuple[ProjectFile, ...] = ()
    """Your own rule files, relative to the project: files, folders, or patterns like `rules/*.yml`."""
    thresholds: Thresholds = Thresholds()
