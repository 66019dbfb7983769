"""The command `board`: puts a dashboard of grafana.com into the checkout, which pins it."""

import json
from typing import Annotated

import requests
import typer

from config.services.correlation.own_dashboards import UnfitError, adapted
from operate.stack_file import Name, load_settings
from toolchain import paths
from toolchain.report import ToolchainError, console

SITE = "https://grafana.com/api/dashboards"
FOLDER = "boards"
_SECONDS = 30
_LARGEST = 4 * 2**20


def board(
    number: Annotated[int, typer.Argument(min=1, help="The dashboard's number on grafana.com.")],
    revision: Annotated[int, typer.Argument(min=1, help="Its revision, as its page lists them.")],
    stack: Name = "dev",
) -> None:
    """Downloads a dashboard from grafana.com into `boards/`, if this project can show it. Commit the file."""
    file = paths.REPOSITORY / FOLDER / f"{number}-rev{revision}.json"
    page = f"{SITE}/{number}/revisions/{revision}/download"
    content = _downloaded(page, f"{FOLDER}/{file.name}")
    try:
        adapted(json.loads(content), file.stem, load_settings(stack).grafana.data_sources)
    except ValueError as error:  # of JSON too
        what = error if isinstance(error, UnfitError) else "is not JSON"
        raise ToolchainError(f"{page} {what}") from None
    if file.exists() and file.read_bytes() != content:
        raise ToolchainError(
            f"{FOLDER}/{file.name} is there already, with other content",
            fix="remove it if it is to be replaced: somebody changed it, here or at grafana.com",
        )
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    console.print(
        f"wrote {FOLDER}/{file.name}: commit it, and list it:  grafana: {{dashboards: [{FOLDER}/{file.name}]}}"
    )
    console.print(f"what it would show on a running stack:  make unanswered FILES={FOLDER}/{file.name}")


def _downloaded(page: str, name: str) -> bytes:
    """The file at `page`.

    Raises:
        ToolchainError: no answer, no such dashboard, or too large.
    """
    by_hand = f"download it in a browser ({page}), and put it into the checkout as {name}"
    try:
        answer = requests.get(page, timeout=_SECONDS)
    except requests.RequestException as error:
        raise ToolchainError(f"{page} does not answer ({type(error).__name__})", fix=by_hand) from None
    if not answer.ok:
        raise ToolchainError(
            f"{page} answers {answer.status_code}: there is no such dashboard or revision", fix=by_hand
        )
    if len(answer.content) > _LARGEST:
        raise ToolchainError(f"{page} has more than {_LARGEST // 2**20} MiB, which no dashboard has")
    return answer.content
