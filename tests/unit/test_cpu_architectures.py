"""The project supports amd64 and arm64: everything about that which a test can check without both machines."""

import re
from pathlib import Path

import pytest

from config.images import pins
from toolchain import pulumi_cli
from toolchain.images import packing, search_engines

ROOT = Path(__file__).parents[2]
ONE, OTHER = re.compile(r"amd64|x86[_-]?64|\bx64\b"), re.compile(r"arm64|aarch64")
WRITTEN_HERE = [
    path
    for pattern in ("*.py", "Makefile", "config/**/*", "components/**/*.py", "engine/**/*.py", "check/**/*.py", "policies/**/*.py",
                    "dashboards/*.py", "toolchain/**/*.py", "operate/**/*.py", "toolchain/*.sh", "toolchain/images/**/*.go",
                    "examples/shop/**/*.yaml", ".github/**/*.yml", ".gitlab-ci.yml")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix != ".pyc"
]  # fmt: skip


@pytest.mark.parametrize(
    "table",
    [packing.ARCHITECTURES, pulumi_cli.MACHINES, search_engines.PLATFORMS],
    ids=["images", "Pulumi's releases", "search engines"],
)
def test_a_table_of_processors_has_both(table: dict[str, str]) -> None:
    assert {"x86_64", "aarch64"} <= table.keys()
    assert table["x86_64"] != table["aarch64"]


def test_whatever_names_one_processor_names_the_other_in_the_same_line() -> None:
    assert len(WRITTEN_HERE) > 100
    alone = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in WRITTEN_HERE
        for line in path.read_text().splitlines()
        if bool(ONE.search(line)) != bool(OTHER.search(line))
    ]
    assert alone == []


def test_no_image_is_pinned_for_one_processor_only() -> None:
    """A pin's digest is that of an index; what would give another one away is its name."""
    named = {service: pin.reference for service, pin in pins().items()}
    assert not {service for service, name in named.items() if ONE.search(name) or OTHER.search(name)}
