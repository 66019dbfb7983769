"""Recording of the first minutes of a real, new stack: all series that the alert rules read.

    python -m tests.rules.fresh_stack http://127.0.0.1:9090 > tests/rules/fresh_stack.json

records them again, from a stack that is about half an hour old and whose shop has a light load. Remove series that do not
belong to the stack: other containers, and the limits in Loki that no rule reads.
"""

import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import requests

from config.alerts import EVERYTHING, groups
from tests.support.program import settings_of

RECORDED = Path(__file__).with_suffix(".json")
LABELS_OF_A_HOST = {"nodename", "release", "version", "machine", "domainname", "image"}
NOW = 1_000_000_000
"""Seconds since 1970. A larger value is a time, and is recorded relative to the first sample."""


def names() -> set[str]:
    """The names of all metrics that a rule reads, and of other words that look like a metric."""
    rules = [rule for group in groups(settings_of(), EVERYTHING) for rule in group.rules]
    return {name for rule in rules for name in re.findall(r"\b(?:[a-z]+_[a-zA-Z_0-9]+|up)\b", rule.expr)}


def record(url: str) -> dict[str, str]:
    """Series → its values, one a minute, in promtool's notation."""

    def ask(what: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = requests.post(f"{url}/api/v1/{what}", data=parameters, timeout=60)
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    [started] = ask("query", query='process_start_time_seconds{job="prometheus"}')
    first, now = int(float(started["value"][1])), int(started["value"][0])
    selector = f'{{__name__=~"{"|".join(sorted(names()))}"}}'
    recording = {}
    for series in ask("query_range", query=selector, start=first, end=now, step=60):
        at = {round((when - first) / 60): float(value) for when, value in series["values"]}
        values = [at.get(minute) for minute in range(max(at) + 1)]
        metric = series["metric"]
        labels = ",".join(
            f"{name}={json.dumps(value)}"
            for name, value in sorted(metric.items())
            if name != "__name__" and name not in LABELS_OF_A_HOST
        )
        recording[f"{metric['__name__']}{{{labels}}}"] = _written(values, first)
    return dict(sorted(recording.items()))


def _written(values: list[float | None], first: int) -> str:
    texts = ["_" if one is None else f"{one - first if one > NOW else one:.7g}" for one in values]
    runs = ((value, len(list(run))) for value, run in groupby(texts))
    return " ".join(
        value if count == 1 else f"{value}x{count - 1}" if value != "_" else f"_x{count}" for value, count in runs
    )


if __name__ == "__main__":
    json.dump(record(sys.argv[1]), sys.stdout, indent=0)
    sys.stdout.write("\n")
