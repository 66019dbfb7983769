"""Pages that the check fetches from inside a container, without a container."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from check import pages

Answer = Callable[[Any, str], tuple[int, bytes]]
"""Container, URL → wget's exit code and output."""


def answer_pages(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    """Every page that the check fetches is `answer`."""

    def shell(service: Any) -> Any:
        def fetch(url: str, _header: str) -> tuple[int, str]:
            code, page = answer(service, url)
            return code, page.decode()

        return SimpleNamespace(fetch=fetch, close=lambda: None)

    monkeypatch.setattr(pages, "PageShell", shell)
    monkeypatch.setattr(pages, "_idle", _Nobody())


class _Nobody(dict[str, list[Any]]):
    """Shells of containers, none of which is kept: another engine may have a container of the same id."""

    def __missing__(self, _: str) -> list[Any]:
        return []
