"""What may be asked of the Docker socket."""

import re

import pytest

from config.container import Mount
from config.ports import DOCKER_API, METRICS
from config.services.logs.log_times import LATE_SECONDS
from config.services.metrics.socket_proxy import LUA, container
from tests.support.program import config_of, settings_of

TEXT = config_of("socket_proxy", settings_of()).files["haproxy.cfg"]


def section(name: str) -> list[str]:
    """The lines of one section of haproxy.cfg."""
    [block] = [block for block in TEXT.split("\n\n") if block.startswith(name)]
    return [line.strip() for line in block.splitlines()[1:]]


def allowed(path: str) -> bool:
    [rule] = [line for line in section("frontend docker") if line.startswith("http-request deny unless { path")]
    parsed = re.fullmatch(r"http-request deny unless \{ path -m reg (\S+) \}", rule)
    assert parsed
    return bool(re.search(parsed[1], path))


ID = "0123456789ab" * 5 + "0123"


@pytest.mark.parametrize(
    "path",
    [
        "/_ping",
        "/v1.41/_ping",
        "/v1.44/containers/json",
        "/containers/json",
        "/v1.41/networks",
        "/v1.41/version",
        f"/v1.41/containers/{ID}/logs",
        f"/v1.41/containers/{ID}/json",
        "/containers/shop-orders-1/logs",
    ],
)
def test_what_shows_containers_and_their_logs_is_let_through(path: str) -> None:
    assert allowed(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1.41/",
        f"/v1.41/containers/{ID}/archive",  # any file
        f"/v1.41/containers/{ID}/export",
        f"/v1.41/containers/{ID}/top",
        f"/v1.41/containers/{ID}/attach/ws",
        f"/v1.41/containers/{ID}/exec",
        f"/v1.41/containers/{ID}/logs/../json",
        "/v1.41/containers/json/../create",
        "/v1.41/containers/../logs",
        "/v1.41/events",  # nobody asks, and it never ends
        "/v1.41/info",
        "/v1.41/images/json",
        "/v1.41/volumes",
        "/v1.41/secrets",
        "/v1.41/configs",
        "/v1.41/swarm/unlockkey",
        "/v1.41/system/df",
        "/v1.41/networks/abc",
        "/v1.41/plugins",
        "//v1.41/containers/json",
        "/v1.41/containers/json/",
        "/evil/containers/json",
    ],
)
def test_any_other_request_is_refused(path: str) -> None:
    assert not allowed(path)


def test_only_reading_is_let_through_and_refused_before_anything_else_is_looked_at() -> None:
    rules = [line for line in section("frontend docker") if line.startswith(("http-request", "default_backend"))]
    assert rules[0] == "http-request deny unless METH_GET or METH_HEAD"
    assert rules[1].startswith("http-request deny unless { path -m reg ")
    assert rules[-1] == "default_backend engine"


@pytest.mark.parametrize(
    ("path", "action"),
    [
        (f"/v1.41/containers/{ID}/json", "lua.inspect"),  # the engine would tell the environment
        ("/containers/shop-orders-1/json", "lua.inspect"),
        ("/v1.41/containers/json", None),
        (f"/v1.41/containers/{ID}/logs", "lua.since"),
        ("/v1.41/_ping", "lua.begin"),
        ("/v1.41/networks", None),
    ],
)
def test_what_the_proxy_does_by_itself(path: str, action: str | None) -> None:
    rules = [line.split() for line in section("frontend docker") if " lua." in line]
    expressions = {"reg": "{}", "end": "{}$"}
    actions = [rule[1] for rule in rules if re.search(expressions[rule[6]].format(rule[7]), path)]
    assert actions == ([action] if action else [])


def test_a_script_that_fails_leaves_a_container_untold() -> None:
    """HAProxy would go on to the engine, which tells of the environment."""
    rules = section("frontend docker")
    [inspect] = [index for index, rule in enumerate(rules) if "lua.inspect" in rule]
    condition = rules[inspect].partition(" if ")[2]
    assert rules[inspect + 1 :][:2][-1] == f"http-request deny deny_status 502 if {condition}"


def test_the_log_of_a_quiet_container_stays_open_and_that_of_a_client_that_has_gone_does_not() -> None:
    defaults = section("defaults")
    assert {"timeout client 24d", "timeout server 24d", "timeout client-fin 10s", "option abortonclose"} <= set(
        defaults
    )


@pytest.mark.parametrize(("memory", "one", "everybody"), [("48MiB", 384, 960), ("96MiB", 768, 1920)])
def test_each_client_has_a_share_of_the_connections(memory: str, one: int, everybody: int) -> None:
    text = config_of("socket_proxy", settings_of({"memory": {"socket_proxy": memory}})).files["haproxy.cfg"]
    assert f"maxconn {everybody}\n" in text
    assert text.count(f"tcp-request connection reject if {{ sc0_conn_cur gt {one} }}") == 2


def test_the_script_is_found_beside_the_config_wherever_the_validator_runs() -> None:
    assert {"default-path config", "lua-load socket_proxy.lua"} <= set(section("global"))
    assert "socket_proxy.lua" in config_of("socket_proxy", settings_of()).files


def test_only_metrics_are_served_beside() -> None:
    bind, *rules, deny = section("frontend metrics")
    assert bind == f"bind :{METRICS['socket_proxy']}"
    served = [rule for rule in rules if "use-service" in rule]
    assert all("{ path /metrics }" in rule or "{ path /containers }" in rule for rule in served)
    assert deny == "http-request deny"
    assert f"bind :{DOCKER_API}" in section("frontend docker")


@pytest.mark.parametrize(
    ("host", "socket"),
    [
        ("unix:///var/run/docker.sock", "/var/run/docker.sock"),
        ("unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("ssh://deploy@vps.example", "/var/run/docker.sock"),
        ("tcp://vps.example:2376", "/var/run/docker.sock"),
    ],
)
def test_the_socket_is_that_of_the_engines_host(host: str, socket: str) -> None:
    tls = {"certificates": "/etc/docker/tls"} if host.startswith("tcp://") else {}
    proxy = container(settings_of({"docker": {"host": host, **tls}}))
    assert proxy.mounts == (Mount(socket, "/var/run/docker.sock"),)
    assert "server socket unix@/var/run/docker.sock" in TEXT


def test_no_log_is_read_from_longer_ago_than_an_own_time_is_taken() -> None:
    """Loki refuses both for the same reason."""
    assert f"local LATE = {LATE_SECONDS}\n" in LUA.read_text()
