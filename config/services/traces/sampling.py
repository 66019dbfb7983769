"""Policies of the collector's tail sampling: which traces are kept.

A trace is kept if any policy keeps it, unless a `drop` policy matches. All probabilities hash the same trace id in the
same way, so a trace that is kept at 10 % is also kept at 50 %. A trace in several classes is therefore kept at the
highest of their rates, and not more often.
"""

import json
from collections.abc import Sequence
from typing import Any

from config import watching
from config.services.traces.otlp_errors import HTTP_STATUS
from config.settings.traces import Rates, Traces
from config.settings.units import go_duration, seconds

Policy = dict[str, Any]

EVERYTHING = 100
_METHOD = ("http.request.method", "http.method")
"""The current attribute and its predecessor."""


def policies(traces: Traces) -> list[Policy]:
    """`processors.tail_sampling.policies`. Each class of each service has at most one policy."""
    services = traces.sampling.services
    result = [_health(traces)]
    others = [_not_begun_in(sorted(services))] if services else []
    result += _kept("", traces.sampling, others)
    for service in sorted(services):
        result += _kept(f"{service}: ", traces.sampling.rates_of(service), [_begun_in([service])])
    return result


def _kept(prefix: str, rates: Rates, whose: Sequence[Policy]) -> list[Policy]:
    """One policy for each class of traces selected by `whose` that has a rate above 0."""
    classes: tuple[tuple[str, float, list[Policy]], ...] = (
        ("errors", rates.errors, [_policy("errors", "status_code", status_codes=["ERROR"])]),
        ("slow", rates.slow.keep, [_longer_than(rates.slow.over)]),
        ("rest", rates.rest, []),
    )
    return [_all_of(f"{prefix}{name}", [*whose, *which, *_share(rate)]) for name, rate, which in classes if rate]


def _longer_than(span: str) -> Policy:
    """Selects traces longer than `span`. The processor compares whole milliseconds with "greater than": 1000.9 ms would
    not be over 1000, so the threshold is one lower."""
    return _policy("slow", "latency", threshold_ms=round(seconds(span) * 1000) - 1)


def _share(percent: float) -> list[Policy]:
    if percent == EVERYTHING:
        return []
    whole = int(percent) if percent == int(percent) else percent
    return [_policy("share", "probabilistic", sampling_percentage=whole)]


def _all_of(name: str, policies: Sequence[Policy]) -> Policy:
    if not policies:
        return {"name": name, "type": "always_sample"}
    if len(policies) == 1:
        return {**policies[0], "name": name}
    return _policy(name, "and", and_sub_policy=list(policies))


def _begun_in(services: Sequence[str]) -> Policy:
    names = " or ".join(f'resource.attributes["service.name"] == {quoted(name)}' for name in services)
    return _if_root("begun in", f"({names})")


def _not_begun_in(services: Sequence[str]) -> Policy:
    return _policy("begun elsewhere", "not", not_sub_policy=_begun_in(services))


def _health(traces: Traces) -> Policy:
    return _policy("health", "drop", drop_sub_policy=[_if_root("health", health_condition(traces))])


def _if_root(name: str, condition: str) -> Policy:
    return _policy(name, "ottl_condition", error_mode="ignore", span=[f"IsRootSpan() and {condition}"])


def _policy(name: str, kind: str, **what: Any) -> Policy:
    return {"name": name, "type": kind, kind: what}


def health_condition(traces: Traces) -> str:
    """OTTL condition that is true for a span of a health check or a scrape that succeeded and was fast."""
    path = f"^(?:{watching.health(traces.health_paths)}|{watching.SCRAPE})$"
    of_http = " or ".join(f'IsMatch(span.attributes["{key}"], {quoted(path)})' for key in ("url.path", "http.target"))
    of_grpc = 'span.attributes["rpc.service"] == "grpc.health.v1.Health"'
    methods = [
        f'(span.attributes["{key}"] == nil or IsMatch(span.attributes["{key}"], "^(?i:GET|HEAD)$"))' for key in _METHOD
    ]
    answered = [f'not (Int(span.attributes["{key}"]) >= 400)' for key in HTTP_STATUS]
    quick = f'span.end_time - span.start_time < Duration("{go_duration(seconds(traces.sampling.slow.over))}")'
    check = f"(({of_http}) and {' and '.join(methods)} or {of_grpc})"
    return f"{' and '.join((check, *answered, quick))} and span.status.code != STATUS_CODE_ERROR"


def quoted(text: str) -> str:
    """`text` as an OTTL string, which uses JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)
