"""Image age: advice on images that are past their end of life or older than a year, from the dates in `image_releases.yaml`."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, resource_policy
from policies.readers.declared_resources import Resource, image_text
from policies.readers.image_reference import Reference

MAX_AGE_DAYS = 365

RELEASES = Path(__file__).with_name("image_releases.yaml")


@cache
def _releases() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load(RELEASES.read_text())
    return document


def advice(text: str, today: date, max_age_days: float) -> Iterator[str]:
    """Advice on the age of the image with the reference `text`."""
    image = Reference.parse(text)
    version = (image.tag or "").removeprefix("v")
    for ended in _releases()["ended"]:
        matches = re.fullmatch(ended["image"], image.repository) and re.match(ended.get("version", ""), version)
        if matches and today >= ended["since"]:
            yield f"{text} has been past its end of life since {ended['since']}: {ended['instead']}"
            return
    released = _releases()["released"].get(f"{image.repository}:{image.tag}")
    if released and (today - released).days > max_age_days:
        yield f"{text} was released on {released}, more than {max_age_days:g} days ago: take a newer release with its fixes"


def _check(resource: Resource, config: Config) -> Iterator[str]:
    return advice(image_text(resource), datetime.now(UTC).date(), config["max_age_days"])


AGE = resource_policy(
    "images-are-maintained",
    "Images are not past their end of life, and not old.",
    _check,
    fix="Take a newer release, or the replacement that the vendor names.",
    config={
        "max_age_days": {
            "type": "number",
            "default": MAX_AGE_DAYS,
            "description": "Age from which images are reported.",
        },
    },
    severity=Severity.MEDIUM,
    advisory=True,
)

POLICIES: tuple[Policy, ...] = (AGE,)
