"""The rules of the service, `rules.json`: what it asks, where, and how much it tells."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

MOST_LINES, MOST_TRACES = 20, 10

_APIS = {"alertmanager", "alerts", "loki", "jaeger", "prometheus", "docker"}
_ONLY_WITH_ACTIONS = {"healer"}
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
    """Address of each API. `alerts`: where Alertmanager takes alerts; `alertmanager`: where it only tells them; `healer`: what
    the stack has done by itself, if it may do anything."""
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
        RulesError: it is not JSON, a key is missing or unknown, or a value cannot be meant.
    """
    told = keyed(text, {field.name for field in fields(Rules)})
    return Rules(
        environment=of_kind("environment", told["environment"], str),
        lines=number("lines", told["lines"], 1, MOST_LINES),
        traces=number("traces", told["traces"], 0, MOST_TRACES),
        slow=float(of_kind("slow", told["slow"], int, float)),
        own=frozenset(of_kind("own", name, str) for name in of_kind("own", told["own"], list)),
        apis=addresses("apis", told["apis"], _APIS, _ONLY_WITH_ACTIONS),
        series=_table("series", told["series"], _SERIES, set()),
        links=addresses("links", told["links"], set(), _LINKS),
        trace=url("trace", told["trace"]),
    )  # fmt: skip


def keyed(text: str, known: Set[str]) -> dict[str, Any]:
    """The JSON in `text`: an object with exactly the keys `known`.

    Raises:
        RulesError: it is anything else.
    """
    try:
        told = json.loads(text)
    except ValueError as error:
        raise RulesError(f"is not JSON: {error}") from None
    if not isinstance(told, dict) or told.keys() != known:
        differs = ", ".join(sorted(known ^ (told.keys() if isinstance(told, dict) else set())))
        raise RulesError(f"has other keys than this version knows: {differs}")
    return told


def of_kind(key: str, value: Any, *kinds: type) -> Any:
    """`value`, which must be of one of `kinds`."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise RulesError(f"{key}: is not a {kinds[0].__name__}")
    return value


def number(key: str, value: Any, least: int, most: int) -> int:
    """`value`, which must be a whole number between `least` and `most`."""
    found: int = of_kind(key, value, int)
    if not least <= found <= most:
        raise RulesError(f"{key}: is not between {least} and {most}")
    return found


def addresses(key: str, value: Any, names: set[str], more: set[str]) -> dict[str, str]:
    """Name → address. `value` must have all of `names`, and may have `more`."""
    return {name: url(f"{key}.{name}", text) for name, text in _table(key, value, names, more).items()}


def url(key: str, value: Any) -> str:
    """`value`, which must be an address."""
    parts = urlsplit(of_kind(key, value, str))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RulesError(f"{key}: is not an address with http:// or https://")
    return str(value)


def _table(key: str, value: Any, names: set[str], more: set[str]) -> dict[str, str]:
    table: dict[str, Any] = of_kind(key, value, dict)
    if not names <= table.keys() <= names | more:
        raise RulesError(f"{key}: has other keys than {', '.join(sorted(names | more))}")
    return {name: of_kind(f"{key}.{name}", text, str) for name, text in table.items()}
