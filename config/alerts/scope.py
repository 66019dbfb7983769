"""The inputs of the alert rules."""

from dataclasses import dataclass

from config.alerts.rule import Watched
from config.settings import Settings
from config.settings.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings and the scrape jobs of one stack, from which its rules are made."""

    settings: Settings
    watched: Watched

    @property
    def thresholds(self) -> Thresholds:
        return self.settings.alerts.thresholds
