"""An archive of files: what the program packs, the loader's shell and the policy pack unpack."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.file_archive import SUFFIX, UNPACK, packed
from config.container import ConfigFiles
from policies.readers import file_archive as reader

FILES = [
    pytest.param({}, id="none"),
    pytest.param({"main.yml": "a: 1\n"}, id="one"),
    pytest.param({"b.yml": "b\n", "rules/deep/a.yml": "a\n\n\n", "rules/c.yml": "\nc\n"}, id="folders and empty lines"),
    pytest.param({"my rules.yml": "a\n", "it's $HOME `id`.yml": "b\n"}, id="names that a shell would read"),
    pytest.param({"a.sh": "cat <<'END'\n$(id) `id` \\n \\\\ \"x\" 'y'\nEND\n"}, id="a text that a shell would read"),
    pytest.param(
        {"a.json": "→ ü 😀 \u0081\u2028\x85 \t \r\n\x0b\x0c\n"}, id="characters that others take for line ends"
    ),
    pytest.param({"a.yml": "1 2 b.yml\n\n3 4 c.yml\n"}, id="a text like an index"),
    pytest.param({f"{number}.yml": f"{number}\n" * 500 for number in range(60)}, id="many lines"),
]


def test_the_program_and_the_pack_mean_the_same_names() -> None:
    assert reader.SUFFIX == SUFFIX


@pytest.mark.parametrize("files", FILES)
def test_the_pack_reads_what_the_program_packs(files: Mapping[str, str]) -> None:
    assert reader.unpacked(packed(files)) == files


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("files", FILES)
def test_a_shell_unpacks_what_the_program_packs(tmp_path: Path, files: Mapping[str, str], shell: str) -> None:
    archive, folder = tmp_path / "all.files", tmp_path / "all"
    archive.write_bytes(packed(files).encode())
    script = f"set -eu; {UNPACK.format(archive=archive, folder=folder)}"
    subprocess.run([shell, "-c", script], check=True, timeout=60)
    unpacked = {str(one.relative_to(folder)): one.read_bytes().decode() for one in folder.rglob("*") if one.is_file()}
    assert unpacked == files


@pytest.mark.parametrize("text", ["", "a: 1"], ids=["an empty text", "a text without a newline at its end"])
def test_each_text_ends_with_a_newline(text: str) -> None:
    files = ConfigFiles({"a.yml": text, "b.yml": "b\n"}).files
    assert reader.unpacked(packed(files)) == {"a.yml": f"{text}\n", "b.yml": "b\n"}
    with pytest.raises(ValueError, match=r"a\.yml does not end with a newline"):
        packed({"a.yml": text})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("scrape_configs: []\n", id="a config"),
        pytest.param("3 3 a.yml\n\na: 1\nhidden: 1\n", id="a line behind the last file"),
        pytest.param("4 4 a.yml\n\nhidden: 1\na: 1\n", id="a line before the first file"),
        pytest.param("4 4 a.yml\n6 6 b.yml\n\na\nhidden\nb\n", id="a line between two files"),
        pytest.param("4 4 a.yml\n4 4 b.yml\n\na\n", id="two files with one line"),
        pytest.param("4 4 a.yml\n5 5 a.yml\n\na\nb\n", id="one path twice"),
        pytest.param("3 9 a.yml\n\na\n", id="more lines than there are"),
        pytest.param("3 2 a.yml\n\n", id="fewer lines than none"),
        pytest.param("3 x a.yml\n\na\n", id="no number"),
        pytest.param("3 3 \n\na\n", id="no path"),
        pytest.param("3 3 a.yml\na\n", id="no end of the index"),
        pytest.param("3 3 a.yml\n\na", id="no newline at the end"),
    ],
)
def test_a_text_of_which_the_index_does_not_tell_everything_is_no_archive(text: str) -> None:
    with pytest.raises(reader.NotAnArchiveError):
        reader.unpacked(text)
