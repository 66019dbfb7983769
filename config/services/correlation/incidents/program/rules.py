"""The rules of the service, `rules.json`: what it asks, where, and how much it tells."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

MOST_LINES, MOST_TRACES = 20, 10

_APIS = {"alertmanager", "alerts", "loki", "jaeger", "prometheus"}
_SERIES = {"errors", "p95"}
_LINKS = {"dashboard_url", "logs_url", "traces_url"}


class RulesError(Exception):
    """The rules cannot be used. The message names the key."""


@dataclass(frozen=True)
class Rules:
    """The content of `rules.json`."""

    environment: str
    """Label of every incident."""
    lines: int
    """Log lines in a message."""
    traces: int
    """Traces in a message."""
    slow: float
    """Duration in seconds from which a trace counts as slow."""
    own: frozenset[str]
    """Services whose alerts are no incidents of yours: those of the stack."""
    apis: Mapping[str, str]
    """Address of each API. `alerts`: where Alertmanager takes alerts; `alertmanager`: where it only tells them."""
    series: Mapping[str, str]
    """Recorded series by service: the ratio of errors, the 95th percentile of response times in seconds."""
    links: Mapping[str, str]
    """Annotation → address, in which `SERVICE` stands for the name of the service."""
    trace: str
    """Address of a trace without its id."""


SERVICE = "{{service}}"


def read(text: str) -> Rules:
    """The rules in `text`.

    Raises:
        RulesError: it is no JSON, a key is missing or unknown, or a value cannot be meant.
    """
    try:
        told = json.loads(text)
    except ValueError as error:
        raise RulesError(f"is no JSON: {error}") from None
    known = {field.name for field in fields(Rules)}
    if not isinstance(told, dict) or told.keys() != known:
        differs = ", ".join(sorted(known ^ (told.keys() if isinstance(told, dict) else set())))
        raise RulesError(f"has other keys than this version knows: {differs}")
    return Rules(
        environment=_of("environment", told["environment"], str),
        lines=_number("lines", told["lines"], 1, MOST_LINES),
        traces=_number("traces", told["traces"], 0, MOST_TRACES),
        slow=float(_of("slow", told["slow"], int, float)),
        own=frozenset(_of("own", name, str) for name in _of("own", told["own"], list)),
        apis={name: _url(f"apis.{name}", url) for name, url in _table("apis", told["apis"], _APIS).items()},
        series=_table("series", told["series"], _SERIES),
        links={name: _url(f"links.{name}", url) for name, url in _table("links", told["links"], _LINKS, some=True).items()},
        trace=_url("trace", told["trace"]),
    )  # fmt: skip


def _of(key: str, value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise RulesError(f"{key}: is not a {kinds[0].__name__}")
    return value


def _number(key: str, value: Any, least: int, most: int) -> int:
    number: int = _of(key, value, int)
    if not least <= number <= most:
        raise RulesError(f"{key}: is not between {least} and {most}")
    return number


def _table(key: str, value: Any, names: set[str], *, some: bool = False) -> dict[str, str]:
    table: dict[str, Any] = _of(key, value, dict)
    if not (table.keys() <= names if some else table.keys() == names):
        raise RulesError(f"{key}: has other keys than {', '.join(sorted(names))}")
    return {name: _of(f"{key}.{name}", text, str) for name, text in table.items()}


def _url(key: str, value: Any) -> str:
    parts = urlsplit(_of(key, value, str))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RulesError(f"{key}: is not an address with http:// or https://")
    return str(value)
