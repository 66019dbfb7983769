"""This machine as if it were another one: reached by ssh, or by tcp with TLS, on the loopback interface alone."""

import asyncio
import contextlib
import getpass
import os
import shlex
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from config.settings.docker import Docker
from tests.support.ports import free_port
from tests.support.wait import until
from toolchain import debian, store

ENGINE = "/var/run/docker.sock"
NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


def _key(file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file


@dataclass
class Sshd:
    """`with Sshd(folder) as host`: an OpenSSH server with a host key of its own, which one new key of a user may enter."""

    folder: Path
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self.folder.mkdir()
        package = store.product(
            "sshd", store.content_key(debian.release()), lambda folder: debian.unpack(["openssh-server"], folder)
        )
        _key(self.folder / "host")
        _key(self.folder / "user")
        self.known_hosts.write_text(self._known(self.folder / "host.pub"))
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nPasswordAuthentication no\nLogLevel VERBOSE\n"
            # What the host's own Docker CLI would use is another engine than the one that is meant.
            "SetEnv DOCKER_HOST=unix:///nowhere.sock\n"
        )
        binary = package / "usr" / "sbin" / "sshd"
        [libraries] = {str(path.parent) for path in package.rglob("libwrap.so.0")}
        command = ["env", f"LD_LIBRARY_PATH={libraries}", str(binary), "-D", "-e", "-f", f"{self.folder}/config"]
        if os.geteuid() == 0:
            command = self._in_a_view_of_its_own(command)
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)
        until(lambda: "Server listening" in self.log)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Now, and not at the end; connections end too."""
        if self._process.poll() is not None:
            return
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.terminate()
        self._process.wait()
        for child in children:  # one for each login
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), 15)

    def _in_a_view_of_its_own(self, command: list[str]) -> list[str]:
        """Root's sshd wants a user `sshd`, which the machine has only where the package is installed."""
        users = Path("/etc/passwd").read_text()
        if "\nsshd:" not in users:
            users += "sshd:x:65500:65534::/nonexistent:/usr/sbin/nologin\n"
        (self.folder / "passwd").write_text(users)
        (self.folder / "passwd").chmod(0o644)
        script = f"mkdir -p /run/sshd && mount --bind {self.folder}/passwd /etc/passwd && exec {shlex.join(command)}"
        return ["unshare", "--mount", "sh", "-c", script]

    def _known(self, key: Path) -> str:
        return f"[127.0.0.1]:{self.port} {' '.join(key.read_text().split()[:2])}\n"

    @property
    def known_hosts(self) -> Path:
        """A file that knows this host."""
        return self.folder / "known_hosts"

    @property
    def wrong_known_hosts(self) -> Path:
        """A file that knows another key for this host."""
        file = self.folder / "wrong_known_hosts"
        if not file.exists():
            file.write_text(self._known(_key(self.folder / "another").with_suffix(".pub")))
        return file

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def logins(self) -> int:
        return self.log.count("Accepted publickey")

    @property
    def address(self) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    def docker(self, **ssh: Any) -> dict[str, Any]:
        """The setting of this name."""
        keys = {"key": str(self.folder / "user"), "known_hosts": str(self.known_hosts)}
        return {"host": f"ssh://{self.address}", "ssh": {**keys, **ssh}}


@dataclass
class TlsFront:
    """`with TlsFront(folder) as host`: the engine on a tcp port, for clients with a certificate of its own authority."""

    folder: Path
    port: int = field(default_factory=free_port)
    connections: int = 0

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self._certify()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _end(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server-key.pem")
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _certify(self) -> None:
        """An authority, and by it a certificate for this end and one for clients, named as Docker wants them."""
        self._openssl("req -x509 -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem", NEW_KEY)
        for usage, key, certificate in (
            ("serverAuth", "server-key.pem", "server.pem"),
            ("clientAuth", "key.pem", "cert.pem"),
        ):
            self._openssl(f"req -subj /CN={usage} -keyout {key} -out request", NEW_KEY)
            (self.folder / "extensions").write_text(f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={usage}\n")
            by = "-CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile extensions"
            self._openssl(f"x509 -req -days 2 -in request {by} -out {certificate}")

    def _openssl(self, *arguments: str) -> None:
        words = shlex.split(" ".join(arguments))
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        engine, to_engine = await asyncio.open_unix_connection(ENGINE)
        await asyncio.gather(_relay(client, to_engine), _relay(engine, to_client))

    def docker(self) -> dict[str, Any]:
        """The setting of this name."""
        return {"host": f"tcp://127.0.0.1:{self.port}", "certificates": str(self.folder)}


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


def dumped(docker: dict[str, Any]) -> dict[str, Any]:
    """What `engine.docker_api.connect` takes, of a setting of the stack file."""
    return Docker.model_validate(docker).model_dump()
