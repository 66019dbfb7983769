"""What alert rules depend on."""

from dataclasses import dataclass

from config.alerts.rule import Watched
from config.settings.logs import Logs
from config.settings.thresholds import Thresholds
from config.settings.traces import Traces


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings and the scrape jobs of one stack, from which its rules are made."""

    thresholds: Thresholds
    watched: Watched
    logs: Logs
    """For the disk budget and the retention of logs."""
    traces: Traces
    """For the disk budget and the storage of traces."""
