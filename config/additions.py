"""Parts of a stack that are not settings: your rules and scrape jobs, and all dashboards."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.own_jobs import OwnJob
from config.settings.grafana import FOLDER


@dataclass(frozen=True)
class Dashboard:
    """A dashboard as Grafana gets it."""

    text: str
    """JSON."""
    folder: str = FOLDER
    """The folder that Grafana shows it in."""
    key: str = ""
    """Where it comes from, for messages; empty for one of the project's own."""


@dataclass(frozen=True, kw_only=True)
class Additions:
    """Read once, by `config.addition_files.read`, and passed on together: a service may depend on any of them."""

    rules: Mapping[str, str] = field(default_factory=dict)
    """File name → text of your rule files."""
    jobs: tuple[OwnJob, ...] = ()
    """Your scrape jobs."""
    dashboards: Mapping[str, Dashboard] = field(default_factory=dict)
    """Uid → dashboard, the project's own ones too."""


NONE = Additions()
