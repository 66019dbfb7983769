"""Runbooks: every alert links to the page that says what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, resource_policy
from policies.readers.declared_resources import Resource
from policies.readers.uploads import Kind, UnreadableError, files


def without_runbook(rules: Mapping[str, Any]) -> Iterator[str]:
    """Names of the alerts in a rule file that link to no runbook."""
    for group in rules["groups"]:
        for rule in group.get("rules") or ():
            link = str((rule.get("annotations") or {}).get("runbook_url") or "")
            if rule.get("alert") and not link.startswith(("http://", "https://", "{{")):
                yield str(rule["alert"])


def _advise(resource: Resource, _: Config) -> Iterator[str]:
    try:
        for file in files(resource.props):
            if file.kind is Kind.RULES and (missing := list(dict.fromkeys(without_runbook(file.document)))):
                yield f"{file.path}: no runbook for {', '.join(missing)}: add the annotation runbook_url, a link to the page that says what to do"
    except (UnreadableError, AttributeError, TypeError):  # low-cardinality-labels reports it
        return


RUNBOOKS = resource_policy(
    "alerts-have-runbooks",
    "Every alert links to a runbook.",
    _advise,
    fix="Add the annotation runbook_url to the alert.",
    severity=Severity.LOW,
    advisory=True,
)

POLICIES: tuple[Policy, ...] = (RUNBOOKS,)
