"""Config files of a service whose image has no shell: its image validates, the one with a shell loads."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker
import pytest
from pulumi.runtime.mocks import MockResourceArgs

from components.config_files import ConfigFiles
from config import container as spec
from tests.support.program import CONTAINER, Recorder, deploy

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
    assert {"fromContainer": "id-of-example-validator", "readOnly": True} in loader.inputs["volumes"]
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
    assert "/bin/service --check" in recorder[CONTAINER, "example-loader"].inputs["command"][0]


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
