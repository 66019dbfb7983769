"""Image references as Docker completes them."""

from typing import Any

import pytest

from policies.readers.image_reference import Reference

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("redis", ("docker.io", "library/redis", None, None)),
        ("redis:8", ("docker.io", "library/redis", "8", None)),
        ("grafana/loki:3.7", ("docker.io", "grafana/loki", "3.7", None)),
        (f"quay.io/a/b/c:1@{DIGEST}", ("quay.io", "a/b/c", "1", DIGEST)),
        ("localhost:5000/a", ("localhost:5000", "a", None, None)),
        (f"localhost/a@{DIGEST}", ("localhost", "a", None, DIGEST)),
    ],
)
def test_a_reference_is_completed_as_docker_does(text: str, parts: tuple[Any, ...]) -> None:
    image = Reference.parse(text)
    assert (image.registry, image.repository, image.tag, image.digest) == parts
