"""Logs as Alloy ships them. What the lines become is tested here for Alloy, and for Promtail in tests/rules; what Loki does
with them is the same for both."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from check import remotes
from config.services.logs.log_levels import LEVELS
from config.settings.remotes import LOGS
from tests.support.log_lines import CASES, Case, metadata, moment, spelled
from tests.support.outside import gateway
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running_loki
from tests.support.shipping import Line, Logs, Shipping, until


class TestAlloy(Shipping):
    shipper = "alloy"

    @pytest.fixture(scope="class")
    @classmethod
    def table(cls, logs: Logs) -> tuple[datetime, list[Line]]:
        """The moment that is told in the lines of the table, and what Loki has of them."""
        own_time = moment()
        texts = {
            stream: "".join(spelled(case.text, own_time) + "\n" for case in CASES if case.stream == stream)
            for stream in ("stdout", "stderr")
        }
        logs.write("table", texts["stdout"], texts["stderr"])
        wanted = sum(not case.dropped for case in CASES)
        until(lambda: len(logs.lines("table")) >= wanted)
        return own_time, logs.lines("table")

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_a_line_is_found_once_as(self, logs: Logs, case: Case, table: tuple[datetime, list[Line]]) -> None:
        own_time, lines = table
        text = spelled(case.text if case.result is None else case.result, own_time)
        matches = [line for line in lines if line.text == text]
        if case.dropped:
            assert not matches
            return
        [line] = matches
        assert line.labels == {"service": logs.named("table"), "level": case.level, "source": "docker"}
        assert line.metadata == {
            "container": f"{logs.shop.name}-table",
            "stream": case.stream,
            **metadata(case, own_time),
        }
        assert (abs(line.at - own_time) < timedelta(milliseconds=1)) == case.stamped

    def test_nothing_else_is_found_and_what_was_dropped_is_counted(
        self, logs: Logs, table: tuple[datetime, list[Line]]
    ) -> None:
        assert len(table[1]) == sum(not case.dropped for case in CASES)
        assert logs.counted("table") == len(table[1])
        dropped = sum(logs.dropped("reason", reason) for reason in ("health_check", "scrape"))
        assert dropped >= sum(case.dropped for case in CASES)

    def test_ten_thousand_users_and_traces_make_one_stream(self, logs: Logs) -> None:
        texts = [
            json.dumps(
                {"level": "info", "user_id": f"u{number}", "labels": {"u": number}, "trace_id": f"{number:032x}"}
            )
            for number in range(1, 10_001)
        ]
        logs.write("users", "".join(f"{line}\n" for line in texts))
        until(lambda: logs.counted("users") >= len(texts))
        assert logs.counted("users") == len(texts)
        assert logs.streams("users") == [{"service": logs.named("users"), "level": "info", "source": "docker"}]

    def test_a_copy_far_away_has_every_line_and_the_check_says_so(self, logs: Logs, tmp_path: Path) -> None:
        """That an outage of it loses nothing, and a shipper that is killed meanwhile, is tested in tests/rules
        (test_remote_containers.py)."""
        own, port = logs.stack.config["logs"], free_port()
        host = gateway(logs.stack.client, logs.stack.prefix)

        def of_copy(loki: str, service: str) -> set[str]:
            query = {"query": f'{{service="{logs.named(service)}"}}', "limit": "5000", "since": "1h"}
            answer = requests.get(f"{loki}/loki/api/v1/query_range", params=query, timeout=10).json()
            return {text for stream in answer["data"]["result"] for _, text in stream["values"]}

        try:
            with running_loki(tmp_path / "far", settings_of(), port, host=host) as far:
                logs.stack.config["logs"] = {**own, "remote": {"url": f"http://{host}:{port}"}}
                logs.stack.up()
                counting = logs.count("copied", every="0.1")
                short = logs.run("short", "echo first; echo last >&2")
                short.wait(timeout=30)
                until(lambda: of_copy(far, "copied"))
                texts = logs.stop_counting(counting)
                logs.all_there_once("copied", texts)
                until(lambda: of_copy(far, "copied") >= {*texts})
                until(lambda: of_copy(far, "short") == {"first", "last"})
                until(lambda: next(remotes.findings(logs.stack.client, logs.stack.settings, LOGS)).kept)
                assert len(logs.lines("short")) == 2
            # It is away, with more on its way to it than its pipeline holds: to take it out of the settings holds up nobody.
            logs.write("much", f'{{"level":"info","text":"{"x" * 200}"}}\n' * 5_000)
            until(lambda: logs.counted("much") == 5_000)  # a MiB, and the queue holds an eighth
        finally:
            logs.stack.config["logs"] = own
            logs.stack.up()
        logs.write("after", "one\n")
        until(lambda: logs.counted("after") == 1, seconds=60)

    def test_a_service_that_loki_has_no_room_for_stops_nobody_elses_lines(self, logs: Logs) -> None:
        steady = logs.count("steady", every="0.05")
        until(lambda: logs.counted("steady", "info") and logs.counted("steady", "error"))
        for service in ("full", "as-full"):  # Loki may have started again since the other tests' lines
            logs.write(service, "".join(f'{{"level":"{level}"}}\n' for level in LEVELS))
        until(lambda: logs.counted("full") + logs.counted("as-full") == 2 * len(LEVELS))
        own = logs.stack.config["logs"]
        logs.stack.config["logs"] = {**own, "limits": {"streams": 2 * len(LEVELS)}}  # those are all
        logs.stack.up()
        late = logs.count("late", every="0.1")
        try:
            until(lambda: logs.dropped("reason", "rate_limited", what="entries") > 20)
            until(lambda: logs.stack.rules()["LogShipperDropsLines/warning"]["state"] == "firing")
            assert not logs.counted("late")
            logs.all_there_once("steady", logs.stop_counting(steady))
        finally:
            logs.stack.config["logs"] = own
            logs.stack.up()
        until(lambda: logs.counted("late"))
        logs.stop_counting(late)
