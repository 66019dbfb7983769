"""YAML as a person would write it: keys in the order given, long texts as blocks."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.CSafeDumper):
    """By libyaml: the dumper in Python takes twenty times as long, a third of a second for the collector's file."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump(document: Any, width: int = 120) -> str:
    """`document` as YAML text, its lines folded after `width` characters. A list that is in it twice (the same object) is
    written once, with an alias."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=width, allow_unicode=True)


def dollars_doubled(node: Any, done: dict[int, Any] | None = None) -> Any:
    """`node` for who takes ``$name`` for a variable of its environment, and ``$$`` for a dollar. What is in it twice (the same
    object) is so in the result; `done` is for that alone."""
    done = {} if done is None else done
    if id(node) not in done and isinstance(node, dict):
        done[id(node)] = {key: dollars_doubled(value, done) for key, value in node.items()}
    elif id(node) not in done and isinstance(node, list):
        done[id(node)] = [dollars_doubled(value, done) for value in node]
    elif isinstance(node, str):
        return node.replace("$", "$$")
    return done.get(id(node), node)


def one_spelling(text: str) -> str:
    """`text` as it arrives: on its way to the engine the provider spells each text anew (NFC). In another spelling, which
    looks the same, a service would never say that it runs the files of this digest."""
    return unicodedata.normalize("NFC", text)


def digest(files: Mapping[str, str]) -> str:
    """Twelve hex digits that stand for a set of files."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:12]
