"""What engines tell of themselves: recorded answers of `/info` and `/version`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def recorded(name: str) -> dict[str, dict[str, Any]]:
    """`info` and `version` of an engine that ran on the machine of the tests."""
    recording: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return recording


def answers(
    name: str, info: Mapping[str, Any] | None = None, version: Mapping[str, Any] | None = None
) -> dict[str, Callable[[], dict[str, Any]]]:
    """The methods of a client by which a recorded engine is asked; some of what it says may be another."""
    recording = recorded(name)
    return {
        "info": lambda: {**recording["info"], **(info or {})},
        "version": lambda: {**recording["version"], **(version or {})},
    }
