"""Writes `docs/configuration.md` from the settings' types, defaults and docstrings.

    .venv/bin/python -m config.settings.reference

A unit test fails if the page is out of date.
"""

import ast
import functools
import inspect
import itertools
import textwrap
import typing
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo

from config.settings import Settings, traces
from config.settings.actions import AlertName, Bound, ContainerName
from config.settings.golden_signals import CounterSelector, HistogramSelector
from config.settings.model import (
    HostFolder,
    HostPort,
    LabelName,
    Listen,
    Name,
    PagePath,
    PageUrl,
    ProjectFile,
    ServiceName,
    Target,
    TargetPage,
    TargetUrl,
    Url,
)
from config.settings.receivers import Clock, LabelText, MailAddress, Zone
from config.settings.remotes import Authority, HeaderName, MetricPattern, Tenant
from config.settings.secret_keys import SECRETS
from config.settings.slos import Expression, SloName
from config.settings.thresholds import Percent
from config.settings.units import Memory, Span

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

INTRO = """\
# Configuration

Made by `.venv/bin/python -m config.settings.reference` from `config/settings/`: change it there.

Every key of `Pulumi.<stack>.yaml`, as `nervous-system:<first part>`, with the rest nested below it:

```yaml
config:
  nervous-system:metrics:
    retention: {time: 30d}
    applications:
      static:
        - {service: orders, targets: ["orders:8000"]}
```

An unknown key, a wrong type or an impossible value stops `pulumi preview` and `pulumi up` with the name of the key,
before anything is touched. `key[]` is a list, `key.<name>` a map. A block without a default is off until it is there.
Time spans are written like `15s`, `1h30m` or `60d`, sizes like `512MiB` or `2GiB`.
"""

OF_STACK = {"environment": "the stack's name", "prefix": "`nervous-<stack>`"}
"""What `settings.load` takes from the stack where its file says nothing."""

KINDS: tuple[tuple[Any, str], ...] = (
    (Span, "time span"),
    (Memory, "size, whole MiB"),
    (ByteSize, "size"),
    (HostPort, "host:port"),
    (Target, "host:port"),
    (TargetUrl, "URL"),
    (TargetPage, "URL"),
    (HostFolder, "path"),
    (ProjectFile, "path"),
    (Listen, "address:port"),
    (Url, "URL"),
    (PageUrl, "URL"),
    (PagePath, "path"),
    (Name, "name"),
    (LabelName, "label name"),
    (ServiceName, "service"),
    (CounterSelector, "metric"),
    (HistogramSelector, "metric"),
    (Expression, "PromQL"),
    (SloName, "name"),
    (ContainerName, "container"),
    (AlertName, "alert"),
    (Bound, "number per time span"),
    (Percent, "percent"),
    (date, "day, like `2026-12-31`"),
    (traces.Percent, "percent"),
    (Clock, "time of day, like `22:00`"),
    (Zone, "time zone, like `Europe/Berlin`"),
    (MailAddress, "e-mail address"),
    (LabelText, "text"),
    (Authority, "path"),
    (HeaderName, "name of a header"),
    (MetricPattern, "metric, or regular expression"),
    (Tenant, "text"),
    (bool, "true or false"),
    (int, "number"),
    (float, "number"),
    (str, "text"),
)
"""Type → what it is called on the page: the first that equals."""

SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))


def render() -> str:
    """The whole page, as Markdown."""
    tables: dict[str, list[str]] = {}
    for name in Settings.model_fields:
        if name != "secrets":
            tables[name] = list(_rows(Settings, name, name))
    plain = [row for rows in tables.values() if len(rows) == 1 for row in rows]
    parts = [INTRO, _section("stack", "", plain)]
    for name, rows in tables.items():
        if len(rows) > 1:
            model = _model(_hints(Settings)[name])
            parts.append(_section(name, _text(inspect.getdoc(model) or ""), rows[1:]))
    secrets = [f"| `{key}` | {_text(meaning)} |" for key, meaning in SECRETS.items()]
    secrets.append("| `scrape_<name>` | password or token that a job of `metrics.scrape_files` names |")
    secrets.append(
        "| `receiver_<name>` | secret of the receiver of that name: `notifications.receivers[].kind` says what it is |"
    )
    secrets.append(
        "| `remote_<name>` | password, token or header of a remote store: one of `metrics.remote_write`, or `logs`, `traces`, `long-term` |"
    )
    store = (
        "Encrypted in the stack file, and set by `pulumi config set --secret -s <stack> <key>`. One that is blank, and a URL\n"
        "without `http://` or `https://`, is refused before anything is touched."
    )
    parts.append(_section("secrets", store, secrets, "| key | what |\n|---|---|"))
    return "\n".join(parts)


def _section(
    title: str, about: str, rows: Iterable[str], head: str = "| key | kind | default | what |\n|---|---|---|---|"
) -> str:
    return "\n".join([f"## {title}", "", *([about, ""] if about else []), head, *rows, ""])


def _rows(owner: type[BaseModel], name: str, path: str) -> Iterator[str]:
    """The row of one field, and the rows below it."""
    field, hint = owner.model_fields[name], _hints(owner)[name]
    model, kinds = _model(hint), _of_kinds(hint)
    kind = "block" if model or kinds else _kind(hint, field)
    about = field.description or _about(owner, name) or (inspect.getdoc(model) if model else None) or ""
    is_list, is_map = (typing.get_origin(_required(hint)) is kind for kind in (tuple, dict))
    label = f"{path}[]" if is_list else f"{path}.<name>" if is_map else path
    if kinds:
        yield f"| `{label}` | {kind} | {_default(field, path)} | {_text(about)} |"
        yield from _rows_of_kinds(kinds, label)
    elif not model or is_list or is_map or _is_optional(hint):
        yield f"| `{label}` | {kind} | {_default(field, path)} | {_text(about)} |"
    elif path == name:
        yield ""  # it has its own section with title and introduction
    for inner in model.model_fields if model else ():
        yield from _rows(typing.cast("type[BaseModel]", model), inner, f"{label}.{inner}")


def _rows_of_kinds(models: tuple[type[BaseModel], ...], path: str) -> Iterator[str]:
    """The rows of what all `models` have, then of each the row of its kind and of what only it has."""
    shared = [
        name for name in models[0].model_fields if name != "kind" and all(name in one.model_fields for one in models)
    ]
    for name in shared:
        yield from _rows(models[0], name, f"{path}.{name}")
    for model in models:
        yield f"| `{path}.kind` | {_kind(_hints(model)['kind'], model.model_fields['kind'])} | **required** | {_text(inspect.getdoc(model) or '')} |"
        for name in model.model_fields:
            if name not in {*shared, "kind"}:
                yield from _rows(model, name, f"{path}.{name}")


def _about(owner: type[BaseModel], name: str) -> str | None:
    """The docstring below a field, in the class that declares it; None if it has none."""
    declares = next(one for one in owner.__mro__ if name in inspect.get_annotations(one))
    return _docstrings(declares).get(name)


@functools.cache
def _docstrings(owner: type) -> Mapping[str, str]:
    """Field → the docstring below it. pydantic can read them too (`use_attribute_docstrings`), but does so at each import of
    the settings: that was half of the time it took."""
    try:
        source = inspect.getsource(owner)
    except OSError:  # made by `create_model`
        return {}
    [body] = [node.body for node in ast.parse(textwrap.dedent(source)).body if isinstance(node, ast.ClassDef)]
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _hints(owner: type[BaseModel]) -> dict[str, Any]:
    """Field → its type with annotations, as written."""
    return typing.get_type_hints(owner, include_extras=True)


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _required(hint: Any) -> Any:
    """`hint` without None, and a list without what checks it."""
    if typing.get_origin(hint) is typing.Annotated and typing.get_origin(typing.get_args(hint)[0]) is tuple:
        return typing.get_args(hint)[0]
    if _is_optional(hint):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def _model(hint: Any) -> type[BaseModel] | None:
    """Model whose fields are below a key of this type; None if there is none."""
    hint = _required(hint)
    if typing.get_origin(hint) in {tuple, dict}:
        hint = typing.get_args(hint)[-1 if typing.get_origin(hint) is dict else 0]
    return hint if inspect.isclass(hint) and issubclass(hint, BaseModel) else None


def _of_kinds(hint: Any) -> tuple[type[BaseModel], ...]:
    """Models of a list in which `kind` chooses one for each item; empty for any other type."""
    inner = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
    if typing.get_origin(inner) is not typing.Annotated:
        return ()
    union = typing.get_args(typing.get_args(inner)[0])
    return union if all(inspect.isclass(one) and issubclass(one, BaseModel) for one in union) else ()


def _kind(hint: Any, field: FieldInfo) -> str:
    hint = _required(hint)
    for type_hint, word in KINDS:
        if hint == type_hint:
            return word + _bounds(field) if word == "number" else word
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin in {tuple, typing.Annotated}:
        return _kind(args[0], field)
    if origin is dict:
        return _kind(args[1], field)
    raise TypeError(f"no word for the type {hint}: add one to KINDS")


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(bound, name)}"
        for bound in field.metadata
        for name, sign in signs.items()
        if getattr(bound, name, None) is not None
    ]
    return f" {', '.join(bounds)}" if bounds else ""


def _default(field: FieldInfo, path: str) -> str:
    if path in OF_STACK:
        return OF_STACK[path]
    if field.is_required():
        return "**required**"
    value = field.default
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, ByteSize):
        unit, size = next((unit, size) for unit, size in SIZES if value % size == 0)
        return f"`{value // size}{unit}`"
    return f"`{value}`"


def _text(docstring: str) -> str:
    """A docstring as one table cell."""
    return " ".join(docstring.split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")
