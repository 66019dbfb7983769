"""The row of PHP-FPM on the dashboard of databases."""

from config.alerts.rule import Job
from dashboards import colours, panel_links, panels, units
from dashboards.board import Row
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top
from dashboards.signal_series import CHOSEN

LINKS = panel_links.infrastructure_links()
FPM = f'job="{Job.PHP_FPM}",{CHOSEN}'
UP = f"up{{{FPM}}}"
RATE = "$__rate_interval"
NOTHING = "none yet: see exporters.php_fpm"
"""Shown where there is no such server. docs/configuration.md has the key."""


def row() -> Row:
    return Row((requests(), processes(), waiting()), "PHP-FPM", closed=True)


def requests() -> AnyPanel:
    return panels.timeseries(
        "PHP requests",
        "Requests per second of each pool, those for its status page included.",
        units.REQUESTS,
        *top(f"sum by (service) (rate(phpfpm_accepted_connections{{{FPM}}}[{RATE}]))", count=FEW),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )


def processes() -> AnyPanel:
    return panels.timeseries(
        "PHP processes",
        "Processes that work on a request, and those that wait for one.",
        units.counted("processes"),
        *(PromQL(f"sum(phpfpm_{state}_processes{{{FPM}}})", state) for state in ("active", "idle")),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
        colours={"active": colours.BLUE, "idle": colours.GREY},
        stacked=True,
    )


def waiting() -> AnyPanel:
    return panels.timeseries(
        "PHP requests that wait",
        "Requests of each pool that wait for a process. Sockets over TCP only.",
        units.counted("requests"),
        *top(f"sum by (service) (phpfpm_listen_queue{{{FPM}}})", count=FEW),
        size=(8, 7),
        links=LINKS,
        missing=NOTHING,
    )
