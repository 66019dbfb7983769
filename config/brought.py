"""What a stack is given beside its settings: rules, scrape jobs and dashboards."""

from dataclasses import dataclass

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
