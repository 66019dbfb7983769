"""Parts of Pulumi that are made here, as its CLI uses them. All of it holds for the official language host, too."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
from google.protobuf import empty_pb2, struct_pb2  # type: ignore[import-untyped] # no stubs
from pulumi.runtime.proto import (
    analyzer_pb2,
    analyzer_pb2_grpc,
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from operate.program import Program
from tests.support.wait import until
from toolchain import paths, pulumi_cli

LIMIT_SECONDS = 30
VENV = str(paths.REPOSITORY / ".venv")


def test_the_language_host_ends_at_sigint_also_where_a_script_has_started_it_in_the_background() -> None:
    """A shell lets its background jobs ignore SIGINT. The CLI waits 5 s for a plugin that does."""
    host = pulumi_cli.ensure().binaries / pulumi_cli.LANGUAGE_HOST
    ignoring = ["sh", "-c", 'trap "" INT; exec "$0"', str(host)]
    with subprocess.Popen(ignoring, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip().isdigit(), "it tells no port"
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=4) == 0
        finally:
            process.kill()


Required = Callable[..., set[tuple[str, str, str]]]
Runtime = language_pb2_grpc.LanguageRuntimeStub


@contextlib.contextmanager
def serving(*command: str | Path, **environment: str) -> Iterator[grpc.Channel]:
    """A plugin, which ends with the block."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        try:
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                yield channel
        finally:
            process.send_signal(signal.SIGINT)


class _Engine(engine_pb2_grpc.EngineServicer):
    """Takes what a program says."""

    def Log(self, *_: Any) -> empty_pb2.Empty:  # noqa: N802 - the protocol's name
        return empty_pb2.Empty()


class _Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """As much of the CLI's side as a program needs that registers nothing but its stack."""

    def GetDeploymentInfo(self, *_: Any) -> resource_pb2.DeploymentInfo:  # noqa: N802 - the protocol's name
        return resource_pb2.DeploymentInfo()

    def RegisterResource(self, *_: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802 - the protocol's name
        return resource_pb2.RegisterResourceResponse(urn="urn:pulumi:s::p::pulumi:pulumi:Stack::p-s")


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """Where the language host and its programs find the CLI."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    engine_pb2_grpc.add_EngineServicer_to_server(_Engine(), server)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(_Monitor(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def runtime(engine: str) -> Iterator[Runtime]:
    """The language host. No uv and no poetry are on its PATH, as on most machines."""
    host = pulumi_cli.ensure().binaries / pulumi_cli.LANGUAGE_HOST
    with serving(host, PATH="/usr/bin:/bin", HOME=os.environ["HOME"]) as channel:
        runtime = Runtime(channel)
        runtime.Handshake(language_pb2.LanguageHandshakeRequest(engine_address=engine), timeout=LIMIT_SECONDS)
        yield runtime


def program_in(folder: Path, **options: Any) -> language_pb2.ProgramInfo:
    program = language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    program.options.update(options)
    return program


@pytest.fixture
def required(runtime: Runtime) -> Required:
    """What the language host says that a program in `folder` needs: the first question of each preview and update."""

    def ask(folder: Path, **options: Any) -> set[tuple[str, str, str]]:
        request = language_pb2.GetRequiredPackagesRequest(info=program_in(folder, **options))
        answer = runtime.GetRequiredPackages(request, timeout=LIMIT_SECONDS)
        return {(package.kind, package.name, package.version) for package in answer.packages}

    return ask


def test_the_language_host_finds_the_providers_of_the_environment(required: Required, tmp_path: Path) -> None:
    wanted = {("resource", name, f"v{version}") for name, version in pulumi_cli.PROVIDERS.items()}
    assert required(tmp_path, virtualenv=VENV, toolchain="pip") == wanted
    assert required(tmp_path, virtualenv=VENV) == wanted


def test_an_environment_without_pip_is_refused(required: Required, tmp_path: Path) -> None:
    """It was `.venv` itself: `uv venv` puts no pip into it."""
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", tmp_path / "venv"], check=True)
    with pytest.raises(grpc.RpcError, match="-m pip list --format json"):
        required(tmp_path, virtualenv="venv", toolchain="pip")


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock"])
def test_a_lock_file_above_the_program_is_of_another_tool_unless_pip_is_said(
    required: Required, tmp_path: Path, lock: str
) -> None:
    (tmp_path / lock).touch()
    program = tmp_path / "a" / "b"
    program.mkdir(parents=True)
    assert required(program, virtualenv=VENV, toolchain="pip")
    with pytest.raises(grpc.RpcError):
        required(program, virtualenv=VENV)


@pytest.mark.parametrize(
    "options",
    [
        {"toolchain": "conda"},
        {"toolchain": ""},
        {"toolchain": 1},
        {"virtualenv": 1},
        {"typechecker": "x"},
        {"typechecker": ""},
    ],
)
def test_options_that_are_none_are_refused(required: Required, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError, match=next(iter(options))):
        required(tmp_path, **{"virtualenv": VENV, **options})


def _environment_with(tmp_path: Path, name: str, version: str, plugin: str | None) -> str:
    """A virtual environment that has one package beside those of the tests."""
    site = tmp_path / "site"
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    package = site / name.replace("-", "_")
    for folder in (metadata, package, tmp_path / "bin"):
        folder.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (package / "__init__.py").touch()
    if plugin is not None:
        (package / "pulumi-plugin.json").write_text(plugin)
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {VENV}/bin/python "$@"\n')
    python.chmod(0o755)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("package", "wanted"),
    [
        (("pulumi-foo", "1.2", None), {("resource", "foo", "v1.2.0")}),
        (("pulumi-foo", "1.2.3a4", None), {("resource", "foo", "v1.2.3-alpha.4")}),
        (("pulumi-foo", "1.2.3.post1.dev2", None), {("resource", "foo", "v1.2.3+post1dev2")}),
        (("pulumi-foo", "1!1.2", None), set()),
        (("pulumi-foo", "1.2", '{"resource": false}'), set()),
        (("foo", "1.2rc1", '{"resource": true}'), {("resource", "foo", "v1.2.0-rc.1")}),
        (("foo", "1.2", '{"resource": true, "name": "bar", "version": "9.1.0"}'), {("resource", "bar", "v9.1.0")}),
        (("foo", "1.2", None), set()),
    ],
)
def test_a_package_says_which_plugin_it_needs(
    required: Required, tmp_path: Path, package: tuple[str, str, str | None], wanted: set[tuple[str, str, str]]
) -> None:
    plugins = required(tmp_path, virtualenv=_environment_with(tmp_path, *package), toolchain="pip")
    assert {plugin for plugin in plugins if plugin[1] not in pulumi_cli.PROVIDERS} == wanted


def test_a_package_whose_plugin_file_is_broken_is_named(required: Required, tmp_path: Path) -> None:
    with pytest.raises(grpc.RpcError, match=r"failed to parse pulumi-plugin\.json for foo"):
        required(tmp_path, virtualenv=_environment_with(tmp_path, "foo", "1.2", '{"resource"'), toolchain="pip")


Run = Callable[..., language_pb2.RunResponse]


@pytest.fixture
def run(runtime: Runtime, engine: str, tmp_path: Path) -> Run:
    """What the language host says of a program."""

    def ask(program: str, **config: str) -> language_pb2.RunResponse:
        return _run(runtime, engine, tmp_path, program, config)

    return ask


def _run(runtime: Runtime, engine: str, folder: Path, program: str, config: dict[str, str]) -> language_pb2.RunResponse:
    (folder / "__main__.py").write_text(program)
    request = language_pb2.RunRequest(
        project="p",
        stack="s",
        pwd=str(folder),
        program=".",
        config=config,
        dryRun=True,
        parallel=4,
        monitor_address=engine,
        info=program_in(folder, virtualenv=VENV, toolchain="pip"),
    )
    answer: language_pb2.RunResponse = runtime.Run(request, timeout=LIMIT_SECONDS)
    return answer


AS_ASKED = """
import json, os, sys
facts = {"argv": sys.argv, "path": sys.path[0], "cwd": os.getcwd(), "config": os.environ.get("PULUMI_CONFIG"),
         "secrets": os.environ["PULUMI_CONFIG_SECRET_KEYS"], "venv": os.environ["VIRTUAL_ENV"]}
open("facts.json", "w").write(json.dumps(facts))
os._exit(7)
"""


def test_a_program_is_started_where_it_stands_by_the_name_that_the_engine_gives_it(run: Run, tmp_path: Path) -> None:
    answer = run(AS_ASKED)
    assert (answer.error, answer.bail) == ("program exited with non-zero exit code: 7", False)
    facts = json.loads((tmp_path / "facts.json").read_text())
    common = {"argv": ["."], "path": ".", "cwd": str(tmp_path), "secrets": "[]", "venv": VENV}
    assert facts == {**common, "config": None}
    run(AS_ASKED, **{"p:key": "value"})
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts == {**common, "config": '{"p:key":"value"}'}


@pytest.mark.parametrize(
    ("ending", "error", "bail"),
    [
        ("os._exit(32)", "", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", "program exited with non-zero exit code: -1", False),
    ],
    ids=["after a message of its own", "killed"],
)
def test_the_end_of_a_program_is_told(run: Run, ending: str, error: str, *, bail: bool) -> None:
    answer = run(f"import os, signal\n{ending}\n")
    assert (answer.error, answer.bail) == (error, bail)


def test_a_program_is_told_of_the_end_before_it_is_ended(run: Run, runtime: Runtime, tmp_path: Path) -> None:
    """As by Ctrl-C: the CLI cancels the language host."""
    program = """
import os, pathlib, signal, time
signal.signal(signal.SIGINT, lambda *_: os._exit(130))
pathlib.Path("begun").touch()
time.sleep(60)
"""

    def cancel() -> None:
        until((tmp_path / "begun").exists, seconds=LIMIT_SECONDS)
        runtime.Cancel(empty_pb2.Empty(), timeout=LIMIT_SECONDS)

    interrupter = threading.Thread(target=cancel)
    interrupter.start()
    answer = run(program)
    interrupter.join()
    assert answer.error == "program exited with non-zero exit code: 130"


PACK = """
import json, os
facts = {name: os.environ.get(name) for name in ("PULUMI_PROJECT", "PULUMI_STACK", "PULUMI_DRY_RUN", "PULUMI_CONFIG",
                                                 "FROM_ENGINE", "HOME", "VIRTUAL_ENV")}
open("facts.json", "w").write(json.dumps(facts))
os._exit(3)
"""


def test_a_policy_pack_runs_in_its_folder_and_knows_the_stack(runtime: Runtime, engine: str, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "__main__.py").write_text(PACK)
    request = language_pb2.RunPluginRequest(
        pwd=str(tmp_path),
        program=str(pack),
        args=[engine],
        env=["FROM_ENGINE=yes"],
        kind="analyzer",
        name="pack",
        info=program_in(pack, virtualenv=VENV, toolchain="pip"),
    )
    answers = runtime.RunPlugin(request, timeout=LIMIT_SECONDS)
    port = int(next(answers).stdout)
    stack = analyzer_pb2.AnalyzerStackConfigureRequest(stack="s", project="p", dry_run=True, config={"p:key": "value"})
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        analyzer_pb2_grpc.AnalyzerStub(channel).ConfigureStack(stack, timeout=LIMIT_SECONDS)
    with contextlib.suppress(grpc.RpcError):  # it ends before it answers
        list(answers)
    assert json.loads((pack / "facts.json").read_text()) == {
        "PULUMI_PROJECT": "p",
        "PULUMI_STACK": "s",
        "PULUMI_DRY_RUN": "true",
        "PULUMI_CONFIG": '{"p:key":"value"}',
        "FROM_ENGINE": "yes",
        "HOME": os.environ["HOME"],
        "VIRTUAL_ENV": VENV,
    }


def test_the_docker_provider_refuses_an_engine_that_does_not_answer_also_at_a_preview(tmp_path: Path) -> None:
    """The provider's own configuration is all that a preview asks of it."""
    pulumi = pulumi_cli.ensure()
    home = Path(pulumi.environment().get("PULUMI_HOME") or Path.home() / ".pulumi")
    folder = home / "plugins" / f"resource-docker-v{pulumi_cli.PROVIDERS['docker']}"
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]}
    arguments = struct_pb2.Struct()
    arguments.update(
        {"host": f"unix://{tmp_path}/nobody.sock", "context": "", "version": pulumi_cli.PROVIDERS["docker"]}
    )
    check = provider_pb2.CheckRequest(urn="urn:pulumi:s::p::pulumi:providers:docker::engine", news=arguments)
    with serving(folder / "pulumi-resource-docker", "127.0.0.1:1", **environment) as channel:
        provider = provider_pb2_grpc.ResourceProviderStub(channel)
        with pytest.raises(grpc.RpcError, match="failed to connect to"):
            _configured(provider, check)


def _configured(provider: provider_pb2_grpc.ResourceProviderStub, check: provider_pb2.CheckRequest) -> None:
    checked = provider.CheckConfig(check, timeout=LIMIT_SECONDS)
    if checked.failures:
        raise grpc.RpcError([failure.reason for failure in checked.failures])
    # The CLI says it twice.
    variables = {f"docker:config:{key}": str(value) for key, value in checked.inputs.items()}
    configure = provider_pb2.ConfigureRequest(
        variables=variables, args=checked.inputs, acceptSecrets=True, acceptResources=True
    )
    provider.Configure(configure, timeout=LIMIT_SECONDS)


def test_a_plan_and_an_update_show_what_the_real_cli_says_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the events of the CLI, whose option for them is in none of its helps."""
    for name, value in {
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PULUMI_BACKEND_URL": tmp_path.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "right",
        "VERBOSE": "0",
    }.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(f"name: small\nruntime: {{name: python, options: {{virtualenv: {VENV}}}}}\n")
    source, stack = folder / "__main__.py", Program("dev", folder)
    stack.create()

    def plan(text: str, *, fails: bool) -> str:
        source.write_text(f"import pulumi\npulumi.warn('take [care]')\n{text}\n")
        with pytest.raises(typer.Exit) if fails else contextlib.nullcontext():
            stack.plan()
        return capsys.readouterr().out

    output = plan("print('on the way')\npulumi.Config().require_secret('never')", fails=True)
    assert "  ! take [care]\n" in output
    assert "  ✗ Missing required configuration variable 'small:never'\n" in output
    assert "    on the way\n" in output
    assert str(paths.log_file("small-dev-preview")) in output
    assert "ValueError: [bad]\n" in plan("raise ValueError('[bad]')", fails=True)

    assert re.search(r"^✓ plan: 1 to create ", plan("pulumi.export('answer', 42)", fails=False), re.MULTILINE)
    assert stack.update("up")
    assert "take [care]" not in capsys.readouterr().out  # the plan has said it
    assert stack.outputs() == {"answer": 42}
    assert not stack.update("up")
    assert re.search(r"^✓ update: nothing has changed ", capsys.readouterr().out, re.MULTILINE)

    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    assert "    error: " in (failure := plan("", fails=True))
    assert "incorrect passphrase" in failure
