"""The links of an alert: its runbook, and the dashboard, logs and traces of its service.

They follow from the topic of the alert's group and from its label `service`. They show the last hour. In a message,
Alertmanager replaces that by the time of the alert (`config/services/metrics/alertmanager.py`).
"""

from config import links
from config.alerts.rule import Alert, Group
from config.settings.addresses import Addresses

_ERRORS_OF_ALL = '{level=~"error|fatal"}'


def annotations(alert: Alert, group: Group, to: Addresses) -> dict[str, str]:
    """`runbook_url`; and if there is a Grafana, `dashboard_url`, `logs_url` and `traces_url`.

    An alert of severity `none` reports nothing, so it has only a runbook.
    """
    runbook = {"runbook_url": f"{to.runbooks.rstrip('/')}/{alert.name}.md"}
    if to.grafana is None or alert.severity == "none":
        return runbook
    topic, service = group.topic, _service(alert)
    variables = {"service": service} if topic.one_service else {}
    lines = f'{{service="{service}"}}' if topic.one_service else _ERRORS_OF_ALL
    return {
        **runbook,
        "dashboard_url": links.dashboard(topic.dashboard, *links.LAST_HOUR, base=to.grafana, **variables),
        "logs_url": links.logs(lines, *links.LAST_HOUR, base=to.grafana),
        "traces_url": links.jaeger_search(to.jaeger, service if topic.traced else ""),
    }


def _service(alert: Alert) -> str:
    """The service of an alert for use in a URL: its fixed name, or a template that Prometheus fills in."""
    service = alert.service or "{{ $labels.service }}"
    return service.replace(" }}", " | urlquery }}")
