"""Which traces are kept: the policies of the collector's tail sampling.

A trace is kept if one policy says so, and dropped whatever the others say if a `drop` policy says so. All probabilities
hash the same trace id in the same way, so a trace that is kept at 10 % is kept at 50 % too: a trace that falls into several
classes is kept at the highest rate of them, and not more often.
"""

import json
from collections.abc import Sequence
from typing import Any

from config.otlp_errors import HTTP_STATUS
from config.settings.traces import Rates, Traces
from config.settings.units import go_duration, seconds

Policy = dict[str, Any]

EVERYTHING = 100
_METHOD = ("http.request.method", "http.method")
"""The present attribute, and the one before it."""


def policies(traces: Traces) -> list[Policy]:
    """`processors.tail_sampling.policies`. Two of one class and service never exist."""
    services = traces.sampling.services
    made = [_health(traces)] if traces.health_paths else []
    others = [_not_begun_in(sorted(services))] if services else []
    made += _kept("", traces.sampling, others)
    for service in sorted(services):
        made += _kept(f"{service}: ", traces.sampling.rates_of(service), [_begun_in([service])])
    return made


def _kept(prefix: str, rates: Rates, whose: Sequence[Policy]) -> list[Policy]:
    """One policy for each class of `whose` traces that is kept at all."""
    classes: tuple[tuple[str, float, list[Policy]], ...] = (
        ("errors", rates.errors, [_policy("errors", "status_code", status_codes=["ERROR"])]),
        ("slow", rates.slow.keep, [_longer_than(rates.slow.over)]),
        ("rest", rates.rest, []),
    )
    return [_all_of(f"{prefix}{name}", [*whose, *which, *_share(rate)]) for name, rate, which in classes if rate]


def _longer_than(span: str) -> Policy:
    """Whole milliseconds are compared, and more than the threshold is asked for: 1000.9 ms would not be over 1000."""
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
    """OTTL that is true for a span that has answered a health check well, and in time."""
    path = "^(?:" + "|".join(text.replace(".", "[.]") for text in traces.health_paths) + r")/?(?:[?].*)?$"
    of_http = " or ".join(f'IsMatch(span.attributes["{key}"], {quoted(path)})' for key in ("url.path", "http.target"))
    of_grpc = 'span.attributes["rpc.service"] == "grpc.health.v1.Health"'
    asked = [
        f'(span.attributes["{key}"] == nil or IsMatch(span.attributes["{key}"], "^(?i:GET|HEAD)$"))' for key in _METHOD
    ]
    answered = [f'not (Int(span.attributes["{key}"]) >= 400)' for key in HTTP_STATUS]
    quick = f'span.end_time - span.start_time < Duration("{go_duration(seconds(traces.sampling.slow.over))}")'
    check = f"(({of_http}) and {' and '.join(asked)} or {of_grpc})"
    return f"{' and '.join((check, *answered, quick))} and span.status.code != STATUS_CODE_ERROR"


def quoted(text: str) -> str:
    """`text` as a string of OTTL, which has JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)
