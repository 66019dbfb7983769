"""The result of one check."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One promise, and whether it is kept."""

    what: str
    kept: bool
    detail: str = ""
    subject: str = ""
    """What it is about, as the report groups findings: `metrics`."""
    noted: bool = False
    """Whether the report shows it although it is kept: what you gave the stack lacks something."""
