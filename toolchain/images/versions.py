"""The table in `docs/toolchain.md`: for each service, the pinned version and the tested one.

    .venv/bin/python -m toolchain.images.versions

writes it, from `config/catalogue.py` and the recipes. A unit test fails if the table is out of date.
"""

import re

from config.images import pins
from toolchain import golang
from toolchain.images import FOLDER, for_tests
from toolchain.images.recipes import OWN, RECIPES, Assembled, Debian, Recipe
from toolchain.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "toolchain.md"
BEGIN = "<!-- Made by `.venv/bin/python -m toolchain.images.versions`: change `differs` in the recipes. -->\n"
END = "<!-- End of what is made. -->\n"
HEAD = """\
| service | pinned | tested | behind by | made from | what differs |
|---|---|---|---|---|---|
"""
NUMBERS = ("major", "minor", "patch")
DISTRIBUTION = "debian"
"""The version of recipes whose packages come from the release that the machine runs."""


def page(text: str | None = None) -> str:
    """Return the whole page with a current table. `text` is the page before, by default the committed one.

    Raises:
        ValueError: the page has no place for the table.
    """
    text = PAGE.read_text(encoding="utf-8") if text is None else text
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE}: no line `{BEGIN.strip()}` with `{END.strip()}` below it")
    return f"{before}{begin}\n{table()}\n{end}{after}"


def table() -> str:
    """The table, with a row for each pinned service."""
    return HEAD + "".join(_row(service, pin.tag) for service, pin in pins().items())


def _row(service: str, tag: str) -> str:
    recipe = RECIPES[service] if service in RECIPES else for_tests.RECIPES[service]()
    built = "the distribution's" if recipe.version == DISTRIBUTION else recipe.version
    cells = (
        service,
        tag.removeprefix("v"),
        built,
        distance(tag, recipe.version),
        _origin(service, recipe),
        recipe.differs,
    )
    return f"| {' | '.join(cells)} |\n"


def distance(pinned: str, built: str) -> str:
    """How far the pinned version is ahead, by the first number that differs: `v3.15.0`, `3.10.2` → `5 minor`.

    A number that one of them lacks counts as equal. `none` if they are equal, `unknown` if `built` has no number;
    `newer: …` if `built` is ahead.
    """
    for name, ahead, behind in zip(NUMBERS, _numbers(pinned), _numbers(built), strict=False):
        if ahead != behind:
            return f"{'newer: ' if behind > ahead else ''}{abs(ahead - behind)} {name}"
    return "none" if _numbers(built) else "unknown"


def _numbers(version: str) -> list[int]:
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return [int(number) for number in match[1].split(".")] if match else []


def _origin(service: str, recipe: Recipe) -> str:
    source = recipe.source
    if isinstance(source, Debian):
        return "distribution"
    if isinstance(source, Assembled):
        return "distribution" if recipe.version == DISTRIBUTION else "Maven Central"
    if any(package.startswith(OWN) for package in source.packages.values()):
        return "our own `main` on Go modules"
    patched = golang.Patch.of(FOLDER / (source.module or service))
    return "Go, with a patch of ours" if patched else "Go"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
