"""How far the builds are from the pinned images, and what docs/toolchain.md says of it."""

import pytest

from config.images import pins
from toolchain.images import versions
from toolchain.images.recipes import RECIPES


def test_the_committed_table_is_current() -> None:
    assert versions.PAGE.read_text(encoding="utf-8") == versions.page(), (
        "a pin or a recipe has changed: run  .venv/bin/python -m toolchain.images.versions"
    )


def test_every_pinned_service_is_in_the_table() -> None:
    table = versions.table()
    assert [
        service for service in pins() if f"\n| {service} | {pins()[service].tag.removeprefix('v')} |" not in table
    ] == []


@pytest.mark.parametrize("service", RECIPES)
def test_no_build_is_newer_than_its_pin(service: str) -> None:
    pinned, built = pins()[service].tag, RECIPES[service].version
    assert not versions.distance(pinned, built).startswith("newer"), (
        f"{service}: {built} is built, and users get {pinned}: what is tested here must not be what they do not have yet"
    )


@pytest.mark.parametrize(
    ("pinned", "built", "distance"),
    [
        ("v3.15.0", "3.15.0", "none"),
        ("3.2-alpine", "3.2.4", "none"),
        ("v0.20.1", "0.19.1", "1 minor"),
        ("v1.93.0-alpine", "1.88.0", "5 minor"),
        ("3.6.11", "3.6.8", "3 patch"),
        ("13.2.3", "10.0.0-preview", "3 major"),
        ("2.20.0", "2.21.0", "newer: 1 minor"),
        ("1.38.0", "debian", "unknown"),
    ],
)
def test_the_distance_is_told_by_the_first_number_that_differs(pinned: str, built: str, distance: str) -> None:
    assert versions.distance(pinned, built) == distance


def test_a_page_without_the_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no line"):
        versions.page("# Tool chain\n")
