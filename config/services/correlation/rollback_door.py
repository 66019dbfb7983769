"""rollback_door: restores the previous image of a container, if an action in `actions` says so. Off without such an action.

A request to create a container has all of the container's properties: its environment with its secrets, its mounts, its rights. No
list can name such a request in advance, so no proxy can bound it. This service makes it itself, from what the engine tells of the
very container, and takes two requests without a body for each container of its list: whether, and do. Its program is a part of
that of `incidents`, in a container of its own.
"""

import json

from config.container import DIRECTORY, ConfigFiles, Container, Mount, http_health
from config.ports import ROLLBACKS
from config.services.correlation import healer, incidents
from config.services.correlation.incidents.program.rollback_door import SOCKET
from config.services.correlation.python_program import ENVIRONMENT
from config.settings import Settings

FILE = "rollbacks.json"


def container(settings: Settings) -> Container:
    """Requires an action that rolls back. Runs as root inside, because the socket belongs to root."""
    live: dict[str, bool] = {}
    for action in healer.actions(settings):
        if action.kind == "roll_back":
            live[action.container] = live.get(action.container, False) or not action.dry_run
    rollbacks = [{"container": name, "dry_run": not acts} for name, acts in live.items()]
    text = json.dumps({"rollbacks": rollbacks}, indent=1, ensure_ascii=False) + "\n"
    return Container(
        service="rollback_door",
        command=incidents.PROGRAM.command("roll-back", f"{DIRECTORY}/{FILE}", str(ROLLBACKS)),
        user="0:0",
        port=None,
        health=http_health(ROLLBACKS, "/-/healthy"),
        environment=ENVIRONMENT,
        go_memory_percent=0,
        mounts=(Mount(settings.docker.socket, SOCKET),),
        config=ConfigFiles(
            files={FILE: text, **incidents.PROGRAM.files},
            validate=incidents.PROGRAM.validate("--check-rollbacks", FILE),
            reload="restart",
        ),
    )
