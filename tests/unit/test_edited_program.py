"""The end-to-end tests that deploy an edited copy of the program: the words that they replace are still in it.

An end-to-end test would say so too, but minutes later.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def replacements() -> Iterator[tuple[str, str, str]]:
    """Test file, file of the program, and the text that the test replaces in it: three texts in a row, the first a path."""
    for test in sorted((ROOT / "tests" / "e2e").glob("*.py")):
        tree = ast.parse(test.read_text())
        names = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            items = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
            texts = [names.get(item.id, item) if isinstance(item, ast.Name) else item for item in items]
            if len(texts) == 3 and all(
                isinstance(text, ast.Constant) and isinstance(text.value, str) for text in texts
            ):
                path, old, _ = (str(ast.literal_eval(text)) for text in texts)
                if path.endswith((".py", ".lua", ".sh")) and "/" in path:
                    yield test.name, path, old


def test_the_end_to_end_tests_edit_the_program() -> None:
    assert {"test_loki.py", "test_config_delivery.py", "test_pull_request.py"} <= {
        test for test, _, _ in replacements()
    }


@pytest.mark.parametrize(("test", "path", "old"), [*replacements()])
def test_what_a_test_replaces_is_there(test: str, path: str, old: str) -> None:
    assert old in (ROOT / path).read_text(), test
