"""Who is in which network, and how services call each other across them."""

import ipaddress
import re

import pytest

from config.catalogue import ROWS
from config.settings.networks import subnet_of
from tests.support.program import EVERYTHING, config_of, refusal, settings_of

SETTINGS = settings_of(EVERYTHING, secrets=["grafana_password"])


def test_each_service_between_has_an_address_of_its_own() -> None:
    for service, row in ROWS.items():
        assert ("edge" in row.zones) == (row.edge_address is not None), service
    addresses = [row.edge_address for row in ROWS.values() if row.edge_address is not None]
    assert len({*addresses}) == len(addresses)


@pytest.mark.parametrize("config", [{}, EVERYTHING])
def test_the_front_calls_everybody_by_a_name_that_leads_there(config: dict[str, object]) -> None:
    settings = settings_of(config, secrets=["grafana_password"])
    text = config_of("api_proxy", settings).files["haproxy.cfg"]
    called = set(re.findall(r"server (\S+) (\S+):\d+ ", text))
    assert called >= {("jaeger", "jaeger"), ("otel_collector", "nervous-test-otel_collector")}
    assert called == {(service, settings.host(service)) for service, _ in called}


def test_a_stack_has_the_same_addresses_each_time_and_another_stack_has_others() -> None:
    subnets = {prefix: subnet_of(prefix) for prefix in ("nervous-dev", "nervous-prod", "nervous-staging")}
    assert subnet_of("nervous-dev") == subnets["nervous-dev"]
    assert len(set(subnets.values())) == len(subnets)
    assert all(subnet.subnet_of(ipaddress.IPv4Network("198.18.0.0/15")) for subnet in subnets.values())
    assert all(subnet.prefixlen == 26 for subnet in subnets.values())


def test_the_range_may_be_set_where_it_is_taken() -> None:
    edge = settings_of({"edge_subnet": "10.9.8.0/24"}).edge
    assert (edge.address("prometheus"), edge.given_out) == ("10.9.8.2", "10.9.8.128/25")


@pytest.mark.parametrize("text", ["10.9.8.0/27", "10.9.8.1/24", "fd00::/64", "10.9.8.0/32", "x"])
def test_what_is_no_range_for_all_services_is_refused(text: str) -> None:
    assert "edge_subnet: is not an address range like 198.18.7.0/26" in refusal({"edge_subnet": text})
