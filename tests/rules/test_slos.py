"""Budgets and reports of SLOs, from a month of samples in the real Prometheus."""

import csv
import io
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from config.alerts import response_times
from config.alerts.scope import Scope
from config.settings.units import seconds
from operate import slo_budgets, slo_report
from operate.slo_budgets import Ask, Budget
from tests.support.ports import free_port
from tests.support.program import settings_of
from tests.support.services import running
from toolchain import images

BEGIN, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
RELEASE = datetime(2026, 10, 14, 13, 55, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SETTINGS = settings_of(
    {
        "metrics": {"evaluation_interval": "1m", "scrape_interval": "1m"},
        "exporters": {"probes": [{"name": "front", "target": "https://shop.example", "service": "shop"}]},
        "slos": [
            {"name": "shop", "service": "shop", "objective": 99.9},
            {"name": "shop-fast", "service": "shop", "objective": 99, "latency": "500ms"},
            {"name": "front", "probe": "front", "objective": 99.9},
            {"name": "night", "service": "night", "objective": 99.9},
            {"name": "mails", "service": "mails", "objective": 99.9},
        ],
    }
)

BUCKETS_EVERY = timedelta(seconds=seconds(response_times.interval(Scope(SETTINGS, frozenset()))))


def within(day: int, start: int, end: int) -> Callable[[datetime], bool]:
    """From one hour of the day to another."""
    return lambda at: at.day == day and start <= at.hour < end


SERIES: Mapping[str, Callable[[datetime], float | None]] = {
    # 26,784,000 requests, of which 26,784 may fail. On the 10th 3,600 do, on the 14th 28,800.
    'service:requests:rate5m{service="shop",source="spans"}': lambda _: 10,
    'service:errors:rate5m{service="shop",source="spans"}': lambda at: (
        1 if within(10, 12, 13)(at) else 2 if within(14, 14, 18)(at) else 0
    ),
    # Half a percent is slow.
    'service_le:request_duration_seconds_bucket:rate5m{service="shop",le="0.5"}': lambda _: 9.95,
    'service_le:request_duration_seconds_bucket:rate5m{service="shop",le="+Inf"}': lambda _: 10,
    'probe_success{job="probe",probe="front",service="shop"}': lambda at: float(
        not within(5, 3, 4)(at) or at.minute < 30
    ),
    # Counted in the second half of the month: two of 60 requests failed. They are in the rates of the five minutes after them.
    'service:requests:rate5m{service="night"}': lambda at: (
        None if at.day < 16 else 60 / 300 if within(20, 2, 3)(at) and at.minute < 5 else 0
    ),
    'service:errors:rate5m{service="night"}': lambda at: (
        None if at.day < 16 else 2 / 300 if within(20, 2, 3)(at) and at.minute < 5 else 0
    ),
    'container_start_time_seconds{job="cadvisor",service="shop",image="registry.example/team/shop:1.7"}': lambda at: (
        BEGIN.timestamp() - 999 if at < RELEASE else None
    ),
    'container_start_time_seconds{job="cadvisor",service="shop",image="registry.example/team/shop:1.8"}': lambda at: (
        RELEASE.timestamp() if at >= RELEASE else None
    ),
}


def samples(series: Mapping[str, Callable[[datetime], float | None]]) -> Iterator[str]:
    """The samples of each series, as often as it is recorded, as OpenMetrics."""
    for name, value in series.items():
        every = BUCKETS_EVERY if name.startswith(response_times.BUCKETS) else MINUTE
        for number in range(1, int((END - BEGIN) / every) + 1):
            at = BEGIN + number * every
            if (now := value(at - every)) is not None:
                yield f"{name} {now} {at.timestamp():.0f}"
    yield "# EOF"


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    folder, port = tmp_path_factory.mktemp("slos"), free_port()
    text = folder / "samples"
    with text.open("w") as file:
        file.writelines(f"{line}\n" for line in samples(SERIES))
    command: list[str | Path] = [
        "tsdb",
        "create-blocks-from",
        "--max-block-duration=30d",
        "openmetrics",
        text,
        folder / "data",
    ]
    subprocess.run([images.binary("promtool"), *command], check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("{}")
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    flags += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y"]

    def query(path: str, parameters: Mapping[str, str]) -> Any:
        answer = requests.get(f"http://127.0.0.1:{port}{path}", parameters, timeout=30)
        assert answer.ok, answer.text
        return answer.json()["data"]

    start = [images.binary("prometheus"), *flags]
    with running(start, f"http://127.0.0.1:{port}/-/ready", folder / "log", seconds=30):
        yield query


@pytest.fixture(scope="module")
def october(ask: Ask) -> dict[str, Budget]:
    return {one.indicator.slo.name: one for one in slo_budgets.of_month(ask, SETTINGS, BEGIN, END)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop", (26_784_000, 32_400, 1.21, True, 1)),
        ("shop-fast", (26_784_000, 133_920, 0.5, False, 1)),
        ("front", (44_640, 30, 0.672, False, 1)),
        ("night", (60, 2, 33.33, False, 16 / 31)),  # two failed requests are no reason to stop anything
        ("mails", (None, 0, None, False, 0)),
    ],
)
def test_a_budget_of_a_month_is_counted(october: Mapping[str, Budget], name: str, expected: tuple[Any, ...]) -> None:
    one = october[name]
    counted = (one.requests, one.failed, one.spent, one.is_spent, one.covered)
    assert [*counted] == [value if value is None else pytest.approx(value, rel=1e-3, abs=1e-3) for value in expected]


def test_a_report_names_the_day_and_the_image_that_spent_a_budget(october: Mapping[str, Budget]) -> None:
    shop, front = october["shop"], october["front"]
    assert {day.day: round(failed) for day, failed in shop.days.items() if failed} == {10: 3600, 14: 28800}
    assert (shop.worst_day, shop.spent_on) == (datetime(2026, 10, 14, tzinfo=UTC),) * 2
    assert shop.started == {"registry.example/team/shop:1.8": RELEASE}
    assert (front.worst_day, front.spent_on) == (datetime(2026, 10, 5, tzinfo=UTC), None)
    assert front.started == {}


def test_a_month_that_is_not_over_ends_now(ask: Ask) -> None:
    now = datetime(2026, 10, 10, 12, 30, tzinfo=UTC)
    begin, end = slo_budgets.month("2026-10", now, "60d")
    shop = next(iter(slo_budgets.of_month(ask, SETTINGS, begin, end)))
    assert (begin, end) == (BEGIN, now)
    assert len(shop.days) == 10
    assert shop.failed == pytest.approx(1800, rel=0.01)
    assert shop.days[datetime(2026, 10, 10, tzinfo=UTC)] == pytest.approx(1800, rel=0.01)


def test_the_budgets_now_are_those_of_each_window(ask: Ask) -> None:
    budgets = {one.indicator.slo.name: one for one in slo_budgets.now(ask, SETTINGS, at=END)}
    assert [name for name, one in budgets.items() if one.is_spent] == ["shop"]
    assert budgets["shop"].requests == pytest.approx(30 * 86_400 * 10, rel=1e-4)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(slo_report.table([*budgets.values()]))
    lines = {line.split()[0]: line.split() for line in console.export_text().splitlines()}
    assert " ".join(lines["shop"]) == "shop shop errors 99.9 % 30d 99.875 % 32,400 25,920 125 % spent"
    assert lines["mails"][-2:] == ["no", "data"]


def test_a_report_is_markdown_or_csv(october: Mapping[str, Budget]) -> None:
    text = slo_report.markdown([*october.values()], "prod", BEGIN, END)
    assert "# Service level objectives of prod, October 2026\n" in text
    assert "5 objectives, 1 missed" in text
    assert (
        "| shop | shop | 99.9 % | 99.879 % | 26,784,000 | 32,400 | 121 % | spent | 100 % | 2026-10-14, 28,800 failed | 2026-10-14 | "
        "shop:1.8 at 13:55 |" in text
    )
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    read = {row["slo"]: row for row in csv.DictReader(slo_report.as_csv([*october.values()]).splitlines())}
    assert [*read] == ["shop", "shop-fast", "front", "night", "mails"]
    assert (read["shop"]["failed"], read["shop"]["state"]) == ("32400", "spent")
    assert (read["mails"]["achieved_percent"], read["mails"]["state"]) == ("", "no data")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2026-13", "is not a month: write it like 2026-11"),
        ("november", "is not a month"),
        ("2026-12", "still to come"),
        ("2026-08", "metrics.retention.time 60d"),
    ],
)
def test_a_month_that_no_report_can_be_about_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        slo_budgets.month(text, datetime(2026, 11, 15, tzinfo=UTC), "60d")
