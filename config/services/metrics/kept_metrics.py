"""The metrics that Prometheus keeps with `metrics.keep: used`: those that a rule, dashboard or check of the stack reads.

The names are all words of all queries, so functions and labels are among them. This does no harm: a metric of such a name would
be kept without need. A parser would only make the list shorter.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from config.settings.traces import RETENTION_SUCCESS

_READ_OTHERWISE = (
    "container_memory_working_set_bytes",  # `make check`, like the next two and the success of the traces' retention
    "node_netstat_IpExt_InOctets",
    "process_network_receive_bytes_total",
    RETENTION_SUCCESS,
    "traces_kept_duration_seconds_bucket",  # its exemplars (`operate/clock_ahead.py`)
    "traces_span_metrics_.+",  # Jaeger's page "Monitor"
)
"""Metrics, as regular expressions, that neither a rule nor a dashboard need read."""

_VARIABLE = r"\$\w+|\$\{[^}]*\}|\[\[\w+\]\]"
_WORD = re.compile(rf"(?:{_VARIABLE}|[a-zA-Z_:])(?:{_VARIABLE}|[\w:])*")
_BY_PATTERN = re.compile(r"""__name__\s*=~?\s*(?:"([^"]*)"|'([^']*)')""")
_QUERIES = frozenset({"expr", "query", "definition"})
"""Fields with a query, of rules, panels, variables and annotations. A query may be nested in itself."""


def patterns(rule_files: Iterable[str], dashboards: Iterable[str]) -> tuple[str, ...]:
    """Regular expressions for the names of all metrics that are read, sorted.

    A variable of a dashboard inside a name matches anything: ``node_${kind}_total`` → ``node_.*_total``. A name that is
    nothing but a variable is unknown. A selector of every name needs none of them.
    """
    documents = [*map(yaml.safe_load, rule_files), *map(json.loads, dashboards)]
    queries = [query for document in documents for query in _queries(document)]
    unique = {pattern for query in queries for pattern in _of_query(query)}
    return tuple(sorted({*_READ_OTHERWISE, *unique}))


def relabel_config(names: Iterable[str]) -> dict[str, Any]:
    """The rule that keeps metrics whose names match one of `names`, for the end of a job's `metric_relabel_configs`."""
    return {"source_labels": ["__name__"], "regex": "|".join(names), "action": "keep"}


def _queries(part: Any, *, inside: bool = False) -> Iterator[str]:
    """All queries in a part of a dashboard or rule file. `inside`: the part is the value of one of `_QUERIES`."""
    if isinstance(part, str):
        if inside:
            yield part
    elif isinstance(part, list):
        for item in part:
            yield from _queries(item, inside=inside)
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _queries(value, inside=key in _QUERIES)


def _of_query(query: str) -> Iterator[str]:
    for double, single in _BY_PATTERN.findall(query):
        pattern = re.sub(_VARIABLE, ".*", double or single).replace("\\\\", "\\")
        if _is_selective(pattern):
            yield pattern
    for word in _WORD.findall(query):
        pattern = re.sub(_VARIABLE, ".*", word)
        if pattern.strip(".*"):
            yield pattern


def _is_selective(pattern: str) -> bool:
    """Whether it is a regular expression that names something: ``.+`` matches every metric, and needs none."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return bool(pattern.strip("^.*+?()$"))
