"""Image references: pinned in the catalogue, overridden per stack, or taken from a mirror."""

import re
from functools import cache

from config.catalogue import BUSYBOX, ROWS
from config.row import Pin

Version = tuple[int, ...]

JAEGER_WITHOUT_SEARCH: Version = (2, 21, 0)
"""First version of Jaeger without `/api/traces?service=…`, which Grafana's Jaeger data source uses to search (jaeger
#9260)."""


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
    if ":" not in without_digest(image).rpartition("/")[2]:
        image = next((pin.reference for pin in pins().values() if pin.digest == image.partition("@")[2]), image)
    match = re.search(r":v?(\d+)\.(\d+)(?:\.(\d+))?[^/]*$", without_digest(image))
    return tuple(int(part or 0) for part in match.groups()) if match else None


def _has_registry(reference: str) -> bool:
    """Docker's own rule: the first component is a registry if it contains a dot or a colon, or is `localhost`."""
    first, slash, _ = reference.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def on_mirror(reference: str, mirror: str) -> str:
    """The same image on `mirror` (``host[:port][/path]``), under its path without the registry."""
    path = reference.partition("/")[2] if _has_registry(reference) else reference
    return f"{mirror.rstrip('/')}/{path}"


def resolve(service: str, override: str | None, mirror: str | None) -> str:
    """The reference that the container uses.

    An override that names its registry is used as written. Everything else comes from the mirror, if there is one.
    """
    if override and (mirror is None or _has_registry(override)):
        return override
    reference = override or pins()[service].reference
    return on_mirror(reference, mirror) if mirror else reference
