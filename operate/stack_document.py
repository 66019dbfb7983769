"""Reads a stack file as the Pulumi CLI does: YAML 1.2, keys with or without the project's name, and no key twice."""

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

from toolchain.report import ToolchainError

PARTS = ("config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt")
"""Keys that the CLI knows at the top of the file (`ProjectStack` in `sdk/go/common/workspace/project.go` of
v3.256.0)."""
LIKE = "write it like Pulumi.prod.yaml"

_PLAIN = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(?:0|0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*)",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "null": r"~|null|Null|NULL|",
    "merge": "<<",
}
"""Kind → pattern of the plain texts of that kind; the first that fits counts. `yes`, `12:30` and `2026-12-01` are
texts, as for the CLI."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # without those of YAML 1.1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's own signature
        """The mapping, if each key occurs once.

        Raises:
            yaml.MarkedYAMLError: a key occurs twice.
        """
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands in line {lines[key.value]} already", problem_mark=key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                lines[key.value] = line
        return super().construct_mapping(node, deep)


for _kind, _expression in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_expression})$"), None)


def config(file: Path, project: str) -> dict[str, Any]:
    """The config in the file: key, with the project's name → value, as in `{"nervous-system:environment": "prod"}`.
    Empty if the file sets nothing.

    Raises:
        ToolchainError: the file cannot be read, or the CLI would not understand it, or would understand something else.
    """
    document = _load(file)
    parts = _mapping({} if document is None else document, file)
    for part in parts:
        if part not in PARTS:
            close = difflib.get_close_matches(str(part), PARTS, n=1)
            meant = f"did you mean {close[0]}?" if close else "settings stand below `config:`"
            raise ToolchainError(f"{file.name}: {part}: unknown key; {meant}", fix=LIKE)
    entries = _mapping(parts.get("config") or {}, file)
    return {_in_full(str(key), project): value for key, value in entries.items()}


def _mapping(value: Any, file: Path) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ToolchainError(f"{file.name} holds no mapping `config:`", fix=LIKE)
    return value


def _load(file: Path) -> Any:
    if not file.is_file():
        raise ToolchainError(f"{file.name} is there, but is not a file", fix=f"remove it, and {LIKE}")
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = ", ".join(part for part in (error.problem, error.context) if part)
        raise ToolchainError(f"{file.name}{place}: {what}", fix=LIKE) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ToolchainError(f"{file.name} is not YAML: {error}", fix=LIKE) from None
    except OSError as error:
        raise ToolchainError(f"{file.name} cannot be read: {error.strerror}") from None


def _in_full(key: str, project: str) -> str:
    """The key as the CLI hands it to the program: `docker` and `nervous-system:config:docker` →
    `nervous-system:docker`."""
    name, colon, rest = key.partition(":")
    if not colon:
        return f"{project}:{key}"
    return f"{name}:{rest.removeprefix('config:')}"
