"""Which images are built, what their names follow, and what is in them."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from docker.errors import ImageNotFound

from config.images import Reference, pins
from toolchain import engine_setup, golang, images, reach
from toolchain.golang import Go as Compiler
from toolchain.images import packing
from toolchain.images.faces import Face, Folder, Health, User, official, userlands
from toolchain.images.recipes import RECIPES, Assembled, Debian, Go, Recipe
from toolchain.images.rootfs import Rootfs

LocalImages = Callable[..., dict[str, str]]


class Client:
    """An engine that has some images, and takes more."""

    def __init__(self, *present: str) -> None:
        self.present = set(present)
        self.loaded: dict[str, Any] = {}
        self.images = self

    def get(self, reference: str) -> None:
        if reference not in self.present:
            raise ImageNotFound(reference)

    def load(self, archive: IO[bytes]) -> None:
        with tarfile.open(fileobj=archive) as image:
            manifest = json.loads(_content(image, "manifest.json"))
            config = json.loads(_content(image, manifest[0]["Config"]))
            self.loaded = {"manifest": manifest, "config": config, "layer": _content(image, manifest[0]["Layers"][0])}


def _content(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(path)
    assert file is not None
    return file.read()


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golang, "toolchain", lambda: Compiler("/go", "go1.26.0"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> LocalImages:
    """What `local_images` answers on a machine whose engine has some images, and cannot reach some registries."""

    def local_images(references: Mapping[str, str], *, present: tuple[str, ...], silent: set[str]) -> dict[str, str]:
        monkeypatch.setattr(engine_setup, "connect", lambda *_: Client(*present))
        monkeypatch.setattr(reach, "silent", lambda probes: silent & set(probes))
        monkeypatch.setattr(images, "ensure", lambda _, service, __: f"built/{service}")
        return images.local_images(references)

    return local_images


REFERENCES = {"prometheus": "docker.io/prom/prometheus:v3@sha256:a", "cadvisor": "ghcr.io/google/cadvisor:v0@sha256:b"}


def test_nothing_is_built_where_the_registries_answer(machine: LocalImages) -> None:
    assert machine(REFERENCES, present=(), silent=set()) == {}


def test_only_what_cannot_be_pulled_is_built(machine: LocalImages) -> None:
    assert machine(REFERENCES, present=(), silent={"ghcr.io"}) == {"cadvisor": "built/cadvisor"}


def test_what_the_engine_has_is_used(machine: LocalImages) -> None:
    present = (REFERENCES["cadvisor"],)
    assert machine(REFERENCES, present=present, silent={"docker.io", "ghcr.io"}) == {"prometheus": "built/prometheus"}


def test_what_cannot_be_had_is_named(machine: LocalImages, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine({"unknown": "docker.io/x/unknown:1"}, present=(), silent={"docker.io"}) == {}
    assert "not available here: unknown" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("prom/prometheus:v3", "docker.io"),
        ("prometheus", "docker.io"),
        ("docker.io/prom/prometheus:v3", "docker.io"),
        ("127.0.0.1:5000/prom/prometheus@sha256:a", "127.0.0.1:5000"),
        ("localhost/x", "localhost"),
        ("mirror.example/prom/prometheus", "mirror.example"),
    ],
)
def test_registry_of_a_reference(reference: str, registry: str) -> None:
    assert Reference.parse(reference).host == registry


def test_names_follow_what_images_are_made_from() -> None:
    recipe = RECIPES["prometheus"]
    key = images._image_key("prometheus", recipe)
    assert images._image_key("prometheus", recipe) == key
    other = replace(recipe, face=official()["prometheus"].model_copy(update={"user": "root"}))
    assert images._image_key("prometheus", other) != key
    # Another face needs no other binaries.
    assert images._source_key("prometheus", other) == images._source_key("prometheus", recipe)


def test_another_compiler_builds_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images._source_key("prometheus", RECIPES["prometheus"])
    monkeypatch.setattr(golang, "toolchain", lambda: Compiler("/go", "go1.27.0"))
    assert images._source_key("prometheus", RECIPES["prometheus"]) != before


@pytest.mark.parametrize(("service", "recipe"), RECIPES.items())
def test_every_recipe_is_of_a_pinned_service_and_has_its_module(service: str, recipe: Recipe) -> None:
    assert service in pins()
    if isinstance(recipe.source, Go):
        module = images.FOLDER / (recipe.source.module or service)
        assert {"go.mod", "go.sum"} <= {path.name for path in module.iterdir()}
        face = official()[service]
        assert {*face.entrypoint[:1], *face.programs} >= set(recipe.source.packages)


def test_a_binary_is_kept_under_its_name_in_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NamesByPackage(Compiler):
        def build(self, module: Path, packages: Sequence[str], *, into: Path, **_: Any) -> None:
            assert module == images.FOLDER / "jaeger"
            for package in packages:
                (into / package.rpartition("/")[2]).touch()

    monkeypatch.setattr(golang, "toolchain", lambda: NamesByPackage("/go", "go1.26.0"))
    source = Go({"/cmd/tool-linux": "example.org/tool"}, module="jaeger")
    images._make("tool", Recipe(version="1", source=source), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tool-linux"]


def test_an_image_has_the_owners_and_the_configuration_of_its_recipe(tmp_path: Path) -> None:
    binaries, base = tmp_path / "binaries", tmp_path / "base"
    for folder in (binaries, base / "usr" / "share" / "ca-certificates" / "mozilla"):
        folder.mkdir(parents=True)
    (binaries / "tool").write_bytes(b"program")
    (base / "usr/share/ca-certificates/mozilla/one.crt").write_text("certificate\n")
    recipe = Recipe(version="1", source=Go({"/bin/tool": "example.org/tool"}))
    face = Face(
        userland=userlands()["distroless"],
        entrypoint=("/bin/tool",),
        command=("--flag",),
        user="own",
        users={"own": User(uid=7, gid=8)},
        environment={"HOME_OF": "/data"},
        release_variables=("RELEASE",),
        folders={"/data/deep": Folder(owner=7, group=8, mode=0o770)},
        volumes=("/data",),
        ports=("1/tcp", "1/udp"),
        working_dir="/data",
        health=Health(test=("CMD", "/bin/tool"), interval=30, timeout=3),
        stop_signal="SIGUSR1",
        capabilities={"/bin/tool": ("CAP_NET_BIND_SERVICE",)},
    )
    client = Client()

    def load() -> bytes:
        packing.load(client, "nervous-system/tool:1", recipe, face, binaries=binaries, base=base)  # type: ignore[arg-type]
        assert isinstance(client.loaded["layer"], bytes)
        return client.loaded["layer"]

    first = load()
    assert client.loaded["config"]["config"] == {
        "Entrypoint": ["/bin/tool"],
        "Cmd": ["--flag"],
        "User": "own",
        "Env": [
            "HOME_OF=/data",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "RELEASE=1",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ],
        "WorkingDir": "/data",
        "StopSignal": "SIGUSR1",
        "Volumes": {"/data": {}},
        "ExposedPorts": {"1/tcp": {}, "1/udp": {}},
        "Healthcheck": {"Test": ["CMD", "/bin/tool"], "Interval": 30 * 10**9, "Timeout": 3 * 10**9, "StartPeriod": 0},
    }
    assert client.loaded["manifest"][0]["RepoTags"] == ["nervous-system/tool:1"]
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        deep = tar.getmember("data/deep")
        assert (deep.uid, deep.gid, deep.mode) == (7, 8, 0o770)
        assert tar.getmember("data").uid == 0
        assert tar.getmember("tmp").mode == 0o1777
        program = tar.getmember("bin/tool")
        assert program.mode == 0o755
        # As setcap writes it: revision 2 and effective, then 1 << 10, for what is permitted.
        assert program.pax_headers["SCHILY.xattr.security.capability"].encode() == bytes.fromhex(
            "0100000200040000000000000000000000000000"
        )
        assert b"own:x:7:8" in _content(tar, "etc/passwd")
        assert len(tar.getnames()) == len(set(tar.getnames()))
    assert load() == first  # the same content is the same image


def test_an_image_from_scratch_has_certificates_and_its_program_only(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"program")
    client = Client()
    packing.load(
        client,  # type: ignore[arg-type]
        "nervous-system/tool:1",
        Recipe(version="1", source=Go({"/tool": "example.org/tool"})),
        Face(userland=userlands()["scratch"], entrypoint=("/tool",)),
        binaries=tmp_path,
        base=tmp_path,
    )
    with tarfile.open(fileobj=io.BytesIO(client.loaded["layer"])) as tar:
        files = {entry.name for entry in tar if entry.isfile()}
    assert files == {"tool", "etc/ssl/certs/ca-certificates.crt"}
    assert client.loaded["config"]["config"] == {"Entrypoint": ["/tool"]}


def test_what_stands_in_a_deep_folder_belongs_to_its_owner(tmp_path: Path) -> None:
    with (tmp_path / "layer.tar").open("wb") as archive:
        root = Rootfs(archive)
        root.folder("/own", Folder(owner=7, group=8, mode=0o755, deep=True))
        root.text("/own/deeper/text", "")
        root.text("/other", "")
        root.close()
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert {entry.name: (entry.uid, entry.gid) for entry in tar} == {
            "own": (7, 8), "own/deeper": (7, 8), "own/deeper/text": (7, 8), "other": (0, 0),
        }  # fmt: skip


def test_what_a_function_puts_together_is_keyed_by_what_it_is_made_from(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_text("one")
    source = Assembled(make=lambda folder: (folder / "made").touch(), made_from=(part,), files={})
    recipe = Recipe(version="1", source=source)
    before = images._source_key("x", recipe)
    assert images._source_key("x", replace(recipe, version="2")) != before
    part.write_text("two")
    assert images._source_key("x", recipe) != before
    folder = tmp_path / "folder"
    folder.mkdir()
    images._make("x", recipe, folder)
    assert (folder / "made").exists()


def test_distribution_packages_are_keyed_by_release(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(version="1", source=Debian(("haproxy",), {}))
    before = images._source_key("x", recipe)
    monkeypatch.setattr(images, "debian", SimpleNamespace(release=lambda: "ubuntu 30.04 x86_64"))
    assert images._source_key("x", recipe) != before


PATCH = {
    "go.mod": "module nervous-system/tool\n",
    "go.sum": "",
    "patch/go.mod": "// Ours.\nmodule example.org/service\n\ngo 1.26.5\n",
    "patch/packages/all/all.go": "package all // ours",
    "patch/packages/cmd/tool/main.go": "package main // ours",
    "patch/files/util/gate.go": "package util // ours",
}
ORIGINAL = {
    "go.mod": "module example.org/service\n\ngo 1.99\n",
    "all/all.go": "package all",
    "all/more.go": "package all",
    "all/all_test.go": "package all",
    "all/deeper/kept.go": "package deeper",
    "util/gate.go": "package util",
    "util/kept.go": "package util",
    "util/gate_test.go": "package util",
}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with a patch, whose dependency is in a module cache."""
    for name, content in PATCH.items():
        file = tmp_path / "module" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    with zipfile.ZipFile(tmp_path / "v1.zip", "w") as archive:
        for name, content in ORIGINAL.items():
            archive.writestr(f"example.org/service@v1/{name}", content)
    return tmp_path / "module"


def test_a_patch_stands_in_place_of_packages_and_files_of_a_dependency(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: dict[str, str] = {}
    commands = []

    def run(command: list[str], *, cwd: Path, **_: object) -> str:
        commands.append(command[1:])
        if command[1] == "build":
            sources.update({str(file.relative_to(cwd)): file.read_text() for file in cwd.rglob("*") if file.is_file()})
        return json.dumps({"Zip": str(tmp_path / "v1.zip"), "Version": "v1"})

    monkeypatch.setattr(golang, "run", run)
    golang.toolchain().build(module, ["example.org/service/cmd/tool"], tags="", ldflags="", into=tmp_path, log="x")
    assert commands[1] == ["mod", "edit", "-replace=example.org/service=./patched"]
    assert sources == {
        "go.mod": PATCH["go.mod"],
        "go.sum": "",
        "patched/go.mod": PATCH["patch/go.mod"],
        "patched/all/all.go": "package all // ours",
        "patched/all/deeper/kept.go": "package deeper",
        "patched/cmd/tool/main.go": "package main // ours",
        "patched/util/gate.go": "package util // ours",
        "patched/util/kept.go": "package util",
    }


def test_what_is_written_here_is_vetted_inside_the_dependency(module: Path) -> None:
    patch = golang.Patch.of(module)
    assert patch
    assert patch.dependency == "example.org/service"
    assert patch.packages == ["all", "cmd/tool", "util"]
    assert golang.Patch.of(module / "patch") is None
