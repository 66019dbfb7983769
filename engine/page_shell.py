"""A shell that stays inside a container and fetches one page after the other.

For a command of its own the engine starts a process, which takes it a tenth of a second of CPU; a check asks for more than a
hundred pages. The container needs sh and wget.
"""

import contextlib
import secrets
import struct
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container
from requests import RequestException

from engine.docker_api import LIMIT

_FETCHES = f"""limited() {{
{LIMIT}}}
while IFS= read -r url && IFS= read -r header; do
  set -- wget -q -O -
  [ -z "$header" ] || set -- "$@" "--header=$header"
  limited "$@" "$url" 2>&1
  printf '\\n%s %s\\n' "$0" $?
done
"""
"""Its name, which no page knows, stands before the exit code of wget behind each page."""


class PageShell:
    """Asks from inside `service`, so no port must be reachable from here. Only one thread may use it at a time."""

    def __init__(self, service: Container) -> None:
        """Starts the shell.

        Raises:
            ConnectionError: it cannot be started; in the engine's words.
        """
        api: Any = service.client.api  # type: ignore[union-attr] # every container of a client has one
        self._name = secrets.token_hex(16)
        try:
            run = api.exec_create(service.id, ["sh", "-c", _FETCHES, self._name], stdin=True)["Id"]
            answer = api.exec_start(run, socket=True)
        except (APIError, RequestException) as error:
            raise ConnectionError(str(error)) from None
        self._answer = answer  # the connection ends with it
        self._socket = getattr(answer, "_sock", answer)  # docker-py returns the socket itself for TLS alone
        self._socket.settimeout(api.timeout)
        self._stream = self._socket.makefile("rb")

    def fetch(self, url: str, header: str = "") -> tuple[int, str]:
        """wget's exit code, and the page or wget's complaint.

        Raises:
            ConnectionError: the shell has ended, or does not answer.
        """
        if "\n" in url + header:
            raise ValueError(f"a line end in {url + header!r}")
        text = b""
        mark = f"\n{self._name} ".encode()
        try:
            self._socket.sendall(f"{url}\n{header}\n".encode())
            while not (text.endswith(b"\n") and mark in text[-len(mark) - 5 :]):
                head = self._exactly(8)
                text += self._exactly(struct.unpack(">4xL", head)[0])
        except OSError as error:
            self.close()
            raise ConnectionError(f"the shell inside the container does not answer: {error}") from None
        page, _, code = text.rpartition(mark)
        return int(code), page.decode(errors="replace")

    def _exactly(self, length: int) -> bytes:
        part: bytes = self._stream.read(length)
        if len(part) < length:
            raise ConnectionResetError("it has ended")
        return part

    def close(self) -> None:
        """Ends the shell: its input is over."""
        with contextlib.suppress(OSError):
            self._stream.close()
            self._answer.close()
            self._socket.close()
