"""What the settings of every stack are made of: their base, and the types of their fields."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from config import networks

MAX_PORT = 65535


class Model(BaseModel):
    """Base of all settings: nothing unknown, nothing changed later, texts trimmed."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True)


_HOST_PORT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")


def host_port(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if not match or not 0 < int(match[2]) <= MAX_PORT:
        msg = "is not host:port (like db.internal:5432 or [fd00::1]:5432)"
        raise ValueError(msg)
    return text


def _listen(text: str) -> str:
    host, port = host_port(text).rsplit(":", 1)
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        msg = "is not address:port with the address in numbers (like 127.0.0.1:9090)"
        raise ValueError(msg) from None
    return f"{host}:{int(port)}"


def without_credentials(text: str) -> str:
    if "@" in urlsplit(text).netloc:
        msg = "holds a user or password, which would show in clear: secrets have keys of their own"
        raise ValueError(msg)
    return text


_WRITTEN = re.compile(r"(?:[^\s\x00-\x1f\x7f%]|%[0-9A-Fa-f]{2})+")
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")


def is_url(text: str) -> bool:
    """Whether `text` is a URL for Go's `url.Parse` too: what that refuses is shown in a log with the password in it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its message has the text
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
        msg = "has something behind a ? or #, and paths are added at its end"
        raise ValueError(msg)
    if special := re.search(r"[{}<>\"|\\^`$]", text):  # in templates of alerts, in Slack, in Grafana's own file
        msg = f"has a {special[0]}, which stands for something else in a template: write it as %{ord(special[0]):02X}"
        raise ValueError(msg)
    return text.rstrip("/")


def _page_path(text: str) -> str:
    if not text.startswith("/") or "#" in text or not _WRITTEN.fullmatch(text):
        msg = "is not a path like /metrics or /metrics?format=prometheus, a blank written as %20 and a percent sign as %25"
        raise ValueError(msg)
    return text


def _subnet(text: str) -> str:
    try:
        subnet = ipaddress.IPv4Network(text)
    except ValueError:
        subnet = None
    if subnet is None or subnet.prefixlen > networks.SIZE:
        msg = f"is not an address range like 198.18.7.0/{networks.SIZE}, of /{networks.SIZE} or larger"
        raise ValueError(msg)
    return text


HostPort = Annotated[str, AfterValidator(host_port)]
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
