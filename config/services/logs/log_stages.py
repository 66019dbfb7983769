"""Stages of the shippers' pipeline, in Alloy's terms, and functions that make the usual ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One step, in Alloy's terms."""

    kind: str
    arguments: Mapping[str, Any]
    stages: tuple["Stage", ...] = ()
    """Stages inside a `match`, for the lines that its selector finds."""


def stage(kind: str, *, stages: tuple[Stage, ...] = (), **arguments: Any) -> Stage:
    return Stage(kind, arguments, stages)


def match(condition: str, *stages: Stage) -> Stage:
    """A stage that runs `stages` on the lines that satisfy `condition`: LogQL, label matchers and line filters."""
    selector = condition if condition.startswith("{") else f'{{source=~".+"}} {condition}'
    return stage("match", selector=selector, stages=stages)


def logql(text: str) -> str:
    """`text` as a LogQL string, in double quotes: the shippers' own parser supports no others."""
    return json.dumps(text, ensure_ascii=False)


def regex(expression: str) -> Stage:
    return stage("regex", expression=expression)


def template(name: str, template: str) -> Stage:
    """A stage that extracts `name`, and removes it if the template's result is empty."""
    return stage("template", source=name, template=template)
