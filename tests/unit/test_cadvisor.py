"""cAdvisor's flags and windows. What becomes of its series: test_scrape.py."""

import re

import pytest
import yaml

from config import service_names
from config.container import Mount
from config.services.metrics.cadvisor import container
from tests.support.program import EVERYTHING, config_of, settings_of


def flags(interval: str = "15s") -> dict[str, str]:
    config = {"metrics": {"scrape_interval": interval, "scrape_timeout": "5s"}}
    return dict(flag.partition("=")[::2] for flag in container(settings_of(config)).command)


@pytest.mark.parametrize(("interval", "as_go_says_it"), [("15s", "15s"), ("1m", "1m0s")])
def test_it_looks_as_often_as_it_is_scraped(interval: str, as_go_says_it: str) -> None:
    assert flags(interval)["--housekeeping_interval"] == as_go_says_it
    assert flags(interval)["--max_housekeeping_interval"] == as_go_says_it
    assert flags(interval)["--allow_dynamic_housekeeping"] == "false"


def test_only_labels_that_name_a_service_become_labels_of_series() -> None:
    """Any other one would be a series more at each build or restart."""
    assert flags()["--store_container_labels"] == "false"
    names = (*service_names.LABELS, service_names.COOLIFY)
    assert flags()["--whitelisted_container_labels"] == ",".join(names)


GROUPS = {
    "cpu": "cpu",
    "memory": "memory",
    "spec": None,
    "network": "network",
    "fs": "disk",
    "blkio": "diskIO",
    "oom": "oom_event",
    "start": None,
    "creation": None,
    "last": None,
}
"""Second word of a metric's name → the group by which cAdvisor can be told to leave it out; None: it cannot."""


def test_what_the_alerts_read_is_not_turned_off() -> None:
    texts = [text for name, text in config_of("prometheus", settings_of(EVERYTHING)).files.items() if "rules/" in name]
    rules = [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    recorded = {word for rule in rules for word in rule.get("record", "").split(":")}
    read = {name for rule in rules for name in re.findall(r"\bcontainer_(\w+)", rule["expr"])}
    groups = {GROUPS[name.split("_")[0]] for name in read if f"container_{name}" not in recorded}
    assert {"cpu", "memory", "oom_event"} <= groups
    assert not groups & set(flags()["--disable_metrics"].split(","))


def test_it_finds_docker_where_the_host_keeps_it() -> None:
    service = container(settings_of({"docker": {"data_root": "/data/docker"}}))
    assert Mount("/data/docker", "/var/lib/docker") in service.mounts


@pytest.mark.parametrize(
    ("docker", "engine", "containerd"),
    [
        pytest.param({}, "/run/docker.sock", "/run/containerd/containerd.sock", id="as distributions have it"),
        pytest.param(
            {"containerd": "/var/run/docker/containerd/containerd.sock"},
            "/run/docker.sock",
            "/run/docker/containerd/containerd.sock",
            id="Docker brings its own containerd",
        ),
        pytest.param(
            {"host": "unix:///srv/engine/docker.sock", "containerd": "/srv/engine/exec/containerd/containerd.sock"},
            "/srv/engine/docker.sock",
            "/srv/engine/exec/containerd/containerd.sock",
            id="another engine on this host",
        ),
        pytest.param(
            {"host": "ssh://deploy@vps.example"},
            "/run/docker.sock",
            "/run/containerd/containerd.sock",
            id="an engine on another host",
        ),
        pytest.param(
            {"host": "ssh://deploy@vps.example/run/user/1000/docker.sock"},
            "/run/user/1000/docker.sock",
            "/run/containerd/containerd.sock",
            id="an engine without root on another host",
        ),
    ],
)
def test_it_asks_the_engine_of_the_stack_and_its_containerd(
    docker: dict[str, str], engine: str, containerd: str
) -> None:
    service = container(settings_of({"docker": docker}))
    assert f"--docker=unix:///rootfs{engine}" in service.command
    assert f"--containerd=/rootfs{containerd}" in service.command
    assert Mount("/", "/rootfs") in service.mounts


def test_it_sees_the_hosts_sockets_once() -> None:
    """By the host's file system, which it measures; no socket is mounted for it besides."""
    assert {mount.host for mount in container(settings_of()).mounts} == {"/", "/sys", "/var/lib/docker"}


def test_it_hears_of_containers_that_the_kernel_killed() -> None:
    service = container(settings_of())
    assert service.devices == ("/dev/kmsg",)
    assert container(settings_of({"docker": {"kmsg": False}})).devices == ()
    assert "CAP_SYSLOG" in service.capabilities
