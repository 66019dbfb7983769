"""Image references: pinned in the catalogue, overridden per stack, or taken from a mirror."""

import re
from dataclasses import dataclass
from functools import cache

from config.catalogue import BUSYBOX, ROWS
from config.row import Pin

Version = tuple[int, ...]

JAEGER_WITHOUT_SEARCH: Version = (2, 21, 0)
"""First version of Jaeger without `/api/traces?service=…`, which Grafana's Jaeger data source uses to search (jaeger
#9260)."""


@dataclass(frozen=True)
class Reference:
    """An image reference, `[registry/]repository[:tag][@digest]`. A part that is not written is empty.

    The policy pack has `Reference` in `policies/readers/`, because it also judges programs that do not have `config/`.
    """

    registry: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Splits `text` by Docker's rule: its first component is a registry if it contains a dot or a colon, or is
        `localhost`."""
        rest, _, digest = text.partition("@")
        path, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:  # the colon belongs to a port
            path, tag = rest, ""
        first, slash, repository = path.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(first, repository, tag, digest)
        return cls("", path, tag, digest)

    @property
    def host(self) -> str:
        """The registry that the engine asks: `docker.io` if none is written."""
        return self.registry or "docker.io"


@cache
def pins() -> dict[str, Pin]:
    """Service name → pinned image."""
    return {**{service: row.image for service, row in ROWS.items()}, "busybox": BUSYBOX}


def without_digest(image: str) -> str:
    """``prom/prometheus:v3.15.0@sha256:…`` → ``prom/prometheus:v3.15.0``."""
    return image.partition("@")[0]


def version(image: str) -> Version | None:
    """The version in a reference, by its tag or by the digest of a pin; None if neither tells. ``jaeger:2.13.0`` gives
    ``(2, 13, 0)``."""
    reference = Reference.parse(image)
    tag = reference.tag or next((pin.tag for pin in pins().values() if pin.digest == reference.digest), "")
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", tag)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def on_mirror(reference: str, mirror: str) -> str:
    """The same image on `mirror` (``host[:port][/path]``), under its path without the registry."""
    path = reference.removeprefix(f"{Reference.parse(reference).registry}/")
    return f"{mirror.rstrip('/')}/{path}"


def resolve(service: str, override: str | None, mirror: str | None) -> str:
    """The reference that the container uses.

    An override that names its registry is used as written. Everything else comes from the mirror, if there is one.
    """
    if override and (mirror is None or Reference.parse(override).registry):
        return override
    reference = override or pins()[service].reference
    return on_mirror(reference, mirror) if mirror else reference
