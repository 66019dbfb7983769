"""The alerts that can fire in a stack, by name: its own, and those of your rule files."""

from collections.abc import Iterator, Mapping

import yaml

from config import alerts
from config.services.logs import loki_rules
from config.services.metrics import scrape
from config.settings import Settings, actions
from config.settings.loading import SettingsError


def names(settings: Settings, own_rules: Mapping[str, str]) -> Iterator[str]:
    """`own_rules`: file name → text of your rule files."""
    for group in (*alerts.groups(settings, scrape.watched(settings)), *loki_rules.groups(settings)):
        yield from (rule.name for rule in group.rules if isinstance(rule, alerts.Alert))
    for text in own_rules.values():
        yield from _named(yaml.load(text, yaml.CSafeLoader))


def _named(document: object) -> Iterator[str]:
    """Every `alert` at any depth: promtool refuses files that are not rule files."""
    if isinstance(document, dict):
        if isinstance(name := document.get("alert"), str):
            yield name
        yield from (name for value in document.values() for name in _named(value))
    elif isinstance(document, list):
        yield from (name for value in document for name in _named(value))


def judge_actions(settings: Settings, own_rules: Mapping[str, str], *, stack_key: str) -> None:
    """Checks that the alerts which `actions` names exist. `stack_key` names that setting, for messages.

    Raises:
        SettingsError: one does not.
    """
    if not settings.actions:
        return
    try:
        actions.judge_alerts(settings.actions, names(settings, own_rules))
    except ValueError as error:
        raise SettingsError(f"{stack_key}.{error}") from None
