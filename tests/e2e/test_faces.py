"""The images of this engine show the faces that are recorded, in what a container of the stack touches.

Where the registries can be reached, these are the official images, and this proves the record. Else they were built from it,
and this proves the packing.
"""

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import ContainerError, ImageNotFound
from docker.models.containers import Container

from config.images import pins
from config.settings.secret_keys import SECRETS
from tests.support.in_images import run_in_images, tools_in
from tests.support.program import EVERYTHING, settings_of
from toolchain.images import for_tests, packing
from toolchain.images.faces import Face, official
from toolchain.images.rootfs import CAPABILITY, vfs_cap_data

FACES = official()
SEARCH_ENGINES = ("elasticsearch", "opensearch")
RUNS = list(run_in_images(settings_of(EVERYTHING, secrets=SECRETS)))
CALLED = {
    service: sorted({"sh"}.union(*(tools_in(text) for _, image, text in RUNS if image == service))) for service in FACES
}
"""Service → tools that are called in its image."""

PROBE = """\
for tool in {tools}; do command -v "$tool" >/dev/null || echo "no $tool"; done
sync -f / 2>&1 >/dev/null
command -v nc >/dev/null || exit 0
nc -l -p 3000 -e cat &
tries=0
until nc 127.0.0.1 3000 -e sh -c 'for n in 3 5 9; do (: >&$n) 2>/dev/null || echo "nc takes $n" >&9; done' \\
    3>&1 5>&1 9>&1 2>/dev/null || [ "$tries" = 100 ]; do tries=$((tries + 1)); sleep 0.1; done
"""
"""Prints what of a userland is not plain."""


@pytest.fixture(scope="module")
def references(client: DockerClient, local_images: Mapping[str, str]) -> dict[str, str]:
    """Service → image on the engine."""
    built = dict(local_images)
    if built:
        built |= {service: for_tests.image(client, service) for service in SEARCH_ENGINES}
    wanted = {service: built.get(service, pin.reference) for service, pin in pins().items()}
    for reference in wanted.values():
        try:
            client.images.get(reference)
        except ImageNotFound:
            client.images.pull(reference)
    return wanted


@contextmanager
def created(client: DockerClient, reference: str) -> Iterator[Container]:
    """A container that never runs."""
    container = client.containers.create(reference, command=["-"], network_mode="none")
    try:
        yield container
    finally:
        container.remove(v=True)


def entry(container: Container, path: str) -> tarfile.TarInfo | None:
    """What the image has at a path; its content is not fetched."""
    api: Any = container.client.api  # type: ignore[union-attr]
    url = f"{api.base_url}/v{api.api_version}/containers/{container.id}/archive"
    with api.get(url, params={"path": path}, headers={"Accept-Encoding": "identity"}, stream=True) as answer:
        if not answer.ok:
            return None
        with tarfile.open(fileobj=answer.raw, mode="r|") as archive:
            return archive.next()


@pytest.mark.parametrize("service", FACES)
def test_an_image_shows_its_recorded_face(client: DockerClient, references: Mapping[str, str], service: str) -> None:
    face, image = FACES[service], client.images.get(references[service])
    assert face_of(image.attrs["Config"], face) == face_of(packing.configuration(face, ""), face)
    with created(client, references[service]) as container:
        for path, folder in face.folders.items():
            item = entry(container, path)
            assert item, path
            assert (item.uid, item.gid, oct(item.mode & 0o7777)) == (folder.owner, folder.group, oct(folder.mode)), path
        for path, target in face.userland.links.items():
            link = entry(container, path)
            assert link
            assert link.linkname.endswith(target.lstrip("/"))
        for path in (*face.entrypoint[:1], *face.programs):
            if path.startswith("/"):
                program = entry(container, path)
                assert program, path
                expected = vfs_cap_data(face.capabilities[path]) if path in face.capabilities else b""
                assert program.pax_headers.get(CAPABILITY, "").encode("utf-8", "surrogateescape") == expected
        assert bool(entry(container, "/tmp")) == (face.userland.tmp or "/tmp" in face.volumes)  # noqa: S108 - in the image
        assert bool(entry(container, "/etc/passwd")) == bool(face.passwd)
        assert bool(entry(container, "/bin/sh")) == ("sh" in face.tools)


def face_of(config: Mapping[str, Any], face: Face) -> dict[str, Any]:
    """An image's configuration, as far as containers meet it; labels and releases are left out."""
    variables = dict(line.split("=", 1) for line in config.get("Env") or ())
    for name in face.release_variables:
        assert variables.pop(name, None) is not None
    parts = ("Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "Volumes", "ExposedPorts", "Healthcheck")
    same = {part: config.get(part) or None for part in parts}
    if same["WorkingDir"] == "/":  # as without one
        same["WorkingDir"] = None
    return {**same, "Env": variables}


@pytest.mark.parametrize("service", [service for service, face in FACES.items() if "sh" in face.tools])
def test_shell_and_tools_are_those_that_are_recorded(
    client: DockerClient, references: Mapping[str, str], service: str
) -> None:
    around = FACES[service].userland
    output = client.containers.run(
        references[service],
        entrypoint=["sh", "-c"],
        command=[PROBE.format(tools=" ".join(CALLED[service]))],
        network_mode="none",
        user="0:0",
        remove=True,
        stderr=True,
    )
    expected = [f"nc takes {number}" for number in around.nc_takes]
    if not around.sync_files:
        expected.insert(0, "sync: ignoring all arguments")
    assert output.decode().splitlines() == expected


def test_a_program_starts_only_where_a_container_may_do_what_its_file_says(
    client: DockerClient, references: Mapping[str, str]
) -> None:
    """The kernel's rule for file capabilities, which the loader of Caddy's files has to keep."""

    def version(**may: Any) -> None:
        client.containers.run(
            references["caddy"], ["caddy", "version"], network_mode="none", cap_drop=["ALL"], remove=True, **may
        )

    version(cap_add=["NET_BIND_SERVICE"], security_opt=["no-new-privileges:true"])
    with pytest.raises(ContainerError, match=r"perm|126|127") as refused:
        version()
    assert refused.value.exit_status != 0
