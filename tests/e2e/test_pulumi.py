"""Parts of Pulumi that are made here, as its CLI uses them. All of it holds for the official language host, too."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

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


@pytest.fixture(scope="module")
def required() -> Iterator[Required]:
    """What the language host says that a program in `folder` needs: the first question of each preview and update."""
    host = pulumi_cli.ensure().binaries / pulumi_cli.LANGUAGE_HOST
    # No uv and no poetry on PATH, as on most machines.
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]}
    # The official one wants an engine only to show what it installs, and installs nothing here.
    with subprocess.Popen([host], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            runtime = language_pb2_grpc.LanguageRuntimeStub(channel)

            def ask(folder: Path, **options: Any) -> set[tuple[str, str, str]]:
                program = language_pb2.ProgramInfo(
                    root_directory=str(folder), program_directory=str(folder), entry_point="."
                )
                program.options.update(options)
                request = language_pb2.GetRequiredPackagesRequest(info=program)
                answer = runtime.GetRequiredPackages(request, timeout=LIMIT_SECONDS)
                return {(package.kind, package.name, package.version) for package in answer.packages}

            yield ask
        process.send_signal(signal.SIGINT)


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


@pytest.mark.parametrize("options", [{"toolchain": "conda"}, {"toolchain": 1}, {"virtualenv": 1}, {"typechecker": "x"}])
def test_options_that_are_none_are_refused(required: Required, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError, match=next(iter(options))):
        required(tmp_path, **{"virtualenv": VENV, **options})
