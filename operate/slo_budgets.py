"""Error budgets from Prometheus: now, or for a calendar month. Pure functions: the caller passes the function that queries Prometheus."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from config.alerts.scope import Scope
from config.alerts.slo_indicators import Indicator, indicators
from config.settings import Settings
from config.settings.units import seconds

Ask = Callable[[str, Mapping[str, str]], Any]
"""Asks Prometheus: path and parameters → `data` of its answer. Raises LookupError if there is none."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """What an SLO counted in some time. Numbers of requests are estimated from rates, so they are not whole numbers."""

    indicator: Indicator
    requests: float | None
    """None if nothing has been counted."""
    failed: float
    covered: float
    """Which part of the time there are samples of, from 0 to 1."""
    days: Mapping[datetime, float] = field(default_factory=dict)
    """Start of a day → failed requests in it. Only of a month."""
    started: Mapping[str, datetime] = field(default_factory=dict)
    """Image → when its container started, on the day with the most failed requests. Only of a month."""

    @property
    def allowed(self) -> float:
        """How many requests may fail."""
        return (self.requests or 0) * (1 - self.indicator.slo.objective / 100)

    @property
    def spent(self) -> float | None:
        """Share of the budget; None if there were no requests."""
        return self.failed / self.allowed if self.requests else None

    @property
    def is_spent(self) -> bool:
        """Whether the objective is missed, by as many requests as an alert needs. One failed request of ten spends no budget."""
        return (self.spent or 0) >= 1 and self.failed >= self.indicator.slo.min_errors

    @property
    def worst_day(self) -> datetime | None:
        """The day with the most failed requests; None if none failed."""
        day = max(self.days, key=lambda one: self.days[one], default=None)
        return day if day is not None and round(self.days[day]) > 0 else None

    @property
    def spent_on(self) -> datetime | None:
        """The day on which the last of the budget was spent; None if some is left."""
        total = 0.0
        for day in sorted(self.days) if self.is_spent else ():
            total += self.days[day]
            if total >= self.allowed:
                return day
        return max(self.days, default=None) if self.is_spent else None


def now(ask: Ask, settings: Settings, at: datetime | None = None) -> list[Budget]:
    """The budget of each SLO over its own window, up to now, or up to `at`.

    Raises:
        LookupError: Prometheus does not answer.
    """
    at = at or datetime.now(UTC)
    return [_counted(ask, one, one.slo.window, at) for one in _of(settings)]


def of_month(ask: Ask, settings: Settings, begin: datetime, end: datetime) -> list[Budget]:
    """The budget of each SLO from `begin` to `end`, with its days.

    Raises:
        LookupError: Prometheus does not answer.
    """
    return [_of_days(ask, one, begin, end) for one in _of(settings)]


def month(text: str, now: datetime, retention: str) -> tuple[datetime, datetime]:
    """First and last moment of a month such as ``2026-11``; of the current one, up to `now`. `retention`: how long metrics are kept.

    Raises:
        ValueError: it is not a month, is in the future, or its metrics are no longer kept.
    """
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) or text.startswith("0000"):
        raise ValueError(f"{text!r} is not a month: write it like {now:%Y-%m}")
    begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    if begin >= now:
        raise ValueError(f"{text} is still to come")
    end = min((begin + 31 * _DAY).replace(day=1), now)
    if end <= now - timedelta(seconds=seconds(retention)):
        raise ValueError(f"{text} is over for longer than metrics are kept (metrics.retention.time {retention})")
    return begin, end


def _of(settings: Settings) -> tuple[Indicator, ...]:
    return indicators(Scope(settings, frozenset()))


def _counted(ask: Ask, one: Indicator, span: str, at: datetime) -> Budget:
    parts = {"requests": one.requests(span), "failed": one.errors(span), "covered": one.covered(span)}
    query = " or ".join(f'label_replace({expr}, "part", "{name}", "", "")' for name, expr in parts.items())
    series = ask("/api/v1/query", {"query": query, "time": f"{at.timestamp():.0f}"})["result"]
    values = {sample["metric"]["part"]: float(sample["value"][1]) for sample in series}
    if not {"requests", "failed"} <= values.keys():  # without both nothing can be said, not even that none failed
        return Budget(one, None, 0, values.get("covered", 0))
    return Budget(one, values["requests"], values["failed"], values["covered"])


def _of_days(ask: Ask, one: Indicator, begin: datetime, end: datetime) -> Budget:
    whole = _counted(ask, one, f"{(end - begin).total_seconds():.0f}s", end)
    days: dict[datetime, float] = {}
    if end >= begin + _DAY:
        range_ = {"start": f"{(begin + _DAY).timestamp():.0f}", "end": f"{end.timestamp():.0f}", "step": "86400"}
        for series in ask("/api/v1/query_range", {"query": one.errors("1d"), **range_})["result"]:
            days = {datetime.fromtimestamp(at, UTC) - _DAY: float(value) for at, value in series["values"]}
    if today := (end - begin) % _DAY:
        days[end - today] = max(whole.failed - sum(days.values()), 0)
    counted = Budget(one, whole.requests, whole.failed, whole.covered, days)
    if (day := counted.worst_day) is None:
        return counted
    return Budget(one, whole.requests, whole.failed, whole.covered, days, _started(ask, one.service, day))


def _started(ask: Ask, service: str, day: datetime) -> dict[str, datetime]:
    """Images of the service whose containers started on that day."""
    series = f'container_start_time_seconds{{job="cadvisor",service="{service}",image!=""}}'
    query = {"query": f"max by (image) (max_over_time({series}[1d]))", "time": f"{(day + _DAY).timestamp():.0f}"}
    starts = {
        sample["metric"]["image"]: datetime.fromtimestamp(float(sample["value"][1]), UTC)
        for sample in ask("/api/v1/query", query)["result"]
    }
    return {image: at for image, at in sorted(starts.items(), key=lambda start: start[1]) if day <= at < day + _DAY}
