"""One number, what the host has, gives the ceiling and all limits."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from config.catalogue import ROWS
from config.settings import sizing
from tests.support.program import FRONT, settings_of

MIB_OF = {"4GiB": 4096, "6GiB": 6144, "8GiB": 8192, "12GiB": 12288, "16GiB": 16384, "64GiB": 65536}


def limits(host: str, **memory: Any) -> dict[str, int]:
    settings = settings_of({"memory": {"host": host, **memory}}, secrets=["grafana_password"])
    return {service: settings.memory_mib(service) for service in settings.services}


@pytest.mark.parametrize(
    ("host", "ceiling"), [("4GiB", 3072), ("6GiB", 5120), ("8GiB", 7168), ("16GiB", 14336), ("64GiB", 57344)]
)
def test_an_eighth_of_the_host_and_at_least_1_gib_is_left_to_others(host: str, ceiling: int) -> None:
    assert settings_of({"memory": {"host": host}}).memory.ceiling == ceiling * 2**20


@pytest.mark.parametrize("host", MIB_OF)
def test_metrics_logs_and_traces_fit_every_host(host: str) -> None:
    assert sum(limits(host).values()) <= sizing.ceiling(MIB_OF[host] * 2**20) // 2**20


def test_the_defaults_are_those_of_16_gib_and_stay_on_more() -> None:
    assert limits("16GiB") == limits("64GiB")
    assert settings_of({"memory": {"host": "16GiB"}}).memory == settings_of().memory


def test_no_service_has_more_on_a_smaller_host() -> None:
    sizes = [limits(host) for host in MIB_OF]
    for smaller, larger in itertools.pairwise(sizes):
        assert all(smaller[service] <= larger[service] for service in smaller)


def test_what_grows_is_a_service_and_shrinks_to_its_least() -> None:
    smallest = limits("4GiB")
    least = {service: row.least for service, row in ROWS.items() if row.least}
    assert {service: smallest[service] * 2**20 for service in smallest if service in least} == {
        service: limit for service, limit in least.items() if service in smallest
    }


def test_grafana_has_all_its_memory_from_8_gib_on_and_more_than_its_maker_asks_for_below() -> None:
    assert [limits(host)["grafana"] for host in ("4GiB", "6GiB", "8GiB", "16GiB")] == [560, 768, 1024, 1024]


@pytest.mark.parametrize("host", ["4GiB", "6GiB", "8GiB"])
def test_a_small_host_has_room_for_tls_and_two_exporters(host: str) -> None:
    config: dict[str, Any] = {
        **FRONT,
        "memory": {"host": host},
        "exporters": {"nginx": {"status_url": "http://web:8080/s"}, "redis": {"address": "cache:6379"}},
    }
    settings = settings_of(config, secrets=["grafana_password"])
    assert {"caddy", "nginx_exporter", "redis_exporter"} <= set(settings.services)


def test_half_the_memory_is_half_the_limit() -> None:
    assert (limits("16GiB")["loki"], limits("8GiB")["loki"]) == (2048, 1024)


def test_a_limit_and_a_ceiling_that_are_set_hold() -> None:
    assert limits("4GiB", loki="640MiB")["loki"] == 640
    assert settings_of({"memory": {"host": "8GiB", "ceiling": "5GiB"}}).memory.ceiling == 5 * 2**30


def test_the_page_on_environments_tells_the_same() -> None:
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
    hosts = ("4GiB", "8GiB", "16GiB")
    together = [str(sum(limits(host).values())) for host in hosts]
    ceilings = [str(sizing.ceiling(MIB_OF[host] * 2**20) // 2**20) for host in hosts]
    for name, numbers in (("together", together), ("ceiling", ceilings)):
        assert f"| **{name}** | " + " | ".join(f"**{number}**" for number in numbers) + " |" in page
