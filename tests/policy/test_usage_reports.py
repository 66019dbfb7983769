"""The policy on services that report to their vendors."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.policy.pack_host import UNKNOWN, Resource, ask

POLICY = "no-usage-reports"
GRAFANA_OFF = [
    "GF_ANALYTICS_REPORTING_ENABLED=false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES=false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false",
]
INI_OFF = "[server]\nroot_url = x\n[analytics]\nreporting_enabled = false\ncheck_for_updates = false\ncheck_for_plugin_updates = false\n"


def runs(image: str, **props: Any) -> Resource:
    return Resource({"image": f"docker.io/grafana/{image}:1@sha256:{'a' * 64}", **props}, "app")


def file(text: str, path: str = "/etc/loki.yml") -> Resource:
    return Resource({"mustRun": False, "uploads": [{"file": path, "content": text}]}, "loader")


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param([runs("orders")], id="a service of the user's own"),
        pytest.param([runs("loki"), file("auth_enabled: false\nanalytics: {reporting_enabled: false}")], id="Loki"),
        pytest.param([runs("loki", command=["-reporting.enabled=false"])], id="Loki by a flag"),
        pytest.param([runs("alloy", command=["run", "--disable-reporting"])], id="Alloy"),
        pytest.param([runs("grafana", envs=GRAFANA_OFF)], id="Grafana"),
        pytest.param([runs("grafana"), file(INI_OFF, "/etc/grafana.ini")], id="Grafana by its file"),
        pytest.param([runs("elasticsearch", envs=["ingest.geoip.downloader.enabled=false"])], id="Elasticsearch"),
        pytest.param([runs("loki", mustRun=False)], id="a validator"),
        pytest.param([file("a: [")], id="a broken file, which another policy reports"),
    ],
)
def test_a_service_that_does_not_report_passes(resources: Iterable[Resource]) -> None:
    assert ask(POLICY, resources) == []


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        pytest.param([runs("loki")], "set analytics: {reporting_enabled: false}", id="Loki without a file"),
        pytest.param([runs("loki"), file("auth_enabled: false")], "set analytics", id="Loki without the switch"),
        pytest.param([runs("loki"), file("auth_enabled: false\nanalytics: {reporting_enabled: true}")], "set analytics", id="Loki with the switch on"),
        pytest.param([runs("alloy", command=["run"])], "set --disable-reporting", id="Alloy"),
        pytest.param([runs("alloy", command=["run", "--disable-reporting=false"])], "set --disable-reporting", id="Alloy with the switch on"),
        pytest.param([runs("alloy", command=UNKNOWN)], "set --disable-reporting", id="Alloy with an unknown command"),
        pytest.param([runs("grafana", envs=GRAFANA_OFF[:2])], "set GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false", id="Grafana, in part"),
        pytest.param([runs("grafana"), file("[analytics]\n[server]\nreporting_enabled = false", "/g.ini")], "set GF_ANALYTICS", id="Grafana in another section"),
        pytest.param([runs("elasticsearch", envs=UNKNOWN)], "set ingest.geoip.downloader.enabled=false", id="unknown variables"),
        pytest.param([Resource({"image": UNKNOWN})], "image is not known", id="an unknown image"),
    ],
)  # fmt: skip
def test_a_service_that_reports_is_refused(resources: Iterable[Resource], says: str) -> None:
    [violation] = ask(POLICY, resources)
    assert violation.startswith("container app: ")
    assert says in violation


def test_it_is_allowed_by_its_container() -> None:
    assert ask(POLICY, [runs("loki")], config={"allowed": {"app": "we want to report"}}) == []
