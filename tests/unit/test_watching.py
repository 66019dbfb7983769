"""Paths that only watch a service: one catalogue, which the shipper and the collector read alike."""

import json

import pytest
import re2

from config import watching
from config.services.logs.log_pipeline import stages
from config.services.traces.sampling import health_condition
from tests.support.program import settings_of

OWN = ["/v1.0/up"]


@pytest.mark.parametrize(
    "path",
    ["/health", "/healthz/", "/api/health", "/actuator/health/liveness", "/-/healthy", "/ready", "/livez", "/up", "/ping?full=1",
     "http://orders:8000/healthz", "/v1.0/up", "/v1.0/up/?now"],
)  # fmt: skip
def test_the_path_of_a_health_check_is_recognised(path: str) -> None:
    assert re2.fullmatch(watching.health(OWN), path)


@pytest.mark.parametrize(
    "path",
    [
        "/category/health",
        "/healthz/deep",
        "/healthy-food",
        "/pingpong",
        "/v1x0/up",
        "/v1.0/up/now",
        "/",
        "/upload",
        "/up/now",
    ],
)
def test_the_path_of_an_ordinary_page_is_not_recognised(path: str) -> None:
    assert not re2.fullmatch(watching.health(OWN), path)
    assert not re2.fullmatch(watching.SCRAPE, path)


@pytest.mark.parametrize("path", ["/metrics", "/actuator/prometheus", "/q/metrics/", "/stub_status"])
def test_the_path_of_a_scrape_is_recognised(path: str) -> None:
    assert re2.fullmatch(watching.SCRAPE, path)


@pytest.mark.parametrize("own", [[], OWN], ids=["the usual ones", "one more"])
def test_the_shipper_and_the_collector_have_the_same_paths(own: list[str]) -> None:
    settings = settings_of({"traces": {"health_paths": own}})
    selectors = [stage.arguments.get("selector", "") for stage in stages(settings)]
    for expression, uses in ((watching.health(own), 2), (watching.SCRAPE, 2)):
        text = json.dumps(expression)[1:-1]
        assert sum(text in selector for selector in selectors) == uses  # dropped, and not counted
        assert text in health_condition(settings.traces)
