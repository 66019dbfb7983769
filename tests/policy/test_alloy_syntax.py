"""The reader of Alloy's config."""

import pytest

from policies.readers import alloy_syntax
from policies.readers.alloy_syntax import Expression


def test_nested_blocks_and_attributes_are_read() -> None:
    whole = alloy_syntax.parse(
        """
        // a comment
        logging { level = "warn" }
        loki.process "app" {  /* another
            one */
          forward_to = [loki.write.default.receiver]
          stage.match {
            selector = `{job="app"}`
            stage.labels {
              values = {
                "level" = "severity",
                "http.route" = "",
              }
            }
          }
        }
        """
    )
    assert [(block.name, block.label) for block in whole.blocks] == [("logging", ""), ("loki.process", "app")]
    process = whole.blocks[1]
    assert process.attributes == {"forward_to": [Expression("loki.write.default.receiver")]}
    [match] = process.blocks
    assert match.attributes == {"selector": '{job="app"}'}
    assert match.blocks[0].attributes == {"values": {"level": "severity", "http.route": ""}}
    names = ["", "logging", "loki.process", "stage.match", "stage.labels"]
    assert [block.name for block in whole.walk()] == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('"a \\"quoted\\" text"', 'a "quoted" text', id="a text"),
        pytest.param(r'"\x1b[0m"', r"\x1b[0m", id="a text with an escape of Go"),
        pytest.param("`raw \\d`", "raw \\d", id="a raw text"),
        pytest.param("15", 15.0, id="a number"),
        pytest.param("true", True, id="a truth value"),
        pytest.param("null", None, id="nothing"),
        pytest.param('["a", "}",\n"b",\n]', ["a", "}", "b"], id="a list over lines"),
        pytest.param('{ a = 1, "b.c" = ["x"] }', {"a": 1.0, "b.c": ["x"]}, id="an object"),
        pytest.param("{ }", {}, id="an empty object"),
        pytest.param("[]", [], id="an empty list"),
        pytest.param('sys.env("HOST")', Expression('sys.env("HOST")'), id="a call"),
        pytest.param('"a" + "b"', Expression('"a"+"b"'), id="a sum of literals"),
        pytest.param("-1", Expression("-1"), id="a negative number"),
        pytest.param("concat([1], [2])", Expression("concat([1],[2])"), id="a call with lists"),
        pytest.param("targets[0]", Expression("targets[0]"), id="an index"),
        pytest.param(
            "{ host = constants.hostname }", {"host": Expression("constants.hostname")}, id="inside an object"
        ),
    ],
)
def test_a_literal_is_read_and_anything_else_is_an_expression(text: str, value: object) -> None:
    assert alloy_syntax.parse(f"x {{\n  key = {text}\n  after = 1\n}}").blocks[0].attributes == {
        "key": value,
        "after": 1.0,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("logging {\n  level = \n", "line 3", id="a missing value"),
        pytest.param("a = [1,", "", id="an unclosed list"),
        pytest.param('logging "x" = 3', "line 1: '=' where { was expected", id="a label before ="),
        pytest.param("a = 1\n#b = 2", "line 2: '#b = 2' cannot be read", id="a comment of another language"),
        pytest.param("a = (1", "ends within an expression", id="an unclosed parenthesis"),
        pytest.param('a = "no end', "line 1", id="an unclosed text"),
        pytest.param("}", "line 1: '}' where a name was expected", id="one brace too many"),
    ],
)
def test_a_text_that_is_not_an_alloy_config_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(alloy_syntax.NotAlloyError, match="line") as caught:
        alloy_syntax.parse(text)
    assert says in str(caught.value)
