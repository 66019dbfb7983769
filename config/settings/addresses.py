"""Addresses that alerts link to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """The public addresses that alerts link to, without a slash at the end."""

    runbooks: str
    grafana: str | None = None
    """None: alerts link to their runbooks only."""
    jaeger: str = ""
