"""The share of its host that a stack takes by default: memory by service, disk by kind of data."""

from collections.abc import Mapping

from config.settings import Settings, disk_budget
from config.settings.secret_keys import GRAFANA_PASSWORD
from config.sizes import GIB, MIB
from dashboards import colours
from pictures.svg import PALE, Drawing, shortened

WIDTH, NAMES, ROW = 760, 200, 20
DISK_NAMES = {
    "metrics.retention.size": "metrics",
    "logs.budget.disk": "logs",
    "traces.disk": "traces",
    "traces.queue": "queue of traces",
    "the containers' own logs": "the containers' own logs",
}
"""Key of `disk_budget.shares` → what it is called here."""


def defaults() -> Settings:
    """The settings of a stack file that says nothing, with a password for Grafana."""
    return Settings(environment="dev", prefix="nervous-dev", secrets=frozenset({GRAFANA_PASSWORD}))


def memory(settings: Settings) -> str:
    """SVG of the memory limits of the services that run, the largest first."""
    limits = {service: int(getattr(settings.memory, service)) for service in settings.services}
    total = f"{sum(limits.values()) / GIB:.1f} GiB of the host's {settings.memory.host / GIB:.0f}"
    return _bars(f"Memory: hard limits, {total}", limits, MIB, "MiB", colours.BLUE)


def disk(settings: Settings) -> str:
    """SVG of the shares of the disk budget."""
    shares = {DISK_NAMES[name]: size for name, size in disk_budget.shares(settings).items()}
    rest = int(settings.disk.budget) - sum(shares.values())
    title = f"Disk: shares of a budget of {settings.disk.budget / GIB:.0f} GiB"
    return _bars(title, {**shares, "all else": rest}, GIB, "GiB", colours.GREEN)


def _bars(title: str, sizes: Mapping[str, int], unit: int, unit_name: str, colour: str) -> str:
    drawing = Drawing(WIDTH, 44 + ROW * len(sizes), title)
    drawing.text(10, 22, title, size=14, bold=True)
    largest = max(sizes.values())
    for line, (name, size) in enumerate(sorted(sizes.items(), key=lambda one: -one[1])):
        y = 36 + ROW * line
        length = size / largest * (WIDTH - NAMES - 110)
        drawing.text(NAMES - 8, y + 13, shortened(name, NAMES - 16, 12), anchor="end")
        drawing.box(NAMES, y + 2, max(length, 1), ROW - 6, fill=colour, line="none")
        number = f"{size / unit:.0f}" if size >= unit else f"{size / unit:.1f}"
        drawing.text(NAMES + length + 6, y + 13, f"{number} {unit_name}", size=11, colour=PALE)
    return drawing.render()
