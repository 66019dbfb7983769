"""Reads the parts of a stack that are not settings."""

from pathlib import Path

from config import known_alerts, own_jobs
from config.additions import Additions
from config.services.correlation import dashboard_files
from config.settings import Settings, own_rules


def read(settings: Settings, root: Path, *, file: str) -> Additions:
    """The files that the settings name, relative to `root`, and the project's dashboards. `file`: the beginning of a setting in
    messages, such as ``Pulumi.prod.yaml: nervous-system``.

    Raises:
        SettingsError: one of them is missing or wrong.
    """
    rules = own_rules.read(settings.alerts.rule_files, root, stack_key=f"{file}:alerts.rule_files")
    known_alerts.judge_actions(settings, rules, stack_key=f"{file}:actions")
    return Additions(
        rules=rules,
        jobs=tuple(own_jobs.read(settings, root, stack_key=f"{file}:metrics.scrape_files")),
        dashboards=dashboard_files.read(settings, root, stack_key=f"{file}:grafana.dashboards"),
    )
