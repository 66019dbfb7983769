"""Checks that Prometheus has the series that the SLOs count. A series without samples yet breaks no promise: the service may be new,
and the alert SloHasNoData fires if it stays so."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

from docker import DockerClient

from check.finding import Finding
from check.pages import ask
from config.alerts import response_times
from config.alerts.scope import Scope
from config.alerts.slo_indicators import Indicator, indicators
from config.settings import Settings


def findings(client: DockerClient, settings: Settings) -> Iterator[Finding]:
    """Yields whether each SLO counts what the running services have."""
    try:
        for one in indicators(Scope(settings, frozenset())):
            if one.slo.kind == "latency":
                yield _bound(client, settings, one)
    except LookupError as error:
        yield Finding("SLOs can be counted", kept=False, detail=str(error))


def _bound(client: DockerClient, settings: Settings, one: Indicator) -> Finding:
    """The bounds are not known before the service runs: its library sets them."""
    query = f'group by (le) ({response_times.BUCKETS}{{service="{one.service}"}})'
    series = ask(client, settings, "prometheus", f"/api/v1/query?{urlencode({'query': query})}")["data"]["result"]
    bounds = sorted({sample["metric"]["le"] for sample in series} - {"+Inf"}, key=float)
    is_bound = not bounds or any(re.fullmatch(one.bound, bound) for bound in bounds)
    there = f"{one.service} has the bounds {', '.join(bounds)} (seconds)" if bounds else "no classic histogram yet"
    return Finding(
        f"slos: {one.slo.name}: {one.slo.latency} is a bound of the buckets of {one.service}", is_bound, there
    )
