"""The inputs of the alert rules."""

from dataclasses import dataclass

from config.alerts.rule import Watched
from config.settings import Settings
from config.settings.thresholds import Thresholds
from config.settings.units import seconds


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings and the scrape jobs of one stack, from which its rules are made."""

    settings: Settings
    watched: Watched

    def every(self, evaluations: int, *, most: str) -> str:
        """The interval of a group: as many evaluation intervals, but no longer than `most` or, if that is longer, one of them.
        Whole seconds, because Prometheus takes no fractions."""
        interval = seconds(self.settings.metrics.evaluation_interval)
        return f"{int(min(evaluations * interval, max(seconds(most), interval)))}s"

    @property
    def thresholds(self) -> Thresholds:
        return self.settings.alerts.thresholds
