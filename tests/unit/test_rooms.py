"""The rooms of CONTRIBUTING.md: their sizes, and no import circle. `make lint` checks which room may import which."""

import re
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PROGRAMS = (
    "bench",
    "check",
    "components",
    "config",
    "dashboards",
    "drills",
    "engine",
    "operate",
    "pictures",
    "policies",
    "toolchain",
)
NOT_DELIVERED = ("bench", "drills")
"""Programs that measure a stack or break it. No stack consists of them."""
LONGEST = 400
LARGEST_SHARE = 1 / 5


def rooms() -> set[str]:
    """Folders that CONTRIBUTING.md describes, such as `config/settings`."""
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things go")[2].partition("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)/`", row)}


def modules(names: tuple[str, ...] = PROGRAMS) -> Iterator[Path]:
    for name in names:
        yield from (ROOT / name).rglob("*.py")


def room_of(module: Path, room_names: set[str]) -> str:
    """The innermost room that `module` is in."""
    folders = [str(folder.relative_to(ROOT)) for folder in module.parents if folder.is_relative_to(ROOT)]
    return next(folder for folder in folders if folder in room_names)


def lines(module: Path) -> int:
    return len(module.read_text().splitlines())


def test_every_module_is_in_a_room_and_every_room_is_there() -> None:
    room_names = rooms()
    assert all(room_of(module, room_names) for module in modules())
    assert not [room for room in room_names if not (ROOT / room).is_dir()]


def test_the_largest_room_holds_at_most_a_fifth_of_the_lines() -> None:
    room_names, sizes = rooms(), Counter[str]()
    for module in modules():
        sizes[room_of(module, room_names)] += lines(module)
    [(room, largest)] = sizes.most_common(1)
    assert largest <= LARGEST_SHARE * sizes.total(), f"{room}: {largest} of {sizes.total()} lines"


def test_no_module_of_the_product_is_longer_than_a_person_reads_at_once() -> None:
    product = tuple(name for name in PROGRAMS if name not in NOT_DELIVERED)
    assert {str(path.relative_to(ROOT)): lines(path) for path in modules(product) if lines(path) > LONGEST} == {}


def test_no_import_circle() -> None:
    graph = grimp.build_graph(*PROGRAMS, exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(TopologicalSorter(imports).static_order())) == len(graph.modules)  # raises CycleError
