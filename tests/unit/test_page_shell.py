"""A shell inside a container fetches pages, one after the other."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from check import pages
from engine.page_shell import PageShell

WGET = """#!/bin/sh
for url; do :; done
echo "$*" >> {log}
case $url in
  *bad*) echo 'wget: server returned error: HTTP/1.1 404 Not Found' >&2; exit 8 ;;
  *long*) head -c 300000 /dev/zero | tr '\\0' x ;;
  *) printf 'page of %s\\n\\n' "$url" ;;
esac
"""


class Service:
    """A container of this machine: the shell is a real one, its output comes in the engine's frames."""

    id = "prometheus"

    def __init__(self, folder: Path, shell: str) -> None:
        self.log = folder / "log"
        (folder / "wget").write_text(WGET.format(log=self.log))
        (folder / "wget").chmod(0o755)
        self.shell, self.path = shell, f"{folder}:{os.environ['PATH']}"
        self.begun: list[subprocess.Popen[bytes]] = []
        self.client = SimpleNamespace(api=self)
        self.timeout = 20

    def exec_create(self, _: str, command: list[str], *, stdin: bool) -> dict[str, Any]:
        assert stdin
        return {"Id": [self.shell, *command[1:]]}

    def exec_start(self, run: list[str], **how: bool) -> Any:
        assert how == {"socket": True}
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(run, stdin=theirs.fileno(), stdout=subprocess.PIPE, env={"PATH": self.path})
        self.begun.append(process)

        def frame() -> None:
            assert process.stdout
            with process.stdout as out, theirs, contextlib.suppress(OSError):
                while text := os.read(out.fileno(), 1000):
                    theirs.sendall(struct.pack(">BxxxL", 1, len(text)) + text)
                theirs.shutdown(2)

        threading.Thread(target=frame, daemon=True).start()
        return ours


@pytest.fixture(params=["sh", "bash"])
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    one = Service(tmp_path, request.param)
    yield one
    pages.hang_up()
    for process in one.begun:
        process.wait(timeout=20)


def test_pages_come_one_after_the_other_with_wgets_code_and_complaint(service: Any) -> None:
    shell = PageShell(service)
    assert shell.fetch("http://a/1") == (0, "page of http://a/1\n\n")
    assert shell.fetch("http://a/bad") == (8, "wget: server returned error: HTTP/1.1 404 Not Found\n")
    code, page = shell.fetch("http://a/long")
    assert (code, len(page)) == (0, 300_000)
    assert shell.fetch("http://a/2", "X-Scope-OrgID: a b") == (0, "page of http://a/2\n\n")
    shell.close()
    [process] = service.begun
    assert process.wait(timeout=20) is not None
    assert service.log.read_text().splitlines()[-1] == "-q -O - --header=X-Scope-OrgID: a b http://a/2"


def test_nothing_in_a_url_is_a_command(service: Any) -> None:
    shell = PageShell(service)
    url = "http://a/$(id)`id`;id 'b' \\n \"c\" *"
    assert shell.fetch(url) == (0, f"page of {url}\n\n")
    with pytest.raises(ValueError, match="a line end"):
        shell.fetch("http://a/\nhttp://b/")
    shell.close()


def test_one_shell_fetches_all_pages_and_another_one_comes_if_it_has_ended(service: Any) -> None:
    for number in range(3):
        assert pages._fetched(service, f"http://a/{number}")[0] == 0
    assert len(service.begun) == 1
    service.begun[0].kill()
    assert pages._fetched(service, "http://a/3") == (0, "page of http://a/3\n\n")
    assert len(service.begun) == 2


def test_a_shell_that_ends_meanwhile_is_no_answer(service: Any) -> None:
    shell = PageShell(service)
    service.begun[0].kill()
    with pytest.raises(ConnectionError, match="the shell inside the container does not answer"):
        shell.fetch("http://a/1")
    shell.close()


def test_a_container_that_does_not_run_is_no_answer_in_the_engines_words(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise APIError("container prometheus is not running")

    monkeypatch.setattr(service, "exec_create", refuse)
    assert pages._fetched(service, "http://a/1") == (1, "container prometheus is not running")
