"""YAML that is readable for people: keys in the given order, long texts as blocks."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.CSafeDumper):
    """Uses libyaml. The dumper in Python takes twenty times as long, a third of a second for the collector's file."""


_NO_TEXT = re.compile(r"[-+]?(?=[0-9.])[0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?0[obx][0-9a-fA-F_]+|[yYnN]")
"""Texts that YAML 1.2 takes for numbers, and some parsers of Go for truths, if they stand without quotes. PyYAML speaks 1.1,
and quotes `15`, but neither `1e5` nor `0o17`."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _NO_TEXT.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(document: Any, width: int = 120) -> str:
    """`document` as YAML text, with lines folded after `width` characters. A list that occurs twice (the same object)
    is written once, with an alias."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=width, allow_unicode=True)


def dollars_doubled(node: Any, copies: dict[int, Any] | None = None) -> Any:
    """`node` with each ``$`` doubled, for services that replace ``$name`` by a variable of their environment.

    For example, ``{"cost": "$5"}`` → ``{"cost": "$$5"}``. An object that occurs twice is also shared in the result;
    `copies` is only for that.
    """
    copies = {} if copies is None else copies
    if id(node) not in copies and isinstance(node, dict):
        copies[id(node)] = {key: dollars_doubled(value, copies) for key, value in node.items()}
    elif id(node) not in copies and isinstance(node, list):
        copies[id(node)] = [dollars_doubled(value, copies) for value in node]
    elif isinstance(node, str):
        return node.replace("$", "$$")
    return copies.get(id(node), node)


def one_spelling(text: str) -> str:
    """`text` in Unicode normalization form NFC, in which the provider sends it to the engine. With another form, which
    looks the same, the service would never report the digest of its files."""
    return unicodedata.normalize("NFC", text)


def digest(files: Mapping[str, str]) -> str:
    """Twelve hex digits that identify a set of files. `files`: path → text."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:12]
