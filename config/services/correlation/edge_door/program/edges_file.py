"""The file `edges.json`: which edges there are, and where what they send goes to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass


class EdgesError(Exception):
    """The file cannot be used. The message names the key."""


@dataclass(frozen=True)
class Edges:
    """The content of `edges.json`."""

    bounds: Mapping[str, int]
    """Edge → the number of its series that are taken."""
    labels: frozenset[str]
    """Labels that lines may have."""
    samples: str
    """Address for samples: `host:port`."""
    lines: str
    """Address for lines: `host:port`."""
    version: str
    """Twelve hex digits that identify the text."""


def read(text: str) -> Edges:
    """The edges in `text`.

    Raises:
        EdgesError: it is no such file.
    """
    try:
        told = json.loads(text)
        bounds = {str(name): int(bound) for name, bound in told["bounds"].items()}
        labels, addresses = frozenset(map(str, told["labels"])), (str(told["samples"]), str(told["lines"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EdgesError(f"is no file of edges: {type(error).__name__}: {error}") from None
    return Edges(bounds, labels, *addresses, version=hashlib.sha256(text.encode()).hexdigest()[:12])
