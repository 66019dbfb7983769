"""A chosen part of the end-to-end tests on an engine of today (docs/toolchain.md names it and its parts).

The tests are those of the other files, run once more with this file's `deployment`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import yaml

from config.settings import Settings
from engine.preflight import Engine
from tests.e2e import backups
from tests.e2e.test_config_delivery import (  # noqa: F401 - pytest finds them here
    test_an_invalid_rule_file_is_refused_and_the_old_rules_stay_until_a_good_one_comes,
    test_settings_go_live_without_a_restart_or_a_missed_scrape,
)
from tests.e2e.test_deployment import (  # noqa: F401 - as above
    settings,
    test_a_refresh_finds_no_drift,
    test_a_second_up_changes_nothing,
    test_a_service_is_as_hardened_on_the_engine_as_it_is_declared,
    test_only_the_proxy_and_cadvisor_can_open_the_sockets,
    test_ports_are_published_on_loopback_only,
    test_what_runs_is_what_the_settings_name,
)
from tests.support import leftovers, present_engine, small_stack
from tests.support.deployment import Deployment
from tests.support.ports import publish
from tests.support.wait import until
from toolchain import engine_setup, images
from toolchain.images.recipes import RECIPES


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]) -> Iterator[Deployment]:
    """A stack with defaults, put there by `make up`."""
    if os.geteuid() != 0:
        pytest.skip("an engine in namespaces of its own needs root")
    with ExitStack() as cleanup:
        present = cleanup.enter_context(present_engine.running())
        client = engine_setup.connect(present.docker)
        cleanup.callback(client.close)
        names = Settings.model_validate({"environment": "test", "prefix": "any"}).image_names
        built = {name: images.ensure(client, name, RECIPES[name]) for name in names}
        cleanup.enter_context(present.network())
        config = small_stack.config(
            leftovers.new_prefix(),
            built,
            docker={"host": present.docker.host},
            grafana={"enabled": False},
            publish=publish("prometheus", "alertmanager", "loki", "jaeger", "otlp_http"),
        )
        stack = Deployment.create(tmp_path_factory.mktemp("present"), "present", client, environment, config)
        cleanup.callback(stack.remove)
        printed = stack.operate("up")
        print(printed)
        assert "all kept" in printed
        # Where this engine keeps its data and has its containerd, which `make up` has found.
        stack.config["docker"] = yaml.safe_load(stack.file.read_text())["config"][f"{stack.project}:docker"]
        stack.write()
        stack.live = stack.fingerprint()
        yield stack


def test_make_up_finds_where_the_engine_keeps_its_data_and_has_its_containerd(deployment: Deployment) -> None:
    docker = deployment.settings.docker
    folder = Path(docker.socket).parent
    assert (docker.data_root, docker.containerd) == (f"{folder}/data", f"{folder}/exec/containerd/containerd.sock")


def test_the_check_names_the_engine(deployment: Deployment) -> None:
    engine = Engine.ask(deployment.client)
    assert engine.images_in_containerd
    printed = deployment.operate("check")
    assert f"Docker {present_engine.VERSION}, API {engine.api}, images in containerd (overlayfs), cgroup v" in printed
    assert "all kept" in printed


def test_cadvisor_sees_the_containers_whose_images_are_in_containerd(deployment: Deployment) -> None:
    """Every service has its memory, its CPU, its network and its age."""
    wanted = set(deployment.settings.services)

    def measured(name: str) -> bool:
        return wanted <= {sample["metric"].get("service") for sample in deployment.query(f'{name}{{name!=""}}')}

    for name in (
        "container_memory_working_set_bytes",
        "container_cpu_usage_seconds_total",
        "container_network_receive_bytes_total",
        "container_creation_time_seconds",
    ):
        until(partial(measured, name))


def test_a_backup_in_a_folder_brings_everything_back_in_place(deployment: Deployment, tmp_path: Path) -> None:
    backups.there_and_back(deployment, tmp_path)
