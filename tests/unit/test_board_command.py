"""Dashboards of grafana.com, by a server of the test's own in its place."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from operate import board as command
from tests.brought_boards import BOARDS
from tests.support.program import settings_of
from toolchain import paths
from toolchain.report import ToolchainError

SHARED = json.dumps(BOARDS["Shared Externally_rev37.json"])
PAGES = {
    "/1860/revisions/37/download": SHARED,
    "/2/revisions/1/download": "<html>",
    "/3/revisions/1/download": json.dumps({"title": "x", "elements": {}, "layout": {}}),
}


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = PAGES.get(self.path)
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(command, "SITE", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(command, "load_settings", lambda _: settings_of())
        monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
        yield
        server.shutdown()


def test_a_dashboard_is_put_into_the_checkout_once(tmp_path: Path) -> None:
    file = tmp_path / "boards" / "1860-rev37.json"
    for _ in range(2):
        command.board(1860, 37, "dev")
        assert file.read_text() == SHARED
    file.write_text("mine")
    with pytest.raises(ToolchainError, match="is there already, with other content"):
        command.board(1860, 37, "dev")
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "words"),
    [(9, "answers 404: there is no such dashboard"), (2, "is not JSON"), (3, "export it with the model Classic")],
)
def test_what_is_no_dashboard_is_not_put_there(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(ToolchainError, match=words):
        command.board(number, 1, "dev")
    assert not (tmp_path / "boards").exists()


def test_without_the_site_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SITE", "http://127.0.0.1:9")
    with pytest.raises(ToolchainError, match="does not answer") as caught:
        command.board(1860, 37, "dev")
    assert "put it into the checkout as boards/1860-rev37.json" in caught.value.fix
