"""The service `rollback_door`: rolls a container back when it is asked to, and does nothing else for anybody.

It has the engine's socket, and so it listens where `healer` alone can ask: for a container of its list, by exactly two requests.
It makes the request to the engine itself from what the engine tells, so nobody else sees a container's environment.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .engine import Engine, EngineError
from .rollback import DeniedError, FailedError, Plan, Rollbacks
from .rules import RulesError, keyed, of_kind
from .running import Looks, log
from .text import one_line

PATH = "/rollback/"
SOCKET = "/var/run/docker.sock"
_EVERY = 4
"""Looks until the containers are looked at again."""
_UNWELL = 300
"""Seconds without a word of the engine's. A roll back may take most of that."""
_DENIED, _FORBIDDEN, _FAILED, _NO_ANSWER = 409, 403, 500, 502


@dataclass(frozen=True)
class Asked:
    """A container that may be asked for."""

    container: str
    dry_run: bool
    """Whether it is only told what would be done."""


def read(text: str) -> dict[str, Asked]:
    """The content of `rollbacks.json`, by the name of the container.

    Raises:
        RulesError: it is no JSON, a key is missing or unknown, or a value cannot be meant.
    """
    found = {}
    for place, one in enumerate(of_kind("rollbacks", keyed(text, {"rollbacks"})["rollbacks"], list)):
        if not isinstance(one, dict) or one.keys() != {"container", "dry_run"} or not one["container"]:
            raise RulesError(f"rollbacks.{place}: does not say which container")
        name = of_kind(f"rollbacks.{place}.container", one["container"], str)
        found[name] = Asked(name, of_kind(f"rollbacks.{place}.dry_run", one["dry_run"], bool))
    return found


class RollbackDoor:
    """Reads its list from `file`, once."""

    def __init__(self, file: Path, engine: Engine) -> None:
        self._asked = read(file.read_text(encoding="utf-8"))
        self._rollbacks = Rollbacks(engine)
        self._finished = False
        self._looks = 0
        self._heard = time.monotonic()

    def run(self, port: int) -> None:
        """Runs until SIGTERM."""
        self.serve(port)
        Looks(self.look, lambda: None).run()

    def serve(self, port: int) -> ThreadingHTTPServer:
        """Answers in threads."""
        door = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                if self.path == "/-/healthy":
                    self._say(200 if door.well else 503, {})
                else:
                    self._say(*door.answer("GET", self.path, has_a_body=self._has_a_body()))

            def do_POST(self) -> None:
                self._say(*door.answer("POST", self.path, has_a_body=self._has_a_body()))

            def _has_a_body(self) -> bool:
                return self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers

            def _say(self, status: int, told: Mapping[str, Any]) -> None:
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    @property
    def well(self) -> bool:
        return time.monotonic() - self._heard < _UNWELL

    def look(self) -> None:
        """Ends what was interrupted, once, and remembers what runs, now and then."""
        self._looks += 1
        if self._looks % _EVERY != 1:
            return
        try:
            if not self._finished:
                for said in self._rollbacks.finish([one.container for one in self._asked.values() if not one.dry_run]):
                    log("warn", said, event="interrupted")
                self._finished = True
            for name in self._asked:
                self._rollbacks.watch(name)
        except (EngineError, KeyError, TypeError, ValueError) as error:
            log("warn", f"cannot look at the containers: {_words(error)}", event="unknown")
            return
        self._heard = time.monotonic()

    def answer(self, method: str, path: str, *, has_a_body: bool) -> tuple[int, dict[str, Any]]:
        """Status and body for a request."""
        asked = self._asked.get(path.removeprefix(PATH)) if path.startswith(PATH) and not has_a_body else None
        if asked is None or (method == "POST" and asked.dry_run):
            return _FORBIDDEN, {"message": "this door refuses that"}
        try:
            act = self._rollbacks.carry_out if method == "POST" else self._rollbacks.plan
            return 200, _told(act(asked.container))
        except DeniedError as denied:
            return _DENIED, {"message": str(denied)}
        except FailedError as failed:
            return _FAILED, {"message": str(failed)}
        except (EngineError, KeyError, TypeError, ValueError) as error:
            return _NO_ANSWER, {"message": _words(error)}


def _told(plan: Plan) -> dict[str, Any]:
    """What the asker learns: images and a time, no part of the container's own description."""
    replaced = str(plan.container["Config"]["Image"])
    return {"image": one_line(plan.called, 200), "instead_of": one_line(replaced, 200), "since": plan.since}


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, EngineError) else "the engine answered what is not understood"
