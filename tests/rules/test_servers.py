"""The exporters of databases against real servers that want TLS and a password: what `config/` makes is what runs here."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from config.alerts import EVERYTHING as EVERY_JOB
from config.alerts import groups
from config.catalogue import ROWS, row_of
from config.container import DIRECTORY
from tests.support import dashboard_queries
from tests.support.mongodb import mongodb
from tests.support.ports import free_port
from tests.support.program import PINNED, described, settings_of
from tests.support.wait import until
from toolchain import images
from toolchain.images import for_tests
from toolchain.images.faces import official
from toolchain.images.recipes import RECIPES

PASSWORDS = {
    "mysql": 'my$ql `"x\\ %s #;s3cret`',
    "redis": 'redis s3cret "@',
    "postgres": "pg:s3cret/'%",
    "elasticsearch": "pass word@",
}
USERS = {"mysql": "exporter", "redis": "me@shop", "postgres": "exporter ro"}
UP = {
    "mysql": "mysql_up",
    "redis": "redis_up",
    "postgres": "pg_up",
    "memcached": "memcached_up",
    "mongodb": "mongodb_up",
}
NOBODY = 65534
FILLED = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE orders (number int)",
    "SELECT pg_create_physical_replication_slot('replica')",
)
"""What a PostgreSQL in use has."""
RIGHTS = "+info +config|get +slowlog +latency +client|setname"
"""What docs/exporters.md says that a user of Redis needs."""
HOST = "database"
"""Name of the server's host in the stack file. Here it is localhost, which no stack file may name."""


def openssl(folder: Path, line: str, *more: str) -> None:
    subprocess.run(["openssl", *line.split(), *more], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem), a key and a certificate of it for localhost, and another authority."""
    folder = tmp_path_factory.mktemp("tls")
    for authority in ("ca", "other"):
        openssl(
            folder,
            f"req -x509 -newkey rsa:2048 -nodes -keyout {authority}.key -out {authority}.pem -subj /CN=authority",
        )
    openssl(folder, "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl(folder, "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem")
    _hand_over(folder)
    return folder


def _hand_over(folder: Path) -> None:
    """Gives the folder to a user that is not root, because PostgreSQL does not start as root."""
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        (folder / "key.pem").chmod(0o600) if (folder / "key.pem").exists() else None
        for above in folder.parents:
            if str(above).startswith("/tmp/") and above != Path("/tmp"):  # noqa: S108 - where pytest's folders are
                above.chmod(0o755)


@contextmanager
def running(command: list[Any], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file, subprocess.Popen(list(map(str, command)), stdout=file, stderr=file, **more) as process:
        try:
            yield process
        finally:
            process.terminate()


def product(server: str) -> tuple[Path, dict[str, str]]:
    """Folder with the files of a server, and an environment in which they find their libraries."""
    folder = images.product(f"test-{server}", for_tests.RECIPES[server]())
    libraries = ":".join(str(path) for path in (folder / "usr/lib").glob("*-linux-gnu"))
    return folder, {**os.environ, "LD_LIBRARY_PATH": libraries}


@contextmanager
def mysql(folder: Path, tls: Path, port: int) -> Iterator[None]:
    root, environment = product("mariadb")
    data, path = folder / "data", folder / "s"
    place = ["--no-defaults", f"--basedir={root}/usr", f"--datadir={data}", f"--user={getpass.getuser()}"]
    install = [
        "sh",
        root / "usr/bin/mariadb-install-db",
        *place,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    data.mkdir()
    subprocess.run(list(map(str, install)), check=True, capture_output=True, env=environment)
    secure = [f"--ssl-{name}={tls}/{name}.pem" for name in ("ca", "cert", "key")]
    server = [
        root / "usr/sbin/mariadbd",
        *place,
        *secure,
        "--require-secure-transport=ON",
        f"--lc-messages-dir={root}/usr/share/mysql",
    ]
    password = PASSWORDS["mysql"].replace("\\", "\\\\")
    user = f"CREATE USER {USERS['mysql']} IDENTIFIED BY '{password}'; GRANT PROCESS, SLAVE MONITOR ON *.* TO {USERS['mysql']}"
    with running([*server, f"--port={port}", f"--socket={path}"], folder / "log", env=environment):
        until(path.exists)
        command = [root / "usr/bin/mariadb", "--no-defaults", "-uroot", f"--socket={path}", "-e", user]
        subprocess.run(list(map(str, command)), check=True, capture_output=True, env=environment)
        yield


@contextmanager
def redis(folder: Path, tls: Path, port: int) -> Iterator[None]:
    root, environment = product("redis")
    secure = ["--tls-port", port, "--port", 0, "--tls-auth-clients", "no", "--tls-ca-cert-file", tls / "ca.pem"]
    secure += ["--tls-cert-file", tls / "cert.pem", "--tls-key-file", tls / "key.pem"]
    user = ["--user", USERS["redis"], "on", f">{PASSWORDS['redis']}", *RIGHTS.split()]
    command = ["redis-server", *secure, "--save", "", "--requirepass", "of the owner", *user]
    # What it is depends on the name that it is called by.
    program = root / "usr/bin/redis-check-rdb"
    with running(command, folder / "log", executable=program, env=environment, cwd=folder):
        yield


@contextmanager
def postgres(folder: Path, tls: Path, port: int) -> Iterator[None]:
    root, environment = product("postgres")
    copy = shutil.copytree(root / "usr", folder / "usr", symlinks=True) if os.geteuid() == 0 else root / "usr"
    environment["LD_LIBRARY_PATH"] = environment["LD_LIBRARY_PATH"].replace(str(root / "usr"), str(copy))
    [programs] = (copy / "lib/postgresql").glob("*/bin")
    data, secret = folder / "data", folder / "password"
    secret.write_text("of the owner")
    _hand_over(folder)
    other = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
    own: Mapping[str, Any] = {"env": environment, "cwd": folder, **other}
    init = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--locale=C",
        f"--pwfile={secret}",
    ]
    subprocess.run(list(map(str, init)), check=True, capture_output=True, **own)
    options = {"port": port, "ssl": "on", "ssl_cert_file": tls / "cert.pem", "ssl_key_file": tls / "key.pem"}
    options |= {"unix_socket_directories": folder, "shared_preload_libraries": "pg_stat_statements"}
    command = [
        programs / "postgres",
        "-D",
        data,
        *(word for key, value in options.items() for word in ("-c", f"{key}={value}")),
    ]
    role = "CREATE ROLE \"{}\" LOGIN PASSWORD '{}' IN ROLE pg_monitor".format(
        USERS["postgres"], PASSWORDS["postgres"].replace("'", "''")
    )
    with running(command, folder / "log", **own):
        client = [programs / "psql", "-h", folder, "-p", port, "-U", "postgres"]
        client += [word for statement in (role, *FILLED) for word in ("-c", statement)]
        until(lambda: subprocess.run(list(map(str, client)), check=False, capture_output=True, **own).returncode == 0)
        yield


@contextmanager
def memcached(folder: Path, tls: Path, port: int) -> Iterator[None]:
    root, environment = product("memcached")
    secure = ["-Z", "-o", f"ssl_chain_cert={tls}/cert.pem,ssl_key={tls}/key.pem"]
    command = [root / "usr/bin/memcached", "-u", getpass.getuser(), "-l", "127.0.0.1", "-p", port, *secure]
    with running(command, folder / "log", env=environment):
        yield


SERVERS: Mapping[str, Callable[[Path, Path, int], Any]] = {
    "mysql": mysql,
    "redis": redis,
    "postgres": postgres,
    "memcached": memcached,
}


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tls: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """A server that takes connections: its key below `exporters`, and its port."""
    port = free_port()
    folder = tmp_path_factory.mktemp(request.param)
    with SERVERS[request.param](folder, tls, port):
        # An exporter asks once for each page: of a server that is still starting it would say that it is down.
        until(lambda: _listens(port))
        yield request.param, port


def _listens(port: int) -> bool:
    with socket.create_connection(("localhost", port), timeout=5):
        return True


def page(kind: str, server: Mapping[str, Any], password: str, folder: Path) -> Iterator[str]:
    """What the exporter shows while it runs as `config/` says, but in this folder and on a port of this machine."""
    [credential] = [row.credential for row in ROWS.values() if row.watches == kind]
    settings = settings_of(
        {"exporters": {kind: server}, "images": PINNED}, secrets=[f"{kind}_{credential}"] if password else []
    )
    [exporter] = [name for name in settings.services if row_of(name).watches == kind]
    container, port = described(exporter, settings), free_port()
    assert container.config

    def here(text: str) -> str:
        own = f"{settings.listens(exporter)}:{ROWS[exporter].port}"
        return text.replace(DIRECTORY, str(folder)).replace(own, f"127.0.0.1:{port}").replace(f"{HOST}:", "localhost:")

    (folder / "secrets").mkdir()
    for name, text in container.config.files.items():
        (folder / name).write_text(here(text))
    for name, secret in container.config.secrets.items():
        (folder / "secrets" / name).write_text(here(secret.render(password)))

    program = images.product(exporter, RECIPES[exporter]) / PurePosixPath(official()[exporter].entrypoint[0]).name
    environment = {name: here(value) for name, value in container.environment.items()}
    with running([program, *map(here, container.command)], folder / "log", env=environment):
        until(lambda: _asked(port))
        yield _asked(port)


def _asked(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def certificates(kind: str, tls: Path, authority: str) -> dict[str, Any]:
    text = (tls / f"{authority}.pem").read_text().replace("\n", " ")
    return {"sslmode": "verify-full", "ca": text, "statements": True} if kind == "postgres" else {"tls": {"ca": text}}


OF_REPLICAS = re.compile("mysql_slave_status_.*|redis_master_link_up|redis_(sentinel|cluster)_.*")
"""Metrics that only a replica has, a sentinel, or a node of a cluster."""


def _asked_by_alerts(kind: str) -> set[str]:
    """Metrics of the server that its alerts read, if it is one of its own."""
    return {name for name in _all_asked_by_alerts(kind) if not OF_REPLICAS.fullmatch(name)}


def _all_asked_by_alerts(kind: str) -> set[str]:
    [group] = [group for group in groups(settings_of(), EVERY_JOB) if group.name == kind]
    names = {
        name for rule in group.rules for name in re.findall(rf"\b{UP[kind].partition('_')[0]}_\w+(?={{)", rule.expr)
    }
    assert UP[kind] in names
    return names


CASES = {
    "the right password": (None, "ca", 1),
    "a wrong password": ("wr0ng", "ca", 0),
    "a certificate of another authority": (None, "other", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_an_exporter_logs_in_by_tls_with_its_password_and_says_if_it_cannot(
    server: tuple[str, int], case: str, tls: Path, tmp_path: Path
) -> None:
    (kind, port), (password, authority, up) = server, CASES[case]
    if password and kind not in PASSWORDS:
        pytest.skip("it knows no passwords")
    user = {"user": USERS[kind]} if kind in USERS else {}
    entry = {"address": f"{HOST}:{port}", **user, **certificates(kind, tls, authority)}
    own = PASSWORDS.get(kind, "")
    [text] = page(kind, entry, password or own, tmp_path)
    [line] = [line for line in text.splitlines() if line.startswith((f"{UP[kind]} ", f"{UP[kind]}{{"))]
    assert float(line.rpartition(" ")[2]) == up
    if up and kind == "postgres":
        assert "\npg_stat_statements_seconds_total{" in text
    if up:
        assert (
            _asked_by_alerts(kind) - {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()} == set()
        )
    output = (tmp_path / "log").read_text() + text
    assert not own or own not in output
    assert "wr0ng" not in output


def _redis(folder: Path, port: int, *options: Any) -> Any:
    """A server that wants the password "of all"."""
    root, environment = product("redis")
    folder.mkdir()
    place = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--requirepass", "of all"]
    command = ["redis-server", *place, "--masterauth", "of all", *options]
    return running(command, folder / "log", executable=root / "usr/bin/redis-check-rdb", env=environment)


def _answer(port: int, *command: Any) -> str:
    """What a server answers to a command."""
    root, environment = product("redis")
    line = [root / "usr/bin/redis-cli", "-p", port, "--no-auth-warning", "-a", "of all", *command]
    answer = subprocess.run(list(map(str, line)), check=True, capture_output=True, text=True, env=environment)
    return answer.stdout.strip()


def _samples(port: int, folder: Path) -> dict[str, float]:
    """What the exporter of a server shows: a metric and its labels → its value."""
    folder.mkdir()
    [text] = page("redis", {"address": f"{HOST}:{port}"}, "of all", folder)
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


def _of(samples: Mapping[str, float], metric: str) -> list[float]:
    return [value for series, value in samples.items() if series.partition("{")[0] == metric]


def test_a_node_of_a_redis_cluster_tells_how_the_cluster_is(tmp_path: Path) -> None:
    port, own = free_port(), ["--cluster-port", free_port(), "--cluster-require-full-coverage", "no"]
    with _redis(tmp_path / "node", port, "--cluster-enabled", "yes", *own):
        until(lambda: _answer(port, "cluster", "addslotsrange", 0, 16383) == "OK")
        until(lambda: "cluster_state:ok" in _answer(port, "cluster", "info"))
        whole = _samples(port, tmp_path / "whole")
        assert [_of(whole, f"redis_cluster_{name}") for name in ("state", "slots_ok")] == [[1], [16384]]
        _answer(port, "cluster", "delslots", 7)
        assert _of(_samples(port, tmp_path / "less"), "redis_cluster_slots_ok") == [16383]
    assert {name for name in _all_asked_by_alerts("redis") if "_cluster_" in name} <= whole.keys()


def test_a_sentinel_and_a_replica_tell_whether_somebody_can_take_over(tmp_path: Path) -> None:
    primary, replica, sentinel = free_port(), free_port(), free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f'sentinel monitor shop 127.0.0.1 {primary} 1\nsentinel auth-pass shop "of all"\n'
        "sentinel down-after-milliseconds shop 1000\n"
    )
    root, environment = product("redis")
    watcher = ["redis-sentinel", config, "--port", sentinel, "--requirepass", "of all", "--dir", tmp_path]
    program = root / "usr/bin/redis-check-rdb"

    def replicas() -> list[float]:
        return _of(_samples(sentinel, tmp_path / f"at-{time.monotonic_ns()}"), "redis_sentinel_master_ok_slaves")

    with _redis(tmp_path / "replica", replica, "--replicaof", "127.0.0.1", primary), ExitStack() as until_failure:
        until_failure.enter_context(_redis(tmp_path / "primary", primary))
        until(lambda: "master_link_status:up" in _answer(replica, "info", "replication"))
        with running(watcher, tmp_path / "log", executable=program, env=environment):
            until(lambda: replicas() == [1])
            well, linked = _samples(sentinel, tmp_path / "well"), _samples(replica, tmp_path / "linked")
            until_failure.close()
            until(lambda: f"address=127.0.0.1:{replica}" in _answer(sentinel, "info", "sentinel"))
            over = _samples(sentinel, tmp_path / "over")
            until(lambda: replicas() == [0])  # the former primary is down
    assert _of(linked, "redis_master_link_up") == [1]
    assert [_of(well, f"redis_sentinel_master_{name}") for name in ("status", "ckquorum_status")] == [[1], [1]]
    epoch = "redis_sentinel_master_config_epoch"
    assert {series for series in over if series.startswith(epoch)} != {s for s in well if s.startswith(epoch)}
    names = {series.partition("{")[0] for series in well}
    assert {name for name in _all_asked_by_alerts("redis") if "_sentinel_" in name} <= names


HEALTH = {
    "cluster_name": "shop",
    "status": "yellow",
    "timed_out": False,
    "number_of_nodes": 1,
    "active_primary_shards": 5,
    "unassigned_shards": 5,
}
"""Part of what a cluster of one node answers."""


@pytest.fixture(scope="module")
def elasticsearch(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that says HEALTH by TLS to who has the password. Its port. Elasticsearch's module of security is not available."""
    folder, port = tmp_path_factory.mktemp("elasticsearch"), free_port()
    program = images.product("caddy", RECIPES["caddy"]) / "caddy"
    hashed = subprocess.run(
        [program, "hash-password", "-p", PASSWORDS["elasticsearch"]], check=True, capture_output=True, text=True
    )
    (folder / "Caddyfile").write_text(
        f"""{{
    admin off
    auto_https off
}}
https://localhost:{port} {{
    tls {tls}/cert.pem {tls}/key.pem
    basic_auth {{
        elastic {hashed.stdout}
    }}
    header Content-Type application/json
    respond /_cluster/health `{json.dumps(HEALTH)}`
    respond / `{json.dumps({"cluster_name": "shop", "version": {"number": "8.19.0"}})}`
}}
"""
    )
    with running([program, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"], folder / "log"):
        until(lambda: _listens(port))
        yield port


TLS_CASES = {
    "its own authority": ("ca", True, True),
    "another authority": ("other", True, False),
    "another authority, unverified": ("other", False, True),
}


@pytest.mark.parametrize("case", TLS_CASES)
def test_elasticsearch_is_reached_by_tls_with_a_password(
    elasticsearch: int, case: str, tls: Path, tmp_path: Path
) -> None:
    authority, verify, healthy = TLS_CASES[case]
    own = {"ca": (tls / f"{authority}.pem").read_text().replace("\n", " "), "verify": verify}
    password = PASSWORDS["elasticsearch"]
    [text] = page("elasticsearch", {"url": f"https://{HOST}:{elasticsearch}", "tls": own}, password, tmp_path)
    assert ('elasticsearch_cluster_health_status{cluster="shop",color="yellow"} 1' in text) is healthy
    assert password not in (tmp_path / "log").read_text() + text


@pytest.fixture(scope="module")
def mongodb_server(tls: Path) -> Iterator[tuple[int, list[str]]]:
    with mongodb(tls) as running_server:
        yield running_server


def _login(tls: Path, folder: Path, authority: str) -> str:
    """A certificate of an authority and its key, in one text."""
    openssl(folder, "req -newkey rsa:2048 -nodes -keyout login.key -out login.csr -subj", "/O=shop/CN=exporter")
    signed = f"x509 -req -in login.csr -CA {tls}/{authority}.pem -CAkey {tls}/{authority}.key -CAcreateserial"
    openssl(folder, f"{signed} -out login.pem")
    return (folder / "login.pem").read_text() + (folder / "login.key").read_text()


SOON = "connectTimeoutMS=1000&serverSelectionTimeoutMS=1000"
"""Options by which the driver gives up soon."""
LOGINS = {
    "its certificate": ("ca", "ca", 1),
    "a certificate of another authority": ("other", "ca", 0),
    "a server of another authority": ("ca", "other", 0),
    "no certificate": (None, "ca", 0),
}


@pytest.mark.parametrize("case", LOGINS)
def test_mongodb_is_logged_in_to_by_a_certificate(
    mongodb_server: tuple[int, list[str]], case: str, tls: Path, tmp_path: Path
) -> None:
    (port, logins), (signer, authority, up) = mongodb_server, LOGINS[case]
    login = _login(tls, tmp_path, signer) if signer else ""
    entry = {"uri": f"mongodb://{HOST}:{port}/?{SOON}", **certificates("mongodb", tls, authority)}
    logins.clear()
    [text] = page("mongodb", entry, login, tmp_path)
    samples = {line.partition("{")[0]: line.rpartition(" ")[2] for line in text.splitlines() if line[:1] != "#"}
    assert samples["mongodb_up"] == str(up)
    assert {*logins} == ({"organizationName=shop,commonName=exporter"} if up else set())
    if up:
        shown_on_board = re.findall(r"\b(mongodb_\w+)\{", "".join(query.expr for query in dashboard_queries.queries()))
        assert {*shown_on_board, *_asked_by_alerts("mongodb")} - {*samples} == set()
    output = (tmp_path / "log").read_text() + text
    assert not login or login.splitlines()[-3] not in output


def test_mongodb_is_found_behind_several_names(
    mongodb_server: tuple[int, list[str]], tls: Path, tmp_path: Path
) -> None:
    port, _ = mongodb_server
    uri = f"mongodb://{HOST}:{free_port()},{HOST}:{port}/?replicaSet=shop&{SOON}"
    entry = {"uri": uri, **certificates("mongodb", tls, "ca")}
    [text] = page("mongodb", entry, _login(tls, tmp_path, "ca"), tmp_path)
    assert re.search(r"^mongodb_up\{.*\} 1$", text, re.MULTILINE), (tmp_path / "log").read_text()
