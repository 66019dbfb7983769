"""healer: does what `actions` allows when an alert fires. Off without them.

It holds no secret. Its program is a part of that of `incidents`, but runs in a separate container: the program that acts must not
read log lines and traces. It reaches the engine through `engine_door` and `rollback_door` alone, in a network where nobody else
is.
"""

import dataclasses
import json
import re
from collections.abc import Iterator

from config import service_names
from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import DOCKER_API, METRICS, ROLLBACKS
from config.services.correlation import incidents
from config.services.correlation.incidents.program import versions
from config.services.correlation.incidents.program.actions import Action, Kind
from config.services.correlation.python_program import ENVIRONMENT
from config.services.metrics.api_proxy import for_grafana
from config.settings import Settings
from config.settings import actions as settings_of_actions
from config.settings.units import seconds

PORT = METRICS["healer"]
FILE = "actions.json"
_DATA = "/data"


def container(settings: Settings) -> Container:
    """Requires `actions`."""
    text = file(settings)
    page = f"http://127.0.0.1:{PORT}"
    return Container(
        service="healer",
        command=incidents.PROGRAM.command("heal", f"{DIRECTORY}/{FILE}", _DATA, str(PORT)),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/healthy"),
        environment=ENVIRONMENT,
        go_memory_percent=0,
        data=_DATA,
        claims_data=True,
        config=ConfigFiles(
            files={FILE: text, **incidents.PROGRAM.files},
            validate=incidents.PROGRAM.validate("--check-actions", FILE),
            since_start={f"{page}/program": versions.of_program()},
            expect={
                f"{page}/rules": versions.of_rules(text.encode()),
                f"{page}/metrics": "healer_config_last_reload_successful 1",
            },
        ),
        after=("engine_door", "rollback_door"),
    )


def file(settings: Settings) -> str:
    """The content of `actions.json`."""
    apis = {"alertmanager": for_grafana("alertmanager"), "silences": f"http://alertmanager:{METRICS['alertmanager']}"}
    if "engine_door" in settings.services:
        apis["door"] = f"http://engine_door:{DOCKER_API}"
    if "rollback_door" in settings.services:
        apis |= {"rollbacks": f"http://rollback_door:{ROLLBACKS}", "prometheus": for_grafana("prometheus")}
    content = {"apis": apis, "actions": [dataclasses.asdict(action) for action in actions(settings)]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def actions(settings: Settings) -> Iterator[Action]:
    """The actions of the settings, as the program has them."""
    for action in settings.actions:
        times, _, period = action.at_most.partition(" per ")
        yield Action(
            alert=action.alert,
            service=action.service or "",
            kind=_kind(action),
            container=action.container or "",
            of_container=service_of(action.container) if action.container else "",
            command=action.diagnose.command if action.diagnose else (),
            silenced=action.silence.alert if action.silence else "",
            silenced_service=action.silence.service if action.silence else "",
            lasts=int(seconds(action.silence.lasts)) if action.silence else 0,
            times=int(times),
            period=int(seconds(period)),
            at_most=action.at_most,
            dry_run=action.dry_run,
        )


def _kind(action: settings_of_actions.Action) -> Kind:
    if action.restart:
        return "restart"
    return "roll_back" if action.roll_back else "diagnose" if action.diagnose else "silence"


def service_of(container: str) -> str:
    """The service that a container's name says."""
    match = re.fullmatch(service_names.NAME, container)
    return match[1] if match else container
