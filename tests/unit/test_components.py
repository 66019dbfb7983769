"""The resources that the components declare, as the provider gets them."""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pulumi
import pulumi_docker as docker
import pytest
from pulumi.runtime.mocks import MockResourceArgs

from components.networks import networks
from components.stack import Correlation, LogStack, MetricsStack, TraceStack, annotation
from config.additions import Additions
from config.catalogue import ROWS, SERVICES
from config.container import Container
from config.services import descriptions
from config.settings.secret_keys import SECRETS
from config.settings.units import go_duration, seconds
from engine.activate import Order
from tests.support.program import (
    AS_A_CENTRE,
    COMMAND,
    CONTAINER,
    EVERYTHING,
    IMAGE,
    OF_DOOR,
    PROJECT,
    SECRET_TEXT,
    VOLUME,
    Recorder,
    Registered,
    deploy,
    is_secret,
    revealed,
    settings_of,
    texts_in,
    uploaded,
)


def secrets_for(config: Mapping[str, Any] | None) -> tuple[str, ...]:
    return (*SECRETS, *(OF_DOOR if "edges" in (config or {}) else ()))


RULES = "groups: [{name: mine, rules: []}]\n"


def stacks(
    config: Mapping[str, Any] | None = None,
    *,
    with_secrets: bool = False,
    secret: str = SECRET_TEXT,
    recorder: Recorder | None = None,
    own_rules: Mapping[str, str] | None = None,
) -> Recorder:
    """The stacks with `config`, on an engine that is called `engine`."""
    settings = settings_of(config, secrets=secrets_for(config) if with_secrets else ())

    def program() -> None:
        engine = docker.Provider("engine", host=settings.docker.host)
        on_engine = pulumi.ResourceOptions(providers={"docker": engine})
        shared: dict[str, Any] = {
            "networks": networks(settings, engine),
            "secrets": {key: pulumi.Output.secret(secret) for key in settings.secrets},
            "opts": on_engine,
        }
        MetricsStack(
            "metrics", descriptions.of_stack("metrics", settings, Additions(rules=own_rules or {})), settings, **shared
        )
        LogStack("logs", descriptions.of_stack("logs", settings), settings, **shared)
        TraceStack("traces", descriptions.of_stack("traces", settings), settings, **shared)
        Correlation("correlation", descriptions.of_stack("correlation", settings), settings, **shared)

    return deploy(program, recorder)


@cache
def everything() -> Recorder:
    """Every service, every secret."""
    return stacks(EVERYTHING, with_secrets=True)


@cache
def instead() -> Recorder:
    """The services that stand in for others, and every secret."""
    return stacks(AS_A_CENTRE, with_secrets=True)


@cache
def default() -> Recorder:
    """What an empty stack file makes."""
    return stacks()


@cache
def another() -> Recorder:
    """Every service, with everything said differently."""
    config = {
        **EVERYTHING,
        "prefix": "obs",
        "networks": ["shop", "backend"],
        "publish": PUBLISH,
        "memory": {"node_exporter": "200MiB"},
    }
    return stacks(config, with_secrets=True, own_rules={"shop.yml": RULES})


PUBLISH: dict[str, str | None] = {
    "prometheus": "0.0.0.0:9090",
    "alertmanager": None,
    "node_exporter": "[::1]:9100",
    "cadvisor": "10.1.2.3:80",
    "postgres_exporter": "127.0.0.1:9999",
    "loki": None,
    "otlp_grpc": "127.0.0.1:14317",
    "otlp_http": "0.0.0.0:4318",
    "jaeger": None,
    "grafana": None,
    "caddy": "0.0.0.0:443",
}


def running(recorder: Recorder) -> dict[str, Registered]:
    return {name: c for name, c in recorder.of_type(CONTAINER).items() if c.inputs["mustRun"]}


def containers_of_all() -> dict[str, Registered]:
    """Name → container of every service there is, with its helpers."""
    return instead().of_type(CONTAINER) | everything().of_type(CONTAINER)


def declared(recorder: Recorder) -> list[Container]:
    """What the modules of `config` say of the services of `everything` or `instead`."""
    config = EVERYTHING if recorder is everything() else AS_A_CENTRE
    settings = settings_of(config, secrets=secrets_for(config))
    return [
        *descriptions.of_stack("metrics", settings),
        *descriptions.of_stack("logs", settings),
        *descriptions.of_stack("traces", settings),
        *descriptions.of_stack("correlation", settings),
    ]


def one_shot(recorder: Recorder, role: str) -> dict[str, Registered]:
    return {
        name.removesuffix(f"-{role}"): c for name, c in recorder.of_type(CONTAINER).items() if name.endswith(f"-{role}")
    }


def order(recorder: Recorder, service: str) -> dict[str, Any]:
    text = recorder[COMMAND, service].inputs["environment"]["ORDER"]
    parsed: dict[str, Any] = json.loads(text)
    return parsed


# What every container has.

LITERAL = re.compile(r"[a-z0-9.-]+/[a-z0-9._/-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def _canonical(text: str) -> bool:
    return go_duration(seconds(text)) == text


EVERY_CONTAINER: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "has a memory limit": lambda c: c["memory"] > 0,
    "has no swap beyond it": lambda c: c["memorySwap"] == c["memory"],
    "drops every capability": lambda c: c["capabilities"]["drops"] == ["ALL"],
    "gains no privileges": lambda c: c["securityOpts"] == ["no-new-privileges:true"],
    "is not privileged": lambda c: "privileged" not in c,
    "is in no namespace of the host": lambda c: not {"pidMode", "ipcMode", "usernsMode"} & c.keys(),
    "rotates its log": lambda c: c["logDriver"] == "json-file" and {"max-size", "max-file"} <= c["logOpts"].keys(),
    "gives its image literally with tag and digest": lambda c: bool(LITERAL.fullmatch(c["image"])),
    "says to which stack it belongs": lambda c: (
        {"label": "observability.stack", "value": "nervous-test"} in c["labels"]
    ),
    "is called <prefix>-<something>": lambda c: c["name"].startswith("nervous-test-"),
    "names user and group by number": lambda c: bool(re.fullmatch(r"\d+:\d+", c["user"])),
}
WRITES_INTO_ITS_ROOT = {"elasticsearch", "opensearch"}
"""At their start, beside their config."""
EVERY_RUNNING: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "starts again after a reboot, unless it was stopped": lambda c: c["restart"] == "unless-stopped",
    "is started again by an update": lambda c: c["mustRun"] is True,
    "has time to stop, on a replacement": lambda c: c["destroyGraceSeconds"] >= 10,
    "has the same time on a reboot": lambda c: c["stopTimeout"] == c["destroyGraceSeconds"],
    "has a read-only root, with room for temporary files within limits": lambda c: (
        (c["readOnly"] is True and "size=" in c["tmpfs"]["/tmp"]) or c["hostname"] in WRITES_INTO_ITS_ROOT  # noqa: S108
    ),
    "has nothing else in memory but what stays empty": lambda c: all(
        c["tmpfs"][path] == "size=4k,mode=0555"
        for path in (c.get("tmpfs") or {})
        if path != "/tmp"  # noqa: S108
    ),
    "is not a host network": lambda c: c["networkMode"] == "bridge",
    "gives way to the owner's services": lambda c: 0 < c["cpuShares"] < 1024,
    "adds capabilities by their full name only": lambda c: all(
        name.startswith("CAP_") for name in c["capabilities"].get("adds", [])
    ),
    "lists capabilities in order": lambda c: c["capabilities"].get("adds", []) == sorted(c["capabilities"]["adds"]),
    "sees the host read-only": lambda c: all(mount["readOnly"] for mount in c.get("mounts", [])),
    "sees devices read-only": lambda c: all(device["permissions"] == "r" for device in c.get("devices", [])),
    "gets no file by upload, which a read-only root refuses": lambda c: not c.get("uploads"),
    "lists its environment in order": lambda c: c.get("envs", []) == sorted(c.get("envs", [])),
    "lists its labels in order": lambda c: c["labels"] == sorted(c["labels"], key=lambda label: label["label"]),
    "lists its ports in order": lambda c: (
        [p["internal"] for p in c.get("ports", [])] == sorted(p["internal"] for p in c.get("ports", []))
    ),
    "spells durations as the engine reads them back": lambda c: all(
        _canonical(c["healthcheck"][key]) for key in ("interval", "timeout", "startPeriod") if c.get("healthcheck")
    ),
    "checks health without a shell": lambda c: not c.get("healthcheck") or c["healthcheck"]["tests"][0] == "CMD",
    "is published on loopback only": lambda c: all(port["ip"] == "127.0.0.1" for port in c.get("ports", [])),
    "mounts no volume of the engine's making": lambda c: all(v.get("volumeName") for v in c["volumes"]),
}
EVERY_LOADER: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "has an end": lambda c: c["mustRun"] is False and c["restart"] == "no",
    "has no network": lambda c: c["networkMode"] == "none" and not c.get("networksAdvanced"),
    "is published nowhere": lambda c: not c.get("ports"),
    "writes as root, readable by the service's group": lambda c: c["user"].startswith("0:"),
}


@pytest.mark.parametrize("what", EVERY_CONTAINER)
def test_every_container(what: str) -> None:
    containers = containers_of_all()
    assert len(containers) > len(SERVICES)
    assert [name for name, c in containers.items() if not EVERY_CONTAINER[what](c.inputs)] == []


@pytest.mark.parametrize("what", EVERY_RUNNING)
def test_every_service(what: str) -> None:
    containers = running(instead()) | running(everything())
    assert set(containers) == set(SERVICES)
    assert [name for name, c in containers.items() if not EVERY_RUNNING[what](c.inputs)] == []


@pytest.mark.parametrize("what", EVERY_LOADER)
def test_every_loader_and_vault(what: str) -> None:
    containers = {
        f"{name}-{role}": container
        for recorder in (everything(), instead())
        for role in ("loader", "validator", "vault")
        for name, container in one_shot(recorder, role).items()
    }
    assert containers
    assert [name for name, c in containers.items() if not EVERY_LOADER[what](c.inputs)] == []


@pytest.mark.parametrize("role", ["loader", "validator", "vault"])
def test_only_what_runs_the_program_of_a_service_has_capabilities_and_those_of_the_service(role: str) -> None:
    """Else its program, which may have them in its file, would not start; the kernel says `Operation not permitted`."""
    for recorder in (everything(), instead()):
        services = running(recorder)
        validated = {c.service: bool(c.config and c.config.validate) for c in declared(recorder)}
        for name, helper in one_shot(recorder, role).items():
            own_program = role != "vault" and helper.inputs["image"] == services[name].inputs["image"]
            wanted = services[name].inputs["capabilities"]["adds"] if own_program and validated[name] else []
            assert helper.inputs["capabilities"].get("adds", []) == wanted, f"{name}-{role}"


def test_the_loader_of_caddy_may_run_its_validator() -> None:
    """The official file has the capability `cap_net_bind_service=+ep`."""
    assert one_shot(everything(), "loader")["caddy"].inputs["capabilities"]["adds"] == ["CAP_NET_BIND_SERVICE"]


def test_every_resource_of_docker_uses_the_explicit_provider() -> None:
    resources = [r for r in everything().resources if r.typ.startswith("docker:")]
    assert resources
    assert [r.name for r in resources if "::engine::" not in r.options.provider] == []


def test_every_container_goes_before_its_successor_comes() -> None:
    containers = everything().of_type(CONTAINER).values()
    assert [c.name for c in containers if not c.options.deleteBeforeReplace] == []


def test_what_the_provider_only_pretends_to_update_replaces_the_container() -> None:
    containers = running(everything()).values()
    assert [c.name for c in containers if not {"healthcheck", "tmpfs", "init"} <= set(c.options.replaceOnChanges)] == []


def test_every_container_waits_for_its_image() -> None:
    containers = running(everything())
    waiting = [
        name
        for name, c in containers.items()
        if any(f"{IMAGE}::{name}" in dependency for dependency in c.options.dependencies)
    ]
    assert waiting == list(containers)


def test_images_are_pulled_as_the_containers_name_them_and_stay() -> None:
    recorder = everything()
    for name, container in running(recorder).items():
        image = recorder[IMAGE, name].inputs
        assert image["name"] == container.inputs["image"]
        assert image["keepLocally"] is True


# Names and types.


def test_type_tokens_are_frozen() -> None:
    """They are part of every URN: another token would replace the whole stack."""
    tokens = {r.typ for r in everything().resources if r.typ.startswith(f"{PROJECT}:")}
    assert tokens == {
        f"{PROJECT}:index:{name}"
        for name in ("MetricsStack", "LogStack", "TraceStack", "Correlation", "Service", "ConfigFiles")
    }


def test_logical_names_are_frozen() -> None:
    """They are part of every URN too."""
    recorder = default()
    assert set(recorder.of_type(f"{PROJECT}:index:MetricsStack")) == {"metrics"}
    assert set(recorder.of_type(f"{PROJECT}:index:LogStack")) == {"logs"}
    assert set(recorder.of_type(f"{PROJECT}:index:TraceStack")) == {"traces"}
    assert set(recorder.of_type(f"{PROJECT}:index:Correlation")) == {"correlation"}
    metrics = {"prometheus", "alertmanager", "node_exporter", "cadvisor", *PROXIES}
    services = {*metrics, "loki", "alloy", "otel_collector", "jaeger"}
    without_shell = {"loki", "alloy", "otel_collector"}
    configured = {"prometheus", "alertmanager", "jaeger", *PROXIES, *without_shell}
    assert set(recorder.of_type(f"{PROJECT}:index:Service")) == services
    assert set(recorder.of_type(f"{PROJECT}:index:ConfigFiles")) == configured
    assert set(recorder.of_type(COMMAND)) == services
    assert set(recorder.of_type(IMAGE)) == services | {f"{name}-busybox" for name in without_shell}
    helpers = {f"{name}-loader" for name in configured} | {f"{name}-validator" for name in without_shell}
    assert set(recorder.of_type(CONTAINER)) == services | helpers
    data = {"prometheus", "alertmanager", "loki", "alloy", "otel_collector", "jaeger"}
    volumes = {*data, *(f"{name}-config" for name in configured)}
    assert set(recorder.of_type(VOLUME)) == volumes


def test_every_resource_stands_below_its_component() -> None:
    recorder = everything()
    for resource in recorder.resources:
        above = resource.options.parent.split("::")[-2:]
        if resource.typ == f"{PROJECT}:index:Service":
            assert above[1] == ROWS[resource.name].stack
        elif resource.typ in {IMAGE, COMMAND} or (resource.typ in {CONTAINER, VOLUME} and resource.name in SERVICES):
            assert above[0].endswith(":Service")
            assert above[1] == resource.name.removesuffix("-busybox")
        elif resource.typ in {CONTAINER, VOLUME}:
            assert above[0].endswith(":ConfigFiles")
            assert above[1] == resource.name.rsplit("-", 1)[0]


def test_stacks_of_different_prefixes_share_no_name() -> None:
    def names(recorder: Recorder) -> set[str]:
        return {r.inputs["name"] for token in (CONTAINER, VOLUME) for r in recorder.of_type(token).values()}

    selected = settings_of(EVERYTHING, secrets=SECRETS).services
    assert {c.inputs["name"] for c in running(another()).values()} == {f"obs-{service}" for service in selected}
    assert len(names(another())) == len(names(everything())) > 2 * len(selected)
    assert not names(another()) & names(everything())


# Memory.


def test_limits_are_those_of_the_settings() -> None:
    settings = settings_of(EVERYTHING, secrets=SECRETS)
    limits = {name: c.inputs["memory"] for name, c in running(everything()).items()}
    assert limits == {service: settings.memory_mib(service) for service in settings.services}


def test_the_runtime_of_an_exporter_knows_its_limit() -> None:
    assert "GOMEMLIMIT=170MiB" in another()[CONTAINER, "node_exporter"].inputs["envs"]


def test_a_change_of_memory_is_made_in_the_running_container() -> None:
    """Where the runtime finds its limit by itself; GOMEMLIMIT in the environment needs a new container."""
    services = ("prometheus", "alertmanager", "socket_proxy")
    changed = stacks({"memory": dict.fromkeys(services, "300MiB")})
    for service in services:
        before, after = default()[CONTAINER, service].inputs, changed[CONTAINER, service].inputs
        assert {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)} == {"memory", "memorySwap"}


# Ports and networks.


def test_a_service_is_published_where_the_settings_say_and_only_by_a_front() -> None:
    containers = running(another())
    ports = {
        name: [(p["ip"], p["external"], p["internal"]) for p in c.inputs["ports"]] for name, c in containers.items()
    }
    nowhere: dict[str, list[tuple[str, int, int]]] = {service: [] for service in containers}
    assert ports == {
        **nowhere,
        "api_proxy": [
            ("0.0.0.0", 4318, 14318),  # noqa: S104 - otlp_http, asked for
            ("10.1.2.3", 80, 18080),  # cadvisor
            ("0.0.0.0", 9090, 19090),  # noqa: S104 - prometheus, asked for
            ("::1", 9100, 19100),  # node_exporter
            ("127.0.0.1", 9999, 19187),  # postgres_exporter
        ],
        "otel_collector": [("127.0.0.1", 14317, 4317)],
        "caddy": [("0.0.0.0", 443, 443)],  # noqa: S104 - asked for
    }


def test_by_default_three_pages_and_otlp_are_published() -> None:
    ports = {port["external"]: port["internal"] for port in default()[CONTAINER, "api_proxy"].inputs["ports"]}
    assert ports == {4318: 14318, 9090: 19090, 9093: 19093, 16686: 26686}


def test_only_fronts_are_published() -> None:
    published = {name for name, c in running(everything()).items() if c.inputs.get("ports")}
    assert published == {"api_proxy", "otel_collector", "caddy"}


PROXIES = {"socket_proxy", "scrape_proxy", "api_proxy"}
USERS = {"obs-apps", "backend", "shop"}


def networks_of(container: Any) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in container.inputs["networksAdvanced"]}


def test_nothing_that_keeps_data_is_in_a_network_of_the_users() -> None:
    """What is in one is in none of those inside, so that no name there and no hole in it leads further."""
    outside = {name for name, c in running(another()).items() if networks_of(c).keys() & USERS}
    exporters = {name for name in SERVICES if name.endswith("_exporter")} - {"node_exporter"}
    assert outside == exporters | {"scrape_proxy", "otel_collector"}
    for name in outside:
        container = running(another())[name]
        assert networks_of(container).keys() == {"obs-edge", *USERS}
        assert container.inputs["sysctls"] == {"net.ipv4.ip_forward": "0"}
        assert networks_of(container)["obs-edge"]["ipv4Address"].startswith("198.")


def test_only_the_collector_has_a_name_in_the_networks_of_the_users() -> None:
    """An alias like `prometheus` would answer for the user's own container of that name; nor has any in the edge network, where
    the proxy and the exporters look up users' names."""
    for name, container in running(another()).items():
        for network, joined in networks_of(container).items():
            own = {"obs": [name], "obs-door": [name]} | dict.fromkeys(
                USERS, ["otel-collector"] if name == "otel_collector" else None
            )
            assert joined.get("aliases") == own.get(network), (name, network)
        assert container.inputs["hostname"] == name


def test_the_door_to_the_engine_is_alone_with_who_may_knock() -> None:
    joined = {name: networks_of(c).keys() for name, c in running(everything()).items()}
    assert {name for name, networks in joined.items() if "nervous-test-door" in networks} == {
        "engine_door",
        "rollback_door",
        "healer",
    }
    assert joined["engine_door"] == joined["rollback_door"] == {"nervous-test-door"}
    assert everything()["docker:index/network:Network", "door"].inputs["internal"] is True
    assert "door" not in default().of_type("docker:index/network:Network")


def test_what_is_inside_has_no_address_that_others_know() -> None:
    inside = {name for name, c in running(everything()).items() if "nervous-test" in networks_of(c)}
    assert inside >= {"prometheus", "alertmanager", "loki", "jaeger", "grafana", "socket_proxy", "cadvisor"}
    assert all("ipv4Address" not in networks_of(running(everything())[name])["nervous-test"] for name in inside)


def test_the_network_between_gives_out_no_address_that_is_somebodys() -> None:
    [network] = [each for name, each in everything().of_type("docker:index/network:Network").items() if name == "edge"]
    [addresses] = network.inputs["ipamConfigs"]
    pool = ipaddress.ip_network(addresses["ipRange"])
    joined = [networks_of(container) for container in running(everything()).values()]
    fixed_addresses = {each["nervous-test-edge"]["ipv4Address"] for each in joined if "nervous-test-edge" in each}
    assert len(fixed_addresses) == len([each for each in joined if "nervous-test-edge" in each]) > len(PROXIES)
    assert not [address for address in fixed_addresses if ipaddress.ip_address(address) in pool]


# What survives, and what may not.


def test_data_outlives_the_stack_and_config_does_not() -> None:
    retained = {name for name, volume in everything().of_type(VOLUME).items() if volume.options.retainOnDelete}
    assert retained == {
        "prometheus", "alertmanager", "long_term", "loki", "alloy", "otel_collector", "elasticsearch", "grafana", "caddy", "healer",
    }  # fmt: skip


def test_volumes_carry_nothing_whose_change_would_replace_them() -> None:
    for volume in everything().of_type(VOLUME).values():
        assert set(volume.inputs) == {"name"}


def test_data_is_where_the_service_keeps_it() -> None:
    volumes = default()[CONTAINER, "prometheus"].inputs["volumes"]
    assert {"volumeName": "nervous-test-prometheus", "containerPath": "/prometheus"} in volumes


# Config files.


def test_a_service_reads_its_files_and_cannot_write_them() -> None:
    recorder = everything()
    for name in one_shot(recorder, "loader"):
        [mounted] = [v for v in recorder[CONTAINER, name].inputs["volumes"] if v["containerPath"] == "/config"]
        assert mounted == {
            "volumeName": f"nervous-test-{name}-config",
            "containerPath": "/config",
            "readOnly": True,
        }


def test_a_loader_is_the_services_own_image_or_a_shell_with_the_group_of_the_service() -> None:
    recorder = everything()
    for name, loader in one_shot(recorder, "loader").items():
        service = recorder[CONTAINER, name].inputs
        has_shell = descriptions.describe(name, settings_of(EVERYTHING, secrets=SECRETS)).tools
        assert loader.inputs["image"] == (service["image"] if has_shell else settings_of().image("busybox"))
        assert loader.inputs["user"].split(":")[1] == service["user"].split(":")[1]


def test_a_loader_is_waited_for_but_not_forever() -> None:
    for loader in one_shot(everything(), "loader").values():
        assert (loader.inputs["attach"], loader.inputs["logs"]) == (True, True)
        assert loader.options.customTimeouts.create == "2m"


def test_a_loader_validates_before_it_writes_into_the_volume() -> None:
    validators = {
        "prometheus": "promtool check config",
        "alertmanager": "amtool check-config",
        "socket_proxy": "haproxy -c",
    }
    for name, validator in validators.items():
        loader = everything()[CONTAINER, f"{name}-loader"].inputs
        assert loader["entrypoints"] == ["/bin/sh", "-c"]
        [script] = loader["command"]
        assert script.startswith("set -e")
        assert 0 < script.index(validator) < script.index('cp -r /incoming "$new"')


def test_the_service_starts_after_its_loader() -> None:
    recorder = everything()
    for name in one_shot(recorder, "loader"):
        dependencies = recorder[CONTAINER, name].options.dependencies
        assert any(urn.endswith(f"::{name}-loader") for urn in dependencies), name


def test_the_users_own_rules_are_loaded_beside_ours() -> None:
    files = uploaded(another()[CONTAINER, "prometheus-loader"].inputs)
    assert files["/incoming/rules/own-shop.yml"] == RULES
    assert "/incoming/rules/host.yml" in files


def test_the_component_shows_the_texts_for_a_readable_diff() -> None:
    recorder = everything()
    for name, loader in one_shot(recorder, "loader").items():
        files = recorder[f"{PROJECT}:index:ConfigFiles", name].inputs["files"]
        judged = one_shot(recorder, "validator").get(name, loader)
        assert files == {path.removeprefix("/incoming/"): text for path, text in uploaded(judged.inputs).items()}


def test_a_changed_file_changes_the_loader_and_leaves_the_service_alone() -> None:
    before, after = default(), stacks({"alerts": {"thresholds": {"cpu": 70}}})
    changed = {(r.typ, r.name) for r in before.resources if r.inputs != after[r.typ, r.name].inputs}
    assert changed == {
        (f"{PROJECT}:index:ConfigFiles", "prometheus"),
        (CONTAINER, "prometheus-loader"),
        (COMMAND, "prometheus"),
    }


@pytest.mark.parametrize(
    ("code", "log", "words"),
    [
        (1, "bad_expression", r"(?s)prometheus: its validator refuses.*bad_expression"),
        (128, None, r"did not run to its end \(exit code 128\).*`make up` runs it again:\n$"),
        (137, "half a word", r"(?s)did not run to its end \(exit code 137\).*half a word"),
    ],
    ids=["refused", "never started", "killed"],
)
def test_files_that_were_not_accepted_stop_the_update_with_the_reason(code: int, log: str | None, words: str) -> None:
    def refuse(args: MockResourceArgs) -> Mapping[str, Any]:
        return {"exitCode": code, "containerLogs": log} if args.name == "prometheus-loader" else {}

    recorder = Recorder(refuse)
    with pytest.raises(pulumi.RunError, match=words):
        stacks(recorder=recorder)
    assert "prometheus" not in recorder.of_type(CONTAINER)
    assert "prometheus" not in recorder.of_type(COMMAND)


# What a storage needs.


def test_jaeger_starts_when_its_storage_is_well() -> None:
    for recorder, storage in ((everything(), "elasticsearch"), (instead(), "opensearch")):
        for service in ("jaeger", "jaeger_es_index_cleaner"):
            waits_for = recorder[CONTAINER, service].options.dependencies
            assert any(urn.endswith(f"{COMMAND}::{storage}") for urn in waits_for)


@pytest.mark.parametrize(("service", "folder"), [("otel_collector", "/var/lib/otelcol"), ("jaeger", "/badger")])
def test_a_volume_for_a_folder_that_the_image_lacks_is_handed_over_by_the_loader(service: str, folder: str) -> None:
    loader = default()[CONTAINER, f"{service}-loader"].inputs
    assert {"volumeName": f"nervous-test-{service}", "containerPath": folder} in loader["volumes"]
    assert f"chgrp 10001 {folder}; chmod 0770 {folder}; " in loader["command"][0]


def test_a_loader_touches_no_other_data() -> None:
    for name, loader in one_shot(everything(), "loader").items():
        if name not in {"otel_collector", "caddy", "healer", "long_term"}:
            assert "chgrp" not in loader.inputs["command"][0]


def test_the_cleaner_runs_a_script_of_ours_by_the_shell_of_its_image() -> None:
    cleaner = everything()[CONTAINER, "jaeger_es_index_cleaner"].inputs
    assert (cleaner["entrypoints"], cleaner["command"]) == (["/bin/sh"], ["/config/current/clean.sh"])


# Activation.


@pytest.mark.parametrize("service", SERVICES)
def test_activation_is_ordered_in_words_it_understands(service: str) -> None:
    recorder = everything() if service in running(everything()) else instead()
    parsed = Order(**order(recorder, service))
    assert parsed.container == f"id-of-{service}"
    assert parsed.revision == (f"id-of-{service}-loader" if service in one_shot(recorder, "loader") else None)
    assert parsed.docker["host"] == "unix:///var/run/docker.sock"
    assert parsed.grace_seconds == recorder[CONTAINER, service].inputs["destroyGraceSeconds"]
    health = recorder[CONTAINER, service].inputs.get("healthcheck")
    assert list(parsed.health) == (health["tests"][1:] if health else [])


def test_activation_comes_after_the_container_and_has_an_end() -> None:
    for name, command in everything().of_type(COMMAND).items():
        assert any(urn.endswith(f"{CONTAINER}::{name}") for urn in command.options.dependencies)
        assert command.options.customTimeouts.create
        assert command.options.customTimeouts.update


@pytest.mark.parametrize(
    ("printed", "preview", "warned"),
    [("not marked yet", False, ["not marked yet"]), ("not marked yet", True, []), ("", False, [])],
    ids=["a deployment that is not marked", "a preview after it", "a deployment that is marked"],
)
def test_the_program_itself_shows_that_a_deployment_is_not_marked(
    monkeypatch: pytest.MonkeyPatch, printed: str, warned: list[str], *, preview: bool
) -> None:
    """What a command prints is on the screen only while it runs."""
    warnings: list[str] = []
    monkeypatch.setattr(pulumi, "warn", lambda words, _: warnings.append(words))
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    deploy(lambda: annotation((), settings_of()).stderr, Recorder(lambda _: {"stderr": printed}))
    assert warnings == warned


def test_activation_is_run_again_without_being_replaced() -> None:
    """Triggers would replace it; its environment updates it, which runs `create` again."""
    for command in everything().of_type(COMMAND).values():
        assert not command.inputs.get("triggers")
        assert "delete" not in command.inputs


# Secrets.

VAULTS = {"alertmanager", "loki", "grafana", "prometheus", *(name for name, row in ROWS.items() if row.login)}


def test_there_is_a_vault_where_there_are_secrets_and_only_there() -> None:
    assert set(one_shot(everything(), "vault")) == VAULTS
    assert not one_shot(stacks(EVERYTHING), "vault")


def test_no_secret_shows_in_any_input_of_any_resource() -> None:
    recorder = everything()
    assert [r.name for r in recorder.resources if any(SECRET_TEXT in text for text in texts_in(r.inputs))] == []


def test_only_vaults_hold_secrets_so_that_everything_else_shows_its_diff() -> None:
    holders = {
        (r.name, key) for r in everything().resources for key, value in r.inputs.items() if "'4dabf18" in repr(value)
    }
    assert holders == {(f"{name}-vault", "uploads") for name in VAULTS}


def test_a_vault_never_runs_and_holds_what_the_service_reads() -> None:
    for name, vault in one_shot(everything(), "vault").items():
        assert vault.inputs["start"] is False
        assert is_secret(vault.inputs["uploads"])
        uploads = revealed(vault.inputs["uploads"])
        assert uploads, name
        assert all(SECRET_TEXT.split(":")[0] in upload["content"] for upload in uploads)
        assert all(upload["file"].startswith("/vault/") for upload in uploads)


@pytest.mark.parametrize("role", ["vault", "validator"])
def test_only_the_loader_sees_the_files_of_its_vault_and_its_validator_and_may_only_read_them(role: str) -> None:
    users = {
        (name, volume["fromContainer"])
        for name, c in everything().of_type(CONTAINER).items()
        for volume in c.inputs.get("volumes", [])
        if f"-{role}:" in volume.get("fromContainer", "")
    }
    wanted = one_shot(everything(), role)
    assert users == {(f"{name}-loader", f"id-of-{name}-{role}:ro") for name in wanted}
    assert wanted


def test_a_changed_secret_changes_its_vault_and_nothing_else() -> None:
    """The new vault has another id, which makes a new loader, whose id is the new revision.

    It also says that the same settings make the same resources.
    """
    one, other = everything(), stacks(EVERYTHING, with_secrets=True, secret="another:one")
    changed = {(r.typ, r.name) for r in one.resources if r.inputs != other[r.typ, r.name].inputs}
    assert changed == {(CONTAINER, f"{name}-vault") for name in VAULTS}
