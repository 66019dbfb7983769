"""Alert thresholds on the dashboards: a panel turns red where the stack's alert fires.

The files in `dashboards/json` show the default thresholds and load into any Grafana. `dashboards/thresholds.json` lists
the numbers that follow a setting; a deployment replaces them with those of its stack. `make dashboards` writes both.
For example, panel 4 of a dashboard has green, orange and red steps::

    {"overview": {"4": {"settings": ["error_ratio"], "divisors": [null, 5, 1]}}}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from config.settings.thresholds import Percent, Thresholds
from config.settings.units import seconds

DEFAULTS = Thresholds()
_TYPES = get_type_hints(Thresholds, include_extras=True)


@dataclass(frozen=True, slots=True)
class AlertThreshold:
    """A number on a panel that follows `alerts.thresholds`."""

    settings: tuple[str, ...]
    """Names of the thresholds. If there are several, the lowest value counts."""
    divisor: float = 1
    """Divides the threshold, for an earlier step or another unit."""

    def __truediv__(self, divisor: float) -> "AlertThreshold":
        return AlertThreshold(self.settings, self.divisor * divisor)

    def value(self, thresholds: Thresholds = DEFAULTS) -> float:
        """The value in the panel's unit: percentages as ratios from 0 to 1, spans in seconds, counts unchanged."""
        values = [getattr(thresholds, name) for name in self.settings]
        lowest: float = min(seconds(value) if isinstance(value, str) else value for value in values)
        return lowest / (self.divisor * (100 if self._is_percent else 1))

    def sentence(self, thresholds: Thresholds = DEFAULTS) -> str:
        """The sentence in a panel's description that states the threshold: ``Turns red at 5 %, where the alert fires.``"""
        value = getattr(thresholds, self.settings[0])
        text = f"{value:g} %" if self._is_percent else f"{value:,}" if isinstance(value, int) else str(value)
        return f"Turns red at {text}, where the alert fires."

    @property
    def _is_percent(self) -> bool:
        return all(_TYPES[name] == Percent for name in self.settings)


def apply(panels: Iterable[dict[str, Any]], marks: Mapping[str, Mapping[str, Any]], thresholds: Thresholds) -> None:
    """Sets the steps and descriptions of `panels` to `thresholds`, in place.

    `marks`: id of a panel → its entry in `dashboards/thresholds.json`.
    """
    for panel in panels:
        mark = marks.get(str(panel.get("id")))
        if mark is None:
            continue
        threshold = AlertThreshold(tuple(mark["settings"]))
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        for step, divisor in zip(steps, mark["divisors"], strict=True):
            if divisor is not None:
                step["value"] = (threshold / divisor).value(thresholds)
        panel["description"] = panel["description"].replace(threshold.sentence(), threshold.sentence(thresholds))
