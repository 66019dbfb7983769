"""Names of labels and metrics that are Prometheus' own. What the collector makes of them is seen in test_traces (e2e)."""

import pytest
import re2

from config import otlp_names


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("up", True),
        (".up", True),
        ("scrape_duration_seconds", True),
        ("scrape.samples", True),
        ("ALERTS", True),
        ("ALERTS_FOR_STATE", True),
        ("uploads", False),
        ("scraper.runs", False),
        ("scrapes", False),
        ("http.server.up", False),
        ("alerts", False),
    ],
)
def test_a_metric_that_prometheus_makes_itself_is_known(name: str, *, own: bool) -> None:
    assert bool(re2.search(otlp_names.METRICS, name)) == own


@pytest.mark.parametrize(
    "own", ["le", "quantile", "job", "instance", "service", "exported_job", "otel_scope_name", "_name_"]
)
def test_a_label_that_is_set_by_others_is_known(own: str) -> None:
    assert re2.search(otlp_names.LABELS, own)


@pytest.mark.parametrize("other", ["level", "job_id", "service_name", "exported", "tile", "quantiles", "name"])
def test_a_label_of_ones_own_stays(other: str) -> None:
    assert not re2.search(otlp_names.LABELS, other)
