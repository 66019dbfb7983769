"""Where an alert leads: its runbook, and the dashboard, logs and traces of the service that it is about.

All of them are made here, from the group that an alert is in and the label `service` that it carries. They show the last
hour; a message of Alertmanager shows the time of the alert instead (`config/alertmanager.py`).
"""

from dataclasses import dataclass

from config import links
from config.alerts.rule import Alert, Group

_ERRORS_OF_ALL = '{level=~"error|fatal"}'


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people reach what alerts link to, without a slash at the end."""

    runbooks: str
    grafana: str | None = None
    """Without it there are no links but those to runbooks."""
    jaeger: str = ""


def annotations(alert: Alert, group: Group, to: Addresses) -> dict[str, str]:
    """`runbook_url`, and where there is a Grafana `dashboard_url`, `logs_url` and `traces_url`.

    An alert without severity is none, so nothing belongs to it.
    """
    runbook = {"runbook_url": f"{to.runbooks.rstrip('/')}/{alert.name}.md"}
    if to.grafana is None or alert.severity == "none":
        return runbook
    topic, service = group.topic, _service(alert)
    chosen = {"service": service} if topic.one_service else {}
    lines = f'{{service="{service}"}}' if topic.one_service else _ERRORS_OF_ALL
    return {
        **runbook,
        "dashboard_url": links.dashboard(topic.dashboard, *links.LAST_HOUR, base=to.grafana, **chosen),
        "logs_url": links.logs(lines, *links.LAST_HOUR, base=to.grafana),
        "traces_url": links.jaeger_search(to.jaeger, service if topic.traced else ""),
    }


def _service(alert: Alert) -> str:
    """The service of an alert as it stands in an address: a template, for all but those that are about one only."""
    service = alert.service or "{{ $labels.service }}"
    return service.replace(" }}", " | urlquery }}")
