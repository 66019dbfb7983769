"""Settings of receivers: which alerts each gets, by which service, and when.

Each receiver has one secret at most, `receiver_<name>`. Its value never enters the settings.
"""

import re
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from config.settings.model import HostPort, LabelName, Model, Name, PageUrl, ServiceName, is_time_zone, is_url
from config.settings.secret_keys import RECEIVER

RESERVED = frozenset({"slack", "pagerduty", "deadman", "nowhere"})
"""Names of receivers that other settings turn on."""

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files of the database that name no zone, or another one on each machine."""


def _zone(text: str) -> str:
    if not is_time_zone(text) or text in _NO_ZONES:
        msg = "is not a time zone of the IANA database (like Europe/Berlin)"
        raise ValueError(msg)
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"[^\s@<>,;:\"()\\]+@[^\s@<>,;:\"()\\]+", text):
        msg = "is not an e-mail address (like ops@example.com)"
        raise ValueError(msg)
    return text


Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Zone = Annotated[str, AfterValidator(_zone)]
MailAddress = Annotated[str, AfterValidator(_address)]
LabelText = Annotated[str, StringConstraints(pattern=r"^[\w .:/@-]{1,128}$")]
"""A value of a label. None of its characters but the dot has a meaning in a regular expression."""


class Hours(Model):
    """Hours of some days."""

    days: tuple[Day, ...] = ()
    """Days on which they begin. Default: all."""
    start: Clock = "00:00"
    end: Clock = "00:00"
    """The first minute after them. If it is not after `start`, it is on the next day."""
    zone: Zone = "UTC"


class Condition(Model):
    """An alert fits if it fits all that is set here."""

    severity: tuple[Literal["critical", "warning", "info"], ...] = ()
    services: tuple[ServiceName, ...] = ()
    labels: dict[LabelName, LabelText] = Field({}, max_length=5)
    """Further labels of the alert, e.g. `{team: shop}`."""
    hours: Name | None = None
    """A name out of `notifications.hours`. At other times the alert waits; if it still lasts when they begin, it is sent."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.severity or self.services or self.labels or self.hours):
            msg = "is empty: set severity, services, labels or hours, or leave out `when` to get every alert"
            raise ValueError(msg)
        for label in ("severity", "service"):
            if label in self.labels:
                msg = f"labels.{label}: {label} has a key of its own: write {'services' if label == 'service' else label} beside labels"
                raise ValueError(msg)
        return self


class _Receiver(Model):
    name: Name
    """A name of your choice. The receiver's secret is `receiver_<name>`."""
    when: tuple[Condition, ...] = Field((), max_length=5)
    """Which alerts are sent: those that fit one of these conditions. Default: all; of a kind that pages somebody
    (`pagerduty`, `opsgenie`, `incidentio`) the critical ones."""

    pages: ClassVar[bool] = False
    """Whether it wakes somebody, so that it hears of critical alerts only unless told otherwise."""
    credential: ClassVar[str] = "the address of its webhook"
    """Description of its secret, for messages."""
    placeholder: ClassVar[str] = "https://hooks.example/stand-in"
    """A placeholder for its secret, for the preview of a pull request, which has no secrets."""

    @property
    def secret(self) -> str:
        """Name of its secret."""
        return f"{RECEIVER}{self.name}"

    @property
    def needs_secret(self) -> bool:
        return True

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions of which an alert has to fit one; none if all alerts are sent."""
        return self.when or ((Condition(severity=("critical",)),) if self.pages else ())

    def takes(self, secret: str) -> bool:
        """Whether `secret` can be the receiver's."""
        return is_url(secret)


class Email(_Receiver):
    """E-mail by SMTP. The connection is always encrypted: from its beginning on port 465, by STARTTLS on others."""

    kind: Literal["email"]
    to: tuple[MailAddress, ...] = Field(min_length=1, max_length=20)
    sender: MailAddress
    server: HostPort
    """The mail server, e.g. `smtp.example.com:587`. Its certificate has to be valid for this name."""
    user: str | None = Field(None, min_length=1)
    """Its password is the secret. Without a user the server gets none."""

    credential = "the password of `user`"
    placeholder = "stand-in"

    @property
    def needs_secret(self) -> bool:
        return self.user is not None

    def takes(self, secret: str) -> bool:
        return bool(secret)


class Telegram(_Receiver):
    """A chat in Telegram, by a bot. The secret is the bot's token."""

    kind: Literal["telegram"]
    chat: int
    """Number of the chat. That of a group is negative."""
    thread: int | None = Field(None, gt=0)
    """Number of a topic in the group."""

    credential = "the token of the bot, as BotFather shows it"
    placeholder = "1:stand-in"

    @model_validator(mode="after")
    def _has_a_chat(self) -> Self:
        if not self.chat:
            msg = "there is no chat 0: getUpdates of the Bot API shows the number of your chat"
            raise ValueError(msg)
        return self

    def takes(self, secret: str) -> bool:
        return bool(re.fullmatch(r"\d+:[\w-]+", secret, re.ASCII))


class Discord(_Receiver):
    """A channel in Discord. The secret is the address of its webhook."""

    kind: Literal["discord"]


class Teams(_Receiver):
    """A channel in Microsoft Teams. The secret is the address of its workflow (Power Automate, "When a Teams webhook
    request is received")."""

    kind: Literal["teams"]

    credential = "the address of its workflow"


class Ntfy(_Receiver):
    """A topic of ntfy, from 2.10 on. The secret is the topic's address, e.g. `https://ntfy.sh/<topic>`, or with an access token
    `https://:<token>@ntfy.example.com/<topic>`."""

    kind: Literal["ntfy"]

    credential = "the address of its topic"


class Pushover(_Receiver):
    """Devices of a user or a group of Pushover. The secret is `<user key>:<API token>`."""

    kind: Literal["pushover"]

    credential = "<user key>:<API token>"
    placeholder = f"{30 * 'u'}:{30 * 'a'}"

    def takes(self, secret: str) -> bool:
        return bool(re.fullmatch(r"[A-Za-z0-9]{30}:[A-Za-z0-9]{30}", secret))


class Opsgenie(_Receiver):
    """Alerts of Jira Service Management, or of Opsgenie, which ends in April 2027. The secret is the key of an API
    integration."""

    kind: Literal["opsgenie"]
    site: Literal["jira", "opsgenie", "opsgenie-eu"] = "jira"

    pages = True
    credential = "the key of an API integration"
    placeholder = "stand-in"

    def takes(self, secret: str) -> bool:
        return bool(re.fullmatch(r"[\w-]+", secret, re.ASCII))


class Incidentio(_Receiver):
    """An alert source of incident.io, of its kind Alertmanager. The secret is the token of the source."""

    kind: Literal["incidentio"]
    url: PageUrl
    """Address of the source, e.g. `https://api.incident.io/v2/alert_events/alertmanager/<id>`."""

    pages = True
    credential = "the token of the alert source"
    placeholder = "stand-in"

    def takes(self, secret: str) -> bool:
        return bool(re.fullmatch(r"[\x21-\x7e]+", secret))


class Webhook(_Receiver):
    """Any service that takes Alertmanager's JSON (version 4). The secret is its address, which may hold a user and a
    password; with `url`, it is a bearer token."""

    kind: Literal["webhook"]
    url: PageUrl | None = None
    """The address, if it is no secret."""

    @property
    def needs_secret(self) -> bool:
        return self.url is None

    def takes(self, secret: str) -> bool:
        return bool(re.fullmatch(r"[\x21-\x7e]+", secret)) if self.url else is_url(secret)


class SlackChannel(_Receiver):
    """A channel in Slack. The secret is the address of an incoming webhook."""

    kind: Literal["slack"]
    channel: str | None = Field(None, pattern=r"^[#@][\w.-]{1,80}$")
    """Default: the one that the webhook was made for."""


class PagerdutyService(_Receiver):
    """A service of PagerDuty. The secret is the key of its Events API v2 integration."""

    kind: Literal["pagerduty"]

    pages = True
    credential = "the key of an Events API v2 integration"
    placeholder = "stand-in"

    def takes(self, secret: str) -> bool:
        return bool(re.fullmatch(r"[\w-]+", secret, re.ASCII))


Receiver = Annotated[
    Email
    | Telegram
    | Discord
    | Teams
    | Ntfy
    | Pushover
    | Opsgenie
    | Incidentio
    | Webhook
    | SlackChannel
    | PagerdutyService,
    Field(discriminator="kind"),
]


def placeholder(kind: object) -> str:
    """A placeholder for the secret of a receiver of this kind."""
    [union, *_] = get_args(Receiver)
    of_kind = {get_args(one.model_fields["kind"].annotation)[0]: one.placeholder for one in get_args(union)}
    return str(of_kind.get(kind, _Receiver.placeholder))
