"""Backups that somebody has tampered with, and keys and places in the wrong variables."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from operate import backup, commands
from operate.backup import archives, keys, place
from operate.backup.manifest import Kept, Manifest
from operate.backup.place import DamagedError, Place, Stored
from tests.support.program import settings_of
from toolchain import engine_setup, paths
from toolchain.report import ToolchainError

ROOM = 2**20


def member(name: str, kind: bytes = tarfile.REGTYPE, *, content: bytes = b"", link: str = "", mode: int = 0o644) -> Any:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.size = kind, link, mode, len(content)
    return entry, content


def tar(*members: Any) -> bytes:
    """An archive as busybox writes it, packed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry, content in members:
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


GOOD = (
    member("data", tarfile.DIRTYPE, mode=0o2775),
    member("data/wal", tarfile.DIRTYPE),
    member("data/wal/000", content=b"x" * 2000),
    member("data/" + "long" * 60, content=b"y"),
    member("data/..hidden", content=b"z"),
    member("data/same", tarfile.LNKTYPE, link="data/wal/000"),
    member("data/wal/newest", tarfile.SYMTYPE, link="../wal/000"),
)
NAMES = gzip.compress(b"data\ndata/wal\ndata/wal/000\n")


@pytest.fixture
def of(tmp_path: Path) -> Callable[..., tuple[Place, Kept]]:
    """A backup of one volume out of these archives."""

    def make(at_rest: bytes = tar(*GOOD), changed: bytes = tar(), names: bytes = NAMES) -> tuple[Place, Kept]:
        folder = Place(str(tmp_path / "backup"))
        with folder.made():
            files = [
                folder.write(f"loki.{name}", [text])
                for name, text in (("at-rest.tar.gz", at_rest), ("changed.tar.gz", changed), ("names.gz", names))
            ]
        return folder, Kept(image="loki:3", image_id="", seconds_held=0, files=(files[0], files[1], files[2]))

    return make


def test_what_a_volume_has_is_taken_and_counted(of: Callable[..., tuple[Place, Kept]]) -> None:
    room = archives.must_be_sound(*of(), ROOM)
    assert ROOM - 100_000 < room < ROOM - 2000


BAD_MEMBERS = {
    "a path from the root on": (member("/etc/passwd", content=b"x"), "leads out"),
    "a path upwards": (member("data/../../etc/passwd", content=b"x"), "leads out"),
    "a path beside the volume": (member("etc/passwd", content=b"x"), "leads out"),
    "a folder whose name begins alike": (member("database/x", content=b"x"), "leads out"),
    "a folder upwards": (member("..", tarfile.DIRTYPE), "leads out"),
    "a link to the root": (member("data/x", tarfile.SYMTYPE, link="/etc"), "is a link that leads out"),
    "a link upwards": (member("data/x", tarfile.SYMTYPE, link="../../etc"), "is a link that leads out"),
    "a link to what is beside": (member("data/x", tarfile.SYMTYPE, link="../etc"), "is a link that leads out"),
    "a hard link out": (member("data/x", tarfile.LNKTYPE, link="/etc/shadow"), "is a link that leads out"),
    "a hard link upwards": (member("data/x", tarfile.LNKTYPE, link="data/../etc/shadow"), "is a link that leads out"),
    "a disk": (member("data/x", tarfile.BLKTYPE), "is neither a file nor a folder"),
    "a device": (member("data/x", tarfile.CHRTYPE), "is neither a file nor a folder"),
    "a pipe": (member("data/x", tarfile.FIFOTYPE), "is neither a file nor a folder"),
    "a program with the rights of root": (member("data/x", content=b"x", mode=0o4755), "rights of another user"),
}


@pytest.mark.parametrize("archive", ["at_rest", "changed"])
@pytest.mark.parametrize(("bad", "words"), BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
def test_what_no_volume_has_is_refused(
    of: Callable[..., tuple[Place, Kept]], bad: Any, words: str, archive: str
) -> None:
    with pytest.raises(DamagedError, match=words):
        archives.must_be_sound(*of(**{archive: tar(*GOOD, bad)}), ROOM)


def _raw(text: bytes) -> bytes:
    return gzip.compress(text)


PLAIN = gzip.decompress(tar(*GOOD))
BAD_FILES: dict[str, tuple[dict[str, bytes], str]] = {
    "cut short": ({"at_rest": tar(*GOOD)[:-20]}, "ends in the middle"),
    "cut in the archive": ({"at_rest": _raw(PLAIN[:1024])}, "ends in the middle|unexpected end"),
    "cut in a file": ({"at_rest": _raw(PLAIN[:2560])}, "ends in the middle|unexpected end"),
    "with a damaged header": ({"at_rest": _raw(PLAIN[:512] + b"\xff" * 512 + PLAIN[1024:])}, "ends in the middle"),
    "with something behind its end": ({"at_rest": _raw(PLAIN[:-512] + b"x" * 512)}, "stands behind its end"),
    "no archive": ({"changed": _raw(b"hello" * 1000)}, "."),
    "not packed": ({"changed": PLAIN}, "."),
    "empty": ({"changed": b""}, "ends in the middle"),
    "too large": ({"changed": tar(member("data/x", content=b"\0" * 2 * ROOM))}, "unpacks to more than"),
    "a bomb of names": ({"names": gzip.compress(b"data/x\n" * ROOM)}, "unpacks to more than"),
    "a name upwards": ({"names": gzip.compress(b"data\ndata/../../etc/passwd\n")}, "leads out"),
    "a name from the root on": ({"names": gzip.compress(b"/etc/passwd\n")}, "leads out"),
    "names that are cut": ({"names": gzip.compress(b"data\ndata/wa")}, "ends in the middle"),
    "no names": ({"names": gzip.compress(b"")}, "ends in the middle"),
}


@pytest.mark.parametrize(("files", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_an_archive_that_is_none_of_ours_is_refused_in_one_message(
    of: Callable[..., tuple[Place, Kept]], files: Mapping[str, bytes], words: str
) -> None:
    with pytest.raises(DamagedError, match=f"is not what `make backup` writes: .*{words}") as caught:
        archives.must_be_sound(*of(**files), ROOM)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encrypted", [False, True])
def test_what_is_changed_after_it_was_judged_is_told_before_it_is_used(tmp_path: Path, *, encrypted: bool) -> None:
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(key))
    recipient = str(key.to_public()) if encrypted else None
    one = Place(str(tmp_path / "one"), recipient=recipient, identity=tmp_path / "key")
    two = Place(str(tmp_path / "two"), recipient=recipient)
    with one.made(), two.made():
        stored, other = one.write("state.json", [b"of us"]), two.write("state.json", [b"of others"])
    one.must_hold(stored)
    Path(one.address, stored.name).write_bytes(Path(two.address, other.name).read_bytes())
    with pytest.raises(DamagedError, match="is damaged"):
        list(one.read(stored))


def _manifest(**changes: Any) -> str:
    stored = Stored(name="x.gz", bytes=1, sha256="0" * 64)
    whole = Manifest(
        stack="test", prefix="nervous-test", environment="test", taken=datetime.now(UTC), state=stored, stack_file=stored,
        volumes={"loki": Kept(image="loki:3", image_id="", seconds_held=0, files=(stored,) * 3)},
    )  # fmt: skip
    return json.dumps(json.loads(whole.model_dump_json()) | changes)


STORED = {"name": "x.gz", "bytes": 1, "sha256": "0" * 64}
KEPT = {"image": "", "image_id": "", "seconds_held": 0, "files": [STORED] * 3}
BAD_MANIFESTS = {
    "a newer format": (_manifest(format=2), "made by a newer version"),
    "another format": (_manifest(format="x"), "format"),
    "a file elsewhere": (_manifest(state=STORED | {"name": "../../etc/passwd"}), "state.name"),
    "a file from the root on": (_manifest(state=STORED | {"name": "/etc/passwd"}), "state.name"),
    "a size below nothing": (_manifest(state=STORED | {"bytes": -1}), "state.bytes"),
    "no hash": (_manifest(state=STORED | {"sha256": ""}), "state.sha256"),
    "a service that leads elsewhere": (_manifest(volumes={"../x": KEPT}), "volumes"),
    "four archives": (_manifest(volumes={"loki": KEPT | {"files": [STORED] * 4}}), "volumes.loki.files"),
    "a stack that writes to the terminal": (_manifest(stack="\x1b[2J"), "stack"),
    "an unknown key": (_manifest(run="x"), "run"),
    "no JSON": ("{", "damaged"),
    "a folder of JSON": ("[" * 100_000, "damaged"),
    "a file without end": (" " * (place.SMALL + 1), "more than any file of a backup"),
}


@pytest.mark.parametrize(("text", "words"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS.keys())
def test_a_manifest_that_leads_elsewhere_is_refused_and_nothing_is_touched(
    tmp_path: Path, text: str, words: str, untouched: Path
) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DamagedError, match=words):
        backup.bring_back("new", Place(str(tmp_path)), replace=True)
    assert not list(untouched.iterdir())


@pytest.fixture
def untouched(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without stacks, and an engine that must not be asked."""
    folder = tmp_path_factory.mktemp("project")
    monkeypatch.setattr(paths, "REPOSITORY", folder)
    monkeypatch.setattr(engine_setup, "ensure", pytest.fail)
    monkeypatch.setattr(commands, "Stack", pytest.fail)
    return folder


@pytest.mark.parametrize(
    ("stack_file", "archive", "words"),
    [
        (b"config: {}", tar(*GOOD, member("/etc/passwd")), "leads out of the volume"),
        (b"config: {'nervous-system:networks': [host]}", tar(*GOOD), "one of Docker's own"),
        (b"config: [", tar(*GOOD), r"Pulumi\.new\.yaml"),
    ],
    ids=["an archive", "the settings", "the stack file"],
)
def test_a_backup_is_judged_before_anything_is_written(
    tmp_path: Path, untouched: Path, stack_file: bytes, archive: bytes, words: str
) -> None:
    folder = Place(str(tmp_path / "backup"))
    with folder.made():
        files = [
            folder.write(f"loki.{name}", [text]) for name, text in (("a.gz", archive), ("b.gz", tar()), ("c.gz", NAMES))
        ]
        whole = Manifest(
            stack="new", prefix="nervous-new", environment="new", taken=datetime.now(UTC),
            state=folder.write("state.json", [b"{}"]), stack_file=folder.write("stack.yaml", [stack_file]),
            volumes={"loki": Kept(image="loki:3.7.8", image_id="", seconds_held=0, files=(files[0], files[1], files[2]))},
        )  # fmt: skip
        folder.write_clear_text("manifest.json", whole.model_dump_json().encode())
    with pytest.raises(ToolchainError, match=words):
        backup.bring_back("new", folder, replace=True)
    assert not list(untouched.iterdir())


def test_a_backup_may_be_twice_the_disk_and_what_is_mapped() -> None:
    assert archives.room(settings_of({"disk": {"budget": "200GiB"}})) == 404 * 2**30


# Pasted where it does not belong.
AGE = str(pyrage.x25519.Identity.generate())
SSH = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE\n-----END OPENSSH PRIVATE KEY-----\n"
SECRET_KEYS = {
    "of age": AGE,
    "in small letters": AGE.lower(),
    "with blanks around": f"  {AGE}\n",
    "with blanks inside": " ".join(AGE),
    "in quotes": f"'{AGE}'",
    "a file of age-keygen": f"# created: today\n# public key: age1x\n{AGE}\n",
    "of age, cut short": AGE[:30],
    "of ssh": SSH,
    "of ssh, in one line": SSH.replace("\n", " "),
    "of ssh, without its head": SSH.splitlines()[1],
    "of PEM": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n",
    "of a plugin of age": "AGE-PLUGIN-YUBIKEY-1QQQQ",
}


def _parts(key: str) -> list[str]:
    """Pieces of the key that no message may show."""
    return [part for part in key.split() if len(part) > 8 and part.strip("-#'") not in {"OPENSSH", "PRIVATE"}]


@pytest.mark.parametrize("key", SECRET_KEYS.values(), ids=SECRET_KEYS.keys())
@pytest.mark.parametrize("name", ["RECIPIENT", "IDENTITY", "TO", "FROM"])
def test_a_secret_key_in_a_wrong_place_is_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], key: str, name: str
) -> None:
    monkeypatch.setattr(backup, "Stack", pytest.fail)  # before any program is started, which would inherit it
    calls: dict[str, Callable[[], object]] = {
        "RECIPIENT": lambda: backup.take("dev", str(tmp_path), key),
        "IDENTITY": lambda: backup.restore(str(tmp_path), "dev", Path(key)),
        "TO": lambda: backup.take("dev", key, ""),
        "FROM": lambda: backup.restore(key, "dev"),
    }
    with pytest.raises(ToolchainError, match=f"^{name} .*key") as caught:
        calls[name]()
    caught.value.show()
    output = f"{caught.getrepr(chain=True, style='native')}{capfd.readouterr().out}"
    assert not [part for part in _parts(key) if part in output]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIA:hunter2@bucket/path",
        "s3://hunter2@bucket",
        "s3://AKIA:hunter2@minio.example:9000@bucket/x",
        "s3://bucket/x?X-Amz-Signature=hunter2",
        "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=hunter2",
        "sftp://me:hunter2@host/x",
        "S3://AKIA:hunter2@bucket",
    ],
)
@pytest.mark.parametrize("name", ["TO", "FROM"])
def test_a_login_in_an_address_is_refused_without_repeating_it(name: str, address: str) -> None:
    with pytest.raises(ToolchainError, match=f"^{name} ") as caught:
        keys.place(name, address)
    assert "hunter2" not in f"{caught.value}{caught.value.fix}"


@pytest.mark.parametrize(
    "address", ["/srv/backups", "backups", "~/backups", "s3://bucket", "s3://bucket/daily/x-1", "a b", "/srv/a@b"]
)
def test_places_are_taken_as_they_are(address: str) -> None:
    assert keys.place("TO", address) == address


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"AGE-SECRET-KEY-1NONSENSE", b"age1x", 64 * b"\x9c\x07", hashlib.sha256().digest()]
)
def test_a_file_without_a_key_is_told_without_what_is_in_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ToolchainError, match="holds no secret key") as caught:
        keys.identity(tmp_path / "key")
    assert "NONSENSE" not in str(caught.value)


def test_a_key_of_age_is_found_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"  {AGE.lower()}\r\n")
    assert str(keys.identity(tmp_path / "key")) == AGE
