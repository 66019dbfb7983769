"""A stack file that cannot be read is refused in one message, whatever is in it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.engines import answers
from toolchain import paths, pulumi_cli
from toolchain.report import ToolchainError
from toolchain.stack import Stack, load_settings


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"config: [", "is no YAML"),
        (b"\xff\xfe\x00", "is no YAML"),
        (b"config: " + b"[" * 5000, "is no YAML"),
        (b"- config\n", "holds no mapping `config:`"),
        (b"config: text\n", "holds no mapping `config:`"),
    ],
    ids=["broken", "not UTF-8", "nested deep", "a list", "a text"],
)
def test_it_names_the_file_and_what_is_wrong(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "Pulumi.prod.yaml").write_bytes(content)
    with pytest.raises(ToolchainError, match=r"Pulumi\.prod\.yaml") as caught:
        load_settings("prod")
    assert words in str(caught.value)


def test_an_empty_one_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "Pulumi.prod.yaml").write_text("")
    assert load_settings("prod").environment == "prod"


def test_a_network_that_the_engine_has_not_is_named_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    monkeypatch.setattr(pulumi_cli, "ensure", lambda: None)
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {'nervous-system:networks': [shop_default, shop, old]}")

    def engine(*names: str) -> Any:
        return SimpleNamespace(networks=SimpleNamespace(list=lambda: [SimpleNamespace(name=name) for name in names]))

    Stack("prod").must_find_networks(engine("bridge", "old", "shop", "shop_default"))
    with pytest.raises(
        ToolchainError, match=r"^Pulumi\.prod\.yaml: nervous-system:networks: shop_default, old: no such"
    ):
        Stack("prod").must_find_networks(engine("bridge", "shop"))


def test_where_the_engine_keeps_what_the_stack_reads_is_written_into_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    monkeypatch.setattr(pulumi_cli, "ensure", lambda: None)
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {'nervous-system:docker': {data_root: /srv/docker}}")
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(Stack, "ask", lambda _, *words: asked.append(words))
    info = {
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "DockerRootDir": "/srv/docker",
        "Containerd": {"Address": "/run/docker/containerd/containerd.sock"},
    }
    Stack("prod").find_places(SimpleNamespace(**answers("docker_20_10", info)))  # type: ignore[arg-type]
    path = "docker.containerd", "/run/docker/containerd/containerd.sock"
    assert asked == [("config", "set", "--path", *path, "--stack", "prod")]
