"""`make dashboards`: writes the JSON of every dashboard, and which of its numbers follow alert thresholds."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from config.services.correlation.dashboard_files import OURS, THRESHOLDS
from dashboards import (
    databases_board,
    golden_signals_board,
    host_board,
    logs_board,
    overview_board,
    slo_board,
    stack_board,
)
from dashboards.panels import ThresholdStep

BOARDS = (overview_board, golden_signals_board, logs_board, host_board, databases_board, slo_board, stack_board)


def files() -> dict[Path, str]:
    """Path → content. Keys are sorted, so that a diff shows what changed."""
    boards = {str(board.uid): board for board in (module.dashboard() for module in BOARDS)}
    texts = {OURS / f"{uid}.json": _text(board) for uid, board in boards.items()}
    return {**texts, THRESHOLDS: _text({uid: _threshold_marks(board) for uid, board in boards.items()})}


def main() -> None:
    OURS.mkdir(exist_ok=True)
    texts = files()
    for file, text in texts.items():
        file.write_text(text)
    for file in set(OURS.glob("*.json")) - texts.keys():
        file.unlink()


def _threshold_marks(board: Dashboard) -> Mapping[str, Any]:
    """Id of a panel → its entry in `thresholds.json`."""
    marks = {}
    for panel in _panels(board):
        if not panel.field_config or not panel.field_config.defaults.thresholds:
            continue
        steps = panel.field_config.defaults.thresholds.steps
        thresholds = [step.threshold if isinstance(step, ThresholdStep) else None for step in steps]
        if names := {threshold.settings for threshold in thresholds if threshold}:
            (settings,) = names
            divisors = [threshold.divisor if threshold else None for threshold in thresholds]
            marks[str(panel.id_val)] = {"settings": settings, "divisors": divisors}
    return marks


def _panels(board: Dashboard) -> Iterator[Panel]:
    """All panels, those of closed rows too."""
    for panel in board.panels or ():
        if isinstance(panel, Panel):
            yield panel
        else:
            yield from panel.panels


def _text(content: object) -> str:
    return json.dumps(content, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
