"""The Docker engine, asked on its socket."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

PATIENCE = 20.0
"""Seconds for an answer."""
_FAILED = 400


class EngineError(Exception):
    """The engine has not done it. The message says so in words for people."""


class Engine:
    """The engine at the unix socket `path`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def get(self, path: str, **parameters: str) -> Any:
        """The JSON at `path`.

        Raises:
            EngineError: the engine answers with an error, or not at all.
        """
        return self._asked("GET", path, parameters, None, PATIENCE)

    def post(self, path: str, document: Any = None, patience: float = PATIENCE, **parameters: str) -> Any:
        """The JSON that the engine answers, None if it has nothing to say. Raises as `get` does."""
        return self._asked("POST", path, parameters, document, patience)

    def delete(self, path: str, **parameters: str) -> None:
        """Raises as `get` does."""
        self._asked("DELETE", path, parameters, None, PATIENCE)

    def _asked(self, method: str, path: str, parameters: dict[str, str], document: Any, patience: float) -> Any:
        connection = _Connection(self._path, patience)
        body = None if document is None else json.dumps(document)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, f"{path}?{urlencode(parameters)}", body, headers)
            answer = connection.getresponse()
            received = answer.read()
            told = json.loads(received) if received else None
        except (OSError, HTTPException):
            raise EngineError("the engine did not answer") from None
        except ValueError:
            raise EngineError("the engine answered what is not understood") from None
        finally:
            connection.close()
        if answer.status >= _FAILED:
            said = told.get("message") if isinstance(told, dict) else None
            raise EngineError(f"the engine answered {answer.status}: {said or 'no reason given'}")
        return told


class _Connection(HTTPConnection):
    def __init__(self, path: str, patience: float) -> None:
        super().__init__("engine", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
