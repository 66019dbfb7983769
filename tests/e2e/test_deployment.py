"""What stands on the engine after `pulumi up`: everything that was promised, and nothing that was not."""

import json
import re
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from docker.errors import NotFound

import check
from components.config_files import INCOMING, VAULT
from config.container import MOUNT, Container
from config.services import descriptions
from config.settings import Settings
from config.settings.networks import own_networks
from config.sizes import MIB
from engine.docker_api import execute
from engine.preflight import Engine
from tests.support.deployment import Deployment
from tests.support.wait import until

SERVICES = (
    *("prometheus", "alertmanager", "node_exporter", "cadvisor", "socket_proxy", "scrape_proxy", "api_proxy"),
    *("loki", "alloy", "otel_collector", "jaeger"),
)
"""What a stack runs that names nothing else to watch."""


@pytest.fixture(scope="module")
def settings(deployment: Deployment) -> Settings:
    return deployment.settings


def described(service: str, settings: Settings) -> Container:
    return descriptions.describe(service, settings)


# What was deployed


def test_what_runs_is_what_the_settings_name(deployment: Deployment, settings: Settings) -> None:
    assert settings.services == SERVICES
    configured = [service for service in SERVICES if described(service, settings).config]
    loaders = {f"{service}-loader" for service in configured}
    validators = {f"{service}-validator" for service in configured if not described(service, settings).tools}
    expected = {*SERVICES, *loaders, *validators}
    assert deployment.containers().keys() == {f"{deployment.prefix}-{name}" for name in expected}


def test_a_second_up_changes_nothing(deployment: Deployment) -> None:
    before = deployment.containers()
    deployment.up("--expect-no-changes")
    assert deployment.containers() == before


def test_a_refresh_finds_no_drift(deployment: Deployment) -> None:
    deployment.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")


# How every container is held


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_as_hardened_on_the_engine_as_it_is_declared(
    service: str, deployment: Deployment, settings: Settings
) -> None:
    spec = described(service, settings)
    attributes = deployment.container(service).attrs
    host = attributes["HostConfig"]
    limit = settings.memory_mib(service) * MIB
    names = dict(zip(("inside", "edge", "users", "door"), own_networks(settings.prefix), strict=True))
    assert {
        "memory": host["Memory"],
        "memory and swap": host["MemorySwap"],
        "dropped": host["CapDrop"],
        "added": tuple(host["CapAdd"] or ()),
        "security": host["SecurityOpt"],
        "read-only": host["ReadonlyRootfs"],
        "privileged": host["Privileged"],
        "log": host["LogConfig"],
        "restart": host["RestartPolicy"]["Name"],
        "user": attributes["Config"]["User"],
        "time to stop": attributes["Config"]["StopTimeout"],
        "host's namespaces": [host[kind] for kind in ("PidMode", "UTSMode", "UsernsMode") if host[kind]],
        "networks": set(attributes["NetworkSettings"]["Networks"]),
        "devices": tuple((device["PathOnHost"], device["CgroupPermissions"]) for device in host["Devices"] or ()),
    } == {
        "memory": limit,
        "memory and swap": limit,
        "dropped": ["ALL"],
        "added": tuple(sorted(spec.capabilities)),
        "security": ["no-new-privileges:true"],
        "read-only": True,
        "privileged": False,
        "log": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "restart": "unless-stopped",
        "user": spec.user,
        "time to stop": spec.grace_seconds,
        "host's namespaces": [],
        "networks": {names[zone] for zone in settings.joins(service)},
        "devices": tuple((device, "r") for device in spec.devices),
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_nowhere_but_into_its_own_data(
    service: str, deployment: Deployment, settings: Settings
) -> None:
    writable = [mount["Destination"] for mount in deployment.container(service).attrs["Mounts"] if mount["RW"]]
    data = described(service, settings).data
    assert writable == ([data] if data else [])


def test_a_loader_writes_nowhere_but_into_the_volumes_of_its_service(
    deployment: Deployment, settings: Settings
) -> None:
    for spec in (described(service, settings) for service in SERVICES):
        if spec.config:
            mounts = deployment.container(f"{spec.service}-loader").attrs["Mounts"]
            # The image may bring volumes without a name, which are empty.
            writable = {mount["Destination"] for mount in mounts if mount["RW"] and deployment.prefix in mount["Name"]}
            assert writable == {MOUNT, *({spec.data} if spec.claims_data else ())}, spec.service
            assert not [mount for mount in mounts if mount["RW"] and mount["Destination"] in {INCOMING, VAULT}]


def test_what_loads_the_files_is_held_too_and_has_no_network(deployment: Deployment) -> None:
    loaders = [name for name in deployment.containers() if name.endswith(("-loader", "-validator", "-vault"))]
    settings = deployment.settings
    with_files = [service for service in settings.services if descriptions.describe(service, settings).config]
    assert {f"{settings.prefix}-{service}-loader" for service in with_files} <= {*loaders}
    for name in loaders:
        host = deployment.client.containers.get(name).attrs["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] > 0, name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["NetworkMode"] == "none", name


def test_ports_are_published_on_loopback_only(deployment: Deployment) -> None:
    listens = {service: listen for service, listen in deployment.config["publish"].items() if listen}
    published = {
        name: [
            f"{binding['HostIp']}:{binding['HostPort']}"
            for bindings in deployment.client.containers.get(name).attrs["NetworkSettings"]["Ports"].values()
            for binding in bindings or ()
        ]
        for name in deployment.containers()
    }
    # By gRPC the collector is reached directly, anything else by the front of APIs without a login.
    wanted: dict[str, list[str]] = {}
    for door, listen in sorted(listens.items()):
        service = "otel_collector" if door == "otlp_grpc" else "api_proxy"
        wanted.setdefault(f"{deployment.prefix}-{service}", []).append(listen)
    assert {name: sorted(ports) for name, ports in published.items() if ports} == {
        name: sorted(ports) for name, ports in wanted.items()
    }
    assert all(listen.startswith("127.0.0.1:") for listen in listens.values())


# The Docker socket


def sockets(deployment: Deployment) -> list[Path]:
    """Those by which one is root on the host: the engine's, and that of its containerd where it runs."""
    engine = Path(deployment.settings.docker.socket)
    containerd = Engine.ask(deployment.client).containerd or "/run/docker/containerd/containerd.sock"
    return [path.resolve() for path in (engine, Path(containerd)) if path.exists()]


def test_only_the_proxy_and_cadvisor_can_open_the_sockets(deployment: Deployment) -> None:
    able = defaultdict(set)
    for service in SERVICES:
        container = deployment.container(service)
        for mount in container.attrs["Mounts"]:
            source = Path(mount["Source"]).resolve()
            for socket in sockets(deployment):
                if not socket.is_relative_to(source):
                    continue
                inside = PurePosixPath(mount["Destination"]) / socket.relative_to(source)
                # A read-only mount does not keep anybody from connecting: the socket's own permissions do.
                if execute(container, ["test", "-w", str(inside)])[0] == 0:
                    able[socket.name].add(service)
    assert able == {"docker.sock": {"socket_proxy", "cadvisor"}, "containerd.sock": {"cadvisor"}}


def answer(deployment: Deployment, request: str) -> str:
    """What the proxy answers to `request`, sent word for word from inside the stack's network."""
    # At the end of what it reads, nc closes its way out: the proxy would take it for gone.
    request_of = r'printf "%s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n" "$0"'
    script = f"({request_of}; sleep 1) | nc socket_proxy 2375"
    text = execute(deployment.container("prometheus"), ["sh", "-c", script, request])[1]
    assert text.startswith("HTTP/1."), text
    return text


def status_of(deployment: Deployment, request: str) -> int:
    """The status of `answer`."""
    return int(answer(deployment, request).split()[1])


@pytest.mark.parametrize(
    "request_line",
    ["GET /containers/json", "GET /v1.41/containers/json?all=1", "HEAD /_ping", "GET /version", "GET /networks"],
)
def test_the_socket_proxy_lets_pass_what_discovery_asks(request_line: str, deployment: Deployment) -> None:
    assert status_of(deployment, request_line) == 200


def test_the_socket_proxy_lets_the_logs_of_a_container_pass(deployment: Deployment) -> None:
    name = deployment.container("alertmanager").name
    assert status_of(deployment, f"GET /containers/{name}/logs?stderr=1&tail=1") == 200


@pytest.mark.parametrize(
    "request_line",
    ["GET /containers/{id}/json", "GET /v1.41/containers/{name}/json", "GET http://docker/containers/{id}/json"],
)
def test_the_socket_proxy_tells_of_a_container_how_it_is_and_not_its_environment(
    request_line: str, deployment: Deployment
) -> None:
    container = deployment.container("node_exporter")
    assert any("GOMEMLIMIT" in variable for variable in container.attrs["Config"]["Env"])
    text = answer(deployment, request_line.format(id=container.id, name=container.name))
    assert text.split()[1] == "200"
    facts = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert (facts["Id"], facts["State"]["Running"]) == (container.id, True)
    assert facts.keys() == {"Id", "Name", "Config", "State"}
    assert facts["Config"].keys() == {"Tty"}


REFUSED = [
    "POST /containers/json",
    "POST /containers/create",
    "POST /containers/{id}/stop",
    "POST /containers/{id}/exec",
    "POST /images/create?fromImage=x",
    "POST /_ping",
    "PUT /containers/{id}/archive?path=/",
    "PATCH /containers/json",
    "DELETE /containers/{id}?force=1",
    "DELETE /volumes/{name}",
    "GET /containers/{id}/archive?path=/etc",
    "GET /containers/{id}/export",
    "GET /containers/{id}/attach/ws",
    "GET /containers/{id}/top",
    "GET /exec/{id}/json",
    "GET /images/json",
    "GET /secrets",
    "GET /volumes",
    "GET /",
    "GET //containers/json",
    "GET /containers//json",
    "GET /containers/json/",
    "GET /containers%2fjson",
    "GET /containers/{id}%2fjson",
    "GET /containers/{id}%2fjson/logs",
    "GET /containers/json/../{id}/json",
    "GET /containers/{id}/logs/../json",
    "GET /containers/../logs",
    "GET /containers/../images/json",
    "GET /containers/%2e%2e/logs",
    "GET /containers/json%3f/../{id}/json",
    "GET /v1.41/../containers/{id}/json",
    "GET /v1.41%2fcontainers/json",
    "GET http://socket_proxy:2375/images/json?/containers/json",
    "GET /images/json#/containers/json",
]


@pytest.mark.parametrize("request_line", REFUSED)
def test_the_socket_proxy_refuses_everything_else(request_line: str, deployment: Deployment) -> None:
    victim = deployment.container("alertmanager")
    status = status_of(deployment, request_line.format(id=victim.id, name=victim.name))
    assert status in {400, 403}  # the proxy's own answers: the engine says 404, 405, 409 or 3xx


# What Prometheus runs with


def test_the_declared_limits_of_prometheus_are_in_force(deployment: Deployment, settings: Settings) -> None:
    text: str = deployment.get("prometheus", "/api/v1/status/config")["data"]["yaml"]
    limits = settings.metrics.limits
    jobs, of_others = text.count("- job_name:"), 3  # metrics of spans, otlp, application-containers
    for line, times in (
        # Once for all, and again in each of the jobs: what one of them leaves out, it does not inherit silently.
        # The metrics made of spans have a bound of their own, by services and operations.
        (f"sample_limit: {limits.samples}", 1 + jobs - 1),
        (f"label_limit: {limits.labels}", of_others),
        (f"label_value_length_limit: {limits.label_value_length}", of_others),
        (f"target_limit: {limits.targets}", of_others),
        ("body_size_limit: 20MiB", 1 + jobs),
        ("scrape_native_histograms: true", 1 + jobs),
        ("always_scrape_classic_histograms: true", 1 + jobs),
    ):
        assert text.count(f"{line}\n") == times, line
    assert f"max_exemplars: {settings.metrics.exemplars}" in text


def test_prometheus_keeps_metrics_as_long_as_declared(deployment: Deployment) -> None:
    runtime = deployment.get("prometheus", "/api/v1/status/runtimeinfo")["data"]
    assert runtime["storageRetention"] == "2h or 512MiB"


def test_prometheus_stores_exemplars(deployment: Deployment, settings: Settings) -> None:
    def capacity() -> list[dict[str, Any]]:
        return deployment.query("prometheus_tsdb_exemplar_max_exemplars")

    assert until(capacity)[0]["value"][1] == str(settings.metrics.exemplars)


def test_prometheus_accepts_native_histograms(deployment: Deployment) -> None:
    """Of its own metrics some are native: they are stored as such, beside their classic buckets."""

    def native() -> list[dict[str, Any]]:
        return [
            sample for sample in deployment.query("prometheus_http_request_duration_seconds") if "histogram" in sample
        ]

    assert until(native)
    assert deployment.query("prometheus_http_request_duration_seconds_bucket")


def test_prometheus_cannot_be_stopped_or_reloaded_over_http(deployment: Deployment) -> None:
    flags = deployment.get("prometheus", "/api/v1/status/flags")["data"]
    assert flags["web.enable-lifecycle"] == flags["web.enable-admin-api"] == "false"


# Late, because a container is called healthy half a minute after its start


def test_every_promise_that_the_check_knows_is_kept(settings: Settings) -> None:
    broken = [finding for finding in check.run(settings) if not finding.kept]
    assert not broken


# Drift. What the provider never reads back, no refresh can see: environment variables, labels, volumes, uploads and networks of
# a container. A network that was disconnected by hand shows as a target that is down, in the check and in an alert; not here.


DRIFT = ("--refresh", "--diff", "--expect-no-changes")
"""As `operate.commands.drift` previews."""


def change_memory(deployment: Deployment) -> None:
    deployment.container("node_exporter").update(mem_limit="80m", memswap_limit="80m")


def change_restart_policy(deployment: Deployment) -> None:
    deployment.container("alertmanager").update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 1})


def remove_container(deployment: Deployment) -> None:
    deployment.container("cadvisor").remove(force=True)


def planned(printed: str, service: str) -> str:
    """What the last part of a preview plans for the container of `service`."""
    plan = printed.rpartition("pulumi:pulumi:Stack: (same)")[2]
    blocks = re.split(r"\n(?= {4}\S)", plan)
    mine = [block for block in blocks if f"docker:index/container:Container::{service}]" in block]
    assert len(mine) == 1, f"{service} is not named in:\n{plan}"
    return mine[0]


def test_what_was_changed_by_hand_is_named_and_healed(deployment: Deployment) -> None:
    before = deployment.containers()
    change_memory(deployment)
    change_restart_policy(deployment)
    remove_container(deployment)

    printed = deployment.preview(*DRIFT, fails=True)
    assert "no changes were expected" in printed
    assert re.search(r"~ memory\s*: 80 => 64", planned(printed, "node_exporter"))
    assert re.search(r'~ restart\s*: "on-failure" => "unless-stopped"', planned(printed, "alertmanager"))
    assert "(create)" in planned(printed, "cadvisor")
    with pytest.raises(NotFound):  # a preview mends nothing
        deployment.container("cadvisor")

    deployment.up("--refresh")
    after = deployment.containers()
    assert {name for name in before if before[name] != after[name]} == {f"{deployment.prefix}-cadvisor"}
    assert deployment.container("node_exporter").attrs["HostConfig"]["Memory"] == 64 << 20
    assert deployment.container("alertmanager").attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    deployment.preview(*DRIFT)
