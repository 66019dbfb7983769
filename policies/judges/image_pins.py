"""Image pins: a digest says which image runs, and an allowed registry where it comes from. So what runs is what was tested.

A program that a container fetches at its start is in no digest.
"""

import re
from collections.abc import Iterator

from pulumi_policy import Policy

from policies.policy_kit import Config, resource_policy
from policies.readers.declared_resources import CONTAINER, IMAGE, Resource, image_text
from policies.readers.downloads import fetched
from policies.readers.image_reference import Reference

REGISTRIES = ("docker.io", "ghcr.io", "quay.io", "docker.elastic.co")
BUILT_HERE = r"nervous-system/[a-z_-]+:[\w.-]+-[0-9a-f]{8,}"
"""Images that the project builds if it reaches no registry. Their tag ends with a digest of their sources."""


def problems(text: str, config: Config) -> Iterator[str]:
    """Violations in the image reference `text`."""
    if re.fullmatch(r"(sha256:)?[0-9a-f]{64}", text):  # the id of an image that the engine already has
        return
    if config["built_here"] and re.fullmatch(config["built_here"], text):
        return
    image = Reference.parse(text)
    if (image.tag or "").lower() == "latest":
        yield f"{text}: latest is a different image every week: name a version and its digest"
    if image.digest is None or not re.fullmatch(r"sha256:[0-9a-f]{64}", image.digest):
        yield f"{text}: its tag may mean another image tomorrow: append its @sha256:…"
    if image.registry not in config["registries"]:
        allowed = ", ".join(config["registries"])
        yield (
            f"{text}: {image.registry} is not an allowed registry ({allowed}): take the image from one of these, or allow the "
            "registry in the policy's config"
        )


def _check(resource: Resource, config: Config) -> Iterator[str]:
    if text := image_text(resource):
        yield from problems(text, config)
    else:
        yield "it names no image: name one with its digest"
    if resource.resource_type == IMAGE and resource.props.get("build"):
        yield "it is built on the host from local files, under the name of another image: pull the image by its digest"
    if resource.resource_type == CONTAINER:
        for where, how in fetched(resource.props):
            yield f"its {where} {how}, which may be another one tomorrow: build it into an image, and pin that"


PINNED = resource_policy(
    "images-are-pinned",
    "Images are pinned by digest and come from an allowed registry; no container fetches programs.",
    _check,
    kinds=(CONTAINER, IMAGE),
    fix="Write repository:tag@sha256:…, and add your own registry to `registries` in the policy's config.",
    config={
        "registries": {
            "type": "array",
            "items": {"type": "string"},
            "default": list(REGISTRIES),
            "description": "Registries from which images may come: host[:port].",
        },
        "built_here": {
            "type": "string",
            "default": BUILT_HERE,
            "description": "Regular expression for images that are built on the engine and are in no registry; empty for none.",
        },
    },
)

POLICIES: tuple[Policy, ...] = (PINNED,)
