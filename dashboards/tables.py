"""Tables: which columns they have, how wide these are, and where their cells lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.builders.table import Panel as TablePanel
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as model

from dashboards import units
from dashboards.panel_links import Link
from dashboards.panels import MERGE, Size, described, fixed, word_mapping
from dashboards.queries import PromQL, Query


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    field: str
    """Name of the field that it shows."""
    title: str
    unit: str | None = None
    width: int = 0
    """Width in pixels. 0: the column takes the space that the others leave, and is at least `least` wide."""
    least: int = 150
    link: Link | None = None
    """Where a cell leads."""
    words: Mapping[int, tuple[str, str]] | None = None
    """Value → the word shown instead, and its colour."""
    letters: int = 0
    """Shows only so many letters of the beginning; links get the whole value."""
    looked_into: bool = False
    """A click shows the whole value in a window."""
    course: bool = False
    """The values of a range query, as a small graph."""


def table(
    title: str,
    description: str,
    queries: Sequence[Query],
    *columns: Column,
    size: Size,
    links: Sequence[Link],
    sort_by: str,
    ascending: bool = False,
    label_columns: bool = False,
    missing: str = "nothing in this time",
) -> TablePanel:
    """A table of these columns, and of no others if one has another title than its field.

    Rows of several queries with the same labels become one row. `label_columns`: the labels, which Loki gives as one field,
    become columns. `sort_by`: title of the column whose largest values come first, or whose smallest if `ascending`.
    """
    panel = (
        described(TablePanel(), title, description, *queries, size=size, links=links)
        .unit(units.WORDS)
        .no_value(missing)
        .cell_height(models.TableCellHeight.SM)
        .sort_by([common.TableSortByFieldState().display_name(sort_by).desc(desc=not ascending)])
    )
    ranges = [ref for ref, query in zip("ABCDEFGHIJ", queries, strict=False) if _has_course(query)]
    if ranges:
        only = model.MatcherConfig(id_val="byRefId", options=f"/^({'|'.join(ranges)})$/")
        panel = panel.with_transformation(
            model.DataTransformerConfig(id_val="timeSeriesTable", filter_val=only, options={})
        )
    if len(queries) > 1:
        panel = panel.with_transformation(MERGE)
    if label_columns:
        options = {"source": "labels", "format": "auto", "keepTime": False, "replace": False}
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="extractFields", options=options))
    if any(column.field != column.title for column in columns):
        panel = _only(panel, columns)
    for column in columns:
        panel = panel.override_by_name(column.title, _properties(column))
    return panel


def _has_course(query: Query) -> bool:
    return isinstance(query, PromQL) and not query.instant


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    width = ("custom.width", column.width) if column.width else ("custom.minWidth", column.least)
    # The text of a table without rows would be in each empty cell too.
    pairs: list[tuple[str, object]] = [width, ("noValue", "—")]
    if column.unit:
        pairs.append(("unit", column.unit))
        if (decimals := units.decimals(column.unit)) is not None:
            pairs.append(("decimals", decimals))
    if column.words:
        pairs += [("mappings", [word_mapping(column.words)]), ("custom.cellOptions", {"type": "color-text"})]
    if column.letters:
        result = model.ValueMappingResult(text="$1…", index=0)
        pattern = f"/^(.{{{column.letters}}}).+$/"
        options = model.DashboardRegexMapOptions(pattern=pattern, result=result)
        pairs.append(("mappings", [model.RegexMap(options=options)]))
    if column.looked_into:
        pairs.append(("custom.inspect", True))
    if column.course:
        pairs += [("custom.cellOptions", {"type": "sparkline", "hideValue": True}), ("color", fixed().value)]
    if column.link:
        pairs.append(("links", _cell_links(column.link)))
    return [model.DynamicConfigValue(name, value) for name, value in pairs]


def _only(panel: TablePanel, columns: Sequence[Column]) -> TablePanel:
    """These columns in this order, by their titles."""
    fields = [column.field for column in columns]
    only = {"include": {"names": fields}}
    order = {
        "indexByName": {name: index for index, name in enumerate(fields)},
        "renameByName": {column.field: column.title for column in columns},
        "excludeByName": {},
    }
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="filterFieldsByName", options=only))
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=order))


def _cell_links(link: Link) -> list[dict[str, object]]:
    title, address = link
    return [{"title": title, "url": address, "targetBlank": True}]
