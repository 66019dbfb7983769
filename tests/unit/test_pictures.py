"""The pictures of the docs are current, can be read, and are used; and the pages they are on stay short."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from config.catalogue import ROWS
from pictures import budgets, flow
from pictures.__main__ import FOLDER, files
from pictures.svg import LETTER, shortened

ROOT = Path(__file__).parent.parent.parent
DRAWN = files()
SVG = "{http://www.w3.org/2000/svg}"
README_WORDS, TOUR_WORDS = 1000, 700


def each_picture() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("text", DRAWN.values(), ids=[file.stem for file in DRAWN])


def texts(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}text"))  # noqa: S314 - drawn here


def test_the_committed_pictures_are_what_the_code_draws() -> None:
    committed = {file: file.read_text() for file in FOLDER.glob("*.svg")}
    assert committed == DRAWN, "run `make dashboards` and commit what it writes"


@each_picture()
def test_every_text_is_inside_the_picture(text: str) -> None:
    width = float(ElementTree.fromstring(text).attrib["width"])  # noqa: S314 - drawn here
    for one in texts(text):
        length = len(one.text or "") * float(one.attrib["font-size"]) * LETTER
        start = float(one.attrib["x"]) - {"start": 0, "middle": length / 2, "end": length}[one.attrib["text-anchor"]]
        assert start >= 0, one.text
        assert start + length <= width, one.text


@each_picture()
def test_a_picture_says_what_it_shows_and_loads_nothing(text: str) -> None:
    root = ElementTree.fromstring(text)  # noqa: S314 - drawn here
    assert root.findtext(f"{SVG}title")
    assert not {"script", "image", "style", "a"} & {node.tag.removeprefix(SVG) for node in root.iter()}


@pytest.mark.parametrize(("width", "text"), [(200, "Errors by service"), (70, "Errors by…"), (0, "…")])
def test_a_title_that_is_too_long_is_shortened(width: float, text: str) -> None:
    assert shortened("Errors by service", width, 11) == text


def test_the_picture_of_memory_has_every_service_that_runs_and_its_limit() -> None:
    settings = budgets.defaults()
    words = [one.text for one in texts(budgets.memory(settings))]
    for service in settings.services:
        assert service in words
        assert f"{ROWS[service].memory / 2**20:.0f} MiB" in words


def test_the_picture_of_the_flow_names_services_that_run() -> None:
    assert set(flow.SERVICES) <= set(budgets.defaults().services)


def test_each_picture_is_on_a_page() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    images = {
        (page.parent / path).resolve()
        for page in pages
        for path in re.findall(r"!\[[^]]+\]\(([^)]+\.svg)\)", page.read_text())
    }
    assert set(DRAWN) <= images
    assert all(path.exists() for path in images)


@pytest.mark.parametrize(("page", "most"), [("README.md", README_WORDS), ("docs/tour.md", TOUR_WORDS)])
def test_a_page_for_the_first_minutes_is_short(page: str, most: int) -> None:
    assert len((ROOT / page).read_text().split()) <= most


def test_the_tour_names_panels_that_are_there() -> None:
    boards = "".join(file.read_text() for file in (ROOT / "dashboards" / "json").glob("*.json"))
    named = set(re.findall(r"“([^”]+)”", (ROOT / "docs" / "tour.md").read_text())) - {
        "Related logs",
        "Every service",
        "Trace",
    }
    assert [name for name in named if f'"{name}"' not in boards] == []
