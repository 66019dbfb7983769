"""How the exporter reaches MongoDB."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.container import Container
from config.settings.loading import SettingsError, judge_secrets
from tests.support.program import PINNED, PROJECT, STACK, described, refusal, settings_of

SECRET = "mongodb_certificate"
LOGIN = "authMechanism=MONGODB-X509&authSource=%24external&tlsCertificateKeyFile=/config/current/secrets/login.pem"
IMAGES = {"mongodb_exporter": PINNED["mongodb_exporter"]}


def of(server: Any, *secrets: str) -> Container:
    return described(
        "mongodb_exporter", settings_of({"exporters": {"mongodb": server}, "images": IMAGES}, secrets=secrets)
    )


def pem(folder: Path, *, encrypted: bool = False) -> tuple[str, str]:
    """A certificate, and its key."""
    key = ["-passout", "pass:x"] if encrypted else ["-nodes"]
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", "key", "-out", "cert", "-subj", "/CN=x", *key]
    subprocess.run(line, cwd=folder, check=True, capture_output=True)
    return (folder / "cert").read_text(), (folder / "key").read_text()


@pytest.mark.parametrize(
    "uri", ["mongodb://mongo:27017", "mongodb+srv://cluster.example", "mongodb://a:1,b:2/?replicaSet=r"]
)
def test_it_connects_to_the_server_of_the_settings(uri: str) -> None:
    exporter = of({"uri": uri})
    assert f"--mongodb.uri={uri}" in exporter.command
    assert exporter.config is None


@pytest.mark.parametrize(
    ("uri", "direct"),
    [
        ("mongodb://mongo:27017", True),
        ("mongodb://a:1,b:2/?replicaSet=r", False),
        ("mongodb+srv://cluster.example", False),
    ],
)
def test_several_servers_are_not_asked_as_if_they_were_one(uri: str, *, direct: bool) -> None:
    assert ("--no-mongodb.direct-connect" not in of({"uri": uri}).command) is direct


@pytest.mark.parametrize(
    ("uri", "tls", "secrets", "becomes"),
    [
        ("mongodb://a", {}, (), "mongodb://a/?tls=true"),
        ("mongodb://a/", {}, (), "mongodb://a/?tls=true"),
        ("mongodb://a,b/shop?replicaSet=r", {}, (), "mongodb://a,b/shop?replicaSet=r&tls=true"),
        ("mongodb://a", {"verify": False}, (), "mongodb://a/?tls=true&tlsInsecure=true"),
        ("mongodb://a", {"ca": "…"}, (), "mongodb://a/?tls=true&tlsCAFile=/config/current/ca.pem"),
        ("mongodb://a", None, (SECRET,), f"mongodb://a/?tls=true&{LOGIN}"),
        ("mongodb+srv://a", None, (SECRET,), f"mongodb+srv://a/?tls=true&{LOGIN}"),
    ],
)
def test_tls_and_the_login_are_options_that_name_files(
    uri: str, tls: dict[str, Any] | None, secrets: tuple[str, ...], becomes: str, tmp_path: Path
) -> None:
    tls = {**tls, "ca": pem(tmp_path)[0].replace("\n", " ")} if tls and "ca" in tls else tls
    assert f"--mongodb.uri={becomes}" in of({"uri": uri, "tls": tls}, *secrets).command


def test_the_certificate_of_a_server_in_a_list_has_its_name() -> None:
    exporter = of([{"uri": "mongodb://a"}, {"uri": "mongodb://b", "name": "shop"}], f"{SECRET}_shop")
    assert exporter.config is None
    settings = settings_of(
        {"exporters": {"mongodb": [{"uri": "mongodb://a"}, {"uri": "mongodb://b", "name": "shop"}]}, "images": IMAGES},
        secrets=[f"{SECRET}_shop"],
    )
    config = described("mongodb_exporter-2", settings).config
    assert config
    assert {name: secret.key for name, secret in config.secrets.items()} == {"login.pem": f"{SECRET}_shop"}
    assert "exporters.mongodb: there is none called nobody" in refusal(
        {"exporters": {"mongodb": {"uri": "mongodb://a"}}, "images": IMAGES}, secrets=[f"{SECRET}_nobody"]
    )


@pytest.mark.parametrize("option", ["tls=true", "ssl=true", "authSource=admin", "tlsCAFile=/x", "AUTHMECHANISM=PLAIN"])
def test_an_option_that_has_a_key_of_its_own_is_refused_with_that_key(option: str) -> None:
    for uri in (f"mongodb://a/?{option}", f"mongodb://a/?replicaSet=r&{option}"):
        message = refusal({"exporters": {"mongodb": {"uri": uri}}, "images": IMAGES})
        assert f"exporters.mongodb.uri: {option.partition('=')[0]}: TLS and the login have keys of their own" in message


def test_the_secret_is_a_certificate_with_a_key_that_needs_no_password(tmp_path: Path) -> None:
    certificate, key = pem(tmp_path)

    def judge(text: str) -> None:
        key = f"{PROJECT}:{SECRET}"
        judge_secrets({key: text}, secret_keys=[key], project=PROJECT, stack=STACK)

    judge(certificate + key)
    judge(f"{key}\n\n{certificate}\n{certificate}")
    _, encrypted = pem(tmp_path, encrypted=True)
    for wrong in ("hunter2", certificate, key, certificate + encrypted, certificate + key.replace("\n", " ")[:60]):
        with pytest.raises(SettingsError, match=f"{SECRET}: the secret is not a certificate and its key") as caught:
            judge(wrong)
        assert wrong[:40].strip() not in str(caught.value).replace("PEM", "")
