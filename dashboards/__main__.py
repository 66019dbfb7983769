"""`make dashboards`: writes the JSON of every dashboard anew."""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import databases, golden_signals, host, logs, overview, stack

FOLDER = Path(__file__).parent / "json"
BOARDS = (overview, golden_signals, logs, host, databases, stack)


def rendered() -> dict[str, str]:
    """uid → JSON, sorted, so that a change shows where it is."""
    return {board["uid"]: _text(board) for board in (_plain(module.dashboard()) for module in BOARDS)}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = rendered()
    for uid, text in wanted.items():
        (FOLDER / f"{uid}.json").write_text(text)
    for file in FOLDER.glob("*.json"):
        if file.stem not in wanted:
            file.unlink()


def _plain(board: object) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(board, cls=JSONEncoder))
    return made


def _text(board: object) -> str:
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
