"""An image registry on the loopback interface, for tests: the mirror of a user behind a closed network."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from toolchain import debian, store
from toolchain.report import Step, ToolchainError

PACKAGE = "docker-registry"
START_SECONDS = 20
LOGIN = {"username": "me", "password": "only-for-tests"}
HTPASSWD = "me:$2b$05$2VVCtpsKXbdnDmyW/HDCF.dT7Q5vodumuSM.apFgLU92awGDi9XOS\n"
"""`LOGIN`, as `htpasswd -B` writes it."""
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Registry:
    """A running registry."""

    address: str
    """host:port. The engine uses plain HTTP for a registry on its own loopback interface."""

    def push(self, client: docker.DockerClient, image: str, repository: str, tag: str) -> str:
        """Push an image of the engine as `repository`:`tag`. Returns its digest.

        Raises:
            ToolchainError: the push fails.
        """
        name = f"{self.address}/{repository}"
        try:
            client.images.get(image).tag(name, tag)
            for line in client.images.push(name, tag=tag, stream=True, decode=True):
                if "error" in line:
                    raise ToolchainError(f"{image} cannot be pushed to {name}: {line['error']}")
                if digest := line.get("aux", {}).get("Digest"):
                    return str(digest)
        except DockerException as error:
            raise ToolchainError(f"{image} cannot be pushed to {name}: {error}") from error
        finally:
            client.images.remove(f"{name}:{tag}", noprune=True)
        raise ToolchainError(f"the engine reports no digest for {name}:{tag}")


@contextmanager
def running(*, closed: bool = False) -> Iterator[Registry]:
    """An empty registry on a free port. It is removed with all its images at the end. A closed one needs `LOGIN`."""
    key = store.content_key(debian.release(), PACKAGE)
    binary = store.product(PACKAGE, key, _unpack) / "usr" / "bin" / "docker-registry"
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        config, log, users = Path(folder, "config.yml"), Path(folder, "log"), Path(folder, "users")
        users.write_text(HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: tests, path: {users}}}}}\n" if closed else ""
        config.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/images}}, delete: {{enabled: true}}}}\n"
            "http: {addr: '127.0.0.1:0'}\n"
            "log: {level: info, accesslog: {disabled: true}}\n" + auth
        )
        with log.open("wb") as out:
            process = subprocess.Popen([binary, "serve", config], stdout=out, stderr=out)
        try:
            yield Registry(f"127.0.0.1:{_port(process, log)}")
        finally:
            process.terminate()
            process.wait()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """The free port that the registry chose, read from its log."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if match := LISTENING.search(log.read_text(errors="replace")):
            return int(match.group(1))
        time.sleep(0.05)
    raise ToolchainError(f"the test registry did not start:\n{log.read_text(errors='replace')[-1000:]}")


def _unpack(folder: Path) -> None:
    with Step(f"unpacking {PACKAGE}"):
        debian.unpack((PACKAGE,), folder)
