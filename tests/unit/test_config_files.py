"""Config files of a service whose image has no shell: its image validates, the one with a shell loads."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
import pytest
from pulumi.runtime.mocks import MockResourceArgs

from components import config_files, file_archive
from components.config_files import ConfigFiles
from config import container as spec
from tests.support.program import CONTAINER, Recorder, deploy, uploaded

FILES = spec.ConfigFiles(
    files={"main.yaml": "a: 1\n"},
    validate="/bin/service --check 'main.yaml'",
    secrets={"key": spec.Secret("postgres_password")},
)


def declare(
    *,
    shell: str = "shell:1",
    recorder: Recorder | None = None,
    config: spec.ConfigFiles = FILES,
    capabilities: Sequence[str] = (),
) -> Recorder:
    def program() -> None:
        ConfigFiles(
            "example",
            config,
            prefix="p",
            image="service:1",
            shell=shell,
            user="1:2",
            secrets={"postgres_password": pulumi.Output.secret("hidden")},
            capabilities=capabilities,
            opts=pulumi.ResourceOptions(providers={"docker": docker.Provider("engine")}),
        )

    return deploy(program, recorder)


def test_the_validator_is_run_by_the_services_own_image_in_the_folder_of_the_files() -> None:
    validator = declare()[CONTAINER, "example-validator"].inputs
    assert validator["image"] == "service:1"
    assert [*validator["entrypoints"], *validator["command"]] == ["/bin/service", "--check", "main.yaml"]
    assert validator["workingDir"] == "/incoming"
    assert validator["uploads"] == [{"file": "/incoming/main.yaml", "content": "a: 1\n"}]
    assert validator["volumes"] == [{"containerPath": "/incoming"}]
    assert validator["networkMode"] == "none"


def test_the_image_with_a_shell_loads_the_files_once_they_are_accepted() -> None:
    recorder = declare()
    loader = recorder[CONTAINER, "example-loader"]
    assert loader.inputs["image"] == "shell:1"
    assert "/bin/service" not in loader.inputs["command"][0]
    assert not loader.inputs.get("uploads")
    assert {"fromContainer": "id-of-example-validator:ro"} in loader.inputs["volumes"]
    assert any(urn.endswith("::example-validator") for urn in loader.options.dependencies)


def test_refused_files_are_never_loaded() -> None:
    def refuse(args: MockResourceArgs) -> Mapping[str, Any]:
        return {"exitCode": 1, "containerLogs": "no such field"} if args.name == "example-validator" else {}

    recorder = Recorder(refuse)
    with pytest.raises(pulumi.RunError, match=r"(?s)example: its validator refuses.*no such field"):
        declare(recorder=recorder)
    assert "example-loader" not in recorder.of_type(CONTAINER)


def test_without_a_validator_of_its_own_nothing_but_the_loader_runs() -> None:
    recorder = declare(config=spec.ConfigFiles(files=FILES.files))
    assert set(recorder.of_type(CONTAINER)) == {"example-loader"}


def test_an_image_with_a_shell_does_both_in_one_container() -> None:
    recorder = declare(shell="service:1")  # noqa: S604 - an image
    assert set(recorder.of_type(CONTAINER)) == {"example-vault", "example-loader"}
    loader = recorder[CONTAINER, "example-loader"].inputs
    assert "/bin/service --check" in loader["command"][0]
    assert [one["file"] for one in loader["uploads"]] == ["/incoming.files"]
    assert uploaded(loader) == {"/incoming/main.yaml": "a: 1\n"}


@pytest.mark.parametrize(
    ("shell", "config", "has"),
    [
        ("shell:1", FILES, {"example-validator"}),
        ("service:1", FILES, {"example-loader"}),
        ("shell:1", spec.ConfigFiles(files=FILES.files), set()),
        ("service:1", spec.ConfigFiles(files=FILES.files), set()),
    ],
    ids=["a validator apart", "a validator in the loader", "none, and no shell", "none"],
)
def test_only_the_container_that_runs_the_services_program_has_its_capabilities(
    shell: str, config: spec.ConfigFiles, has: set[str]
) -> None:
    recorder = declare(shell=shell, config=config, capabilities=["CAP_SYSLOG", "CAP_CHOWN"])
    containers = recorder.of_type(CONTAINER)
    assert {name for name, c in containers.items() if c.inputs["capabilities"].get("adds")} == has
    for name in has:
        assert containers[name].inputs["capabilities"]["adds"] == ["CAP_CHOWN", "CAP_SYSLOG"]


def test_what_runs_to_its_end_has_memory_for_the_program_of_a_service() -> None:
    containers = declare().of_type(CONTAINER)
    for role in ("validator", "loader"):
        assert (
            containers[f"example-{role}"].inputs["memory"] == containers[f"example-{role}"].inputs["memorySwap"] == 512
        )


# The loader's script.


def load(folder: Path, validate: str = "", *, writable: bool = True) -> int:
    """Runs the real script on folders below `folder`; its exit code."""
    places = {name: folder / name for name in ("incoming", "vault", "mount")}
    places["mount"].mkdir(exist_ok=True)
    archive = folder / "incoming.files"
    archive.write_text(file_archive.packed({"main.yaml": "a: 1\n"}))
    unpack = file_archive.UNPACK.format(archive=archive, folder=places["incoming"])
    command = config_files._VALIDATE.format(command=validate, vault=places["vault"]) if validate else ""
    script = config_files._LOAD.format(**places, unpack=unpack, validate=command, claim="")
    if not writable:  # as root may write everywhere: whoever writes shows
        script += f'[ "$(ls {places["incoming"]})" = main.yaml ]\n'
    return subprocess.run(["/bin/sh", "-c", script], check=False).returncode


def loaded(folder: Path) -> tuple[str, set[str]]:
    """Where the link leads, and what is there."""
    [revision] = [one for one in (folder / "mount").iterdir() if not one.is_symlink()]
    link = (folder / "mount" / "current").readlink()
    return str(link), {str(one.relative_to(revision)) for one in revision.rglob("*") if one.is_file()}


@pytest.mark.parametrize("validate", ["", "test -e main.yaml && test -e secrets/key"])
def test_files_and_secrets_are_loaded_and_the_validator_has_both(tmp_path: Path, validate: str) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "key").write_text("hidden")
    assert load(tmp_path, validate, writable=bool(validate)) == 0
    assert loaded(tmp_path)[1] == {"main.yaml", "secrets/key"}


def test_a_service_without_secrets_has_no_folder_for_them(tmp_path: Path) -> None:
    assert load(tmp_path) == 0
    assert loaded(tmp_path)[1] == {"main.yaml"}


def test_what_the_validator_refuses_does_not_get_into_the_volume(tmp_path: Path) -> None:
    assert load(tmp_path, "false")
    assert not list((tmp_path / "mount").iterdir())


def test_the_link_is_made_in_an_empty_volume_only_and_says_so(tmp_path: Path) -> None:
    """`engine/activate.py` takes the `./` as the word that there never were other files."""
    assert load(tmp_path) == 0
    link = os.readlink(tmp_path / "mount" / "current")  # noqa: PTH115 - a path would lose its ./
    assert link.startswith("./")
    (tmp_path / "mount" / "current").unlink()
    (tmp_path / "mount" / "current").symlink_to(".")
    assert load(tmp_path) == 0
    assert loaded(tmp_path)[0] == "."
