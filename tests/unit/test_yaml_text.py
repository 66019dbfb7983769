"""YAML means the same for a parser of YAML 1.2, such as the services have, as for Python's, which speaks 1.1."""

from pathlib import Path

import pytest

from config.yaml_text import dump
from operate import stack_document

TEXTS = [
    "1e5", "1E-5", "0o17", "017", "0b1", "0x1F", "15", "1_000", "+1", "-1", ".5", "5.", "1.5e3", ".", "y", "N", "yes", "on", "true", "null", "~",
    "", ".inf", ".nan", "2026-01-01", "12:30", "<<", "=", "-", "--flag", "#x", "a: b", "a #b", "*a", "&a", "!a", "%a", "@a", "`a`", "{a", "[a",
    "'", '"', "it's", "\\n", " a", "a ", "1e5x", "v1.2", "10.0.0.1", "e5",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_a_text(text: str, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(dump({"config": {"x:value": text, "x:list": [text]}}))
    read = stack_document.config(file, "x")
    assert read == {"x:value": text, "x:list": [text]}


@pytest.mark.parametrize("text", ["y", "N", "1e5"])
def test_what_a_parser_of_go_takes_for_something_else_is_in_quotes(text: str) -> None:
    assert dump({"a": text}) == f"a: '{text}'\n"
