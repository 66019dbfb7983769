"""The user's own rule files."""

from pathlib import Path

import pytest

from config.settings.loading import SettingsError
from config.settings.own_rules import read

KEY = "Pulumi.test.yaml: nervous-system:alerts.rule_files"

RULES = "groups:\n  - name: shop\n    rules: []\n"


def test_files_are_read_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yml").write_text(RULES)
    (tmp_path / "more.yml").write_text(f"# größer\n{RULES}")
    texts = read(["rules/shop.yml", "more.yml"], tmp_path, stack_key=KEY)
    assert texts == {"shop.yml": RULES, "more.yml": f"# größer\n{RULES}"}


def test_a_letter_of_two_signs_is_read_as_it_arrives(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(f"# gro\u0308\u00dfer \uf900\n{RULES}")
    assert read(["shop.yml"], tmp_path, stack_key=KEY) == {"shop.yml": f"# gr\u00f6\u00dfer \u8c48\n{RULES}"}


def test_without_files_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read([], tmp_path, stack_key=KEY) == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.yml", None, "No such file"),
        ("folder.yml", "", "Is a directory"),
        ("shop.yaml", RULES.encode(), "rename it to shop.yml"),
        ("shop.json", b"{}", "rename it to shop.yml"),
        ("binary.yml", b"\xff\xfe", "decode"),
        ("broken.yml", b"groups: [", "is no YAML"),
        ("list.yml", b"- groups\n", "holds no `groups:`"),
        ("empty.yml", b"", "holds no `groups:`"),
        ("deep.yml", b"groups: " + b"[" * 5000, "is no YAML"),
        ("huge.yml", b"groups: []\n" + b"#" * 2**20, "no more than 1 is taken"),
        ("other.yml", b"rules: []\n", "holds no `groups:`"),
    ],
)
def test_what_is_no_rule_file_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | str | None, words: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        (tmp_path / name).mkdir()
    with pytest.raises(SettingsError) as caught:
        read([name], tmp_path, stack_key=KEY)
    assert str(caught.value).startswith(f"{KEY}: {name}: ")
    assert words in str(caught.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shop.yml").write_text(RULES)
    with pytest.raises(
        SettingsError, match=r"alerts\.rule_files: b/shop\.yml: another file .* is called shop\.yml too"
    ):
        read(["a/shop.yml", "b/shop.yml"], tmp_path, stack_key=KEY)
