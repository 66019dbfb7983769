"""Images: what runs is what was tried. A digest says what an image is, an allowed registry where it came from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pulumi_policy import Policy, Severity

from declared import CONTAINER, IMAGE, Config, Resource, each

REGISTRIES = ("docker.io", "ghcr.io", "quay.io", "docker.elastic.co")
BUILT_HERE = r"nervous-system/[a-z_-]+:[\w.-]+-[0-9a-f]{8,}"
"""Images that the project builds where no registry can be reached: their tag ends with a digest of their sources."""
MAX_AGE_DAYS = 365

RELEASES = Path(__file__).with_name("releases.yaml")


@dataclass(frozen=True)
class Reference:
    """`registry/repository:tag@digest`, as Docker completes it."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference that `text` stands for."""
        rest, _, digest = text.partition("@")
        path, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:  # a port
            path, tag = rest, ""
        first, slash, more = path.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(first, more, tag or None, digest or None)
        repository = path if slash else f"library/{path}"
        return cls("docker.io", repository, tag or None, digest or None)


def problems(text: str, config: Config) -> Iterator[str]:
    """What is wrong with the image reference `text`."""
    if re.fullmatch(r"(sha256:)?[0-9a-f]{64}", text):  # the image itself, already on the engine
        return
    if config["built_here"] and re.fullmatch(config["built_here"], text):
        return
    image = Reference.parse(text)
    if image.tag == "latest":
        yield f"{text}: latest is another image every week: name a version and its digest"
    if image.digest is None or not re.fullmatch(r"sha256:[0-9a-f]{64}", image.digest):
        yield f"{text}: nothing says which image this tag will mean tomorrow: append its @sha256:…"
    if image.registry not in config["registries"]:
        allowed = ", ".join(config["registries"])
        yield f"{text}: {image.registry} is no allowed registry ({allowed}): take the image from one, or allow it in the policy's config"


def _texts(resource: Resource) -> Iterator[str]:
    yield str(resource.props.get("image" if resource.resource_type == CONTAINER else "name") or "")


def _check(resource: Resource, config: Config) -> Iterator[str]:
    for text in _texts(resource):
        if text:
            yield from problems(text, config)
        else:
            yield "it names no image: name one with its digest"
    if resource.resource_type == IMAGE and resource.props.get("build"):
        yield "it is built on the host from whatever is there, under the name of another: pull it by its digest"


@cache
def _releases() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load(RELEASES.read_text())
    return document


def advice(text: str, today: date, max_age_days: float) -> Iterator[str]:
    """What is old about the image that `text` stands for."""
    image = Reference.parse(text)
    version = (image.tag or "").removeprefix("v")
    for ended in _releases()["ended"]:
        of_it = re.fullmatch(ended["image"], image.repository) and re.match(ended.get("version", ""), version)
        if of_it and today >= ended["since"]:
            yield f"{text} has been past its end of life since {ended['since']}: {ended['instead']}"
            return
    released = _releases()["released"].get(f"{image.repository}:{image.tag}")
    if released and (today - released).days > max_age_days:
        yield f"{text} is of {released}, more than {max_age_days:g} days ago: take a newer one, with its fixes"


def _advise(resource: Resource, config: Config) -> Iterator[str]:
    for text in _texts(resource):
        yield from advice(text, datetime.now(UTC).date(), config["max_age_days"])


PINNED = each(
    "images-are-pinned",
    "Images are pinned by digest and come from an allowed registry.",
    _check,
    kinds=(CONTAINER, IMAGE),
    fix="Write repository:tag@sha256:…; a registry of your own goes into `registries` of the policy's config.",
    config={
        "registries": {
            "type": "array",
            "items": {"type": "string"},
            "default": list(REGISTRIES),
            "description": "Where images may come from: host[:port].",
        },
        "built_here": {
            "type": "string",
            "default": BUILT_HERE,
            "description": "Regular expression for images that the engine has and no registry; empty for none.",
        },
    },
)

AGE = each(
    "images-are-maintained",
    "Images are not past their end of life, and not old.",
    _advise,
    fix="Take a newer release, or what its makers name instead.",
    config={
        "max_age_days": {"type": "number", "default": MAX_AGE_DAYS, "description": "Older images are named."},
    },
    severity=Severity.MEDIUM,
    advisory=True,
)

POLICIES: tuple[Policy, ...] = (PINNED, AGE)
