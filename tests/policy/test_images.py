"""The policies on images."""

from datetime import date
from typing import Any

import pytest

import declared
from images import Reference, advice
from tests.policy.engine import UNKNOWN, Resource, ask, of_one

POLICY = "images-are-pinned"
DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("redis", ("docker.io", "library/redis", None, None)),
        ("redis:8", ("docker.io", "library/redis", "8", None)),
        ("grafana/loki:3.7", ("docker.io", "grafana/loki", "3.7", None)),
        (f"quay.io/a/b/c:1@{DIGEST}", ("quay.io", "a/b/c", "1", DIGEST)),
        ("localhost:5000/a", ("localhost:5000", "a", None, None)),
        (f"localhost/a@{DIGEST}", ("localhost", "a", None, DIGEST)),
    ],
)
def test_a_reference_is_completed_as_docker_does(text: str, parts: tuple[Any, ...]) -> None:
    image = Reference.parse(text)
    assert (image.registry, image.repository, image.tag, image.digest) == parts


@pytest.mark.parametrize(
    "image",
    [
        f"docker.io/prom/prometheus:v3.15.0@{DIGEST}",
        f"redis:8@{DIGEST}",
        f"ghcr.io/google/cadvisor@{DIGEST}",
        DIGEST,
        "nervous-system/loki:3.7.8-0123456789ab",
    ],
)
def test_an_image_that_is_pinned_passes(image: str) -> None:
    assert of_one(POLICY, {"image": image}) == []
    assert ask(POLICY, [Resource({"name": image}, "i", declared.IMAGE)]) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({"image": "docker.io/prom/prometheus:v3.15.0"}, "append its @sha256", id="no digest"),
        pytest.param({"image": "redis"}, "append its @sha256", id="a bare name"),
        pytest.param({"image": "redis:8@sha256:abc"}, "append its @sha256", id="half a digest"),
        pytest.param({"image": f"redis:latest@{DIGEST}"}, "latest is another image every week", id="latest"),
        pytest.param({"image": f"evil.example/redis:8@{DIGEST}"}, "evil.example is no allowed registry", id="registry"),
        pytest.param(
            {"image": "nervous-system/loki:3.7.8"}, "append its", id="built here, without a digest of its sources"
        ),
        pytest.param({}, "it names no image", id="missing"),
        pytest.param({"image": UNKNOWN}, "image is not known before the update", id="unknown"),
    ],
)
def test_an_image_that_is_not_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = of_one(POLICY, props)
    assert says in violation


def test_what_is_pulled_is_judged_too() -> None:
    [violation] = ask(POLICY, [Resource({"name": "redis:8"}, "cache", declared.IMAGE)])
    assert violation.startswith("image cache: redis:8")


def test_registries_and_images_built_here_are_those_of_the_config() -> None:
    mirrored, own = {"image": f"mirror.example/redis:8@{DIGEST}"}, {"image": "nervous-system/loki:3.7.8-0123456789ab"}
    assert of_one(POLICY, mirrored, config={"registries": ["mirror.example"]}) == []
    assert len(of_one(POLICY, {"image": f"redis:8@{DIGEST}"}, config={"registries": ["mirror.example"]})) == 1
    assert len(of_one(POLICY, own, config={"built_here": ""})) == 1
    assert of_one(POLICY, {"image": "shop/api:1"}, config={"built_here": "shop/.+"}) == []


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
def test_what_has_ended_is_named(image: str, says: str | None) -> None:
    found = list(advice(image, TODAY, 365))
    assert len(found) == (says is not None)
    assert says is None or says in found[0]


def test_what_is_old_is_named() -> None:
    image = "docker.io/prom/blackbox-exporter:v0.28.0"
    assert list(advice(image, date(2026, 12, 4), 365)) == []
    [old] = advice(image, date(2026, 12, 5), 365)
    assert "is of 2025-12-04, more than 365 days ago" in old
    assert list(advice("elasticsearch/elasticsearch:8.19.22", date(2027, 7, 14), 365)) == []
    assert list(advice("elasticsearch/elasticsearch:8.19.22", date(2027, 7, 15), 365)) != []


def test_advice_comes_through_the_policy_with_its_age_from_the_config() -> None:
    fresh_for_ever = {"image": "prom/blackbox-exporter:v0.28.0"}
    assert of_one("images-are-maintained", fresh_for_ever, config={"max_age_days": 100_000.0}) == []
    [old] = of_one("images-are-maintained", fresh_for_ever, config={"max_age_days": 0.0})
    assert "more than 0 days ago" in old
    assert of_one("images-are-maintained", {}) == []
    [unknown] = of_one("images-are-maintained", {"image": UNKNOWN})
    assert "image is not known" in unknown
