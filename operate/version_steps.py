"""Judges whether a version of a service can take over the data of another version.

These steps are refused, for the reason that the services' vendors give:

- an older version: it may not read what a newer one has written. Elasticsearch and OpenSearch cannot be downgraded
  (elastic.co, “Upgrade Elasticsearch”; docs.opensearch.org/3.8/migrate-or-upgrade/rolling-upgrade), Prometheus before
  2.55 does not read what 3 writes (prometheus.io/docs/prometheus/3.0/migration), Grafana changes its database at the
  first start (grafana.com/docs/grafana, “Upgrade Grafana”); the other vendors promise nothing.
- Elasticsearch, OpenSearch: a step of more than one major version, or one that does not begin at the last minor
  version, which prepares for the next major (elastic.co/docs/deploy-manage/upgrade/deployment-or-cluster/upgrade-717:
  7.17, then 8.19, then 9; OpenSearch, as above: 2.19, then 3).
- Prometheus 1: “not backwards compatible” with 2 (prometheus.io/docs/prometheus/2.50/migration).
- Jaeger 1: nothing says that 2, which is configured differently, reads what 1 has stored
  (jaegertracing.io/docs/latest/migration).
- Loki: a period that has begun and is changed, removed, or added: “Always set the from date in the new schema to a date
  in the future” (grafana.com/docs/loki/latest/operations/storage/schema).
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from config.images import Version, version

STEP_BY_STEP: Mapping[str, Mapping[int, int]] = {"elasticsearch": {6: 8, 7: 17, 8: 19}, "opensearch": {2: 19}}
"""Service that takes one major version at a time → major version → its minor version that can be upgraded to the next
major."""
OTHER_STORAGE = {"prometheus": 2, "jaeger": 2}
"""Service → the first major version that does not read what earlier ones have stored."""


def jump(service: str, before: str, after: str) -> str | None:
    """Why the image `after` must not get data of the image `before`; None if it may, or if a version is unknown."""
    old, new = version(before), version(after)
    if old is None or new is None:
        return None
    named = f"{service}: the data is of {_text(old)}, and images.{service} is {_text(new)}"
    if new < old:
        return f"{named}: an older version may not read what a newer one has written"
    if old[0] < OTHER_STORAGE.get(service, 0) <= new[0]:
        return f"{named}: it does not read what version {old[0]} has stored"
    minors = STEP_BY_STEP.get(service)
    if minors is None or new[0] == old[0]:
        return None
    stage = old[0] if old[1] < minors.get(old[0], 0) else old[0] + 1
    if stage == new[0]:
        return None
    last = f"{stage}.{minors[stage]}" if stage in minors else f"the last minor version of {stage}"
    return f"{named}: it takes one major version at a time, each from the last minor one: go to {last} first"


def another_format(before: str, after: str) -> bool:
    """Whether two images are of different major versions, which may have different data formats."""
    old, new = version(before), version(after)
    return old is not None and new is not None and old[0] != new[0]


def changed_periods(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]], today: date) -> list[str]:
    """First days of Loki's periods that have begun and differ between `before` and `after`, as in `["2026-11-01"]`."""

    def begun(periods: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        return {day: period for period in periods if (day := str(period["from"])) <= today.isoformat()}

    old, new = begun(before), begun(after)
    return sorted(day for day in old.keys() | new.keys() if old.get(day) != new.get(day))


def _text(number: Version) -> str:
    return ".".join(map(str, number))
