"""The doors to the engine: the few requests that each lets through, and their answers.

`config/services/correlation/engine_door.py` writes the same requests into that door's list, so that this module is the only
place that knows them.
"""

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

from .actions import Action
from .rollback_door import PATH
from .text import one_line

_RESTART, _RUN, _ROLL_BACK = 120.0, 30.0, 280.0
"""Seconds: a container may take its own time to stop; a command is read for as long; an earlier image has to become healthy, or
what ran comes back."""
_PATIENCE = 10.0
_OUTPUT, _REASON, _ANSWER = 4000, 300, 256 * 1024
"""Characters of a command's output and of a reason, and bytes that are read of an answer."""
STARTED, ENDED = r"/exec/[0-9a-f]{64}/start", r"/exec/[0-9a-f]{64}/json"
"""Paths of a command that was made before. Its id is known to who made it alone."""
START = '{"Detach":false,"Tty":false}'
_OK, _CREATED, _NO_CONTENT, _DENIED = 200, 201, 204, 409
_FRAME = 8
"""Bytes before each piece of output: a stream's number, and a length in the last four (Docker API, "Attach")."""


class DoorError(Exception):
    """The engine has not done it, or the door has refused. The message says so in words for people."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: str = ""

    def __str__(self) -> str:
        """As the door compares it."""
        return f"{self.method} {self.path} [{self.body}]"


def look(container: str) -> Request:
    """Asks for the one container that has exactly this name: a name alone could also be the beginning of an id."""
    exactly = container.replace(".", r"\.")
    filters = json.dumps({"name": [f"^/{exactly}$"]}, separators=(",", ":"))
    return Request("GET", f"/containers/json?all=1&filters={quote(filters, safe='')}")


def restart(container: str) -> Request:
    return Request("POST", f"/containers/{container}/restart")


def run(container: str, command: tuple[str, ...]) -> Request:
    body = {"AttachStderr": True, "AttachStdout": True, "Cmd": list(command)}
    return Request("POST", f"/containers/{container}/exec", json.dumps(body, separators=(",", ":")))


def requests(action: Action) -> tuple[Request, ...]:
    """What an action needs of the door; nothing in a dry run but to look."""
    if action.kind not in {"restart", "diagnose"}:
        return ()
    looks = look(action.container)
    if action.dry_run:
        return (looks,)
    does = restart(action.container) if action.kind == "restart" else run(action.container, action.command)
    return (looks, does)


class Door:
    """The door at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def labels(self, container: str) -> dict[str, str] | None:
        """The labels of a container; None if there is none of this name.

        Raises:
            DoorError: the engine does not tell.
        """
        told = _json(self._asked(look(container), _PATIENCE, _OK))
        found = [one for one in told if f"/{container}" in one["Names"]]
        return {str(name): str(text) for name, text in (found[0]["Labels"] or {}).items()} if found else None

    def restart(self, container: str) -> None:
        """Stops a container, and starts it again.

        Raises:
            DoorError: it was not restarted.
        """
        self._asked(restart(container), _RESTART, _NO_CONTENT)

    def run(self, container: str, command: tuple[str, ...]) -> tuple[str, str]:
        """What a command in a container has said, and how it ended, in words.

        Raises:
            DoorError: it was not run.
        """
        made = _json(self._asked(run(container, command), _PATIENCE, _CREATED))
        identifier = str(made["Id"])
        output = _unframed(self._asked(Request("POST", f"/exec/{identifier}/start", START), _RUN, _OK, cut=True))
        ended = _json(self._asked(Request("GET", f"/exec/{identifier}/json"), _PATIENCE, _OK))
        state = "still running" if ended.get("Running") else f"exit code {ended.get('ExitCode')}"
        text = output.decode(errors="replace")
        return text[:_OUTPUT], state

    def _asked(self, request: Request, patience: float, good: int, *, cut: bool = False) -> bytes:
        status, answer = _exchange(self._address, request, patience, cut=cut)
        if status != good:
            said = _message(answer) or ("its door refuses that" if status == 403 else "no reason given")  # noqa: PLR2004 - Forbidden
            raise DoorError(f"the engine answered {status}: {said}")
        return answer


@dataclass(frozen=True)
class Earlier:
    """What a container can be rolled back to."""

    image: str
    since: float
    """When the deployment was that replaced it, in seconds since 1970."""


class RollbackDoor:
    """The door at `address` that only rolls back."""

    def __init__(self, address: str) -> None:
        self._address = address

    def earlier(self, container: str) -> Earlier | str:
        """What the container would be rolled back to, or why it must not be.

        Raises:
            DoorError: the engine does not tell.
        """
        status, answer = _exchange(self._address, Request("GET", PATH + container), _PATIENCE)
        if status == _DENIED:
            return _message(answer)
        return self._told(status, answer)

    def roll_back(self, container: str) -> Earlier:
        """Rolls back, and returns once the earlier image runs well.

        Raises:
            DoorError: it was not rolled back, or what ran has come back.
        """
        return self._told(*_exchange(self._address, Request("POST", PATH + container), _ROLL_BACK))

    def _told(self, status: int, answer: bytes) -> Earlier:
        if status != _OK:
            raise DoorError(_message(answer) or f"the door answered {status}")
        told = _json(answer)
        return Earlier(str(told["image"]), float(told["since"]))


def _exchange(address: str, request: Request, patience: float, *, cut: bool = False) -> tuple[int, bytes]:
    """Status and body. `cut`: whether what comes too late, or is too long, is left out; else that is an error."""
    until = time.monotonic() + patience
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=patience)
    received = bytearray()
    try:
        headers = {"Content-Type": "application/json"} if request.body else {}
        connection.request(request.method, request.path, request.body or None, headers)
        answer = connection.getresponse()
        try:
            while (part := answer.read1(8192)) and len(received) <= _ANSWER and time.monotonic() < until:
                received += part
                if connection.sock:
                    connection.sock.settimeout(max(0.1, until - time.monotonic()))
        except TimeoutError:
            if not cut:
                raise
    except (OSError, HTTPException):
        raise DoorError("the engine did not answer through its door") from None
    finally:
        connection.close()
    if not cut and len(received) > _ANSWER:
        raise DoorError("the engine answered more than it was asked")
    return answer.status, bytes(received)


def _message(answer: bytes) -> str:
    """The reason that an answer gives; empty for none."""
    try:
        return one_line(str(json.loads(answer)["message"]), _REASON)
    except (ValueError, KeyError, TypeError):
        return ""


def _json(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        raise DoorError("the engine answered what is not understood") from None


def _unframed(stream: bytes) -> bytes:
    """The output without the frames around its pieces; the last one may be cut off."""
    output, at = bytearray(), 0
    while at + _FRAME <= len(stream):
        length = int.from_bytes(stream[at + 4 : at + _FRAME])
        output += stream[at + _FRAME : at + _FRAME + length]
        at += _FRAME + length
    return bytes(output)
