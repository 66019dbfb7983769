"""Reads your own rule files, which are loaded beside the project's.

They are taken as people have them: Prometheus' own files, and the resource PrometheusRule of Kubernetes. An alert
without a severity or a text gets one, so that it has a route and its message says something.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from config.settings import own_files
from config.settings.loading import SettingsError
from config.sizes import MIB

LARGEST = MIB
"""Largest size of a file in bytes: about 2,000 rules. Files are judged, stored in the state and shown in previews."""
ENDINGS = (".yml", ".yaml", ".rules")
SEVERITY = "warning"
"""Severity of an alert that has none: a message, and nobody is woken."""
_TEXT, _MAP = "tag:yaml.org,2002:str", "tag:yaml.org,2002:map"
_OF_THANOS = "partial_response_strategy"
"""A key of PrometheusRule's groups that only Thanos reads. The operator leaves it out for Prometheus too."""


def read(paths: Iterable[str], root: Path, *, stack_key: str) -> dict[str, str]:
    """File name → text, for files, folders and patterns relative to `root`. Their rules are checked by promtool later.

    A file with several documents becomes several files, because each may have groups of the same name. `stack_key`
    names the setting that lists them, for messages.

    Raises:
        SettingsError: a file is missing, too large or not a rule file.
    """
    texts: dict[str, str] = {}
    for key, file in own_files.matching_files(paths, root, endings=ENDINGS, stack_key=stack_key):
        if file.suffix not in ENDINGS:
            raise SettingsError(f"{key}: does not end with {', '.join(ENDINGS)}: rename it to {file.stem}.yml")
        text = own_files.text_of(file, key, LARGEST)
        for document in _documents(text, key):
            texts[_free_name(file.relative_to(root), texts)] = document
    return texts


def _free_name(path: Path, others: Iterable[str]) -> str:
    """A name that no other file has: that of the file, else with its folders, else with a number."""
    names = [path.stem, "-".join([*path.parts[:-1], path.stem])]
    names += [f"{path.stem}-{number}" for number in range(2, len([*others]) + 3)]
    return next(f"{name}.yml" for name in names if f"{name}.yml" not in others)


def _documents(text: str, key: str) -> Iterator[str]:
    """The documents of one file, each as Prometheus reads it. Unchanged if the file is such a document already."""
    try:
        nodes = [node for node in yaml.compose_all(text, yaml.CSafeLoader) if node.tag != "tag:yaml.org,2002:null"]
        documents = [document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None]
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{key}: is not YAML: {' '.join(str(error).split())}") from None
    if not nodes:
        raise SettingsError(f"{key}: holds no `groups:` of rules")
    for node, document in _resources(nodes, documents):
        inner, content, kind = node, document, document.get("kind") if isinstance(document, dict) else None
        if kind == "PrometheusRule":
            inner, content = _value(node, "spec"), document.get("spec")
        elif kind is not None:
            raise SettingsError(
                f"{key}: is a resource of the kind {kind}: take the rules out of it, with `groups:` at the beginning"
            )
        if not isinstance(content, dict) or "groups" not in content:
            raise SettingsError(f"{key}: holds no `groups:` of rules")
        changed = _complete(inner, content)
        whole = inner is node and not changed and len(nodes) == 1
        yield text if whole else yaml.serialize(inner, Dumper=yaml.CSafeDumper, allow_unicode=True, width=120)


def _resources(nodes: Iterable[Any], documents: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Node and content of each document. The items of a Kubernetes `List` are documents of their own."""
    for node, document in zip(nodes, documents, strict=True):
        if isinstance(document, dict) and document.get("kind") in {"List", "PrometheusRuleList"}:
            items = document.get("items")
            if isinstance(items, list):
                yield from _resources(_value(node, "items").value, items)
                continue
        yield node, document


def _complete(node: Any, document: dict[str, Any]) -> bool:
    """Adds to the alerts in `node` what they lack. Returns whether anything did.

    Nodes are changed, because writing the content anew would turn ``on`` into ``true``, which is another label.
    """
    changed = False
    for group, of_group in _pairs(_value(node, "groups"), document["groups"]):
        pairs = [pair for pair in group.value if pair[0].value != _OF_THANOS]
        changed, group.value = changed or len(pairs) < len(group.value), pairs
        for rule, content in _pairs(_value(group, "rules"), of_group.get("rules")):
            if isinstance(name := content.get("alert"), str):
                changed |= _default(rule, content, "labels", "severity", SEVERITY)
                changed |= _default(rule, content, "annotations", "summary", _summary(name))
    return changed


def _pairs(node: Any, content: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Node and content of the mappings in a list. What is none is for promtool to refuse."""
    if isinstance(content, list) and node is not None:
        yield from ((one, what) for one, what in zip(node.value, content, strict=True) if isinstance(what, dict))


def _value(node: Any, key: str) -> Any:
    return next((value for name, value in node.value if name.value == key), None)


def _default(rule: Any, content: dict[str, Any], block: str, key: str, text: str) -> bool:
    """Sets `key` in a block of the rule if it is missing or empty there. Returns whether it was."""
    present = content.get(block) or {}
    if not isinstance(present, dict) or present.get(key):
        return False
    entry = (yaml.ScalarNode(_TEXT, key), yaml.ScalarNode(_TEXT, text, style='"'))
    old = _value(rule, block) if present else None
    # A new node: an alias to the old one may stand in other rules too.
    others = [pair for pair in old.value if pair[0].value != key] if old else []
    rule.value = [pair for pair in rule.value if pair[0].value != block]
    rule.value.append((yaml.ScalarNode(_TEXT, block), yaml.MappingNode(_MAP, [*others, entry])))
    return True


def _summary(alert: str) -> str:
    """Text for an alert without one: its name, its value, and the labels that say what it is about."""
    value = '{{ printf "%.6g" $value }}'
    labels = (
        '{{ range $name, $label := $labels }}{{ if ne $name "__name__" }}, {{ $name }} {{ $label }}{{ end }}{{ end }}'
    )
    return f"{alert.replace('{{', '')} is at {value}{labels}"
