"""Alert thresholds on the dashboards: a panel turns red where the stack's alert fires.

The files in `dashboards/json` show the default thresholds and load into any Grafana. `dashboards/thresholds.json` says which
of their numbers follow a setting; a deployment replaces these numbers with those of its stack. Both are written by
`make dashboards`. One entry, for panel 4 of a dashboard, whose steps are green, orange and red::

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
    """Names of the thresholds. With several, the lowest counts."""
    divisor: float = 1
    """The panel shows the threshold divided by this: for an earlier step, or for another unit."""

    def __truediv__(self, divisor: float) -> "AlertThreshold":
        return AlertThreshold(self.settings, self.divisor * divisor)

    def value(self, thresholds: Thresholds = DEFAULTS) -> float:
        """In the unit of a panel: percentages as shares from 0 to 1, time spans in seconds, counts as they are."""
        values = [getattr(thresholds, name) for name in self.settings]
        lowest: float = min(seconds(value) if isinstance(value, str) else value for value in values)
        return lowest / (self.divisor * (100 if self._is_percent else 1))

    def sentence(self, thresholds: Thresholds = DEFAULTS) -> str:
        """The sentence of a panel's description that names the threshold: ``Turns red at 5 %, where the alert fires.``"""
        value = getattr(thresholds, self.settings[0])
        text = f"{value:g} %" if self._is_percent else f"{value:,}" if isinstance(value, int) else str(value)
        return f"Turns red at {text}, where the alert fires."

    @property
    def _is_percent(self) -> bool:
        return all(_TYPES[name] == Percent for name in self.settings)


def apply(panels: Iterable[dict[str, Any]], marks: Mapping[str, Mapping[str, Any]], thresholds: Thresholds) -> None:
    """Sets the steps and the descriptions of `panels` to `thresholds`.

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
