"""Questions to the APIs of the stack: each has a deadline, and an answer has a limit."""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from .rules import Rules

MIB = 1024 * 1024
MOST = MIB
"""Bytes of an answer. Two answers of Jaeger's at the same time, each of that length, take 21 MiB of the 64 that there are."""
_PART = 64 * 1024
_GOOD = 200


class NoAnswerError(Exception):
    """An API has not given an answer that can be used. The message says so in words for people."""


class TooLongError(NoAnswerError):
    """An answer is longer than its limit."""


class Asker:
    """Asks the APIs, and counts how often they have answered."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, bool]] = Counter()
        """(Service, whether it answered) → number of questions."""
        self._lock = threading.Lock()

    def get(self, whom: str, base: str, path: str, until: float, *, most: int = MOST, **parameters: Any) -> Any:
        """The JSON that `whom` answers, of at most `most` bytes. `until`: deadline, in seconds of the monotonic clock.

        Raises:
            NoAnswerError: none came, or one that says an error, is too long, or is not JSON.
        """
        return self._counted(whom, f"{base}{path}?{urlencode(parameters)}", until, most=most)

    def post(self, whom: str, base: str, path: str, until: float, document: Any) -> None:
        """Hands `document` to `whom` as JSON.

        Raises:
            NoAnswerError: `whom` has not taken it.
        """
        self._counted(whom, base + path, until, body=json.dumps(document).encode())

    def _counted(self, whom: str, url: str, until: float, *, most: int = MOST, body: bytes = b"") -> Any:
        answered = False
        try:
            answer = _exchange(whom, url, until, most, body)
            answered = True
            return answer
        finally:
            with self._lock:
                self.counts[whom, answered] += 1


@dataclass(frozen=True)
class Inquiry:
    """Questions about one period."""

    asker: Asker
    rules: Rules
    since: float
    """Its beginning, in seconds since 1970."""
    now: float
    """Its end."""
    until: float
    """Deadline of the questions, in seconds of the monotonic clock."""

    def get(self, whom: str, path: str, **parameters: Any) -> Any:
        """As `Asker.get`, at the address that the rules have for `whom`."""
        return self.asker.get(whom, self.rules.apis[whom.lower()], path, self.until, **parameters)


def _exchange(whom: str, url: str, until: float, most: int, body: bytes) -> Any:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_left(whom, until))
    try:
        headers: Mapping[str, str] = {"Content-Type": "application/json"} if body else {}
        connection.request(
            "POST" if body else "GET", parts._replace(scheme="", netloc="").geturl(), body or None, headers
        )
        answer = connection.getresponse()
        received = bytearray()
        while part := answer.read1(_PART):
            received += part
            if len(received) > most:
                raise TooLongError(f"{whom} answered more than {most // MIB} MiB")
            if connection.sock:
                connection.sock.settimeout(_left(whom, until))
        if answer.status != _GOOD:
            raise NoAnswerError(f"{whom} answered with status {answer.status}")
        return json.loads(received) if received else None
    except (OSError, HTTPException):
        raise NoAnswerError(f"{whom} did not answer") from None
    except (ValueError, RecursionError):
        raise NoAnswerError(f"{whom} answered with what is not JSON") from None
    finally:
        connection.close()


def _left(whom: str, until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise NoAnswerError(f"{whom} did not answer in time")
    return left
