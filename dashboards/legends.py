"""Legends: none for one line, beneath the graph while it fits there, else a table beside it, which can be scrolled."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.models import common as models

from dashboards.queries import LogQL, PromQL, Query, Traces

COLUMN = 55
"""Pixels of a column of the grid in a window of 1600 pixels beside Grafana's docked menu of 270."""
LETTER, AROUND = 7, 34
"""Pixels of a letter, and of the line and the space beside a name."""
NAME, LONG_NAME = 17, 22
"""Letters of long names of services, and of what `LONG` has the labels of."""
LONG = ("route", "span_name", "group", "name", "mountpoint")
ROW, SHARE = 22, 0.35
"""Pixels of a row of names, and the share of a panel that Grafana gives them beneath a graph. It cuts what is below."""


def legend(queries: Sequence[Query], size: tuple[int, int]) -> common.VizLegendOptions:
    """The legend of a graph of this size in the grid."""
    columns, height = size
    names = [name for query in queries if not isinstance(query, Traces) for name in _names(query)]
    options = common.VizLegendOptions().show_legend(show_legend=len(names) > 1)
    if rows(names, columns) <= room(height):
        return options.display_mode(models.LegendDisplayMode.LIST).placement(models.LegendPlacement.BOTTOM)
    return (
        options.display_mode(models.LegendDisplayMode.TABLE)
        .placement(models.LegendPlacement.RIGHT)
        .calcs(["lastNotNull"])
        .sort_by("Last *")
        .sort_desc(sort_desc=True)
    )


def room(height: int) -> int:
    """Rows of names that are seen beneath a graph which is so many rows of the grid high."""
    return int((38 * height - 8 - 41) * SHARE // ROW)


def rows(names: Sequence[str], columns: int) -> int:
    """Rows that these names take beneath a graph."""
    width = columns * COLUMN - 24
    count, space = 1, width
    for name in names:
        if (needed := len(name) * LETTER + AROUND) > space:
            count, space = count + 1, width
        space -= needed
    return count


def _names(query: PromQL | LogQL) -> list[str]:
    """The names that a query's legend becomes, of the usual length."""
    if "{{" not in query.legend:
        return [query.legend]
    return ["n" * (LONG_NAME if query.legend.strip("{}") in LONG else NAME)] * query.names
