"""The exporters with the real services that they speak for, in a network of the user's own."""

import functools
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from docker import DockerClient
from docker.models.containers import Container

from engine.docker_api import execute
from tests.e2e.neighbour import listening, neighbour
from tests.support import leftovers
from tests.support.deployment import Deployment
from tests.support.shop import Shop
from tests.support.wait import until
from toolchain.images import for_tests

PASSWORDS = {
    "postgres_password": "pg:s3cret/'%",
    "postgres_password_ledger": "pg2:s3cret/'%",
    "redis_password": 'redis s3cret "@',
    "redis_password_sessions": "sessions' s3cret",
    "mysql_password": 'my$ql `"x\\ %s #;s3cret`',
    "mysql_password_books": "books' s3cret",
    "caddy_password": "gate:s3cret/'%",
}
USERS = {"postgres": "exporter ro", "redis": "me@shop"}
DATABASE = "100% my shop"
"""With everything in them that a URL, a shell or JSON could stumble over."""


CADDYFILE = """\
{
    admin off
    auto_https off
    metrics
}
https://:9180 {
    tls /tls-cert.pem /tls-key.pem
    basic_auth {
        watcher $2a$10$53fMeIE8bGNaI6wvrX0P4OqUh3pmggOHgn4d5kuhZTTeBIkYxG.9O
    }
    metrics /metrics
}
"""
"""Caddy that tells its metrics to who has PASSWORDS["caddy_password"], by its hash (`caddy hash-password`)."""
WITHOUT_PORTS = {"jaeger_es_index_cleaner"}


def _succeeds(container: Container, command: list[str]) -> bool:
    return execute(container, command)[0] == 0


@dataclass(frozen=True)
class Authority:
    """What signs certificates of the user's databases."""

    folder: Path

    @property
    def certificate(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def files_of(self, host: str) -> dict[str, str]:
        """Path in the container → text: a key, and a certificate for the name `host`."""
        self._openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem", "-subj", f"/CN={host}")
        (self.folder / "names").write_text(f"subjectAltName=DNS:{host}")
        self._openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem")
        return {f"/tls-{name}": (self.folder / name).read_text() for name in ("ca.pem", "cert.pem", "key.pem")}

    def _openssl(self, line: str, *more: str) -> None:
        subprocess.run(["openssl", *line.split(), *more], cwd=self.folder, check=True, capture_output=True)

    @classmethod
    def new(cls, folder: Path) -> Self:
        new_authority = cls(folder)
        new_authority._openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority")
        return new_authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("authority"))


def _of_postgres(shop: Shop, service: str, password: str) -> None:
    """The exporter's role, and the database that it asks for."""
    role = "CREATE ROLE \"{}\" LOGIN PASSWORD '{}' IN ROLE pg_monitor".format(
        USERS["postgres"], password.replace("'", "''")
    )
    for statement in (role, f'CREATE DATABASE "{DATABASE}"'):
        command = ["psql", "-h", "/var/run/postgresql", "-U", "postgres", "-c", statement]
        until(functools.partial(_succeeds, shop.client.containers.get(f"{shop.name}-{service}"), command))


def _of_mysql(shop: Shop, service: str, password: str) -> None:
    """The exporter's user."""
    quoted = password.replace("\\", "\\\\").replace("'", "''")
    statement = f"CREATE USER exporter IDENTIFIED BY '{quoted}'; GRANT PROCESS, SLAVE MONITOR ON *.* TO exporter"
    command = ["mariadb", "--no-defaults", "-uroot", "-S", "/run/mysqld/mysqld.sock", "-e", statement]
    until(functools.partial(_succeeds, shop.client.containers.get(f"{shop.name}-{service}"), command))


@pytest.fixture(scope="module")
def shop(client: DockerClient, authority: Authority, local_images: Mapping[str, str]) -> Iterator[Shop]:
    """Two of PostgreSQL, MariaDB, Redis and Memcached, Nginx and Caddy as a user runs them. MariaDB, the second ones of the others,
    and Caddy want TLS."""
    with Shop(client, f"{leftovers.new_prefix()}-shop") as own_shop:
        for service in ("mysql", "books"):
            own_shop.start(
                service,
                for_tests.image(client, "mariadb"),
                ["--require-secure-transport=ON", *(f"--ssl-{what}=/tls-{what}.pem" for what in ("ca", "cert", "key"))],
                files=authority.files_of(f"{own_shop.name}-{service}"),
                owner=for_tests.MARIADB,
            )
        tls = ("ssl=on", "ssl_cert_file=/tls-cert.pem", "ssl_key_file=/tls-key.pem")
        own_shop.start(
            "ledger",
            for_tests.image(client, "postgres"),
            [word for option in tls for word in ("-c", option)],
            environment={"POSTGRES_PASSWORD": "of the owner"},
            files=authority.files_of(f"{own_shop.name}-ledger"),
            owner=for_tests.POSTGRES,
        )
        own_shop.start(
            "db",
            for_tests.image(client, "postgres"),
            ["-c", "max_connections=20"],
            environment={"POSTGRES_PASSWORD": "of the owner"},
        )
        user = ["--user", USERS["redis"], "on", f">{PASSWORDS['redis_password']}", "~*", "&*", "+@all"]
        own_shop.start("cache", for_tests.image(client, "redis"), ["--requirepass", "of the owner", *user])
        secure = ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no"]
        secure += [word for what in ("cert", "key") for word in (f"--tls-{what}-file", f"/tls-{what}.pem")]
        own_shop.start(
            "sessions",
            for_tests.image(client, "redis"),
            [*secure, "--tls-ca-cert-file", "/tls-ca.pem", "--requirepass", PASSWORDS["redis_password_sessions"]],
            files=authority.files_of(f"{own_shop.name}-sessions"),
            owner=for_tests.REDIS,
        )
        own_shop.start("pages", for_tests.image(client, "memcached"), [])
        own_shop.start(
            "parts",
            for_tests.image(client, "memcached"),
            ["-Z", "-o", "ssl_chain_cert=/tls-cert.pem,ssl_key=/tls-key.pem"],
            files=authority.files_of(f"{own_shop.name}-parts"),
            owner=for_tests.MEMCACHED,
        )
        own_shop.start("proxy", for_tests.image(client, "nginx"), [])
        if caddy := local_images.get("caddy"):
            own_shop.start(
                "gate",
                caddy,
                ["caddy", "run", "--config", "/Caddyfile"],
                files={**authority.files_of(f"{own_shop.name}-gate"), "/Caddyfile": CADDYFILE},
            )
        _of_postgres(own_shop, "db", PASSWORDS["postgres_password"])
        _of_postgres(own_shop, "ledger", PASSWORDS["postgres_password_ledger"])
        _of_mysql(own_shop, "mysql", PASSWORDS["mysql_password"])
        _of_mysql(own_shop, "books", PASSWORDS["mysql_password_books"])
        yield own_shop


@pytest.fixture(scope="module")
def stack(
    deploy: Callable[..., AbstractContextManager[Deployment]],
    shop: Shop,
    authority: Authority,
    local_images: Mapping[str, str],
) -> Iterator[Deployment]:
    postgres = {"user": USERS["postgres"], "database": DATABASE}
    ca = authority.certificate.replace("\n", " ")  # as YAML's `>-` makes it
    exporters: dict[str, Any] = {
        "postgres": [
            {**postgres, "address": f"{shop.name}-db:5432", "service": "shop-db"},
            {**postgres, "address": f"{shop.name}-ledger:5432", "name": "ledger", "sslmode": "verify-full", "ca": ca},
        ],
        "redis": [
            {"address": f"{shop.name}-cache:6379", "user": USERS["redis"], "service": "shop-cache"},
            {"address": f"{shop.name}-sessions:6379", "name": "sessions", "tls": {"ca": ca}},
        ],
        "nginx": {"status_url": f"http://{shop.name}-proxy:8080/stub_status", "service": "shop-proxy"},
        "probes": [
            {"name": "shop", "target": f"http://{shop.name}-proxy:8080/", "service": "shop-proxy"},
            {"name": "closed", "target": f"{shop.name}-proxy:81", "module": "tcp_connect"},
        ],
    }
    # Where these exporters' images are here, they run too: without a database to speak to.
    if "elasticsearch_exporter" in local_images or not local_images:
        exporters["elasticsearch"] = {"url": f"http://{shop.name}-nobody:9200"}
    if "mongodb_exporter" in local_images:
        exporters["mongodb"] = {"uri": f"mongodb://{shop.name}-nobody:27017"}
    if "mysqld_exporter" in local_images:
        exporters["mysql"] = [
            {"address": f"{shop.name}-mysql:3306", "service": "shop-mysql", "tls": {"ca": ca}},
            {"address": f"{shop.name}-books:3306", "name": "books", "tls": {"ca": ca}},
        ]
    if "memcached_exporter" in local_images:
        exporters["memcached"] = [
            {"address": f"{shop.name}-pages:11211", "service": "shop-pages"},
            {"address": f"{shop.name}-parts:11211", "name": "parts", "tls": {"ca": ca}},
        ]
    if "caddy" in local_images:
        gate = {"targets": [f"{shop.name}-gate:9180"], "user": "watcher", "tls": {"ca": ca}, "service": "shop-gate"}
        exporters["caddy"] = gate
    with deploy("exporters", networks=[shop.name], exporters=exporters) as deployment:
        for key, value in PASSWORDS.items():
            if key.partition("_")[0] in exporters:
                deployment.secret(key, value)
        deployment.up()
        yield deployment


def _value(stack: Deployment, promql: str) -> float:
    """Of the one sample that there is."""
    [sample] = stack.query(promql)
    return float(sample["value"][1])


@pytest.mark.parametrize(
    ("up", "labels", "more"),
    [
        (
            'pg_up{service="shop-db"}',
            {"job": "postgres_exporter", "instance": "postgres_exporter:9187"},
            'sum(pg_database_size_bytes{service="shop-db"}) > 0',
        ),
        (
            'pg_up{service="ledger"}',
            {"job": "postgres_exporter", "instance": "postgres_exporter-2:9187"},
            'sum(pg_database_size_bytes{service="ledger"}) > 0',
        ),
        *(
            (f'{up}{{service="{service}"}}', {"job": job}, f'{more}{{service="{service}"}} >= 1')
            for job, up, more, services in (
                ("mysqld_exporter", "mysql_up", "mysql_global_status_threads_connected", ("shop-mysql", "books")),
                ("redis_exporter", "redis_up", "redis_connected_clients", ("shop-cache", "sessions")),
                ("memcached_exporter", "memcached_up", "memcached_current_connections", ("shop-pages", "parts")),
            )
            for service in services
        ),
        ("nginx_up", {"job": "nginx_exporter", "service": "shop-proxy"}, "nginx_connections_accepted >= 1"),
    ],
)
def test_the_users_service_is_found_up_and_measured_under_its_name(
    stack: Deployment, up: str, labels: dict[str, str], more: str
) -> None:
    if labels["job"] not in stack.settings.services:
        pytest.skip(f"no image of {labels['job']} can be had here")
    [sample] = until(lambda: stack.query(f"{up} == 1"))
    assert labels.items() <= sample["metric"].items()
    until(lambda: stack.query(more))


def test_a_page_is_read_by_tls_with_its_password(stack: Deployment) -> None:
    if not stack.settings.exporters.caddy:
        pytest.skip("no image of Caddy can be had here")
    [sample] = until(lambda: stack.query('caddy_config_last_reload_successful{job="caddy_page"} == 1'))
    assert sample["metric"]["service"] == "shop-gate"


def test_the_alert_on_connections_knows_how_many_postgres_allows(stack: Deployment) -> None:
    [sample] = until(lambda: stack.query('pg_settings_max_connections{service="shop-db"}'))
    assert sample["value"][1] == "20"


def test_a_probe_tells_an_open_door_from_a_closed_one(stack: Deployment, shop: Shop) -> None:
    [shop_probe] = until(lambda: stack.query('probe_success{probe="shop"} == 1'))
    assert shop_probe["metric"]["service"] == "shop-proxy"
    assert shop_probe["metric"]["instance"] == f"http://{shop.name}-proxy:8080/"
    assert _value(stack, 'probe_http_status_code{probe="shop"}') == 200
    [closed] = until(lambda: stack.query('probe_success{probe="closed"} == 0'))
    assert closed["metric"]["service"] == "closed"


def test_a_neighbour_reaches_nothing_of_the_stack_but_otlp(stack: Deployment, shop: Shop) -> None:
    """Every port on which any container of the stack listens, at every address that it has."""
    until(lambda: stack.query("pg_up == 1"))
    with neighbour(stack, shop.name) as other, neighbour(stack, f"{stack.prefix}-apps") as another:
        doors = {}
        for service in stack.settings.services:
            container = stack.container(service)
            for port in listening(container):
                for name, joined in container.attrs["NetworkSettings"]["Networks"].items():
                    doors[f"{joined['IPAddress']}:{port}"] = (service, name, port)
        assert {service for service, *_ in doors.values()} >= set(stack.settings.services) - WITHOUT_PORTS
        reached = {doors[address] for one in (other, another) for address in one.reached(*doors)}
        assert reached == {
            ("otel_collector", name, port) for name in (shop.name, f"{stack.prefix}-apps") for port in (4317, 4318)
        }
        names = ("prometheus:9090", "blackbox_exporter:9115", "redis_exporter:9121", "loki:3100", "otel_collector:8888")
        addresses = other.reached("otel-collector:4318", *names, *(f"{stack.prefix}-{name}" for name in names))
        assert addresses == {"otel-collector:4318"}


def test_passwords_show_neither_in_the_engine_nor_in_logs_nor_in_the_state(stack: Deployment) -> None:
    _assert_hidden(stack, *PASSWORDS.values())


def _alerts(stack: Deployment, services: Iterable[str]) -> dict[str, list[str]]:
    """Service → the alerts about it, those that still wait included."""
    return {
        service: [one["metric"]["alertname"] for one in stack.query(f'ALERTS{{service="{service}"}}')]
        for service in services
    }


def test_a_wrong_password_is_told_one_with_a_blank_refused_neither_shown_and_the_right_one_heals(
    stack: Deployment,
) -> None:
    down = {"ledger": "PostgresDown", "sessions": "RedisDown"}
    right = ["postgres_password_ledger", "redis_password_sessions"]
    if stack.settings.exporters.mysql:
        down["books"] = "MysqlDown"
        right.append("mysql_password_books")
    watched = '{__name__=~"(pg|redis|mysql)_up"}'
    until(lambda: len(stack.query(f"{watched} == 1")) == 2 * len(down))
    others = {name: id_ for name, id_ in stack.containers().items() if "_exporter-2" not in name}
    wrong = "wr0ng:p4ss/word"
    for secret in right:
        stack.secret(secret, wrong)
    stack.up()
    # The exporters themselves are away for a moment, because they start anew with the password.
    until(lambda: _alerts(stack, down) == {service: [alert] for service, alert in down.items()})
    assert not any(_alerts(stack, ["shop-db", "shop-cache", "shop-mysql"]).values())
    _assert_hidden(stack, wrong, *PASSWORDS.values())
    assert others.items() <= stack.containers().items()  # nobody else was touched

    stack.secret("postgres_password_ledger", "with a blank")
    printed = stack.up(fails=True)
    assert "the secret postgres_password_ledger has a blank" in printed
    assert "with a blank" not in printed

    for secret in right:
        stack.secret(secret, PASSWORDS[secret])
    stack.up()
    until(lambda: len(stack.query(f"{watched} == 1")) == 2 * len(down))


def test_a_service_that_is_away_is_down_and_its_exporter_is_not(stack: Deployment, shop: Shop) -> None:
    cache = shop.client.containers.get(f"{shop.name}-cache")
    until(lambda: stack.query('redis_up{service="shop-cache"} == 1'))
    cache.stop(timeout=1)
    try:
        until(lambda: stack.query('redis_up{service="shop-cache"} == 0'))
        assert _value(stack, 'min(up{job="redis_exporter"})') == 1
    finally:
        cache.start()
    until(lambda: stack.query('redis_up{service="shop-cache"} == 1'))


def test_the_nginx_exporter_starts_while_its_nginx_is_away_and_finds_it_later(stack: Deployment, shop: Shop) -> None:
    proxy, exporter = shop.client.containers.get(f"{shop.name}-proxy"), stack.container("nginx_exporter")
    proxy.stop(timeout=1)
    try:
        exporter.restart(timeout=1)
        until(lambda: stack.query("nginx_up == 0"))
    finally:
        proxy.start()
    until(lambda: stack.query("nginx_up == 1"))
    assert stack.container("nginx_exporter").attrs["RestartCount"] == 0


@pytest.mark.parametrize(
    ("service", "alert"),
    [("mongodb_exporter", "MongodbDown/critical"), ("elasticsearch_exporter", "ElasticsearchDown/critical")],
)
def test_an_exporter_starts_while_its_database_is_away_and_the_alert_on_it_waits(
    stack: Deployment, service: str, alert: str
) -> None:
    if service not in stack.settings.services:
        pytest.skip(f"no image of {service} can be had here")
    until(lambda: stack.query(f'up{{job="{service}"}} == 1'))
    until(lambda: stack.rules()[alert]["state"] != "inactive")


def _assert_hidden(stack: Deployment, *passwords: str) -> None:
    texts = {"the state": stack.state()}
    for name in stack.containers():
        container = stack.client.containers.get(name)
        texts[f"inspect of {name}"] = json.dumps(container.attrs)
        texts[f"log of {name}"] = container.logs().decode(errors="replace")
    for where, text in texts.items():
        for password in passwords:
            for form in (password, json.dumps(password)[1:-1]):
                assert form not in text, where
