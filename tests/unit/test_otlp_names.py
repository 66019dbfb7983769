"""Names of labels that are Prometheus' own. What the collector makes of names is seen in tests/rules/test_otlp.py."""

import pytest
import re2

from config.services.traces import otlp_names
from tests.support.program import settings_of


@pytest.mark.parametrize(
    "own", ["le", "quantile", "job", "instance", "service", "exported_job", "otel_scope_name", "_name_"]
)
def test_a_label_that_is_set_by_others_is_known(own: str) -> None:
    assert re2.search(otlp_names.LABELS, own)


@pytest.mark.parametrize("other", ["level", "job_id", "service_name", "exported", "tile", "quantiles", "name"])
def test_a_label_of_ones_own_stays(other: str) -> None:
    assert not re2.search(otlp_names.LABELS, other)


def test_the_name_of_a_service_that_came_later_is_reserved_where_the_stack_runs_it() -> None:
    running = settings_of({"metrics": {"long_term": {"local": True}}}).services
    assert "long_term" in otlp_names.reserved(running)
    assert {"host", "loki", "promtail", "caddy"} <= {*otlp_names.reserved(settings_of().services)}
    assert "long_term" not in otlp_names.reserved(settings_of().services)
