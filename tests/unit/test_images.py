"""Image references: pins, mirrors and overrides."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from config.catalogue import SERVICES
from config.images import JAEGER_WITHOUT_SEARCH, on_mirror, pins, resolve, version
from config.row import Pin

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'0' * 64}"
FULL = re.compile(r"[a-z0-9.-]+\.[a-z]+/[a-z0-9._/-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}")
UNCONFIRMED = {service for service, pin in pins().items() if not pin.digest}
"""Images of which no digest is known: who selects one has to say it."""


def test_every_service_has_a_pin_and_nothing_else_but_the_shell_has() -> None:
    assert set(pins()) == {*SERVICES, "busybox"}


@pytest.mark.parametrize("service", sorted(set(pins()) - UNCONFIRMED))
def test_a_pin_names_registry_tag_and_digest(service: str) -> None:
    assert FULL.fullmatch(pins()[service].reference)


def test_a_pin_without_digest_shows_none() -> None:
    assert Pin("docker.io/a/b", "1").reference == "docker.io/a/b:1"


@pytest.mark.parametrize(
    ("reference", "mirror", "there"),
    [
        (f"docker.io/prom/prometheus:v3@{DIGEST}", "mirror.example", f"mirror.example/prom/prometheus:v3@{DIGEST}"),
        ("ghcr.io/google/cadvisor:v0", "localhost:5000", "localhost:5000/google/cadvisor:v0"),
        ("localhost:5000/a/b:1", "mirror.example/cache", "mirror.example/cache/a/b:1"),
        ("localhost/a/b:1", "mirror.example/", "mirror.example/a/b:1"),
        ("registry.example:5000/b:1", "mirror.example", "mirror.example/b:1"),
        ("prom/prometheus:v3", "mirror.example", "mirror.example/prom/prometheus:v3"),
        ("haproxy:3.2", "mirror.example", "mirror.example/haproxy:3.2"),
        (f"haproxy@{DIGEST}", "mirror.example", f"mirror.example/haproxy@{DIGEST}"),
    ],
)
def test_a_mirror_holds_an_image_under_its_path_without_the_registry(reference: str, mirror: str, there: str) -> None:
    assert on_mirror(reference, mirror) == there


PINNED = pins()["prometheus"].reference


@pytest.mark.parametrize(
    ("override", "mirror", "reference"),
    [
        (None, None, PINNED),
        (None, "localhost:5000", PINNED.replace("docker.io", "localhost:5000")),
        ("own/prometheus:1", None, "own/prometheus:1"),
        ("own/prometheus:1", "localhost:5000", "localhost:5000/own/prometheus:1"),
        ("prometheus:1", "localhost:5000", "localhost:5000/prometheus:1"),
        ("registry.example/prometheus:1", "localhost:5000", "registry.example/prometheus:1"),
        ("localhost:6000/prometheus:1", "localhost:5000", "localhost:6000/prometheus:1"),
        (f"own/prometheus:1@{DIGEST}", "localhost:5000", f"localhost:5000/own/prometheus:1@{DIGEST}"),
    ],
    ids=[
        "the pin",
        "the pin on the mirror",
        "an override",
        "an override without registry on the mirror",
        "a bare name on the mirror",
        "an override with a registry stays there",
        "a registry is told by its port",
        "an override keeps its digest",
    ],
)
def test_the_image_of_a_service(override: str | None, mirror: str | None, reference: str) -> None:
    assert resolve("prometheus", override, mirror) == reference


# What Renovate makes of the pins.

RENOVATE: dict[str, Any] = json.loads((ROOT / "renovate.json").read_text())


def test_renovate_finds_every_pin_with_its_digest() -> None:
    [manager] = RENOVATE["customManagers"]
    [files], [pattern] = manager["managerFilePatterns"], manager["matchStrings"]
    catalogue = [ROOT / "config" / name for name in ("catalogue.py", "exporter_rows.py")]
    assert all(re.fullmatch(files.strip("/"), str(path.relative_to(ROOT))) for path in catalogue)
    matches = list(re.finditer(pattern.replace("(?<", "(?P<"), "".join(path.read_text() for path in catalogue)))
    updated = [Pin(match["packageName"], match["currentValue"], match["currentDigest"]) for match in matches]
    assert len(updated) == len(set(updated))
    assert set(updated) == set(pins().values())  # one may be written once for several services
    for match in matches:
        assert match["packageName"].removeprefix("docker.io/").removeprefix("library/") == match["depName"]


def test_renovate_leaves_jaeger_where_it_loses_nothing_and_grafana_can_search_it() -> None:
    rule = next(rule for rule in RENOVATE["packageRules"] if "allowedVersions" in rule)
    repositories = {
        pin.repository.removeprefix("docker.io/") for name, pin in pins().items() if name.startswith("jaeger")
    }
    assert set(rule["matchDepNames"]) == repositories
    pinned = version(pins()["jaeger"].reference)
    assert pinned
    major, minor, _ = pinned
    assert (major, minor + 1) < JAEGER_WITHOUT_SEARCH
    assert rule["allowedVersions"] == f"<{major}.{minor + 1}"
