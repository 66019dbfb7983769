"""Changes: what happens in place, what is replaced, what comes back by itself, and what is refused."""

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.sizes import MIB
from engine.docker_api import execute
from tests.e2e import backups
from tests.support.deployment import Deployment
from tests.support.processes import kill_session
from tests.support.wait import until


def identities(stack: Deployment) -> dict[str, tuple[str, str]]:
    """Service → its container, and when that was started."""
    return {service: (str(stack.container(service).id), stack.started(service)) for service in stack.settings.services}


def running(stack: Deployment, service: str) -> bool:
    return str(stack.container(service).status) == "running"


def oldest_sample(stack: Deployment) -> float:
    """When the oldest sample was scraped that Prometheus still has of itself."""
    return float(until(lambda: stack.query('up{job="prometheus"}[1h]'))[0]["values"][0][0])


# In place, or replaced


def test_memory_is_changed_in_place_and_prometheus_follows(stack: Deployment) -> None:
    before = identities(stack)
    stack.config["memory"] = {**stack.config["memory"], "prometheus": "288MiB"}
    stack.up()
    assert identities(stack) == before
    host = stack.container("prometheus").attrs["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 288 * MIB

    def own_limit() -> bool:
        limit: int = stack.get("prometheus", "/api/v1/status/runtimeinfo")["data"]["GOMEMLIMIT"]
        return limit == int(288 * MIB * 0.85)

    until(own_limit)


@pytest.mark.whatever_was_set
def test_another_image_replaces_its_own_container_only_and_keeps_the_data(stack: Deployment) -> None:
    before, oldest = stack.containers(), oldest_sample(stack)
    tag = f"nervous-system/{stack.prefix}:other"
    assert stack.client.images.get(stack.settings.image("prometheus")).tag(tag)
    try:
        stack.config["images"] = {**stack.config["images"], "prometheus": tag}
        stack.up()
        after = stack.containers()
        changed = {name.removeprefix(f"{stack.prefix}-") for name in before if after[name] != before[name]}
        assert changed == {"prometheus", "prometheus-loader"}  # the validator is the new image's too
        assert stack.container("prometheus").attrs["Config"]["Image"] == tag
        assert oldest_sample(stack) == oldest
    finally:
        stack.client.images.remove(tag, noprune=True)


# Comes back


def test_containers_that_were_stopped_and_killed_by_hand_come_back(stack: Deployment) -> None:
    before = stack.containers()
    stack.live = None
    stack.container("alertmanager").stop(timeout=10)
    stack.container("node_exporter").kill()
    until(lambda: not running(stack, "alertmanager") and not running(stack, "node_exporter"))
    stack.up("--refresh")
    assert running(stack, "alertmanager")
    assert running(stack, "node_exporter")
    after = stack.containers()
    # A stopped container shows no published ports, which looks like a change of them: it is replaced.
    assert {name for name in before if before[name] != after[name]} <= {f"{stack.prefix}-alertmanager"}


def test_a_service_whose_process_dies_is_started_again_by_the_engine(stack: Deployment) -> None:
    before = stack.container("node_exporter")
    stack.crash("node_exporter")
    until(lambda: stack.container("node_exporter").attrs["RestartCount"] == 1)
    until(lambda: running(stack, "node_exporter"))
    assert stack.container("node_exporter").id == before.id
    assert stack.started("node_exporter") > before.attrs["State"]["StartedAt"]


def test_make_up_sets_damaged_data_aside_and_tells(stack: Deployment) -> None:
    stack.config["grafana"] = {"enabled": False}  # its password would be made up, and it deployed
    stack.write()
    stack.live = None
    backups.silence(stack, "stays")
    service, damaged = stack.container("alertmanager"), b"damaged by a power cut"
    service.stop(timeout=10)
    assert service.put_archive("/alertmanager", packed("nflog", damaged))
    service.start()
    until(lambda: stack.container("alertmanager").attrs["RestartCount"])
    printed = stack.operate("up")
    assert "alertmanager could not read nflog in its volume: it is set aside as .damaged-" in printed
    assert "all kept" in printed
    stack.live = stack.fingerprint()
    assert execute(service, ["sh", "-c", "cat /alertmanager/nflog.damaged-*"]) == (0, damaged.decode())
    assert backups.silences(stack) == ["stays"]


def packed(name: str, content: bytes) -> bytes:
    """An archive of one file."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


# Refused before anything is touched


def mistakes_in_many_keys(config: dict[str, Any]) -> None:
    config["metrics"] = {**config["metrics"], "retention": {"time": "30m", "size": "512MiB"}, "scrape_intervall": "2s"}
    config["publish"] = {"prometheus": "127.0.0.1:9090", "alertmanager": "127.0.0.1:9090"}
    config["slack_webhook"] = "https://hooks.slack.example/in-clear"
    config["exporters"] = {"mongodb": {"uri": "mongodb://user:hunter2@db:27017"}}
    config["prefix"] = "Not A Name"


def over_the_ceiling(config: dict[str, Any]) -> None:
    config["memory"] = {"ceiling": "512MiB", "prometheus": "256MiB"}


def rule_file_that_is_not_there(config: dict[str, Any]) -> None:
    config["alerts"] = {"rule_files": ["nowhere.yml"]}


def rule_file_that_prometheus_would_not_load(config: dict[str, Any]) -> None:
    config["alerts"] = {"rule_files": ["own.json"]}


REFUSED = [
    (
        mistakes_in_many_keys,
        [
            "metrics.retention.time: 30m is shorter than 1h",
            "metrics.scrape_intervall: unknown key; did you mean scrape_interval?",
            "publish.alertmanager and publish.prometheus both want port 9090",
            "slack_webhook: is a secret: store it with  pulumi config set --secret slack_webhook",
            "exporters.mongodb.uri: contains a user or password",
            "prefix: String should match pattern",
        ],
    ),
    (over_the_ceiling, ["memory.ceiling: the limits add up to ", " MiB, the ceiling is 512 MiB"]),
    (rule_file_that_is_not_there, ["alerts.rule_files: nowhere.yml: No such file or directory"]),
    (
        rule_file_that_prometheus_would_not_load,
        ["alerts.rule_files: own.json: does not end with .yml, .yaml, .rules: rename it to own.yml"],
    ),
]


@pytest.mark.whatever_was_set
@pytest.mark.parametrize(("mistake", "messages"), REFUSED, ids=[mistake.__name__ for mistake, _ in REFUSED])
def test_wrong_settings_are_refused_by_key_and_nothing_is_touched(
    mistake: Any, messages: list[str], stack: Deployment
) -> None:
    before, containers, live = identities(stack), stack.containers(), stack.live
    good = dict(stack.config)
    mistake(stack.config)
    printed = stack.up(fails=True)
    stack.config = good
    stack.write()
    stack.live = live
    for message in messages:
        assert message in printed
        assert f"Pulumi.{stack.stack}.yaml: nervous-system:" in printed
    assert "Traceback" not in printed
    assert "hunter2" not in printed
    assert identities(stack) == before
    assert stack.containers() == containers


@pytest.fixture
def second(stack: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """A stack of its own, with nothing in it."""
    config = {**stack.config, "prefix": f"{stack.prefix}-second"}
    deployment = Deployment.create(tmp_path, "second", stack.client, stack.environment, config)
    yield deployment
    deployment.remove()


@pytest.mark.whatever_was_set
def test_an_engine_that_does_not_answer_is_named(second: Deployment) -> None:
    second.config["docker"] = {"host": "unix:///nonexistent.sock"}
    printed = second.up(fails=True)
    assert "Pulumi.second.yaml: nervous-system:docker.host: " in printed
    diagnostics = printed.partition("Diagnostics:")[2]
    assert diagnostics.count("unix:///nonexistent.sock") == 1  # and not once for each resource
    assert "Traceback" not in printed
    assert not second.pulumi("stack", "--show-urns").count("docker:")  # the state knows nothing of that engine
    del second.config["docker"]
    second.write()


@pytest.mark.whatever_was_set
def test_the_policy_pack_lets_the_program_itself_pass(stack: Deployment) -> None:
    printed = stack.preview("--policy-pack", "policies")
    assert "nervous-system" in printed
    assert "mandatory" not in printed.lower()


PROGRAM = """\
import pulumi
import pulumi_docker as docker

engine = pulumi.ResourceOptions(provider=docker.Provider("engine", host="{host}"))
docker.Volume("kept", name="{prefix}-kept", opts=engine)
docker.Container(
    "idle", name="{prefix}-idle", image="{image}", entrypoints=["sleep", "60"], {limits}restart="always",
    log_driver="local", healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "pgrep", "sleep"]), opts=engine,
)
"""


@pytest.mark.whatever_was_set
def test_the_policy_pack_blocks_a_container_without_a_limit_before_anything_is_touched(second: Deployment) -> None:
    def program(limits: str) -> str:
        settings = second.settings
        return PROGRAM.format(
            host=settings.docker.host, prefix=settings.prefix, image=settings.image("node_exporter"), limits=limits
        )

    main = second.folder / "__main__.py"
    main.write_text(program(limits=""))
    printed = second.pulumi("up", "--yes", "--policy-pack", "policies", fails=True)
    assert "container idle: it has no hard memory limit" in printed
    assert "memory-limit" in printed
    assert second.containers() == {}
    assert not second.client.volumes.list(filters={"name": f"{second.prefix}-kept"})

    main.write_text(program(limits="memory=16, memory_swap=16, "))
    assert "mandatory" not in second.pulumi("preview", "--policy-pack", "policies")


# Goes wrong on the way


@pytest.mark.whatever_was_set
def test_a_service_that_is_not_well_fails_the_update_until_it_is(stack: Deployment) -> None:
    good = stack.settings.image("node_exporter")
    broken = f"nervous-system/{stack.prefix}:broken"
    recipe = f'FROM {good}\nENTRYPOINT ["/bin/sh", "-c", "echo words of the broken image >&2; exit 3"]\n'
    stack.client.images.build(fileobj=io.BytesIO(recipe.encode()), tag=broken, rm=True)
    before = stack.containers()
    try:
        stack.config["images"] = {**stack.config["images"], "node_exporter": broken}
        for _ in range(2):  # waiting does not make it green
            printed = stack.up(fails=True)
            assert f"{stack.prefix}-node_exporter keeps restarting; its log:" in printed
            assert "words of the broken image" in printed
        stack.config["images"] = {**stack.config["images"], "node_exporter": good}
        stack.up()
    finally:
        if stack.container("node_exporter").attrs["Config"]["Image"] != broken:
            stack.client.images.remove(broken, noprune=True)
    after = stack.containers()
    assert {name for name in before if before[name] != after[name]} == {f"{stack.prefix}-node_exporter"}


def test_an_update_that_was_killed_while_files_are_loaded_can_be_finished(stack: Deployment) -> None:
    loader = f"{stack.prefix}-prometheus-loader"
    stack.config["alerts"] = {"thresholds": {"cpu": 71}}
    stack.write()
    stack.live = None
    before = identities(stack)
    since = int(time.time())
    update = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", stack.stack, "--non-interactive"],
        cwd=stack.folder,
        env=dict(stack.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        events = stack.client.events(
            since=since, until=since + 60, decode=True, filters={"container": loader, "event": "start"}
        )
        assert next(iter(events), None), "the loader was never started"
    finally:
        kill_session(update)
    assert identities(stack) == before

    printed = stack.up(fails=True)
    assert "pulumi cancel" in printed  # the CLI's own words name the way out
    stack.pulumi("cancel", "--yes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    # The state knew the loader's creation only as begun; the engine holds its name.
    printed = stack.up(fails=True)
    assert f'The container name "/{loader}" is already in use' in printed
    stack.client.containers.get(loader).remove(force=True, v=True)
    stack.up()
    assert str(stack.rules()["HostCpuHigh/warning"]["query"]).endswith("> 0.71")
    assert identities(stack) == before
    assert not json.loads(stack.state())["deployment"].get("pending_operations")
