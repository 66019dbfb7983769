"""What is logged, by whom, and what goes wrong most."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import Dashboard

from config.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, signal_series
from dashboards.board import Row, board, choice
from dashboards.panels import AnyPanel, Column
from dashboards.queries import ERRORS, PAST, LogQL, PromQL
from dashboards.signal_series import CHOSEN

ERROR_LINES_PER_SECOND = AlertThreshold(("log_errors",)) / 300
"""The setting counts lines in 5 minutes."""
LINKS = panel_links.service_links()
FAILED = f"{{{CHOSEN}, {ERRORS}}}"
ALL = f"{{{CHOSEN}}}"


def dashboard() -> Dashboard:
    return board(
        "logs",
        "Logs",
        "How much is logged, the errors beside the failed requests, the most frequent error messages, and the lines.",
        Row((lines_now(), errors_now(), share_now(), services_now())),
        Row((errors_over_time(), failed_requests(), levels())),
        Row((top_errors(), by_service()), "What goes wrong most, and who writes most"),
        Row((lines(),), "Lines"),
        variables=(
            choice("service", "Service", "The services whose lines are shown.", VALUES),
            choice(
                "trace_service",
                "Traces of",
                "The service that the links to traces lead to.",
                signal_series.SENDER_VALUES,
                several=False,
            ),
            level(),
            text(),
        ),
    )


VALUES = 'label_values({job=~"application|cadvisor",service!=""}, service)'


def level() -> builders.CustomVariable:
    everything = model.VariableOption(text="All", value="$__all", selected=True)
    return (
        builders.CustomVariable("level")
        .label("Level")
        .description("The levels of the lines at the bottom.")
        .values(", ".join(colours.LEVELS))
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value("..*")
        .current(everything)
    )


def text() -> builders.TextBoxVariable:
    return (
        builders.TextBoxVariable("text")
        .label("Contains")
        .description("A text that the lines at the bottom contain.")
        .default_value("")
    )


def lines_now() -> AnyPanel:
    return panels.stat(
        "Lines",
        "Lines per second, of all levels.",
        "cps",
        LogQL(f"sum(rate({ALL}[$__auto]))", "lines"),
        size=(6, 4),
        links=LINKS,
    )


def errors_now() -> AnyPanel:
    return panels.stat(
        "Errors",
        "Lines of the levels error and fatal per second.",
        "cps",
        LogQL(f"sum(rate({FAILED}[$__auto])) or vector(0)", "errors"),
        size=(6, 4),
        links=LINKS,
        steps=((0, colours.GOOD), (ERROR_LINES_PER_SECOND, colours.BAD)),
    )


def share_now() -> AnyPanel:
    return panels.stat(
        "Share of errors",
        "Of all lines, those of the levels error and fatal.",
        "percentunit",
        LogQL(f"(sum(rate({FAILED}[$__auto])) or vector(0)) / sum(rate({ALL}[$__auto]))", "share"),
        size=(6, 4),
        links=LINKS,
    )


def services_now() -> AnyPanel:
    return panels.stat(
        "Services that log",
        "How many services wrote a line lately. One that falls silent shows here first.",
        "short",
        LogQL(f"count(sum by (service) (count_over_time({ALL}[5m])))", "services"),
        size=(6, 4),
        links=LINKS,
    )


def errors_over_time() -> AnyPanel:
    return panels.timeseries(
        "Error lines by service",
        "Lines of the levels error and fatal per second. Yesterday and last week: all together.",
        "cps",
        LogQL(f"sum by (service) (rate({FAILED}[$__auto]))", "{{service}}"),
        *(LogQL(f"sum(rate({FAILED}[$__auto] offset {ago}))", name) for name, ago in PAST.items()),
        size=(8, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        service_colours=True,
        stacked=True,
    )


def failed_requests() -> AnyPanel:
    return panels.timeseries(
        "Failed requests by service",
        "Requests answered with a status of 500 or more, per second, by the services' metrics: what the lines beside it "
        "mean for users.",
        "reqps",
        PromQL(f"{signal_series.ERRORS}{{{CHOSEN}}}", "{{service}}"),
        size=(8, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        service_colours=True,
        stacked=True,
    )


def levels() -> AnyPanel:
    return panels.timeseries(
        "Lines by level",
        "Lines per second.",
        "cps",
        LogQL(f"sum by (level) (rate({ALL}[$__auto]))", "{{level}}"),
        size=(8, 8),
        links=LINKS,
        colours=colours.LEVELS,
        stacked=True,
    )


def top_errors() -> AnyPanel:
    # The message of a JSON line, else the line; with a dot for whatever differs from one time to the next.
    message = '{{ regexReplaceAll "[0-9a-fA-F-]{8,}|[0-9]+" (or .message .msg .event __line__) "·" | trunc 160 }}'
    shown = f"{FAILED} | json message, msg, event | drop __error__, __error_details__ | label_format said=`{message}`"
    return panels.table(
        "Top 10 error messages",
        "Over the time that is shown. Numbers and ids in them count as equal.",
        [LogQL(f"topk(10, sum by (service, said) (count_over_time({shown} [$__range])))", "{{service}}", instant=True)],
        Column("Value #A", "Lines", unit="short", width=90),
        Column("service", "Service", width=140),
        Column("said", "Message"),
        size=(14, 9),
        links=LINKS,
        unit="string",
        sort_by="Lines",
    )


def by_service() -> AnyPanel:
    return panels.timeseries(
        "Bytes by service",
        "Bytes of lines per second. Who writes most fills the disk first.",
        "Bps",
        LogQL(f"sum by (service) (bytes_rate({ALL}[$__auto]))", "{{service}}"),
        size=(10, 9),
        links=LINKS,
        series_links=panel_links.series_links(),
        service_colours=True,
        stacked=True,
    )


def lines() -> AnyPanel:
    return panels.logs(
        "Lines",
        "Of the chosen services and levels, the newest first. A trace id among a line's details opens its trace.",
        LogQL(f'{{{CHOSEN}, level=~"$level"}} |= `$text`', lines=500),
        size=(24, 14),
        links=LINKS,
    )
