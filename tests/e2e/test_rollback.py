"""A service of the real Docker Compose on a real engine is rolled back by `rollback_door`: what runs then is what ran before,
and whatever goes wrong leaves what was deployed."""

import contextlib
import json
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from docker import DockerClient
from docker.errors import ImageNotFound

from bench import compose
from config.images import pins
from config.services.correlation.incidents.program import recreation, rollback
from config.services.correlation.incidents.program.engine import Engine
from config.services.correlation.incidents.program.rollback_door import PATH, RollbackDoor
from tests.support.ports import free_port
from tests.support.wait import until
from toolchain import golang

SOCKET = "/var/run/docker.sock"
PLUGINS = [Path(root) / "docker/cli-plugins/docker-compose" for root in ("/usr/libexec", "/usr/lib", "/usr/local/lib")]
PASSWORD = "hunter2-of-the-shop"
SERVE = """\
test "$VERSION" = 1.8 || test ! -e /data/migrated || exit 3
mkdir -p /tmp/www && echo $VERSION > /tmp/www/version && exec httpd -f -p 8080 -h /tmp/www"""


class Shop:
    """A Compose project with one service, whose image has versions."""

    def __init__(self, client: DockerClient, busybox: str, folder: Path) -> None:
        self.client, self.folder, self.name = client, folder, f"rollback{secrets.token_hex(3)}"
        self.port, self.container = free_port(), f"{self.name}-orders-1"
        (folder / "conf").mkdir()
        for version in ("1.7", "1.8"):
            command = json.dumps(["sh", "-c", SERVE])
            lines = [f"FROM {busybox}", f"ENV VERSION={version}", f"LABEL version={version}", f"CMD {command}"]
            lines += ["EXPOSE 8080", "WORKDIR /data", *(["STOPSIGNAL SIGKILL"] if version == "1.8" else [])]
            client.images.build(fileobj=BytesIO("\n".join(lines).encode()), tag=self.image(version), rm=True)

    def image(self, version: str) -> str:
        return f"{self.name}:{version}"

    def deploy(self, version: str, **differs: Any) -> None:
        """As a user does: the file is changed, and Compose runs."""
        networks = {"default": {"aliases": ["the-orders"]}, "back": {"ipv4_address": "198.19.254.9"}}
        check = {"test": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/version"], "interval": "1s"}
        orders = {
            "image": self.image(version),
            "environment": {"PASSWORD": PASSWORD, "MODE": "shop"},
            "volumes": ["data:/data", "/cache", "./conf:/conf:ro"],
            "networks": networks,
            "ports": [f"127.0.0.1:{self.port}:8080"],
            "healthcheck": {**check, "retries": 3},
            "restart": "unless-stopped",
            "cap_drop": ["ALL"],
            "read_only": True,
            "tmpfs": ["/tmp:mode=1777"],  # noqa: S108 - in a container
            "mem_limit": "32m",
            "stop_grace_period": "1s",
            "labels": {"shop": "yes"},
            **differs,
        }
        back = {"ipam": {"config": [{"subnet": "198.19.254.0/28"}]}}
        document = {"services": {"orders": orders}, "networks": {"back": back}, "volumes": {"data": {}}}
        (self.folder / "compose.yaml").write_text(yaml.safe_dump(document))
        self.run("up", "--detach", "--wait")

    def run(self, *arguments: str) -> None:
        there = [plugin for plugin in PLUGINS if plugin.exists()]  # else it takes minutes to build, once
        program = there[0] if there else golang.tool("docker_compose", compose.PACKAGE)
        command = [str(program), "-p", self.name, *arguments]
        result = subprocess.run(command, cwd=self.folder, check=False, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr

    @property
    def description(self) -> dict[str, Any]:
        attributes: dict[str, Any] = self.client.containers.get(self.container).attrs
        return attributes

    @property
    def serves(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.port}/version", timeout=5).content.decode().strip()

    def says(self, command: str) -> str:
        code, output = self.client.containers.get(self.container).exec_run(["sh", "-c", command])
        assert code == 0, output
        assert isinstance(output, bytes)
        return output.decode()

    @property
    def names(self) -> set[str]:
        return {str(one.name) for one in self.client.containers.list(all=True) if self.name in str(one.name)}

    def remove(self) -> None:
        for name in self.names:
            self.client.containers.get(name).remove(force=True, v=True)
        self.run("down", "--volumes")
        for version in ("1.7", "1.8"):
            with contextlib.suppress(ImageNotFound):  # one test removes it itself
                self.client.images.remove(self.image(version), force=True)


@pytest.fixture
def shop(client: DockerClient, local_images: Mapping[str, str], tmp_path: Path) -> Iterator[Shop]:
    project = Shop(client, local_images.get("busybox", pins()["busybox"].reference), tmp_path)
    try:
        yield project
    finally:
        project.remove()


Deployed = Callable[..., RollbackDoor]


@pytest.fixture
def deployed(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """Deploys 1.7, which has run for long, and then 1.8; the door that has seen both."""

    def deploy(*, dry_run: bool = False, **differs: Any) -> RollbackDoor:
        shop.deploy("1.7")
        shop.says("echo kept > /cache/kept")
        door = knock(shop, tmp_path, dry_run=dry_run)
        with monkeypatch.context() as patch:
            patch.setattr(rollback, "SETTLED", 0)
            door.look()
        shop.deploy("1.8", **differs)
        assert shop.serves == "1.8"
        return door

    return deploy


def knock(shop: Shop, folder: Path, *, dry_run: bool = False) -> RollbackDoor:
    file = folder / "rollbacks.json"
    file.write_text(json.dumps({"rollbacks": [{"container": shop.container, "dry_run": dry_run}]}))
    return RollbackDoor(file, Engine(SOCKET))


def request(door: RollbackDoor, shop: Shop, method: str = "POST") -> tuple[int, dict[str, Any]]:
    return door.answer(method, PATH + shop.container, has_a_body=False)


def made_with(description: Mapping[str, Any]) -> dict[str, Any]:
    """What a container was made with, as the engine tells it, but for what differs from one deployment to the next."""
    config, host, own = dict(description["Config"]), dict(description["HostConfig"]), description["Id"][:12]
    labels = {key: text for key, text in config.pop("Labels").items() if key not in recreation._OF_ONE_DEPLOYMENT}
    networks = {
        name: (sorted({*endpoint["Aliases"]} - {own}), endpoint["IPAMConfig"] or None)
        for name, endpoint in description["NetworkSettings"]["Networks"].items()
    }
    assert config.pop("Hostname") == own
    mounts = sorted((one.get("Name") or one["Source"], one["Destination"], one["RW"]) for one in description["Mounts"])
    env = sorted(config.pop("Env"))
    same = {name: value for name, value in host.items() if name not in {"Binds", "Mounts"}}
    config.pop("Volumes")
    return {"config": config, "env": env, "labels": labels, "host": same, "networks": networks, "mounts": mounts}


def test_what_ran_before_runs_again_and_the_next_deployment_brings_what_its_file_says(
    shop: Shop, deployed: Deployed
) -> None:
    shop.deploy("1.7")
    before = made_with(shop.description)
    door = deployed()
    assert request(door, shop, "GET")[0] == 200
    status, answer = request(door, shop)
    assert (status, answer["image"], answer["instead_of"]) == (200, shop.image("1.7"), shop.image("1.8")), answer
    assert PASSWORD not in json.dumps(answer)
    assert shop.serves == "1.7"
    assert made_with(shop.description) == before
    assert shop.says("cat /cache/kept") == "kept\n"  # the volume without a name
    assert shop.names == {shop.container}

    assert request(door, shop) == (409, {"message": "what runs is rolled back already"})
    shop.run("up", "--detach", "--wait")  # the file says 1.8
    assert shop.serves == "1.8"
    assert shop.names == {shop.container}


def test_an_earlier_image_that_does_not_become_well_leaves_what_was_deployed(shop: Shop, deployed: Deployed) -> None:
    door = deployed()
    newer = shop.description["Id"]
    shop.says("touch /data/migrated")  # the new version has changed the data, and the old one cannot read it
    status, answer = request(door, shop)
    assert status == 500
    assert answer["message"].startswith("the earlier image ")
    assert answer["message"].endswith("; what ran runs again")
    assert shop.names == {shop.container}
    assert shop.description["Id"] == newer
    until(lambda: shop.serves == "1.8")


def test_a_deployment_that_changed_more_than_the_image_is_left_to_people(shop: Shop, deployed: Deployed) -> None:
    door = deployed(environment={"PASSWORD": "another"})
    newer = shop.description["Id"]
    assert request(door, shop) == (409, {"message": "the last deployment has changed more than its image"})
    assert shop.description["Id"] == newer


def test_nothing_is_rolled_back_without_its_image_without_leave_or_after_half_an_hour(
    shop: Shop, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = deployed(dry_run=True)
    assert request(door, shop, "GET")[0] == 200
    assert request(door, shop)[0] == 403
    shop.client.images.remove(shop.image("1.7"), force=True)
    status, answer = request(door, shop, "GET")
    assert (status, "is no longer on this host" in answer["message"]) == (409, True)
    monkeypatch.setattr(rollback, "SETTLED", 0)
    assert request(door, shop, "GET")[1]["message"] == "no deployment of the last half hour made this container"


@pytest.mark.parametrize("at", ["/rename", "/start"])
def test_a_roll_back_that_was_killed_is_undone_at_the_next_start(
    shop: Shop, deployed: Deployed, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = deployed()
    newer, post = shop.description["Id"], Engine.post

    def killed(engine: Engine, path: str, *arguments: Any, **more: Any) -> Any:
        if path.endswith(at):
            raise KeyboardInterrupt
        return post(engine, path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "post", killed)
        with pytest.raises(KeyboardInterrupt):
            request(door, shop)
    assert len(shop.names) == 2
    knock(shop, tmp_path).look()
    assert shop.names == {shop.container}
    assert shop.description["Id"] == newer
    until(lambda: shop.serves == "1.8")
