"""Real services that a test starts."""

import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import HTTPServer
from pathlib import Path

import requests
import yaml

from config.services.logs.loki import LIMITS, MAIN, container
from config.settings import Settings
from config.yaml_text import dump
from tests.support.ports import free_port
from toolchain import images


def until_ready(process: subprocess.Popen[bytes], page: str, log: Path, *, seconds: float) -> None:
    """Waits until `page` answers with a status below 400.

    Raises:
        AssertionError: the process has ended, or is not ready within `seconds`; with the end of its log.
    """
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with suppress(requests.ConnectionError, requests.Timeout):
            if requests.get(page, timeout=5).ok:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])


@contextmanager
def running(
    command: Sequence[object], page: str, log: Path, *, seconds: float, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A service while this block runs, from when `page` answers on. What it prints goes into `log`."""
    with log.open("w") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, env=environment)
    try:
        until_ready(process, page, log, seconds=seconds)
        yield
    finally:
        process.kill()
        process.wait(60)


def make_certificate(folder: Path) -> Path:
    """Writes `ca.pem`, a certificate for this machine that is its own authority. Returns the file with its key."""
    command = "openssl req -x509 -days 2 -nodes -newkey rsa:2048 -keyout key.pem -out ca.pem -subj /CN=far"
    subprocess.run([*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True)
    (folder / "server.pem").write_text((folder / "ca.pem").read_text() + (folder / "key.pem").read_text())
    return folder / "server.pem"


def encrypt(server: HTTPServer, certificate: Path) -> None:
    """Makes `server` speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)


@contextmanager
def running_loki(folder: Path, settings: Settings, http: int, *, host: str = "127.0.0.1") -> Iterator[str]:
    """The Loki of a stack, in `folder`, on the port `http`. Its URL."""
    delivered = container(settings).config
    assert delivered
    for name, text in delivered.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    main = yaml.safe_load(delivered.files[MAIN])
    main["common"]["path_prefix"] = str(folder)
    main["storage_config"]["filesystem"]["directory"] = str(folder / "chunks")
    main["server"] |= {"http_listen_address": host, "http_listen_port": http}
    main["server"] |= {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": free_port()}
    main["runtime_config"]["file"] = str(folder / LIMITS)
    main["ruler"] = {"storage": {"type": "local", "local": {"directory": str(folder / "rules")}}}
    (folder / MAIN).write_text(dump(main))
    url = f"http://{host}:{http}"
    with running([images.binary("loki"), f"-config.file={folder / MAIN}"], f"{url}/ready", folder / "log", seconds=60):
        yield url
