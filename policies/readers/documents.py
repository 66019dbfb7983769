"""Documents of YAML and JSON among config files."""

import contextlib
import json
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml

SUFFIXES = frozenset({".yml", ".yaml", ".json"})


@cache
def parsed(path: str, text: str) -> Any:
    """The content of a document; several policies read the same one.

    Raises:
        yaml.YAMLError: it is neither.
    """
    if PurePosixPath(path).suffix.lower() == ".json":
        # Parsed as the YAML that JSON also is, Grafana's dashboards took 1.7 s of a plan.
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
