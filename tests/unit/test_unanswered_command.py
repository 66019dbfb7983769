"""Which files the command `unanswered` asks about."""

import json
from pathlib import Path

from operate import unanswered
from tests.support.program import settings_of


def test_a_dashboard_that_is_named_is_asked_about_alone(tmp_path: Path) -> None:
    panel = {"title": "Carts", "type": "timeseries", "targets": [{"expr": "shop_carts_open"}]}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"title": "Mine", "panels": [panel]}))
    settings = settings_of({"grafana": {"dashboards": ["a.json"], "folders": {"Shop": ["boards/b.json"]}}})
    [dashboard] = unanswered._dashboards(settings, [file], "test")
    assert dashboard.name == str(file)
