"""TLS in front of Grafana."""

import re

import pytest

from config.container import DIRECTORY
from config.services.correlation import caddy
from config.settings.grafana import Tls
from tests.support.program import DOOR, OF_DOOR, config_of, described, settings_of

PUBLIC, INTERNAL = Tls(domain="grafana.example.com"), Tls(domain="localhost", certificate="internal")


def stack(front: Tls) -> dict[str, object]:
    return {"grafana": {"tls": front.model_dump()}, "publish": {"caddy": "0.0.0.0:443"}}


@pytest.mark.parametrize(("front", "own"), [(PUBLIC, []), (INTERNAL, ["tls internal"])])
def test_its_only_site_on_the_published_port_is_grafana_under_the_domain(front: Tls, own: list[str]) -> None:
    text = caddy.caddyfile(caddy.sites(settings_of(stack(front), secrets=["grafana_password"])), "v")
    sites = re.findall(r"^(http\S+) \{\n((?:\t.*\n)+)\}", text, flags=re.MULTILINE)
    assert [site for site, _ in sites] == [f"https://{front.domain}:443", "http://:9180"]
    directives = [line.strip() for line in sites[0][1].splitlines()]
    assert directives == [*own, "reverse_proxy api_proxy:23000"]


def test_nothing_but_the_front_is_published_and_only_the_container_itself_can_change_it() -> None:
    container = described("caddy", settings_of(stack(PUBLIC), secrets=["grafana_password"]))
    assert container.published == {"caddy": 443}
    assert container.config
    assert "admin 127.0.0.1:" in container.config.files["Caddyfile"]


def test_the_door_for_edges_is_a_site_of_its_own_beside_grafana_or_without_it() -> None:
    beside = settings_of({**DOOR, "grafana": {"tls": PUBLIC.model_dump()}}, secrets=[*OF_DOOR, "grafana_password"])
    assert {domain: port for domain, (_, port) in caddy.sites(beside).items()} == {
        "grafana.example.com": 23000,
        "centre.example.com": 24318,
    }
    alone = settings_of(DOOR, secrets=OF_DOOR)
    assert [*caddy.sites(alone)] == ["centre.example.com"]
    assert "caddy" in alone.services
    assert "23000" not in config_of("api_proxy", alone).files["haproxy.cfg"]


def test_what_is_validated_makes_no_keys_where_the_real_ones_are() -> None:
    container = described("caddy", settings_of(stack(INTERNAL), secrets=["grafana_password"]))
    assert container.config
    assert container.config.validate
    assert container.config.validate.startswith("XDG_DATA_HOME=/tmp ")
    assert container.environment["XDG_DATA_HOME"] == container.data == caddy.DATA


def test_the_running_caddy_says_which_file_it_runs() -> None:
    def version(front: Tls) -> str:
        config = described("caddy", settings_of(stack(front), secrets=["grafana_password"])).config
        assert config
        [(url, answer)] = config.expect.items()
        assert url == "http://127.0.0.1:9180/version"
        assert f'respond /version "{answer}"' in config.files["Caddyfile"]
        assert f"{DIRECTORY}/Caddyfile" in config.reload
        return answer

    assert version(PUBLIC) == version(PUBLIC) != version(INTERNAL)
