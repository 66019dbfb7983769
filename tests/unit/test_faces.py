"""Everything that the stack's containers rely on is in the recorded interface of the official images.

A face that is wrong fails nothing here: `toolchain/images/faces.yaml` says where each was read, and tests/e2e/test_faces.py
looks at the images that an engine really has.
"""

import configparser
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from components import config_files
from config.container import DIRECTORY, MOUNT
from config.images import pins
from config.row import Pin
from config.services.correlation import grafana
from tests.support.in_images import run_in_images, tools_in
from tests.support.program import CONTAINER
from tests.unit.test_components import everything
from tests.unit.test_containers import SERVICES, SETTINGS, container_of
from toolchain.images.faces import FILE, Face, Official, official, read
from toolchain.report import ToolchainError

FACES = official()
ROOT = 0
HAND_OVER = (
    "{service} is pinned at {tag}, but its face was looked at for {looked_at}: read {files} of {repository} at that tag, "
    "change in toolchain/images/faces.yaml what differs, and set `looked_at` and `source.tag` there "
    '(docs/toolchain.md, "Faces")'
)


# Each pin has a face, and somebody has looked at it.


def not_looked_at(pinned: Mapping[str, Pin], faces: Mapping[str, Official]) -> Iterator[str]:
    """What to do about each pin that has moved, or is new."""
    for service, pin in pinned.items():
        if service not in faces:
            yield f'{service} has no face in toolchain/images/faces.yaml (docs/toolchain.md, "Faces")'
        elif faces[service].looked_at != pin.tag:
            face = faces[service]
            yield HAND_OVER.format(
                service=service,
                tag=pin.tag,
                looked_at=face.looked_at,
                files=", ".join(face.source.files),
                repository=face.source.repository,
            )


def test_somebody_has_looked_at_the_image_that_is_pinned() -> None:
    assert not list(not_looked_at(pins(), FACES))
    assert set(FACES) == set(pins())


def test_a_pin_that_moves_asks_for_a_look() -> None:
    moved = {**pins(), "caddy": Pin("docker.io/library/caddy", "3.0.0-alpine"), "new": Pin("docker.io/a/b", "1")}
    caddy, new = not_looked_at(moved, FACES)
    assert "caddy is pinned at 3.0.0-alpine" in caddy
    assert "2.11/alpine/Dockerfile of caddyserver/caddy-docker" in caddy
    assert "new has no face" in new


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("userland", "windows", "there is no userland 'windows'"),
        ("shell", "/bin/sh", "shell: Extra inputs are not permitted"),
        ("folders", {"/data": "0:0"}, '"uid:gid mode"'),
        ("users", {"own": "7"}, '"uid:gid"'),
        ("looked_at", None, "looked_at: Input should be a valid string"),
    ],
)
def test_a_face_that_says_nonsense_is_refused(field: str, value: object, complaint: str) -> None:
    described = yaml.safe_load(FILE.read_text())["images"]["caddy"] | {field: value}
    with pytest.raises(ToolchainError, match=r"faces\.yaml: caddy: ") as caught:
        read({"caddy": described})
    assert complaint in str(caught.value)


# Shell and tools.

RUNS = [(name, FACES[image], text) for name, image, text in run_in_images(SETTINGS)]


def calls(tool: str = "") -> list[Any]:
    """Face and text of what is run, or of what calls one tool."""
    return [pytest.param(face, text, id=name) for name, face, text in RUNS if not tool or tool in tools_in(text)]


@pytest.mark.parametrize(("face", "text"), calls())
def test_the_image_has_the_tools_that_are_called_in_it(face: Face, text: str) -> None:
    assert tools_in(text) <= face.tools


def test_tools_are_found_where_scripts_call_them() -> None:
    assert tools_in('x=$(cat a | base64); # not ls\nif wget "$b"; then sed -n s/a/b/p; fi; exec /usr/bin/top') == {
        "cat", "base64", "wget", "sed",
    }  # fmt: skip


def programs_of(face: Face) -> set[str]:
    return {*face.entrypoint[:1], *face.programs}


@pytest.mark.parametrize("service", SERVICES)
def test_a_program_that_is_called_by_its_path_or_name_is_in_the_image(service: str) -> None:
    container, face = container_of(service), FACES[service]
    commands = [container.entrypoint or face.entrypoint or container.command, container.health]
    if container.config:
        commands.append(tuple(shlex.split(container.config.validate or "")))
        commands.append(container.config.reload if isinstance(container.config.reload, tuple) else ())
    for command in filter(None, commands):
        # Of a line of shell, the assignments before the program and the words of the shell are no programs.
        program = next(word for word in command if not re.match(r"\w+=", word) and word != "if")
        named = {PurePosixPath(path).name for path in programs_of(face)} | face.tools
        shell = {f"/bin/{tool}" for tool in ("sh", *face.tools) if "sh" in face.tools}
        assert program in (
            programs_of(face) | shell if program.startswith("/") else named | {program} & {*face.entrypoint}
        )


@pytest.mark.parametrize("service", [service for service in SERVICES if container_of(service).config])
def test_the_config_is_loaded_by_the_own_image_where_that_has_busybox(service: str) -> None:
    assert container_of(service).tools == (FACES[service].userland.kind == "busybox")


@pytest.mark.parametrize(("face", "text"), calls("nc"))
def test_no_script_hands_a_program_of_nc_a_descriptor_that_nc_takes(face: Face, text: str) -> None:
    used = {int(number) for pair in re.findall(r"(\d*)[<>]&(\d+)", text) for number in pair if number}
    assert used
    assert not used & {*face.userland.nc_takes}


@pytest.mark.parametrize(("face", "text"), calls("sync"))
def test_no_script_gives_sync_what_it_complains_of(face: Face, text: str) -> None:
    assert face.userland.sync_files or not re.search(r"\bsync[ \t]+[^\s;|&)}<>]", text)


# Users, folders, mounts.


@pytest.mark.parametrize("service", [service for service in SERVICES if container_of(service).data])
def test_the_service_may_write_to_a_fresh_data_volume(service: str) -> None:
    """A fresh volume gets owner and mode of the folder in the image; without one it is root's."""
    container, face = container_of(service), FACES[service]
    uid, gid = map(int, container.user.split(":"))
    folder = face.folders.get(str(container.data))
    if folder is None:
        assert container.claims_data or uid == ROOT
        return
    assert not container.claims_data
    bits = 0o200 if uid == folder.owner else 0o020 if gid == folder.group else 0o002
    assert folder.mode & bits


@pytest.mark.parametrize("service", SERVICES)
def test_no_volume_is_made_that_nobody_named(service: str) -> None:
    container = container_of(service)
    memory = {"/tmp"} if container.read_only else set()  # noqa: S108 - in the container
    assert {*FACES[service].volumes} <= {container.data} | memory


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_mounted_over_a_program(service: str) -> None:
    container, face = container_of(service), FACES[service]
    mounted = [MOUNT, config_files.INCOMING, config_files.VAULT, "/tmp", container.data]  # noqa: S108 - in the container
    mounted += [mount.inside for mount in container.mounts]
    for path in programs_of(face):
        assert not any(PurePosixPath(path).is_relative_to(place) for place in mounted if place)


@pytest.mark.parametrize("service", SERVICES)
def test_a_user_is_that_of_the_image_or_one_that_needs_nothing_of_it(service: str) -> None:
    """Every other uid than the image's has no folder of it to write to, but for root and what is mounted."""
    container, face = container_of(service), FACES[service]
    uid, gid = map(int, container.user.split(":"))
    name = face.user.partition(":")[0] or "0"
    official = face.passwd[name].uid if name in face.passwd else int(name)
    if uid != official:
        own = {path for path, folder in face.folders.items() if folder.owner == uid}
        assert uid == ROOT or container.claims_data or container.data in own or not container.data
    if not container.read_only:  # it writes beside its data, where only the image's own user may
        folders = [folder for path, folder in face.folders.items() if path.endswith("/config")]
        assert folders
        assert all(uid == folder.owner for folder in folders)
        assert gid in {folder.group for folder in folders} | {user.gid for user in face.passwd.values()}


# Environment, health, signals.

UNDERSTOOD = {
    "alloy": {"ALLOY_DEPLOY_MODE"},  # for the maker's statistics, which are off
    "elasticsearch": {"ELASTIC_CONTAINER", "SHELL"},  # read by the image's own entrypoint
    "jaeger": {"JAEGER_LISTEN_HOST"},  # all addresses, where the config names none
    "opensearch": {"JAVA_HOME", "LD_LIBRARY_PATH"},  # read by the image's own entrypoint
    "loki": {"SSL_CERT_FILE"},  # where Go looks anyhow
    "grafana": {name for name in FACES["grafana"].environment if name.startswith("GF_PATHS_")},  # the test below
}
"""Variables of an image that a container keeps, and why that is right."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_variable_of_the_image_is_replaced_or_understood(service: str) -> None:
    variables = {*FACES[service].variables} - {"PATH"} - {*container_of(service).environment}
    assert variables == UNDERSTOOD.get(service, set())


def test_no_variable_of_the_image_beats_grafanas_file(tmp_path: Path) -> None:
    """Grafana takes GF_<section>_<key> for the key of a section, whatever its file says."""
    container = container_of("grafana")
    assert container.config
    assert container.entrypoint == ("/bin/sh",)
    home, copies = tmp_path / "home", tmp_path / "dashboards"
    program = home / "bin" / "grafana"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    script = tmp_path / grafana.SCRIPT.name
    script.write_text(
        container.config.files[grafana.SCRIPT.name]
        .replace(FACES["grafana"].working_dir, str(home))
        .replace(grafana.COPIES, str(copies))
        .replace(grafana.FOLDER_COPIES, str(tmp_path / "folders"))
        .replace(grafana.DATA, str(tmp_path))
    )
    environment = {**FACES["grafana"].variables, **container.environment, "PATH": os.environ["PATH"]}
    words = [word.replace(DIRECTORY, str(tmp_path)) for word in container.command]
    output = subprocess.run(["/bin/sh", *words], env=environment, capture_output=True, text=True, check=True).stdout
    variables = dict(line.partition("=")[::2] for line in output.splitlines())
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(container.config.files[grafana.MAIN])
    for section in ini.sections():
        for key, value in ini[section].items():
            name = f"GF_{section}_{key}".upper().replace(".", "_").replace("-", "_")
            assert variables.get(name, value) == value, f"the image's {name} beats {section}.{key}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_health_check_of_the_image_is_replaced(service: str) -> None:
    assert container_of(service).health or not FACES[service].health


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_signalled_is_the_first_process(service: str) -> None:
    config = container_of(service).config
    if config and isinstance(config.reload, str) and config.reload.startswith("SIG"):
        face = FACES[service]
        assert len(face.entrypoint) == 1 or not face.entrypoint
        assert not (face.entrypoint or container_of(service).command)[0].endswith(".sh")


# File capabilities: the kernel starts no program whose file has one that the container may not have, for root neither.


@pytest.mark.parametrize("service", [service for service in SERVICES if FACES[service].capabilities])
def test_a_container_may_do_what_the_files_of_its_programs_say(service: str) -> None:
    needed = {name for names in FACES[service].capabilities.values() for name in names}
    image = SETTINGS.image(service)
    runs = {
        name: set((container.inputs["capabilities"].get("adds")) or ())
        for name, container in everything().of_type(CONTAINER).items()
        if container.inputs["image"] == image and container.inputs.get("start", True)
    }
    assert {service, f"{service}-loader"} <= set(runs)
    assert {name for name, may in runs.items() if not needed <= may} == set()
