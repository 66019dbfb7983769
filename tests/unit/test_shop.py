"""The shop: what its program declares, and what its images follow."""

import json
import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest

from operate import shop as toolchain_shop
from policies.judges.image_pins import BUILT_HERE
from tests.support.program import CONTAINER, PROJECT, SECRET_TEXT, Recorder, deploy, is_secret, settings_of, texts_in
from toolchain.images import shop as shop_images

SERVICES = ("gateway", "auth", "users", "products", "orders")
STORES = ("nginx", "postgres", "redis")

ENGINE = {"host": "ssh://deploy@vps.example", "certificates": "~/tls", "ssh_options": ["-oBatchMode=yes", "-oUser=a b"]}


@cache
def shop() -> Recorder:
    """All that the shop's program declares."""
    config = {
        "docker": json.dumps(ENGINE),
        "prefix": "test-shop",
        "network": "nervous-test",
        "otlp": "http://otel_collector:4318",
        "listen": "127.0.0.1:8090",
        "faults": "true",
        "images": json.dumps({name: f"nervous-system/{name}:1" for name in (*SERVICES, *STORES)}),
        "database_password": SECRET_TEXT,
    }

    def program() -> None:
        pulumi.runtime.set_all_config(
            {f"{PROJECT}:{key}": text for key, text in config.items()}, [f"{PROJECT}:database_password"]
        )
        runpy.run_path(str(shop_images.FOLDER / "__main__.py"), run_name="__main__")

    return deploy(program)


def declared(name: str) -> dict[str, Any]:
    """A container's inputs."""
    return dict(shop()[CONTAINER, name].inputs)


def labels(name: str) -> dict[str, str]:
    return {label["label"]: label["value"] for label in declared(name)["labels"]}


ELSEWHERE = {
    "ssh": (
        {"host": "ssh://deploy@vps.example", "ssh": {"key": "~/.ssh/key", "known_hosts": "hosts/known"}},
        {"-oIdentityFile=~/.ssh/key", "-oUserKnownHostsFile=../../hosts/known", "-oStrictHostKeyChecking=yes"},
        None,
    ),
    "tls": ({"host": "tcp://vps.example:2376", "certificates": "tls/prod"}, set(), "../../tls/prod"),
    "tls, elsewhere": ({"host": "tcp://vps.example:2376", "certificates": "/etc/tls"}, set(), "/etc/tls"),
    "here": ({}, set(), None),
}


@pytest.mark.parametrize(("docker", "options", "certificates"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_make_shop_reaches_the_engine_as_the_stack_does_from_its_own_folder(
    docker: dict[str, Any], options: set[str], certificates: str | None
) -> None:
    settings = settings_of({"docker": docker})
    config = toolchain_shop.config(settings, {"nginx": "nginx:1"}, "")
    assert config["docker.host"] == settings.docker.host
    assert config.get("docker.certificates") == certificates
    ssh_options = [value for key, value in config.items() if key.startswith("docker.ssh_options[")]
    assert options <= set(ssh_options)
    assert len(ssh_options) == len(settings.docker.ssh_options)


def test_its_program_tells_the_provider_all_of_it() -> None:
    inputs = shop()["pulumi:providers:docker", "engine"].inputs
    assert inputs["host"] == ENGINE["host"]
    assert json.loads(inputs["sshOpts"]) == ENGINE["ssh_options"]
    assert inputs["certPath"] == str(Path.home() / "tls")


@pytest.mark.parametrize("name", [*SERVICES, *STORES])
def test_every_container_is_limited_watched_and_called_as_its_service(name: str) -> None:
    inputs = declared(name)
    assert inputs["name"] == f"test-shop-{name}"
    assert inputs["memory"] == inputs["memorySwap"] > 0
    assert inputs["healthcheck"]["tests"][0] == "CMD"
    assert inputs["logOpts"] == {"max-size": "10m", "max-file": "3"}
    assert labels(name)["observability.service"] == name
    assert [network["name"] for network in inputs["networksAdvanced"]] == ["nervous-test"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_one_name_in_traces_metrics_and_logs(name: str) -> None:
    assert f"OTEL_SERVICE_NAME={name}" in declared(name)["envs"]
    assert labels(name) == {
        "observability.service": name, "observability.scrape": "true", "observability.port": "8000",
    }  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_who_has_no_metrics_is_not_scraped(name: str) -> None:
    assert "observability.scrape" not in labels(name)


def test_only_nginx_listens_on_the_host_and_on_loopback() -> None:
    ports = {name: inputs["ports"] for name in (*SERVICES, *STORES) if (inputs := declared(name)).get("ports")}
    assert ports == {"nginx": [{"internal": 8080, "external": 8090, "ip": "127.0.0.1"}]}


def test_the_password_goes_as_a_secret_to_those_who_need_it_and_shows_nowhere() -> None:
    with_password = {
        name for name in (*SERVICES, *STORES) if is_secret(declared(name).get("uploads"))
        or any(is_secret(upload["content"]) for upload in declared(name).get("uploads") or ())
    }  # fmt: skip
    assert with_password == {"postgres", "users", "products", "orders"}
    for name in (*SERVICES, *STORES):
        assert not [text for text in texts_in(declared(name)) if SECRET_TEXT in text]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_short_enough_to_be_read(name: str) -> None:
    (source,) = (path for path in (shop_images.FOLDER / name).iterdir() if path.stem == "main")
    assert len(source.read_text().splitlines()) < 150


@pytest.mark.parametrize("name", ["auth", "users", "products"])
def test_a_changed_line_packs_the_image_of_a_script_anew_and_installs_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = shop_images.SERVICES[name]()
    for part in (*SERVICES, "telemetry", "faults"):
        (tmp_path / part).mkdir()
        for file in (shop_images.FOLDER / part).iterdir():
            if file.is_file():
                (tmp_path / part / file.name).write_text(file.read_text() + "\n")
    for pins in ("requirements.txt", "package.json", "package-lock.json"):
        (tmp_path / pins).write_text((shop_images.FOLDER / pins).read_text())
    monkeypatch.setattr(shop_images, "FOLDER", tmp_path)
    after = shop_images.SERVICES[name]()
    assert after.files.keys() == before.files.keys()
    assert after.files != before.files
    assert [path.read_bytes() for path in after.source.made_from] == [p.read_bytes() for p in before.source.made_from]  # type: ignore[union-attr] # it is assembled


def test_what_is_built_here_is_known_to_the_policies_as_built_here() -> None:
    assert re.fullmatch(BUILT_HERE, "nervous-system/shop-gateway:example-345197f31cb8")
    assert not re.fullmatch(BUILT_HERE, "nervous-system/shop-gateway:latest")
