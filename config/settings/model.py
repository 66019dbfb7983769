"""The base class of all settings, and the types of their fields."""

import ipaddress
import re
import unicodedata
import zoneinfo
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from config.settings import networks, targets

MAX_PORT = 65535


class Model(BaseModel):
    """Base of all settings: nothing unknown, nothing changed later, texts trimmed."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


class ByService(Model):
    """Base of settings that have a field for each service: `config/catalogue.py` names them, so mypy cannot."""

    if TYPE_CHECKING:

        def __getattr__(self, service: str) -> Any: ...


_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
"""Categories of Unicode: controls (line breaks, tabs, escapes), separators of lines, halves of characters."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make a reader see a text in another order than a program."""


def wrong_text(text: str) -> str:
    """Why no setting may contain `text`, because a file, a command line or a message would interpret it; empty if it is
    allowed."""
    if any(unicodedata.category(sign) in _UNPRINTABLE or sign in _TURNING for sign in text):
        return "has a line break, or another sign that does not print: write it on one line, or below >- of YAML instead of | or >"
    if "{{" in text:  # Alertmanager, Prometheus, Loki and Promtail; dollars are doubled where they have a meaning
        return "has {{, with which a template begins: leave it out (in a regular expression write [{] for {)"
    return ""


_HOST_PORT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})")


_HOST_NAME = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)


def host_port(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if not match or not 0 < int(match[2]) <= MAX_PORT or not is_host(match[1]):
        msg = "is not host:port (like db.internal:5432 or [fd00::1]:5432)"
        raise ValueError(msg)
    return text


def is_host(text: str) -> bool:
    """Whether `text` is a name, an IPv4 address, or an IPv6 address in brackets."""
    if not text.startswith("["):
        return bool(_HOST_NAME.fullmatch(text))
    try:
        return bool(ipaddress.IPv6Address(text[1:-1]))
    except ValueError:
        return False


def _listen(text: str) -> str:
    host, port = host_port(text).rsplit(":", 1)
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        msg = "is not address:port with the address in numbers (like 127.0.0.1:9090)"
        raise ValueError(msg) from None
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        msg = "is an address of many hosts: name one of this host (like 127.0.0.1:9090)"
        raise ValueError(msg)
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"  # noqa: PLR2004 - IPv6


def is_time_zone(name: str) -> bool:
    """Whether `name` is a time zone of the IANA database. On a machine without that database the service judges it."""
    zones = zoneinfo.available_timezones()
    return name == "UTC" or not zones or name in zones


def without_credentials(text: str) -> str:
    if "@" in urlsplit(text).netloc:
        msg = "contains a user or password, which would be visible: use the secret for it"
        raise ValueError(msg)
    return text


_WRITTEN = re.compile(r"(?:[^\s\x00-\x1f\x7f%]|%[0-9A-Fa-f]{2})+")
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")


def is_url(text: str) -> bool:
    """Whether `text` is a URL for Go's `url.Parse` too. If that refuses one, a service logs it with the password in it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its message contains the text
        return False
    host = parts.hostname or ""
    return parts.scheme in {"http", "https"} and port != 0 and bool(_WRITTEN.fullmatch(text) and _HOST.fullmatch(host))


def page_url(text: str) -> str:
    if not is_url(text):
        msg = "is not a URL with http:// or https://, a blank written as %20 and a percent sign as %25"
        raise ValueError(msg)
    return without_credentials(text)


def _base_url(text: str) -> str:
    parts = urlsplit(page_url(text))
    if parts.query or parts.fragment:
        msg = "has a ? or #: leave out what follows it, because the stack appends paths"
        raise ValueError(msg)
    if special := re.search(r"[{}<>\"|\\^`$]", text):  # special in alert templates, in Slack, in Grafana's own file
        msg = f"has a {special[0]}, which stands for something else in a template: write it as %{ord(special[0]):02X}"
        raise ValueError(msg)
    return text.rstrip("/")


def _page_path(text: str) -> str:
    if not text.startswith("/") or "#" in text or not _WRITTEN.fullmatch(text):
        msg = "is not a path like /metrics or /metrics?format=prometheus, a blank written as %20 and a percent sign as %25"
        raise ValueError(msg)
    return text


_WIDEST = 8
_NOWHERE = ipaddress.IPv4Network("0.0.0.0/8")


def _subnet(text: str) -> str:
    try:
        subnet = ipaddress.IPv4Network(text)
    except ValueError:
        subnet = None
    if subnet is None or not _WIDEST <= subnet.prefixlen <= networks.SIZE:
        msg = (
            f"is not an address range like 198.18.7.0/{networks.SIZE}, of /{networks.SIZE} or larger, up to /{_WIDEST}"
        )
        raise ValueError(msg)
    if (
        subnet.is_loopback
        or subnet.is_multicast
        or subnet.is_link_local
        or subnet.is_reserved
        or subnet.overlaps(_NOWHERE)
    ):
        msg = "is a range that no network may have: take one of your own, or leave it out"
        raise ValueError(msg)
    return text


def asked_address(text: str) -> str:
    """Checks `text` as `host:port` of a target that the stack requests."""
    targets.judge(host_port(text).rpartition(":")[0])
    return text


def asked_page(text: str) -> str:
    """Checks `text` as the URL of a page that the stack requests."""
    targets.judge(urlsplit(page_url(text)).hostname or "")
    return text


def _asked_base(text: str) -> str:
    return asked_page(_base_url(text))


HostPort = Annotated[str, AfterValidator(host_port)]
Target = Annotated[str, AfterValidator(asked_address)]
"""`host:port` that the stack asks, in a network of the user's."""
TargetUrl = Annotated[str, AfterValidator(_asked_base)]
TargetPage = Annotated[str, AfterValidator(asked_page)]
Listen = Annotated[str, AfterValidator(_listen)]
Subnet = Annotated[str, AfterValidator(_subnet)]
"""A range of IPv4 addresses."""
Url = Annotated[str, AfterValidator(_base_url)]
"""An address that paths are added to."""
PageUrl = Annotated[str, AfterValidator(page_url)]
"""An address that is asked as it stands, what is behind a `?` included."""
PagePath = Annotated[str, AfterValidator(_page_path)]
"""The part of such an address behind host and port."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
"""What a container, volume or network may begin with, and what a service may be called."""
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")]
"""A value of the label `service`."""


_IN_NO_PATH = re.compile(r"""[*?\[\]{}"'`\\:$,;|<>]""")
_SYSTEM = re.compile(
    r"/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|sbin|sys|usr)(/.*)?|/?|/(home|opt|root|run|tmp|var)|/var/(lib|run|spool)"
)
"""Folders of the system as a whole, and the roots of others."""


def _host_folder(text: str) -> str:
    path = text.rstrip("/")
    if not text.startswith("/"):
        msg = "is not a path from / on: write all of it"
        raise ValueError(msg)
    if _SYSTEM.fullmatch(path) and not path.startswith("/usr/local/"):
        msg = "is a folder of the system itself: name the one folder below it that you mean"
        raise ValueError(msg)
    return _normal(path)


def _normal(path: str) -> str:
    if {"", ".", ".."} & {*path.split("/")[1:]}:
        msg = "has . or .. or // in it: write the path that it leads to"
        raise ValueError(msg)
    if sign := _IN_NO_PATH.search(path):
        msg = f"has a {sign[0]}, which no path may have here"
        raise ValueError(msg)
    return path


def _project_file(text: str) -> str:
    if text.startswith(("/", "~")) or ".." in text.split("/") or not text.strip("./"):
        msg = "is not inside the project: put the file there, and name it relative to the project"
        raise ValueError(msg)
    return text


HostFolder = Annotated[str, AfterValidator(_host_folder)]
"""On the engine's host."""
HostFile = Annotated[str, AfterValidator(_normal)]
"""The rest of a path from `/` on, which a pattern has judged."""
ProjectFile = Annotated[str, AfterValidator(_project_file)]
"""Relative to the project, and in it: what is read goes into the stack, and into the previews of pull requests."""


def _network(text: str) -> str:
    if text.partition(":")[0] in OF_DOCKER or text in OF_DOCKER:
        msg = f"{text} is not a network of yours but one of Docker's own: make one (docker network create …), and start your services in it"
        raise ValueError(msg)
    if not text.strip() or re.search(r"[/:\x00-\x1f\x7f]", text):  # engines before 28 accept all others
        msg = "is not a name of a network: it is empty, or has a slash, a colon or a line break (docker network ls shows the names)"
        raise ValueError(msg)
    return text


OF_DOCKER = frozenset(
    {
        "bridge",
        "host",
        "none",
        "default",
        "ingress",
        "docker_gwbridge",
        "nat",
        "container",
        "private",
        "slirp4netns",
        "pasta",
        "podman",
    }
)
"""Networks that an engine has by itself, and words that mean one (Docker, Podman)."""
Network = Annotated[str, AfterValidator(_network)]
"""Name of a Docker network that exists already."""
