"""Which backups are accepted: complete ones, with the right key, whose data fits the stack."""

import contextlib
import io
import json
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pyrage
import pytest
from docker.errors import APIError

from config.services import descriptions
from engine import docker_api
from operate.backup import manifest as manifests
from operate.backup import volume
from operate.backup.manifest import Kept, Manifest
from operate.backup.place import DamagedError, Place, Stored
from tests.support.cloud import REGION, cloud
from tests.support.ports import free_port
from tests.support.program import EVERYTHING, settings_of
from toolchain.report import ToolchainError

TEXT = os.urandom(3 * 2**20 + 17)
PIECES = [TEXT[:5], TEXT[5:2_000_000], TEXT[2_000_000:]]
KEY = pyrage.x25519.Identity.generate()


def key_file(folder: Path, key: object = KEY) -> Path:
    path = folder / "key.txt"
    path.write_text(f"# created: today\n{key}\n")
    return path


@pytest.fixture(params=["clear", "encrypted"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    keys: dict[str, Any] = {}
    if request.param == "encrypted":
        keys = {"recipient": str(KEY.to_public()), "identity": key_file(tmp_path)}
    backup_place = Place(str(tmp_path / "backups" / "one"), **keys)
    with backup_place.made():
        pass
    return backup_place


def put(place: Place, files: Mapping[str, Iterable[bytes]]) -> None:
    """A backup of these files."""
    with place.made():
        for name, pieces in files.items():
            place.write(name, pieces)


def test_what_is_put_there_comes_back(place: Place) -> None:
    stored = place.write("loki.tar.gz", PIECES)
    place.must_hold(stored)
    assert b"".join(place.read(stored)) == TEXT
    on_disk = Path(place.address, stored.name).read_bytes()
    assert (TEXT[:64] in on_disk) == (not stored.name.endswith(".age"))
    assert Path(place.address).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda text: text[:-1], "is damaged: it has"),
        (lambda text: text[:9] + bytes([text[9] ^ 1]) + text[10:], "is damaged: its sha256 is another one"),
        (lambda _: None, "cannot be read"),
    ],
    ids=["cut short", "changed", "gone"],
)
def test_a_damaged_file_is_told(place: Place, harm: Any, complaint: str) -> None:
    stored = place.write("loki.tar.gz", PIECES)
    file = Path(place.address, stored.name)
    text = harm(file.read_bytes())
    file.unlink() if text is None else file.write_bytes(text)
    with pytest.raises(DamagedError, match=complaint):
        place.must_hold(stored)


def test_without_the_right_key_nothing_opens(tmp_path: Path) -> None:
    sealed = Place(str(tmp_path / "one"), recipient=str(KEY.to_public()))
    with sealed.made():
        stored = sealed.write("loki.tar.gz", PIECES)
    with pytest.raises(ToolchainError, match="is encrypted"):
        list(sealed.read(stored))
    other = Place(sealed.address, identity=key_file(tmp_path, pyrage.x25519.Identity.generate()))
    with pytest.raises(DamagedError, match="cannot be opened: No matching keys"):
        list(other.read(stored))


@pytest.mark.parametrize("encrypted", [False, True])
def test_what_stops_in_the_middle_is_told_in_its_own_words(tmp_path: Path, *, encrypted: bool) -> None:
    place = Place(str(tmp_path / "one"), recipient=str(KEY.to_public()) if encrypted else None)

    def pieces() -> Iterator[bytes]:
        yield b"begins"
        raise ChildProcessError("tar: short read")

    with pytest.raises(ChildProcessError, match="short read"):
        put(place, {"state.json": [b"{}"], "loki.tar.gz": pieces()})
    assert not Path(place.address).exists()


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_full_disk_is_told_in_one_line_and_nothing_is_left_on_it(tmp_path: Path, *, encrypted: bool) -> None:
    place = Place(str(tmp_path / "one"), recipient=str(KEY.to_public()) if encrypted else None)

    def full() -> Iterator[bytes]:
        Path(place.address, "loki.tar.gz.age" if encrypted else "loki.tar.gz").symlink_to("/dev/full")
        yield b"{}"

    with pytest.raises(ToolchainError, match=r"one does not take the backup: .*No space left on device"):
        put(place, {"state.json": full(), "loki.tar.gz": PIECES})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told_in_one_line_and_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "of another backup").mkdir()
    for where, complaint in (("file/one", "Not a directory"), ("of another backup", "File exists")):
        with pytest.raises(ToolchainError, match=f"does not take the backup: .*{complaint}"):
            put(Place(str(tmp_path / where)), {"state.json": [b"{}"]})
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("bucket", "endpoint", "key", "complaint"),
    [
        ("nobodys", None, "test", "the bucket 'nobodys' does not exist, or is forbidden for access"),
        ("there", f"http://127.0.0.1:{free_port()}", "test", "Could not connect to the endpoint URL"),
        ("there", None, "", "Unable to locate credentials"),
        ("", None, "test", 'Invalid bucket name ""'),
    ],
    ids=["no such bucket", "no answer", "no credentials", "no name"],
)
def test_a_bucket_that_takes_nothing_is_told_in_one_message(
    monkeypatch: pytest.MonkeyPatch, bucket: str, endpoint: str | None, key: str, complaint: str
) -> None:
    with cloud("there") as address:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint or address,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        with pytest.raises(ToolchainError, match=f"does not take the backup: (?s:.*){re.escape(complaint)}"):
            put(Place(f"s3://{bucket}/daily"), {"state.json": [b"{}"]})


def test_wrong_keys_are_told_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"RECIPIENT is not a public key$"):
        Place(str(tmp_path), recipient="age1nonsense")
    with pytest.raises(ToolchainError, match="IDENTITY names no file that can be read: No such file"):
        Place(str(tmp_path), identity=tmp_path / "missing")
    (tmp_path / "empty").write_text("")
    with pytest.raises(ToolchainError, match="holds no secret key of age"):
        Place(str(tmp_path), identity=tmp_path / "empty")


def manifest(images: Mapping[str, str], config: Mapping[str, Any] | None = None) -> Manifest:
    stored = Stored(name="x.gz", bytes=1, sha256="0" * 64)
    return Manifest(
        stack="test",
        prefix="nervous-test",
        environment="test",
        taken=datetime.now(UTC),
        log_schema=manifests.log_schema(settings_of(config or {})),
        state=stored,
        stack_file=stored,
        volumes={
            service: Kept(image=image, image_id="sha256:0", seconds_held=0.5, files=(stored,) * 3)
            for service, image in images.items()
        },
    )


def test_a_manifest_comes_back_and_without_one_there_is_no_backup(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    with pytest.raises(DamagedError, match="contains no complete backup"):
        manifests.read(place)
    original = manifest({"loki": "docker.io/grafana/loki:3.7.8"})
    place.write_clear_text(manifests.NAME, original.model_dump_json().encode())
    assert manifests.read(place) == original
    later = json.loads(original.model_dump_json()) | {"format": 2}
    place.write_clear_text(manifests.NAME, json.dumps(later).encode())
    with pytest.raises(DamagedError, match="was made by a newer version of this project, in format 2"):
        manifests.read(place)


@pytest.mark.parametrize(
    ("backed_up", "config", "complaint"),
    [
        (manifest({"loki": "loki:3.7.8"}), {}, None),
        (manifest({"loki": "loki:99.0.0"}), {}, "an older version may not read"),
        (manifest({"elasticsearch": "elasticsearch:8.19.22"}), {}, "the stack runs no elasticsearch"),
        (manifest({"jaeger": "jaeger:2.13.0"}), EVERYTHING, "the stack runs no jaeger with a volume"),
        (manifest({"loki": "loki:3.7.8"}), {"logs": {"s3": {"bucket": "logs"}}}, "from 2024-01-01 in filesystem"),
        (
            manifest({"loki": "loki:3.7.8"}),
            {"logs": {"s3": {"bucket": "logs", "since": "2026-01-01"}}},
            None,
        ),
    ],
    ids=["fits", "older", "another storage", "no storage", "schema lost", "schema goes on"],
)
def test_a_backup_that_does_not_fit_the_settings_is_refused(
    backed_up: Manifest, config: Mapping[str, Any], complaint: str | None
) -> None:
    if complaint is None:
        manifests.must_fit(backed_up, settings_of(config), with_grafana=False)
        return
    with pytest.raises(ToolchainError, match=complaint):
        manifests.must_fit(backed_up, settings_of(config), with_grafana=False)


@pytest.mark.parametrize("shipper", ["alloy", "promtail"])
def test_who_hands_on_is_copied_first_and_loki_last(shipper: str) -> None:
    order = [container.service for container in descriptions.keepers(settings_of({"logs": {"shipper": shipper}}))]
    assert set(order[:2]) == {shipper, "otel_collector"}
    assert order[-1] == "loki"


class Service:
    """A container as far as it can be held still."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.did: list[str] = []

    def reload(self) -> None:
        pass

    def pause(self) -> None:
        self.did, self.status = [*self.did, "pause"], "paused"

    def unpause(self) -> None:
        self.did, self.status = [*self.did, "unpause"], "running"

    def stop(self, timeout: int) -> None:
        self.did, self.status = [*self.did, f"stop {timeout}"], "exited"

    def start(self) -> None:
        self.did, self.status = [*self.did, "start"], "running"


@pytest.mark.parametrize(
    ("status", "how", "did"),
    [
        ("running", "paused", ["pause", "unpause"]),
        ("running", "stopped", ["stop 9", "start"]),
        ("paused", "paused", ["unpause"]),  # by a backup that was killed
        ("exited", "paused", []),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_what_is_held_is_let_go_whatever_happens(status: str, how: str, did: list[str], *, fails: bool) -> None:
    service: Any = Service(status)
    try:
        with volume.quiesced(service, how, 9):
            if fails:
                raise KeyboardInterrupt  # noqa: TRY301
    except KeyboardInterrupt:
        assert fails
    assert service.did == did


class Restless(Service):
    """One that the engine cannot hold at once."""

    def __init__(self, tries: int) -> None:
        super().__init__("running")
        self._tries = tries

    def pause(self) -> None:
        self._tries -= 1
        if self._tries:
            raise APIError("OCI runtime pause failed: unable to freeze: unknown")
        super().pause()


@pytest.mark.parametrize(("tries", "success"), [(3, True), (100, False)])
def test_a_process_that_begins_as_its_container_is_held_is_no_reason_to_give_up(tries: int, *, success: bool) -> None:
    service: Any = Restless(tries)
    with contextlib.nullcontext() if success else pytest.raises(APIError), volume.quiesced(service, "paused", 9):
        pass
    assert service.did == (["pause", "unpause"] if success else [])


def frame(kind: int, text: bytes) -> bytes:
    return struct.pack(">B3xL", kind, len(text)) + text


class Answering:
    """An engine that answers one command with `stream`."""

    def __init__(self, stream: bytes, code: int) -> None:
        self._stream, self._code = stream, code
        self.client = self.api = self
        self.id = self.base_url = self.api_version = ""
        self.timeout = 1

    def exec_create(self, *_: object) -> dict[str, str]:
        return {"Id": "1"}

    def exec_inspect(self, _: str) -> dict[str, int]:
        return {"ExitCode": self._code}

    def post(self, *_: object, **__: object) -> Any:
        return type("Answer", (), {"ok": True, "raw": io.BytesIO(self._stream)})


@pytest.mark.parametrize(
    ("stream", "code", "complaint"),
    [
        (frame(1, b"one ") + frame(2, b"beside") + frame(1, b"two"), 0, None),
        (frame(1, b"one ") + frame(2, b"tar: lost") + frame(1, b"two"), 1, "tar: lost"),
        ((frame(1, b"one ") + frame(1, b"two"))[:-1], 0, docker_api.CUT_OFF),
        (frame(1, b"one two") + frame(1, b"more")[:5], 0, docker_api.CUT_OFF),
        (frame(1, b"one two") + frame(1, b"more")[:8], 0, docker_api.CUT_OFF),
    ],
    ids=["whole", "failed", "cut in a text", "cut in a head", "cut after a head"],
)
def test_what_a_command_writes_is_whole_or_an_error(stream: bytes, code: int, complaint: str | None) -> None:
    service: Any = Answering(stream, code)
    complaints: list[bytes] = []
    pieces = docker_api.output(service, ["cat"], complaints)
    if complaint is None:
        assert b"".join(pieces) == b"one two"
        assert complaints == [b"beside"]
        return
    with pytest.raises(ChildProcessError, match=complaint):
        list(pieces)
