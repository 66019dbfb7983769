"""Several servers of one kind: their exporters, addresses, jobs, secrets and certificates."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.catalogue import MOST_SERVERS, ROWS, row_of
from config.services.metrics.mysqld_exporter import no_interpolation, quoted
from config.settings import Settings
from tests.support.program import CONTAINER, PINNED, config_of, described, refusal, settings_of, several
from tests.unit.relabel import targets
from tests.unit.test_components import stacks
from tests.unit.test_scrape import jobs

KINDS = [row for row in ROWS.values() if row.board]


def of(kind: str, *servers: dict[str, Any], secrets: tuple[str, ...] = ()) -> Settings:
    return settings_of({"exporters": {kind: servers}, "images": PINNED}, secrets=secrets)


def refused(kind: str, *servers: dict[str, Any], secrets: tuple[str, ...] = ()) -> str:
    return refusal({"exporters": {kind: servers}, "images": PINNED}, secrets=secrets)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    command: list[str] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-out",
        str(file),
        "-subj",
        "/CN=ca",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return file.read_text()


def test_one_block_is_a_list_of_one() -> None:
    block = {"address": "cache:6379"}
    assert settings_of({"exporters": {"redis": block}}) == settings_of({"exporters": {"redis": [block]}})


def test_the_first_of_a_list_has_the_container_that_a_single_one_has() -> None:
    one, two = ({"address": "cache:6379"}, {"address": "sessions:6379", "name": "sessions"})
    alone, beside = (stacks({"exporters": {"redis": servers}}) for servers in (one, [one, two]))
    assert alone[CONTAINER, "redis_exporter"].inputs == beside[CONTAINER, "redis_exporter"].inputs
    assert beside[CONTAINER, "redis_exporter-2"].inputs["name"] == "nervous-test-redis_exporter-2"


def test_each_server_has_an_exporter_with_an_address_of_its_own() -> None:
    settings = settings_of(several(MOST_SERVERS))
    exporters = [service for service in settings.services if row_of(service).board]
    assert len(exporters) == MOST_SERVERS * len(KINDS)
    addresses = [settings.edge.address(name) for name in settings.services if "edge" in row_of(name).zones]
    assert len(addresses) == len(set(addresses))
    subnet = settings.edge.subnet
    assert {*addresses} < {str(address) for address in subnet.hosts()} - {str(subnet[1])}


def test_all_exporters_of_a_kind_have_one_image() -> None:
    """`make up` asks for each image by its name, and stores where it comes from below `images`."""
    settings = settings_of(several(2))
    assert set(settings.image_names) == set(settings_of(several(1)).image_names)
    assert all(hasattr(settings.images, name) for name in settings.image_names)
    assert settings.image("redis_exporter-2") == settings.image("redis_exporter")


def test_all_servers_of_a_kind_are_one_job_and_each_is_a_service() -> None:
    pages = targets(
        jobs({"exporters": {"redis": [{"address": "a:1"}, {"address": "b:1", "name": "sessions"}]}})["redis_exporter"]
    )
    assert [(page["instance"], page["service"], page["url"]) for page in pages if page] == [
        ("redis_exporter:9121", "redis", "http://nervous-test-redis_exporter:9121/metrics"),
        ("redis_exporter-2:9121", "sessions", "http://nervous-test-redis_exporter-2:9121/metrics"),
    ]


def test_each_server_has_a_password_of_its_own() -> None:
    secrets = ("redis_password", "redis_password_sessions")
    settings = of("redis", {"address": "a:1"}, {"address": "b:1", "name": "sessions", "user": "me"}, secrets=secrets)
    for exporter, secret in zip(("redis_exporter", "redis_exporter-2"), secrets, strict=True):
        assert [one.key for one in config_of(exporter, settings).secrets.values()] == [secret]


@pytest.mark.parametrize(
    ("servers", "secrets", "says"),
    [
        ([{"address": "a:1"}, {"address": "b:1"}], (), "exporters.redis: two have no name: write  name: …"),
        ([{"address": "a:1", "name": "x"}] * 2, (), "exporters.redis: two are called x"),
        ([{"address": "a:1", "name": f"x{n}"} for n in range(5)], (), "exporters.redis: no more than 4 of a kind"),
        ([{"address": "a:1", "nane": "x"}], (), "exporters.redis.0.nane: unknown key; did you mean name?"),
        ([{"address": "a:1"}, {"address": "b", "name": "x"}], (), "exporters.redis.1.address: is not host:port"),
        (
            [{"address": "a:1", "name": "x", "user": "me"}],
            ("redis_password",),
            "exporters.redis: needs its password: pulumi config set --secret redis_password_x",
        ),
        (
            [{"address": "a:1", "name": "x"}],
            ("redis_password_y",),
            "exporters.redis: there is none called y: name one so, or  pulumi config rm redis_password_y",
        ),
        ([{"address": "a:1", "tls": {"ca": "-----BEGIN"}}], (), "exporters.redis.0.tls.ca: is not a certificate"),
    ],
)  # fmt: skip
def test_a_wrong_list_is_told_what_is_wrong(servers: list[dict[str, Any]], secrets: tuple[str, ...], says: str) -> None:
    message = refused("redis", *servers, secrets=secrets)
    assert says.replace("redis: needs", "redis.user: needs") in message


def test_a_wrong_key_in_a_single_block_has_no_number() -> None:
    assert "exporters.redis.adress: unknown key" in refusal({"exporters": {"redis": {"adress": "a:1"}}})


# Certificates.


def test_a_certificate_reaches_the_exporter_as_its_file_was(certificate: str) -> None:
    folded = " ".join(certificate.split("\n"))
    for text in (folded, f"{folded} {folded}"):
        settings = of("redis", {"address": "a:1", "tls": {"ca": text}})
        assert config_of("redis_exporter", settings).files["ca.pem"] == certificate * text.count("BEGIN")
    command = described("redis_exporter", settings).command
    assert "--redis.addr=rediss://a:1" in command
    assert "--tls-ca-cert-file=/config/current/ca.pem" in command


def test_the_password_of_redis_is_found_under_its_address_with_tls() -> None:
    settings = of("redis", {"address": "a:1", "tls": {}, "user": "me"}, secrets=("redis_password",))
    secret = config_of("redis_exporter", settings).secrets["passwords.json"]
    assert json.loads(secret.render("s3cret")) == {"rediss://me@a:1": "s3cret"}


def test_postgres_compares_the_certificate_only_if_it_is_told_to(certificate: str) -> None:
    server = {"address": "db:5432", "ca": " ".join(certificate.split("\n"))}
    assert "sslmode disable compares no certificate" in refused("postgres", server)
    settings = of("postgres", {**server, "sslmode": "verify-full"})
    assert described("postgres_exporter", settings).environment["PGSSLROOTCERT"] == "/config/current/ca.pem"
    assert config_of("postgres_exporter", settings).files["ca.pem"] == certificate


# MySQL.


@pytest.mark.parametrize(
    ("tls", "lines"),
    [
        (None, []),
        ({}, ["tls = true"]),
        ({"verify": False}, ["tls = skip-verify"]),
        ({"ca": "…"}, ["tls = true", "ssl-ca = /config/current/ca.pem"]),
    ],
)
def test_mysql_speaks_tls_as_it_is_told_to(tls: dict[str, Any] | None, lines: list[str], certificate: str) -> None:
    tls = {**tls, "ca": " ".join(certificate.split("\n"))} if tls and "ca" in tls else tls
    files = config_of("mysqld_exporter", of("mysql", {"address": "db:3306", "tls": tls})).files
    assert files["my.cnf"].splitlines() == ["[client]", "user = `exporter`", *lines]


def test_the_password_of_mysql_is_in_a_secret_file_with_the_user() -> None:
    settings = of("mysql", {"address": "db:3306", "name": "shop", "user": "me"}, secrets=("mysql_password_shop",))
    config = config_of("mysqld_exporter", settings)
    assert config.secrets["my.cnf"].render("a$b`c") == "[client]\nuser = `me`\npassword = `a${DOLLAR}b`c`\n"
    container = described("mysqld_exporter", settings)
    assert container.environment == {"DOLLAR": "$"}
    assert "--config.my-cnf=/config/current/secrets/my.cnf" in container.command


def test_what_the_exporter_of_mysql_would_replace_is_written_so_that_it_does_not() -> None:
    assert quoted("$HOME ${x}") == "`${DOLLAR}HOME ${DOLLAR}{x}`"


@pytest.mark.parametrize(("password", "says"), [("100% (s3cret)", ""), ("a%(b)s", no_interpolation("mysql_password"))])
def test_a_password_of_mysql_that_its_exporter_would_change_is_refused(
    password: str, says: str, tmp_path: Path
) -> None:
    config = config_of("mysqld_exporter", of("mysql", {"address": "db:3306"}, secrets=("mysql_password",)))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "my.cnf").write_text(config.secrets["my.cnf"].render(password))
    result = subprocess.run(
        ["sh", "-euc", config.validate or ""], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.stdout.strip(), bool(result.returncode)) == (says, bool(says))
