"""Error sampling: in production every trace with an error is kept.

The collector's tail sampling is tried on a trace with an error, once for each service that it names and once for any other
service. A condition on anything but the service cannot be evaluated, and counts as not kept.

"Policy" in this module means a policy of the tail sampling processor, except in `POLICIES`.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import Policy

from policies.policy_kit import ENVIRONMENT, Config, environment, resource_policy
from policies.readers.declared_resources import Resource
from policies.readers.uploads import File, Kind, UnreadableError, files

PRODUCTION = "prod*"
"""Environments that are production, a pattern as in a shell."""

ANY_OTHER = "any other service"

_SERVICE = re.compile(r'resource\.attributes\["service\.name"\]\s*==\s*"([^"]*)"')
_NAMES_ONLY = re.compile(r'(?:IsRootSpan\(\) and )?\(?resource\.attributes\["service\.name"\]\s*==\s*"[^"]*"(?:\s+or\s+resource\.attributes\["service\.name"\]\s*==\s*"[^"]*")*\)?')  # fmt: skip
_SPARES_ERRORS = re.compile(r"\band\s+(?:span\.)?status\.code\s*!=\s*STATUS_CODE_ERROR\s*$")

WHOLE = 100
"""Percent."""


def keeps(policy: Mapping[str, Any], service: str) -> bool | None:
    """Whether `policy` keeps a trace with an error that began in `service`, None if that cannot be told."""
    kind = str(policy.get("type"))
    settings = policy.get(kind) or {}
    certain = {
        "always_sample": True,
        "status_code": "ERROR" in (settings.get("status_codes") or ()),
        "probabilistic": float(settings.get("sampling_percentage", 0)) >= WHOLE,
    }
    if kind in certain:
        return certain[kind] or None
    if kind == "and":
        return _all(keeps(inner, service) for inner in settings.get("and_sub_policy") or ())
    if kind == "not":
        inner = keeps(settings.get("not_sub_policy") or {}, service)
        return None if inner is None else not inner
    return _began_in(settings.get("span") or (), service)


def _all(verdicts: Iterator[bool | None]) -> bool | None:
    results = list(verdicts)
    if False in results:
        return False
    return None if None in results or not results else True


def _began_in(conditions: Any, service: str) -> bool | None:
    if len(conditions) == 1 and _NAMES_ONLY.fullmatch(str(conditions[0])):
        return service in _SERVICE.findall(str(conditions[0]))
    return None


def drops(policy: Mapping[str, Any]) -> bool:
    """Whether `policy` may drop a trace whose root span has failed."""
    if policy.get("type") != "drop":
        return False
    inner = (policy.get("drop") or {}).get("drop_sub_policy") or ()
    conditions = [str(text) for sub in inner for text in (sub.get("ottl_condition") or {}).get("span") or ()]
    return not conditions or not any(_SPARES_ERRORS.search(condition) for condition in conditions)


def losses(policies: list[Mapping[str, Any]]) -> Iterator[str]:
    """Which traces with errors `policies`, those of tail sampling, may lose."""
    for policy in policies:
        if drops(policy):
            yield f"the policy {policy.get('name')!r} drops traces with errors too: add the condition status.code != STATUS_CODE_ERROR"
    services = sorted({name for policy in policies for name in _SERVICE.findall(str(policy))})
    for service in (*services, ANY_OTHER):
        if not any(keeps(policy, service) for policy in policies):
            yield f"errors of {service} are not all kept: keep 100 % of them"


def _in_file(file: File) -> Iterator[str]:
    used = {
        name
        for pipeline in (file.document["service"].get("pipelines") or {}).values()
        for name in (pipeline or {}).get("processors") or ()
    }
    for name, processor in (file.document.get("processors") or {}).items():
        kind, where = name.partition("/")[0], f"{file.path}, {name}"
        if name not in used:
            continue
        if kind == "tail_sampling":
            yield from (f"{where}: {loss}" for loss in losses(list((processor or {}).get("policies") or ())))
        elif kind == "probabilistic_sampler" and float((processor or {}).get("sampling_percentage", 0)) < WHOLE:
            yield f"{where}: it drops traces without a look at their errors: use tail_sampling"


def _check(resource: Resource, config: Config) -> Iterator[str]:
    if not fnmatch.fnmatchcase(environment(resource, config), config["production"]):
        return
    try:
        for file in files(resource.props):
            if file.kind is Kind.COLLECTOR:
                yield from _in_file(file)
    except (UnreadableError, AttributeError, TypeError, ValueError, KeyError) as error:
        yield f"the sampling cannot be judged: {error}"


ERRORS = resource_policy(
    "errors-are-kept",
    "In production all traces with an error are kept.",
    _check,
    fix="Keep 100 % of the traces with errors, in general and for each service (traces.sampling.errors: 100).",
    config={
        "environment": ENVIRONMENT,
        "production": {
            "type": "string",
            "default": PRODUCTION,
            "description": "Environments that are judged: a name, or a pattern as in a shell.",
        },
    },
)

POLICIES: tuple[Policy, ...] = (ERRORS,)
