"""The dashboard of logs: their volume, and the most frequent errors."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import Dashboard

from config.alerts import golden_signals
from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, tables, units
from dashboards.board import Row, board, choice, slowest
from dashboards.panels import AnyPanel
from dashboards.queries import ERRORS, PAST, LogQL, now, top, top_lines
from dashboards.signal_series import CHOSEN, each
from dashboards.tables import Column

ERROR_LINES_PER_SECOND = AlertThreshold(("log_errors",)) / 300
"""The setting counts lines in 5 minutes."""
LINKS = panel_links.service_links()
FAILED = f"{{{CHOSEN}, {ERRORS}}}"
ALL = f"{{{CHOSEN}}}"
FIELDS = "json | drop __error__, __error_details__ | line_format `{{ or .message .msg .event __line__ }}`"
"""Stage of a LogQL pipeline: a JSON line becomes its message, and its fields become labels. Other lines stay."""
VALUES = 'label_values({job=~"application|cadvisor",service!=""}, service)'


def dashboard() -> Dashboard:
    return board(
        "logs",
        "Logs",
        "Volume of the logs, errors beside failed requests, the most frequent error messages, and the lines.",
        Row((lines_now(), errors_now(), share_now(), services_now())),
        Row((errors_over_time(), failed_requests(), levels())),
        Row((top_errors(), by_service()), "Most frequent errors, and volume by service"),
        Row((lines(),), "Lines"),
        variables=(
            choice("service", "Service", "The services whose lines are shown.", VALUES),
            level(),
            text(),
            slowest(),
        ),
    )


def level() -> builders.CustomVariable:
    all_values = model.VariableOption(text="All", value="$__all", selected=True)
    return (
        builders.CustomVariable("level")
        .label("Level")
        .description("Levels of the lines at the bottom.")
        .values(", ".join(colours.LEVELS))
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value("..*")
        .current(all_values)
    )


def text() -> builders.TextBoxVariable:
    return (
        builders.TextBoxVariable("text")
        .label("Contains")
        .description("Text that the lines at the bottom contain.")
        .default_value("")
    )


def lines_now() -> AnyPanel:
    return panels.stat(
        "Lines",
        "Log lines per second, of all levels.",
        units.LINES,
        LogQL(f"sum(rate({ALL}[$__auto]))", "lines"),
        size=(6, 6),
        links=LINKS,
    )


def errors_now() -> AnyPanel:
    return panels.stat(
        "Errors",
        "Lines per second of the levels error and fatal.",
        units.LINES,
        LogQL(f"sum(rate({FAILED}[$__auto])) or vector(0)", "errors"),
        size=(6, 6),
        links=LINKS,
        steps=((0, colours.GOOD), (ERROR_LINES_PER_SECOND, colours.BAD)),
    )


def share_now() -> AnyPanel:
    return panels.stat(
        "Share of errors",
        "Share of lines of the levels error and fatal.",
        units.SHARE,
        LogQL(f"(sum(rate({FAILED}[$__auto])) or vector(0)) / sum(rate({ALL}[$__auto]))", "share"),
        size=(6, 6),
        links=LINKS,
    )


def services_now() -> AnyPanel:
    return panels.stat(
        "Services that log",
        "Services that wrote a line in the last five minutes. A service that falls silent shows here first.",
        units.counted("services"),
        LogQL(f"count(sum by (service) (count_over_time({ALL}[5m])))", "services"),
        size=(6, 6),
        links=LINKS,
    )


def errors_over_time() -> AnyPanel:
    return panels.timeseries(
        "Error lines by service",
        "Lines per second of the levels error and fatal. Yesterday and last week are sums of all services.",
        units.LINES,
        *top_lines(f"sum by (service) (rate({FAILED}[$__auto]))", FAILED),
        *(LogQL(f"sum(rate({FAILED}[$__auto] offset {ago}))", name) for name, ago in PAST.items()),
        size=(8, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        stacked=True,
    )


def failed_requests() -> AnyPanel:
    return panels.timeseries(
        "Failed requests by service",
        "Requests per second answered with a status of 500 or more, from the metrics of the services. They show what the errors beside them mean for users.",
        units.REQUESTS,
        *top(now(each(golden_signals.ERRORS))),
        size=(8, 8),
        links=LINKS,
        series_links=panel_links.series_links(),
        stacked=True,
    )


def levels() -> AnyPanel:
    return panels.timeseries(
        "Lines by level",
        "Log lines per second.",
        units.LINES,
        LogQL(f"sum by (level) (rate({ALL}[$__auto]))", "{{level}}"),
        size=(8, 8),
        links=LINKS,
        colours=colours.LEVELS,
        stacked=True,
    )


def top_errors() -> AnyPanel:
    # The message of a JSON line, else the line. A dot replaces numbers and ids.
    message = '{{ regexReplaceAll "[0-9a-fA-F-]{8,}|[0-9]+" (or .message .msg .event __line__) "·" | trunc 160 }}'
    errors = f"{FAILED} | json message, msg, event | drop __error__, __error_details__ | label_format said=`{message}`"
    return tables.table(
        "Top 10 error messages",
        "The most frequent error messages in the time range. Messages that differ only in numbers and ids count as one.",
        [
            LogQL(
                f"topk(10, sum by (service, said) (count_over_time({errors} [$__range])))", "{{service}}", instant=True
            )
        ],
        Column("Value #A", "Lines", unit=units.counted("lines"), width=100),
        Column("service", "Service", width=140),
        Column("said", "Message", least=235, looked_into=True),
        size=(14, 9),
        links=LINKS,
        sort_by="Lines",
        missing="no errors in this time",
    )


def by_service() -> AnyPanel:
    return tables.table(
        "Volume by service",
        "Bytes of log lines in the time range. The service that writes most fills the disk first.",
        [LogQL(f"topk(20, sum by (service) (bytes_over_time({ALL}[$__range])))", "{{service}}", instant=True)],
        Column("service", "Service", least=160, link=panel_links.signals_link()),
        Column("Value #A", "Written", unit=units.BYTES, width=120),
        size=(10, 9),
        links=LINKS,
        sort_by="Written",
    )


def lines() -> AnyPanel:
    return panels.logs(
        "Lines",
        "Messages of the chosen services and levels, the newest first. A click on one shows the fields of its line; a trace id among them opens the trace.",
        LogQL(f'{{{CHOSEN}, level=~"$level"}} |= `$text` | {FIELDS}', lines=500),
        size=(24, 14),
        links=LINKS,
    )
