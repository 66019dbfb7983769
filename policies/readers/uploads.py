"""Config files that containers get as uploads. The content of a file tells which service it is for.

An upload that only names a path on the deploying machine cannot be read. Parsed files are cached, because several policies
read the same text, and several containers may carry it.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml
from pulumi_policy.proxy import UnknownValueError

from policies.readers import alloy_syntax, documents, file_archive
from policies.readers.declared_resources import Properties

_ALLOY = {".alloy", ".river"}
_JUDGED = documents.SUFFIXES | _ALLOY | {file_archive.SUFFIX}


class Kind(Enum):
    """The service that a file configures."""

    PROMETHEUS = auto()
    PROMTAIL = auto()
    RULES = auto()
    """Alerting and recording rules, for Prometheus or Loki."""
    LOKI = auto()
    LOKI_OVERRIDES = auto()
    COLLECTOR = auto()
    """OpenTelemetry Collector, or Jaeger 2, which is built on it."""
    ALLOY = auto()
    OTHER = auto()


@dataclass(frozen=True)
class File:
    """One upload of a container."""

    path: str
    """Path inside the container."""
    text: str
    kind: Kind
    document: Any
    """The parsed text: mappings and lists of YAML, an `alloy_syntax.AlloyBlock`, or None for other formats."""


class UnreadableError(Exception):
    """A config file that cannot be read. The message says why."""


def uploads(container: Properties) -> Iterator[Properties]:
    """The uploads of `container`, in the place of an archive those in it. An archive that cannot be read is itself one."""
    for upload in container.get("uploads") or ():
        path = str(upload.get("file"))
        try:
            parts = file_archive.unpacked(str(upload.get("content"))) if path.endswith(file_archive.SUFFIX) else None
        except (file_archive.NotAnArchiveError, UnknownValueError):
            parts = None
        if parts is None:
            yield upload
        else:
            folder = path.removesuffix(file_archive.SUFFIX)
            yield from ({"file": f"{folder}/{part}", "content": text} for part, text in parts.items())


def files(container: Properties) -> Iterator[File]:
    """The uploads of `container`. Left out are secrets that a preview does not know, and files other than configs that are given
    by a path.

    Raises:
        UnreadableError: a config file cannot be read.
        UnknownValueError: a preview does not know the text of a config file.
    """
    for upload in uploads(container):
        path = str(upload.get("file"))
        try:
            text = _text(upload, path)
        except UnknownValueError:  # mostly a secret
            if PurePosixPath(path).suffix in _JUDGED:
                raise
            continue
        if path.endswith(file_archive.SUFFIX):
            raise UnreadableError(f"{path} is not an archive of files, as its name says: give it another name")
        if text is not None:
            kind, document = _parsed(PurePosixPath(path).suffix, text, path)
            yield File(path, text, kind, document)


def _text(upload: Properties, path: str) -> str | None:
    if text := upload.get("content"):
        return str(text)
    if encoded := upload.get("contentBase64"):
        return base64.b64decode(encoded).decode(errors="replace")
    if upload.get("source") and PurePosixPath(path).suffix in _JUDGED:
        raise UnreadableError(f"{path} comes from a path, which policies cannot read: give its text as content")
    return None


@cache
def _parsed(suffix: str, text: str, path: str) -> tuple[Kind, Any]:
    if suffix in _ALLOY:
        try:
            return Kind.ALLOY, alloy_syntax.parse(text)
        except alloy_syntax.NotAlloyError as error:
            raise UnreadableError(f"{path} is not an Alloy config: {error}") from None
    if suffix not in documents.SUFFIXES:
        return Kind.OTHER, None
    try:
        document = documents.parsed(path, text)
    except yaml.YAMLError as error:
        where = re.sub(r"\s+", " ", str(error))
        raise UnreadableError(f"{path} is not YAML: {where}") from None
    return _kind(document), document


_KEYS: Mapping[Kind, set[str]] = {
    Kind.LOKI_OVERRIDES: {"overrides"},
    Kind.PROMTAIL: {"clients", "positions"},
    Kind.LOKI: {"schema_config", "limits_config", "ingester", "compactor", "auth_enabled"},
    Kind.PROMETHEUS: {"scrape_configs", "rule_files", "remote_write"},
}
"""Kind → top-level keys. One of them identifies the kind; the first kind that matches is used."""


def _kind(document: Any) -> Kind:
    if not isinstance(document, Mapping):
        return Kind.OTHER
    service, groups = document.get("service"), document.get("groups")
    if isinstance(service, Mapping) and "pipelines" in service:
        return Kind.COLLECTOR
    if isinstance(groups, list) and all(isinstance(group, Mapping) for group in groups):
        return Kind.RULES
    return next((kind for kind, keys in _KEYS.items() if document.keys() & keys), Kind.OTHER)
