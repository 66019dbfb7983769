"""incidents: collects the evidence of an incident from Loki, Jaeger and Prometheus, and sends it through Alertmanager.

It holds no secret and knows no receiver. It asks the APIs by the ports that only read, as Grafana does; of Alertmanager
itself it needs the one path that takes alerts. Nobody sends it anything: it asks which alerts fire, so Alertmanager
waits for nothing, and counts no failed delivery when this service is down.
"""

import json
from pathlib import Path

from config import links
from config.alerts import golden_signals, response_times
from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import DOCKER_API, METRICS
from config.services.correlation.incidents.program import versions
from config.services.correlation.incidents.program.rules import SERVICE
from config.services.correlation.python_program import ENVIRONMENT, PythonProgram
from config.services.metrics.api_proxy import for_grafana
from config.settings import Settings
from config.settings.units import seconds

PORT = METRICS["incidents"]
RULES = "rules.json"
PROGRAM = PythonProgram(Path(__file__).with_name("program"))
"""The program of the services `incidents`, `healer` and `rollback_door`."""


def container(settings: Settings) -> Container:
    """Requires `notifications.incidents`."""
    rules = rules_file(settings)
    page = f"http://127.0.0.1:{PORT}"
    return Container(
        service="incidents",
        command=PROGRAM.command(f"{DIRECTORY}/{RULES}", str(PORT)),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/healthy"),
        environment=ENVIRONMENT,
        go_memory_percent=0,
        config=ConfigFiles(
            files={RULES: rules, **PROGRAM.files},
            validate=PROGRAM.validate("--check", RULES),
            since_start={f"{page}/program": versions.of_program()},
            expect={
                f"{page}/rules": versions.of_rules(rules.encode()),
                f"{page}/metrics": "incidents_config_last_reload_successful 1",
            },
        ),
    )


def rules_file(settings: Settings) -> str:
    """The content of `rules.json`."""
    incidents = settings.notifications.incidents
    assert incidents is not None  # noqa: S101 - settings.services
    apis = {service: for_grafana(service) for service in ("alertmanager", "loki", "jaeger", "prometheus")}
    healer = {"healer": f"http://healer:{METRICS['healer']}"} if "healer" in settings.services else {}
    rules = {
        "environment": settings.environment,
        "lines": incidents.lines,
        "traces": incidents.traces,
        "slow": seconds(settings.alerts.thresholds.latency_p95),
        "own": [*settings.services, "host"],
        "apis": {
            **apis,
            "alerts": f"http://alertmanager:{METRICS['alertmanager']}",
            "docker": f"http://socket_proxy:{DOCKER_API}",
            **healer,
        },
        "series": {"errors": golden_signals.ERROR_RATIO, "p95": response_times.quantile(95)},
        "links": _links(settings),
        "trace": f"{settings.url('jaeger')}/trace/",
    }
    return json.dumps(rules, indent=1, ensure_ascii=False) + "\n"


def _links(settings: Settings) -> dict[str, str]:
    """Annotation → address, as alerts have them (`config/alerts/links.py`)."""
    if settings.grafana_url is None:
        return {}
    base = settings.grafana_url
    return {
        "dashboard_url": links.dashboard("golden-signals", *links.LAST_HOUR, base=base, service=SERVICE),
        "logs_url": links.logs(f'{{service="{SERVICE}"}}', *links.LAST_HOUR, base=base),
        "traces_url": links.jaeger_search(settings.url("jaeger"), SERVICE),
    }
