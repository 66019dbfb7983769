"""Names of labels that are Prometheus' own. What the collector makes of names is seen in tests/rules/test_otlp.py."""

import pytest
import re2

from config.services.traces import otlp_names


@pytest.mark.parametrize(
    "own", ["le", "quantile", "job", "instance", "service", "exported_job", "otel_scope_name", "_name_"]
)
def test_a_label_that_is_set_by_others_is_known(own: str) -> None:
    assert re2.search(otlp_names.LABELS, own)


@pytest.mark.parametrize("other", ["level", "job_id", "service_name", "exported", "tile", "quantiles", "name"])
def test_a_label_of_ones_own_stays(other: str) -> None:
    assert not re2.search(otlp_names.LABELS, other)
