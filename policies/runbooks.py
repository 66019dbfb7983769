"""Runbooks: who is woken by an alert finds in it where it says what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import Policy, Severity

from declared import Config, Resource, each
from files import Kind, UnreadableError, files


def without_runbook(rules: Mapping[str, Any]) -> Iterator[str]:
    """Names of the alerts in a rule file that link to none."""
    for group in rules["groups"]:
        for rule in group.get("rules") or ():
            link = str((rule.get("annotations") or {}).get("runbook_url") or "")
            if rule.get("alert") and not link.startswith(("http://", "https://", "{{")):
                yield str(rule["alert"])


def _advise(resource: Resource, _: Config) -> Iterator[str]:
    try:
        for file in files(resource.props):
            if file.kind is Kind.RULES and (missing := list(dict.fromkeys(without_runbook(file.document)))):
                yield f"{file.path}: no runbook for {', '.join(missing)}: add the annotation runbook_url with the page that says what to do"
    except (UnreadableError, AttributeError, TypeError):  # another policy says so
        return


RUNBOOKS = each(
    "alerts-have-runbooks",
    "Every alert links to a runbook.",
    _advise,
    fix="Add the annotation runbook_url to the alert.",
    severity=Severity.LOW,
    advisory=True,
)

POLICIES: tuple[Policy, ...] = (RUNBOOKS,)
