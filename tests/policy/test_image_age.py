"""The advice on old images."""

from datetime import date

import pytest

from policies.judges.image_age import advice
from tests.policy.pack_host import UNKNOWN, of_one

POLICY = "images-are-maintained"
DIGEST = f"sha256:{'a' * 64}"

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (f"docker.io/grafana/promtail:3.6.11@{DIGEST}", "past its end of life since 2026-03-02: Grafana Alloy"),
        ("jaegertracing/all-in-one:1.76", "since 2025-12-31"),
        ("quay.io/jaegertracing/jaeger-collector:1.60", "since 2025-12-31"),
        ("prom/prometheus:v2.53.0", "since 2025-07-31"),
        ("docker.elastic.co/elasticsearch/elasticsearch:7.17.1", "since 2026-01-15"),
        ("docker.elastic.co/elasticsearch/elasticsearch:8.19.22", None),
        ("prom/prometheus:v3.15.0", None),
        ("prom/blackbox-exporter:v0.28.0", None),
        ("shop/api:1", None),
        ("redis", None),
    ],
)
def test_an_image_past_its_end_of_life_is_named(image: str, says: str | None) -> None:
    messages = list(advice(image, TODAY, 365))
    assert len(messages) == (says is not None)
    assert says is None or says in messages[0]


def test_an_old_image_is_named() -> None:
    image = "docker.io/prom/blackbox-exporter:v0.28.0"
    assert list(advice(image, date(2026, 12, 4), 365)) == []
    [old] = advice(image, date(2026, 12, 5), 365)
    assert "was released on 2025-12-04, more than 365 days ago" in old
    assert list(advice("elasticsearch/elasticsearch:8.19.22", date(2027, 7, 14), 365)) == []
    assert list(advice("elasticsearch/elasticsearch:8.19.22", date(2027, 7, 15), 365)) != []


def test_the_config_sets_the_age() -> None:
    image = {"image": "prom/blackbox-exporter:v0.28.0"}
    assert of_one(POLICY, image, config={"max_age_days": 100_000.0}) == []
    [old] = of_one(POLICY, image, config={"max_age_days": 0.0})
    assert "more than 0 days ago" in old
    assert of_one(POLICY, {}) == []
    [unknown] = of_one(POLICY, {"image": UNKNOWN})
    assert "image is not known" in unknown
