"""Which versions take over each other's data."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from config import images
from config.images import pins
from operate import version_steps
from operate.backup.manifest import log_schema
from tests.support.program import settings_of

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "version"),
    [
        (f"docker.io/prom/prometheus:v3.15.0@{DIGEST}", (3, 15, 0)),
        ("docker.io/library/haproxy:3.2-alpine", (3, 2, 0)),
        ("nervous-system/loki:3.7.8-c18c17db1930", (3, 7, 8)),
        ("registry:5000/grafana/loki:3.7.8", (3, 7, 8)),
        ("registry:5000/grafana/loki:mine", None),
        ("registry:5000/loki", None),
        (f"grafana/loki@{DIGEST}", None),
        (f"registry:5000/loki@{pins()['loki'].digest}", tuple(map(int, pins()["loki"].tag.split(".")))),
        ("grafana/loki:latest", None),
        ("grafana/loki:3", None),
    ],
)
def test_the_version_is_told_by_the_tag_or_by_the_digest_of_a_pin(image: str, version: tuple[int, ...] | None) -> None:
    assert images.version(image) == version


OLDER = "an older version may not read"
STEPS = "one major version at a time"


@pytest.mark.parametrize(
    ("service", "before", "after", "complaint"),
    [
        ("prometheus", f"prom/prometheus:v3.15.0@{DIGEST}", "prom/prometheus:v3.15.0", None),
        ("prometheus", "prom/prometheus:v2.53.1", "prom/prometheus:v3.15.0", None),
        ("prometheus", "prom/prometheus:v3.15.0", "prom/prometheus:v3.9.0", OLDER),
        ("prometheus", "prom/prometheus:v3.15.0", "prom/prometheus:v2.55.0", OLDER),
        ("prometheus", "prom/prometheus:v1.8.2", "prom/prometheus:v3.15.0", "what version 1 has stored"),
        ("grafana", "grafana/grafana:11.0.0", "grafana/grafana:13.2.3", None),
        ("grafana", "grafana/grafana:13.2.3", "grafana/grafana:13.2.2", OLDER),
        ("loki", "nervous-system/loki:3.7.8-c18c17db1930", "grafana/loki:3.7.9", None),
        ("loki", "nervous-system/loki:3.7.8-c18c17db1930", "nervous-system/loki:3.7.8-0018c17db1930", None),
        ("loki", "registry:5000/loki:mine", "grafana/loki:3.7.8", None),  # nothing is known of it
        ("jaeger", "jaegertracing/jaeger:2.13.0", "jaegertracing/jaeger:2.21.0", None),
        ("jaeger", "jaegertracing/all-in-one:1.76.0", "jaegertracing/jaeger:2.21.0", "what version 1 has stored"),
        ("elasticsearch", "elasticsearch:8.17.0", "elasticsearch:8.19.22", None),
        ("elasticsearch", "elasticsearch:7.17.29", "elasticsearch:8.19.22", None),
        ("elasticsearch", "elasticsearch:8.19.0", "elasticsearch:9.1.0", None),
        ("elasticsearch", "elasticsearch:8.17.9", "elasticsearch:9.1.0", f"{STEPS}.*go to 8.19 first"),
        ("elasticsearch", "elasticsearch:7.10.0", "elasticsearch:8.19.22", f"{STEPS}.*go to 7.17 first"),
        ("elasticsearch", "elasticsearch:7.17.29", "elasticsearch:9.1.0", f"{STEPS}.*go to 8.19 first"),
        (
            "elasticsearch",
            "elasticsearch:9.9.0",
            "elasticsearch:11.0.0",
            f"{STEPS}.*go to the last minor version of 10",
        ),
        ("elasticsearch", "elasticsearch:8.19.22", "elasticsearch:8.19.21", OLDER),
        ("opensearch", "opensearch:1.3.20", "opensearch:2.19.1", None),
        ("opensearch", "opensearch:2.19.0", "opensearch:3.7.0", None),
        ("opensearch", "opensearch:2.11.0", "opensearch:3.7.0", f"{STEPS}.*go to 2.19 first"),
        ("opensearch", "opensearch:1.3.20", "opensearch:3.7.0", f"{STEPS}.*go to 2.19 first"),
    ],
)
def test_data_goes_to_no_version_that_may_not_read_it(
    service: str, before: str, after: str, complaint: str | None
) -> None:
    message = version_steps.jump(service, before, after)
    if complaint is None:
        assert message is None
    else:
        with pytest.raises(AssertionError, match=complaint):
            raise AssertionError(message)
        assert message
        assert message.startswith(f"{service}: the data is of ")
        assert f"images.{service} is " in message


@pytest.mark.parametrize(
    ("before", "after", "another"),
    [
        ("grafana:12.4.0", "grafana:13.2.3", True),
        ("loki:3.7.8", "loki:3.8.0", False),
        ("loki:mine", "loki:3.8.0", False),
    ],
)
def test_another_major_version_may_have_another_format(before: str, after: str, *, another: bool) -> None:
    assert version_steps.another_format(before, after) == another


TODAY = date(2026, 6, 15)


def s3(since: str | None = None) -> dict[str, Any]:
    return {"logs": {"s3": {"bucket": "logs", **({"since": since} if since else {})}}}


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        ({}, {}, []),
        ({}, s3("2026-06-16"), []),
        ({}, s3("2026-06-15"), ["2026-06-15"]),
        ({}, s3("2026-06-01"), ["2026-06-01"]),
        ({}, s3(), ["2024-01-01"]),
        (s3("2026-06-01"), s3("2026-06-01"), []),
        (s3("2026-06-01"), {}, ["2026-06-01"]),
        (s3("2026-06-01"), s3("2026-06-02"), ["2026-06-01", "2026-06-02"]),
        (s3("2026-06-20"), s3("2026-06-30"), []),
        (s3("2026-06-20"), {}, []),
    ],
    ids=[
        "none changed",
        "one that begins tomorrow",
        "one that begins today",
        "one that began",
        "the first one, with the store of all logs",
        "one that goes on",
        "one that is removed",
        "one that is moved",
        "one to come that is moved",
        "one to come that is removed",
    ],
)
def test_a_period_that_has_begun_may_not_change(
    before: Mapping[str, Any], after: Mapping[str, Any], days: list[str]
) -> None:
    old, new = (log_schema(settings_of(config)) for config in (before, after))
    assert version_steps.changed_periods(old, new, TODAY) == days
