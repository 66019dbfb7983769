"""A stack file that cannot be read is refused in one message, whatever is in it."""

import json
import os
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from config.settings.loading import load
from operate import engine_networks, stack_document
from operate.managed_stack import Stack
from operate.stack_file import PROJECT, Name, load_settings
from tests.unit.engines import answers
from toolchain import paths, pulumi_cli
from toolchain.report import ToolchainError


def refusal(content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a stack file with this content."""
    monkeypatch.setattr(paths, "REPOSITORY", folder)
    (folder / "Pulumi.prod.yaml").write_bytes(content)
    with pytest.raises(ToolchainError) as caught:
        load_settings("prod")
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"config: [", "line 1, column 10: expected the node content"),
        (b"config:\n  a: 1\n c: 2\n", "line 3, column 2: expected <block end>"),
        (b"config:\n\ta: 1\n", "line 2, column 1: found character"),
        (b"config:\n  metrics: {}\n  metrics: {}\n", "line 3, column 3: metrics stands in line 2 already"),
        (b"config:\n  metrics: {alerts: 1, alerts: 2}\n", "column 24: alerts stands in line 2 already"),
        (b"confg:\n  metrics: {}\n", "confg: unknown key; did you mean config?"),
        (b"metrics: {}\n", "metrics: unknown key; settings stand below `config:`"),
        (b"config:\n  nervous-sytem:metrics: {}\n", "did you mean nervous-system:metrics?"),
        (b"config:\n  meterics: {}\n", "meterics: unknown key; did you mean metrics?"),
        (b"config:\n  docker:host: unix:///x\n", "nothing of `docker:` is read here"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"config: " + b"[" * 5000, "is not YAML"),
        (b"- config\n", "holds no mapping `config:`"),
        (b"config: text\n", "holds no mapping `config:`"),
    ],
    ids=[
        "broken",
        "indented wrongly",
        "with a tab",
        "a key twice",
        "a key twice inside",
        "a part that is spelled wrongly",
        "settings without config",
        "another project",
        "a setting that is spelled wrongly",
        "the provider's own settings",
        "not UTF-8",
        "nested deep",
        "a list",
        "a text",
    ],
)
def test_it_names_the_file_and_what_is_wrong(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refusal(content, tmp_path, monkeypatch)
    assert "Pulumi.prod.yaml" in message
    assert words in message


LAUGHS = b"config:\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"  %c: &%c [%s]\n" % (now, now, b",".join([b"*%c" % (now - 1)] * 10)) for now in b"bcdefghi"
)
"""A billion texts in half a kilobyte."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"config:\n  networks: !!set {a, b}\n", "line 2, column 13: the tag !!set", id="a set"),
        pytest.param(b"config:\n  prefix: !!timestamp 2026-01-01\n", "the tag !!timestamp", id="a date by its tag"),
        pytest.param(b"config:\n  prefix: !!binary YWJj\n", "the tag !!binary", id="bytes"),
        pytest.param(b"config:\n  networks: !!omap [a: 1]\n", "the tag !!omap", id="an ordered map"),
        pytest.param(b"config:\n  prefix: !mine abc\n", "line 2, column 11: the tag !mine", id="a tag of one's own"),
        pytest.param(b"config:\n  prefix: !!bool abc\n", "column 11: the tag !!bool", id="a tag that does not fit"),
        pytest.param(b"config:\n  prefix: !!int abc\n", "column 11: the tag !!int", id="another tag that does not fit"),
        pytest.param(b"config:\n  networks: &a [*a]\n", "column 13: this alias stands for what it is in", id="a list in itself"),
        pytest.param(b"config:\n  memory: &a {host: *a}\n", "this alias stands for what it is in", id="a mapping in itself"),
        pytest.param(b"&a\nconfig: *a\n", "this alias stands for what it is in", id="a file in itself"),
        pytest.param(LAUGHS, "its aliases stand for more than", id="aliases of aliases"),
        pytest.param(b"config:\n  a: " + b"9" * 5000, "line 2, column 6: a number of 5000 digits", id="an endless number"),
        pytest.param(b"config:\n  prefix: a\0b\n", "line 2, column 12: a sign that does not print (U+0000)", id="a NUL"),
        pytest.param(b"config:\n  prefix: \xe4\n", "byte 19 is not UTF-8", id="Latin-1"),
        pytest.param(b"config:\n  prefix: a\x7f\n", "a sign that does not print (U+007F)", id="a DEL"),
        pytest.param(b'config:\n  prefix: "\\UFFFFFFFF"\n', "is not YAML", id="a sign that Unicode does not have"),
        pytest.param(b"config:\n  networks: " + b"[" * 3000 + b"]" * 3000, "nested too deep", id="nested deep, but whole"),
        pytest.param(b"config: []\n", "holds no mapping `config:`", id="an empty list of settings"),
        pytest.param(b"encryptionsalt: 5\n", "encryptionsalt: is no text", id="a salt that is a number"),
        pytest.param(b"config:\n  '': x\n", "has no key behind it", id="no key"),
        pytest.param(b"config:\n  ':prefix': x\n", "did you mean nervous-system:prefix?", id="no project before the colon"),
        pytest.param(b"config:\n  memory: '{\"host\": \"9GiB\", \"host\": \"8GiB\"}'\n", "memory: host stands twice in it", id="a key twice in JSON"),
        pytest.param(b"config:\n  grafana_password: {secure: ''}\n", "grafana_password: is a secret: store it", id="an empty secret"),
        pytest.param(b"config:\n  grafana_password: {secure: }\n", "grafana_password: is a secret: store it", id="a secret of nothing"),
        pytest.param(b"config:\n  grafana_password: [secure: v1]\n", "grafana_password: is a secret: store it", id="a list of secrets"),
        pytest.param(b"config:\n  grafana_password: {secure: v1, x: y}\n", "grafana_password: is a secret: store it", id="a secret and more"),
        pytest.param("config: {}".encode("utf-16"), "byte 1 is not UTF-8", id="UTF-16"),
        pytest.param(b"config:\n  prefix: " + b"a" * 600_000, "is larger than 512 KiB", id="too large"),
        pytest.param(b"config:\n  prefix: a\n  nervous-system:prefix: b\n", "prefix is set twice", id="a key twice, once in short"),
        pytest.param(b"config:\n  nervous-system:config:prefix: a\n  prefix: b\n", "prefix is set twice", id="a key twice, once in full"),
        pytest.param(b"config:\n  ? [a]\n  : b\n", "line 2, column 5: a key is a text", id="a key that is a list"),
        pytest.param(b"config: {}\n---\nconfig: {}\n", "line 2, column 1: ", id="two documents"),
    ],
)  # fmt: skip
def test_what_a_stack_file_cannot_say_is_refused_in_one_line_with_its_place(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = refusal(content, tmp_path, monkeypatch).splitlines()
    assert line.startswith("Pulumi.prod.yaml")
    assert words in line


def test_aliases_and_merged_keys_are_read(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("config:\n  a: &a {x: 1, y: 2}\n  b: *a\n  c: {<<: *a, y: 3}\n  d: !!str 5\n")
    found = stack_document.config(file, PROJECT)
    one = {"x": 1, "y": 2}
    assert found == {
        f"{PROJECT}:{key}": value for key, value in {"a": one, "b": one, "c": {"x": 1, "y": 3}, "d": "5"}.items()
    }


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
        networks = [SimpleNamespace(name=name, attrs={"Driver": "bridge"}) for name in names]
        return SimpleNamespace(networks=SimpleNamespace(list=lambda: networks))

    Stack("prod").must_find_networks(engine("bridge", "old", "shop", "shop_default"))
    with pytest.raises(
        ToolchainError, match=r"^Pulumi\.prod\.yaml: nervous-system:networks: shop_default, old: no such"
    ):
        Stack("prod").must_find_networks(engine("bridge", "shop"))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"Driver": "bridge", "Internal": True}, ""),
        ({"Driver": "overlay", "Attachable": True}, ""),
        ({"Driver": "overlay"}, "is of a swarm"),
        ({"Driver": "overlay", "Attachable": True, "Ingress": True}, "is none that a container can join"),
        ({"Driver": "bridge", "ConfigOnly": True}, "is none that a container can join"),
        ({"Driver": "macvlan"}, "is of the driver macvlan"),
        ({"Driver": "host"}, "is one of Docker's own"),
        ({"Driver": "bridge", "Options": {"com.docker.network.bridge.default_bridge": "true"}}, "is one of Docker's own"),
    ],
    ids=["without a way out", "of a swarm, for all", "of a swarm", "ingress", "config only", "macvlan", "host", "the default bridge"],
)  # fmt: skip
def test_a_network_that_no_service_can_join_is_named_before_anything_changes(
    network: dict[str, Any], words: str
) -> None:
    engine: Any = SimpleNamespace(networks=SimpleNamespace(list=lambda: [SimpleNamespace(name="lan", attrs=network)]))
    with pytest.raises(ToolchainError, match=f"^networks: lan {words}") if words else nullcontext():
        engine_networks.must_find(engine, ["lan"], "networks")


def test_where_the_engine_keeps_what_the_stack_reads_is_written_into_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    monkeypatch.setattr(pulumi_cli, "ensure", lambda: None)
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {'nervous-system:docker': {data_root: /srv/docker}}")
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(Stack, "ask", lambda _, *words: commands.append(words))
    info = {
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "DockerRootDir": "/srv/docker",
        "Containerd": {"Address": "/run/docker/containerd/containerd.sock"},
    }
    Stack("prod").find_places(SimpleNamespace(**answers("docker_20_10", info)))  # type: ignore[arg-type]
    path = "docker.containerd", "/run/docker/containerd/containerd.sock"
    assert commands == [("config", "set", "--path", *path, "--stack", "prod")]


@pytest.mark.parametrize("key", ["nervous-system:logs", "logs", "nervous-system:config:logs"])
def test_a_key_is_read_as_the_cli_reads_it(key: str, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(f"config:\n  {key}: {{shipper: promtail}}\n")
    assert stack_document.config(file, PROJECT) == {"nervous-system:logs": {"shipper": "promtail"}}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-12-01", "2026-12-01"),
        ("yes", "yes"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("true", True),
        ("0o17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("0", 0),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
    ],
)
def test_a_value_is_read_as_the_cli_reads_it(text: str, read: object, tmp_path: Path) -> None:
    """What `pulumi config --json` of v3.256.0 makes of it; a date is a text for it too."""
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(f"config: {{metrics: {text}}}\n" if text[:1] != "{" else f"config:\n  metrics: {text}\n")
    value = stack_document.config(file, PROJECT)["nervous-system:metrics"]
    assert (value, type(value)) == (read, type(read))


@pytest.mark.parametrize("day", ["2026-12-01", "2026-12-01 00:00:00 +0000 UTC"], ids=["of the file", "of the CLI"])
def test_a_date_without_quotes_is_one(day: str) -> None:
    config = {f"{PROJECT}:logs": json.dumps({"s3": {"bucket": "logs", "since": day}})}
    settings = load(config, secret_keys=(), project=PROJECT, stack="prod")
    assert settings.logs.s3 is not None
    assert settings.logs.s3.since == date(2026, 12, 1)


def test_a_folder_in_its_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "Pulumi.prod.yaml").mkdir()
    os.mkfifo(tmp_path / "Pulumi.dev.yaml")
    for stack in ("prod", "dev"):
        with pytest.raises(ToolchainError, match=rf"Pulumi\.{stack}\.yaml is there, but is not a file"):
            load_settings(stack)


@pytest.mark.parametrize("name", ["$(id)", "../x", "a b", "x;id", "é"])
def test_what_is_no_name_of_a_stack_is_refused(name: str) -> None:
    with pytest.raises(ToolchainError, match="names no stack"):
        load_settings(name)


@pytest.mark.parametrize(("arguments", "environment"), [([], {"STACK": ""}), (["--stack", ""], {})])
def test_an_empty_name_is_never_that_of_another_stack(arguments: list[str], environment: dict[str, str]) -> None:
    """As `make down STACK=$name` gives it where `name` is not set."""
    stacks: list[str] = []
    app = typer.Typer()

    @app.command()
    def command(stack: Name = "dev") -> None:
        stacks.append(stack)

    result = CliRunner().invoke(app, arguments, env=environment)
    assert stacks == []
    assert "STACK is empty" in str(result.exception)
