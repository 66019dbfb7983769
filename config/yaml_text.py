"""YAML as a person would write it: keys in the order given, long texts as blocks."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - yaml's own signature
        """Lists are indented below their key."""
        super().increase_indent(flow, False)  # noqa: FBT003


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump(document: Any, width: int = 120) -> str:
    """`document` as YAML text, its lines folded after `width` characters."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=width, allow_unicode=True)


def dollars_doubled(node: Any) -> Any:
    """`node` for who takes ``$name`` for a variable of its environment, and ``$$`` for a dollar."""
    if isinstance(node, dict):
        return {key: dollars_doubled(value) for key, value in node.items()}
    if isinstance(node, list):
        return [dollars_doubled(value) for value in node]
    return node.replace("$", "$$") if isinstance(node, str) else node


def digest(files: Mapping[str, str]) -> str:
    """Twelve hex digits that stand for a set of files."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:12]
