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


MOST_BYTES = 512 * 1024
"""Size of the largest stack file. A hundred receivers and a hundred SLOs take a tenth."""
MOST_VALUES = 100_000
"""Values of a file, with those that its aliases stand for. Such a file has some thousand at most."""
MOST_DIGITS = 100

_OF_YAML = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # without those of YAML 1.1

    def get_single_node(self) -> Any:
        """The file as nodes.

        Raises:
            yaml.MarkedYAMLError: a tag is unknown or does not fit its value, an alias is part of itself, or all aliases together stand
                for too much.
        """
        top = super().get_single_node()
        if top and _judged(top, {}, set()) > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"its aliases stand for more than {MOST_VALUES} values")
        return top

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's own signature
        """The mapping, if each key occurs once.

        Raises:
            yaml.MarkedYAMLError: a key occurs twice.
        """
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is a text, no list or mapping", problem_mark=key.start_mark)
            if key.value in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands in line {lines[key.value]} already", problem_mark=key.start_mark
                )
            lines[key.value] = line
        return super().construct_mapping(node, deep)


for _kind, _expression in _PLAIN.items():
    _Loader.add_implicit_resolver(f"{_OF_YAML}{_kind}", re.compile(f"^(?:{_expression})$"), None)


def _judged(node: yaml.Node, sizes: dict[int, int], around: set[int]) -> int:
    """How many values `node` stands for. `sizes`: those of nodes that were judged before; `around`: nodes that it is in."""
    if id(node) in around:
        raise yaml.MarkedYAMLError(problem="this alias stands for what it is in", problem_mark=node.start_mark)
    if id(node) not in sizes:
        _judge_tag(node)
        inside = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for one in inside for part in (one if isinstance(one, tuple) else (one,))]
        sizes[id(node)] = 1 + sum(_judged(part, sizes, {*around, id(node)}) for part in parts)
    return sizes[id(node)]


def _judge_tag(node: yaml.Node) -> None:
    kind = node.tag.removeprefix(_OF_YAML)
    plain = isinstance(node, yaml.ScalarNode)
    fits = kind == "str" or re.fullmatch(_PLAIN.get(kind, "(?!)"), node.value) if plain else kind in {"map", "seq"}
    if not fits:
        shown = f"!!{kind}" if kind != node.tag else kind
        raise yaml.MarkedYAMLError(
            problem=f"the tag {shown} does not fit here: leave it out, and write the value as a text, a number, a list or a mapping",
            problem_mark=node.start_mark,
        )
    if kind == "int" and len(node.value) > MOST_DIGITS:
        raise yaml.MarkedYAMLError(problem=f"a number of {len(node.value)} digits", problem_mark=node.start_mark)


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
    for part in ("secretsprovider", "encryptedkey", "encryptionsalt"):
        if not isinstance(parts.get(part, ""), str):
            raise ToolchainError(
                f"{file.name}: {part}: is no text", fix="the CLI writes it: pulumi stack change-secrets-provider"
            )
    given = parts.get("config")
    entries: dict[str, Any] = {}
    for key, value in _mapping({} if given is None else given, file).items():
        name = _in_full(str(key), project)
        if name in entries:
            short = name.removeprefix(f"{project}:")
            raise ToolchainError(
                f"{file.name}: {short} is set twice, with the project's name and without", fix="keep one of them"
            )
        entries[name] = value
    return entries


def _mapping(value: Any, file: Path) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ToolchainError(f"{file.name} holds no mapping `config:`", fix=LIKE)
    return value


def _load(file: Path) -> Any:
    if not file.is_file():
        raise ToolchainError(f"{file.name} is there, but is not a file", fix=f"remove it, and {LIKE}")
    try:
        content = file.read_bytes()
        if len(content) > MOST_BYTES:
            raise ToolchainError(
                f"{file.name} is larger than {MOST_BYTES // 1024} KiB",
                fix="put rules and dashboards into files of their own",
            )
        return yaml.load(content.decode(), Loader=_Loader)  # noqa: S506 - a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = ", ".join(part for part in (error.problem, error.context) if part)
        raise ToolchainError(f"{file.name}{place}: {what}", fix=LIKE) from None
    except UnicodeDecodeError as error:
        raise ToolchainError(
            f"{file.name} is not YAML: byte {error.start + 1} is not UTF-8", fix="save it as UTF-8"
        ) from None
    except yaml.reader.ReaderError as error:
        text = content.decode()
        before = text[: error.position].split("\n")
        sign = f"a sign that does not print (U+{ord(text[error.position]):04X})"
        raise ToolchainError(
            f"{file.name}, line {len(before)}, column {len(before[-1]) + 1}: {sign}", fix=LIKE
        ) from None
    except RecursionError:
        raise ToolchainError(f"{file.name} is not YAML of a stack: it is nested too deep", fix=LIKE) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
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
