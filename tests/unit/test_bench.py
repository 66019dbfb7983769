"""The parts of `make bench` that measure nothing: Compose files, figures, tables, plots."""

from pathlib import Path
from typing import Any

import pytest

from bench import actions, figures, memory, performance_page
from bench.actions import HERE, THERE, Took
from bench.anchors import ANCHORS
from bench.compose import Project, document, service
from bench.figures import Record, Row, row
from bench.measure import Cost
from bench.performance_page import Block
from bench.plots import PLOTS, Plot
from bench.series import Synthetic, continued

INSPECTED: dict[str, Any] = {
    "Name": "/ns-prometheus",
    "NetworkSettings": {
        "Networks": {"ns": {"IPAMConfig": None}, "ns-edge": {"IPAMConfig": {"IPv4Address": "198.18.7.2"}}, "shop": {}}
    },
    "Config": {
        "Image": "prom/prometheus:v3",
        "Hostname": "prometheus",
        "Entrypoint": None,
        "Cmd": ["--config.file=/config/current/prometheus.yml", "--label=$1"],
        "User": "65534:65534",
        "Env": ["GOMEMLIMIT=217MiB"],
        "Labels": {"observability.service": "prometheus"},
        "StopTimeout": 60,
        "Healthcheck": {
            "Test": ["CMD", "wget", "$HOST"],
            "Interval": 30_000_000_000,
            "Timeout": 10_000_000_000,
            "StartPeriod": 60_000_000_000,
            "Retries": 3,
        },
    },
    "HostConfig": {
        "Memory": 268435456,
        "MemorySwap": 268435456,
        "CpuShares": 512,
        "RestartPolicy": {"Name": "unless-stopped"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "PortBindings": {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}]},
        "Devices": [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "r"}],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "size=64m"},  # noqa: S108 - inside the container
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges:true"],
    },
    "Mounts": [
        {"Type": "volume", "Name": "x-prometheus", "Destination": "/prometheus", "RW": True},
        {"Type": "volume", "Name": "x-prometheus-config", "Destination": "/config", "RW": False},
        {"Type": "bind", "Source": "/", "Destination": "/rootfs", "RW": False, "Propagation": "rslave"},
    ],
}


def test_a_container_becomes_the_service_of_a_compose_file() -> None:
    entry = service(INSPECTED, "prometheus")
    assert entry["image"] == "prom/prometheus:v3"
    assert entry["mem_limit"] == entry["memswap_limit"] == 256 * 2**20
    assert entry["ports"] == ["127.0.0.1:20001:9090/tcp"]
    assert entry["stop_grace_period"] == "60s"
    assert entry["healthcheck"]["interval"] == "30s"
    assert entry["devices"] == ["/dev/kmsg:/dev/kmsg:r"]
    assert entry["tmpfs"] == ["/tmp:size=64m"]  # noqa: S108 - inside the container
    assert not {"entrypoint", "cap_add"} & entry.keys()


def test_compose_puts_no_variables_into_what_a_service_is_told() -> None:
    entry = service(INSPECTED, "prometheus")
    assert entry["command"][1] == "--label=$$1"
    assert entry["healthcheck"]["test"][2] == "$$HOST"


def test_config_is_bound_from_a_folder_and_data_is_in_a_volume_that_is_there() -> None:
    entry = service(INSPECTED, "prometheus")
    assert [(volume["type"], volume["source"], volume["target"]) for volume in entry["volumes"]] == [
        ("bind", "./prometheus", "/config/current"),
        ("volume", "prometheus", "/prometheus"),
        ("bind", "/", "/rootfs"),
    ]
    whole = document({"prometheus": entry}, "bench", "198.18.7.0/26")
    assert whole["volumes"] == {"prometheus": {"external": True, "name": "bench-prometheus"}}
    edge = {"name": "bench-edge", "ipam": {"config": [{"subnet": "198.18.7.0/26"}]}}
    assert whole["networks"] == {"default": {"name": "bench"}, "edge": edge}
    assert entry["networks"]["edge"] == {"aliases": ["ns-prometheus"], "ipv4_address": "198.18.7.2"}


def test_a_project_reads_what_it_has_written(tmp_path: Path) -> None:
    project = Project(tmp_path, "bench")
    project.write({"services": {"prometheus": {"image": "x"}}})
    project.write_config("prometheus", {"rules/host.yml": "groups: []\n"})
    assert project.read()["services"]["prometheus"] == {"image": "x"}
    assert (tmp_path / "prometheus" / "rules" / "host.yml").stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize(
    ("times", "missing"),
    [([0, 2, 4], 0), ([0, 2.02, 3.98], 0), ([0, 2, 8], 2), ([0, 4, 8], 2), ([], 0)],
    ids=["regular", "a little late", "one gap", "two gaps", "nothing seen"],
)
def test_scrapes_are_missed_where_a_gap_is_longer_than_the_interval(times: list[float], missing: int) -> None:
    assert actions.missed(times, 2) == missing


def test_actions_are_compared_round_by_round() -> None:
    took = {
        (actions.RULE, HERE): [Took(8, 9, 0), Took(6, 9, 0)],
        (actions.RULE, THERE): [Took(4, 2, 1), Took(2, 2, 3)],
        (actions.RELOAD, THERE): [Took(1, 1, 0), Took(2, 1, 0)],
    }
    record = Record(tuple(actions.rows(took)))
    of_rule, of_reload = record.value(actions.RULE, "ratio"), record.value(actions.RELOAD, "ratio")
    assert of_rule
    assert of_rule.values == (2, 3)
    assert of_reload
    assert of_reload.values == (8, 3)
    missing = record.value(actions.RULE, f"missed scrapes: {THERE}")
    assert missing
    assert missing.median == 2


def test_make_up_is_told_in_seconds_and_lines() -> None:
    record = Record(tuple(actions.rows_of_make_up(actions.MAKE_NO_OP, [(14.25, 31), (12.5, 33), (13.0, 31)])))
    seconds, lines = (record.value(actions.MAKE_NO_OP, figure) for figure in (f"command: {HERE}", actions.LINES))
    assert seconds
    assert (seconds.median, seconds.unit) == (13, "s")
    assert lines
    assert lines.values == (31, 33, 31)


def test_all_containers_together_are_their_sum() -> None:
    costs = {"prometheus": Cost(100, 400, 0.5), "loki": Cost(50, 100, 0.25)}
    record = Record(tuple(memory.rows("4GiB", {memory.REST: costs, memory.LOADED: costs})))
    values = {row.figure: row.median for row in record.rows if row.subject == "4GiB: all"}
    assert (values["limit"], values["memory under load"], values["of its limit"]) == (500, 150, 30)
    assert values["CPU at rest"] == 75


def test_a_run_of_some_subjects_leaves_the_others_as_they_were() -> None:
    record = Record((row("4GiB", "memory", "MiB", 1), row("8GiB", "memory", "MiB", 2)))
    merged = record.merged([row("4GiB", "memory", "MiB", 3), row("16GiB", "memory", "MiB", 4)])
    assert [(one.subject, one.median) for one in merged] == [("4GiB", 3), ("8GiB", 2), ("16GiB", 4)]


def test_further_rounds_come_to_those_that_are_kept() -> None:
    record = Record((row("one rule", "ratio", "", 2, 3), row("one image", "ratio", "", 1)))
    added = record.added([row("one rule", "ratio", "", 4), row("new", "ratio", "", 5)])
    assert [(one.subject, one.values) for one in added] == [("one rule", (2, 3, 4)), ("new", (5,))]


def test_what_is_kept_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    assert figures.load("series") == Record()
    record = Record((row("x1", "memory", "MiB", 5, 6), row("x3", "memory", "MiB", 7)), {"cores": 2}, {"loki": "3.7.8"})
    figures.path("series").write_text(record.text)
    assert figures.load("series") == record


def test_a_version_is_the_tag_without_the_hash_of_a_build() -> None:
    versions = figures.versions({"loki": "nervous-system/loki:3.7.8-c18c17db1930", "jaeger": "j/j:2.13.0@sha256:ab"})
    assert versions == {"jaeger": "2.13.0", "loki": "3.7.8"}


@pytest.mark.parametrize(
    ("values", "cell"),
    [((1234.5,), "1,234"), ((0.01234,), "0.0123"), ((3, 1, 2), "2 (1 to 3)"), ((0, 0, 0), "0"), ((7,), "7")],
)
def test_a_cell_is_a_median_with_its_spread(values: tuple[float, ...], cell: str) -> None:
    assert performance_page.cell(Row("x", "y", "", values)) == cell


def test_a_table_has_a_line_for_each_subject_and_a_column_for_each_figure() -> None:
    rows = [row("x1", "memory", "MiB", 5), row("x1", "targets", "", 2), row("x3", "targets", "", 4)]
    assert performance_page.table("load", rows).splitlines() == [
        "| load | memory, MiB | targets |",
        "|---|---:|---:|",
        "| x1 | 5 | 2 |",
        "| x3 |  | 4 |",
    ]


def test_a_block_goes_where_the_page_has_its_marks() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb"
    assert Block("x", r"new \1").put_into(page) == "a\n<!-- x -->\nnew \\1\n<!-- end of x -->\nb"
    with pytest.raises(ValueError, match="no place for y"):
        Block("y", "new").put_into(page)


def test_the_page_says_what_the_kept_figures_say() -> None:
    page = performance_page.PAGE.read_text()
    assert performance_page.written(page) == page, "make bench ONLY=report"


def test_every_anchor_and_plot_is_about_a_part() -> None:
    assert {anchor.part for anchor in ANCHORS} | {plot.part for plot in PLOTS} <= performance_page.TITLES.keys()


def test_a_plot_shows_the_subjects_that_have_both_figures(tmp_path: Path) -> None:
    rows = [
        row("x3", "series", "", 30),
        row("x3", "memory", "MiB", 9),
        row("x1", "series", "", 10),
        row("x1", "memory", "MiB", 4),
        row("other", "memory", "MiB", 1),
    ]
    plot = Plot("series", "title", "series", ("memory",))
    assert plot.points(rows, "memory") == [(10, 4), (30, 9)]
    plot.draw(rows, tmp_path / "first.svg")
    plot.draw(rows, tmp_path / "second.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    assert "memory, MiB" in (tmp_path / "first.svg").read_text()


def test_synthetic_series_are_histograms_of_which_some_move() -> None:
    source = Synthetic(60)
    first, second = source.page().decode().splitlines(), source.page().decode().splitlines()
    assert len({line.rsplit(" ", 1)[0] for line in first[1:]}) == source.series
    moved = sum(one != other for one, other in zip(first, second, strict=True))
    assert 0 < moved < source.series / 2


@pytest.mark.parametrize(
    ("values", "longer"),
    [([1, 2, 5], [1, 2, 5, 6, 9, 10]), ([3, 1, 2], [3, 1, 2, 1, 3, 1]), ([7, 7], [7, 7, 7, 7, 7, 7])],
    ids=["a counter goes on", "a gauge there and back", "what stands still does"],
)
def test_series_are_continued_as_they_are(values: list[float], longer: list[float]) -> None:
    assert continued(values, 6) == longer
