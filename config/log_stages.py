"""A stage of the shippers' pipeline, in Alloy's words, and how the usual ones are made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One step, in Alloy's words."""

    kind: str
    arguments: Mapping[str, Any]
    stages: tuple["Stage", ...] = ()
    """What a `match` does to the lines that its selector finds."""


def stage(kind: str, *, stages: tuple[Stage, ...] = (), **arguments: Any) -> Stage:
    return Stage(kind, arguments, stages)


def match(condition: str, *stages: Stage) -> Stage:
    """`stages` for the lines that satisfy `condition`: LogQL, label matchers and line filters."""
    selector = condition if condition.startswith("{") else f'{{source=~".+"}} {condition}'
    return stage("match", selector=selector, stages=stages)


def logql(text: str) -> str:
    """`text` as a LogQL string: in double quotes, the only ones that the shippers' own parser knows."""
    return json.dumps(text, ensure_ascii=False)


def regex(expression: str) -> Stage:
    return stage("regex", expression=expression)


def template(name: str, template: str) -> Stage:
    """Extracts `name`, which is removed where the template gives nothing."""
    return stage("template", source=name, template=template)
