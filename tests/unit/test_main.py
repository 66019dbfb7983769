"""The program as the engine runs it."""

import json
import os
import signal
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import pulumi
import pytest
import yaml
from docker.errors import DockerException

from config.settings.docker import Docker
from config.settings.secret_keys import SECRETS, WEBHOOKS
from tests.support import mocked_program
from tests.support.program import (
    COMMAND,
    CONTAINER,
    NETWORK,
    PROJECT,
    PROVIDER,
    SECRET_TEXT,
    WEBHOOK_TEXT,
    Recorder,
    is_secret,
    pulumi_config,
    revealed,
    uploaded,
)
from tests.unit.engines import answers

PROGRAM = Path(__file__).parents[2] / "__main__.py"

GONE = "unix:///gone.sock"
REMAPS = "unix:///remaps.sock"


def connect(settings: Mapping[str, Any], timeout: int) -> Any:
    """An engine that answers, unless it is the one that is gone; one of them maps users."""
    if settings["host"] == GONE:
        raise DockerException("connection refused")
    info = {"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]} if settings["host"] == REMAPS else {}
    return SimpleNamespace(**answers("docker_20_10", info))


Run: TypeAlias = Callable[..., tuple[Recorder, dict[str, Any]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the program with a stack config; returns what it declared and what it exported."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the tests' own Ctrl-C stays what it is

    def with_config(
        config: Mapping[str, Any], secrets: Collection[str] = (), values: Mapping[str, str] | None = None
    ) -> tuple[Recorder, dict[str, Any]]:
        texts = pulumi_config(config, secrets) | {f"{PROJECT}:{key}": value for key, value in (values or {}).items()}
        secret_keys = [f"{PROJECT}:{key}" for key in secrets]
        return mocked_program.run(texts, secret_keys, tmp_path, connect)

    return with_config


def test_an_empty_stack_file_deploys_on_the_explicit_engine_and_says_where_to_look(run: Run) -> None:
    recorder, exports = run({})
    assert exports["prometheus"] == "http://127.0.0.1:9090"
    assert exports["alertmanager"] == "http://127.0.0.1:9093"
    assert exports["jaeger"] == "http://127.0.0.1:16686"
    data = ("prometheus", "alertmanager", "loki", "alloy", "otel_collector", "jaeger")
    assert exports["data_volumes"] == [f"nervous-test-{name}" for name in data]
    assert "nervous-test-prometheus" in {c.inputs["name"] for c in recorder.of_type(CONTAINER).values()}
    assert recorder[NETWORK, "network"].options.deleteBeforeReplace  # its name is taken
    assert recorder[PROVIDER, "engine"].inputs["context"] == ""  # DOCKER_CONTEXT would overrule the host
    ours = [r for r in recorder.resources if r.typ.startswith("docker:")]
    assert [r.name for r in ours if "::engine::" not in r.options.provider] == []


def test_ctrl_c_ends_the_program_at_once_and_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Callable[..., None]] = {}
    codes: list[int] = []
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(os, "_exit", codes.append)
    run({})
    handlers[signal.SIGINT](signal.SIGINT, None)
    assert codes == [130]


def test_no_command_is_shown_line_by_line(run: Run) -> None:
    """The provider waits for ever on a line that is longer than 64 KiB, and forgets the others when the command ends."""
    recorder, _ = run({})
    assert {c.inputs["logging"] for c in recorder.of_type(COMMAND).values()} == {"none"}


def test_the_engine_the_prefix_and_the_links_are_those_of_the_settings(run: Run) -> None:
    recorder, exports = run(
        {
            "docker": {"host": "tcp://vps.example:2376", "certificates": "~/tls"},
            "prefix": "obs",
            "external_urls": {"prometheus": "https://p.example/"},
        }
    )
    engine = recorder[PROVIDER, "engine"].inputs
    assert (engine["host"], engine["certPath"]) == ("tcp://vps.example:2376", str(Path.home() / "tls"))
    assert recorder[NETWORK, "network"].inputs["name"] == "obs"
    assert exports["prometheus"] == "https://p.example"


def test_the_provider_reaches_an_ssh_host_with_the_options_of_every_other_ssh(run: Run) -> None:
    docker = {"host": "ssh://deploy@vps.example", "ssh": {"known_hosts": "known_hosts"}}
    recorder, _ = run({"docker": docker})
    engine = recorder[PROVIDER, "engine"].inputs
    options = Docker.model_validate(docker).ssh_options
    # With the path of the socket: else the current context of the host's own Docker CLI would choose the engine.
    assert engine["host"] == "ssh://deploy@vps.example/var/run/docker.sock"
    assert json.loads(engine["sshOpts"]) == options
    [order] = {json.dumps(json.loads(c.inputs["environment"]["ORDER"])["docker"]["ssh_options"])
               for c in recorder.of_type(COMMAND).values()}  # fmt: skip
    assert json.loads(order) == options


def test_secrets_go_from_config_to_a_vault_and_own_rules_from_the_project_to_prometheus(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "shop.yml").write_text("groups: []\n")
    recorder, exports = run({"alerts": {"rule_files": ["shop.yml"]}}, ["slack_webhook"])
    secrets = recorder[CONTAINER, "alertmanager-vault"].inputs["uploads"]
    assert is_secret(secrets)
    assert revealed(secrets) == [{"file": "/vault/slack_webhook", "content": WEBHOOK_TEXT}]
    assert SECRET_TEXT not in str(exports)
    files = uploaded(recorder[CONTAINER, "prometheus-loader"].inputs)
    assert files["/incoming/rules/own-shop.yml"] == "groups: []\n"


def test_a_password_of_the_users_own_job_goes_to_the_vault_of_prometheus_and_its_authority_to_the_proxy(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "jobs.yml").write_text(
        "- {job_name: shop, scheme: https, tls_config: {ca_file: ca.pem}, static_configs: [{targets: ['shop:443']}],\n"
        "   basic_auth: {username: me, password_file: scrape_shop}}\n"
    )
    recorder, _ = run({"metrics": {"scrape_files": ["jobs.yml"]}}, ["scrape_shop"])
    secrets = recorder[CONTAINER, "prometheus-vault"].inputs["uploads"]
    assert is_secret(secrets)
    assert revealed(secrets) == [{"file": "/vault/scrape_shop", "content": SECRET_TEXT}]
    files = uploaded(recorder[CONTAINER, "prometheus-loader"].inputs)
    assert "password_file: secrets/scrape_shop" in files["/incoming/prometheus.yml"]
    assert "/incoming/authorities/1.pem" in uploaded(recorder[CONTAINER, "scrape_proxy-loader"].inputs)


def test_metrics_that_only_a_dashboard_reads_are_kept(run: Run, tmp_path: Path) -> None:
    panel = {"type": "timeseries", "datasource": {"uid": "prometheus"}, "targets": [{"expr": "shop_carts_open"}]}
    (tmp_path / "mine.json").write_text(json.dumps({"title": "Mine", "panels": [panel]}))
    recorder, _ = run({"metrics": {"keep": "used"}, "grafana": {"dashboards": ["mine.json"]}})
    files = uploaded(recorder[CONTAINER, "prometheus-loader"].inputs)
    text = files["/incoming/prometheus.yml"]
    assert "shop_carts_open" in text
    assert "node_sockstat_TCP_tw" in text  # which only a dashboard of the project reads


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"metric": {}}, "Pulumi.test.yaml: nervous-system:metric: unknown key; did you mean metrics?"),
        ({"slack_webhook": "https://sesame.example"}, "Pulumi.test.yaml: nervous-system:slack_webhook: is a secret"),
        (
            {"alerts": {"rule_files": ["gone.yml"]}},
            "Pulumi.test.yaml: nervous-system:alerts.rule_files: gone.yml: No such file",
        ),
    ],
    ids=["an unknown key", "a secret in clear", "a missing rule file"],
)
def test_wrong_settings_end_it_before_anything_is_declared(run: Run, config: dict[str, Any], message: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        run(config)
    assert message in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert caught.value.__suppress_context__  # the message stands alone, without pydantic's


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        *((key, value, "is blank") for key in SECRETS for value in ("", " \n")),
        *((key, "sesame.example/x", "is not a URL") for key in WEBHOOKS),
        ("slack_webhook", "ftp://sesame.example", "is not a URL"),
        ("slack_webhook", "https://", "is not a URL"),
        ("slack_webhook", "https://[sesame", "is not a URL"),
        ("slack_webhook", "https://sesame example/x", "is not a URL"),
    ],
)
def test_a_secret_that_cannot_be_right_ends_it_before_anything_is_declared_and_is_not_shown(
    run: Run, key: str, value: str, what: str
) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        run({}, [key], {key: value})
    message = str(caught.value)
    assert message.startswith(f"Pulumi.test.yaml: {PROJECT}:{key}: the secret {what}")
    assert f"pulumi config set --secret {key}" in message
    assert "sesame" not in message
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("value", ["http://127.0.0.1:9/slack", "https://me:sesame@hooks.example/x\n"])
def test_an_address_with_a_port_or_a_password_is_a_webhook(run: Run, value: str) -> None:
    recorder, _ = run({}, ["slack_webhook"], {"slack_webhook": value})
    assert revealed(recorder[CONTAINER, "alertmanager-vault"].inputs["uploads"])[0]["content"] == value


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_stack_files_of_this_repository_deploy(run: Run, stack: str) -> None:
    config = yaml.safe_load((PROGRAM.parent / f"Pulumi.{stack}.yaml").read_text())["config"]
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(PROJECT)}
    secrets = [key for key, value in own.items() if isinstance(value, dict) and "secure" in value]  # of a used checkout
    recorder, _ = run({key: value for key, value in own.items() if key not in secrets}, secrets)
    assert recorder.of_type(CONTAINER)


def test_an_engine_that_does_not_answer_ends_it_before_anything_is_declared(run: Run) -> None:
    with pytest.raises(
        pulumi.RunError, match=r"Pulumi\.test\.yaml: nervous-system:docker\.host: the engine at unix:///gone"
    ):
        run({"docker": {"host": GONE}})


def test_an_engine_that_the_stack_cannot_live_with_ends_it_too_in_one_line(run: Run) -> None:
    with pytest.raises(pulumi.RunError, match=r"docker\.host: the engine at unix:///remaps.* cannot run") as caught:
        run({"docker": {"host": REMAPS}})
    assert "daemon.json" in str(caught.value)
    assert "\n" not in str(caught.value)
