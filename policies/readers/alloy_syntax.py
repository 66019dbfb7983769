"""Reads Alloy's config as far as policies need it: blocks, and the values of their attributes.

Only literals get a value. Any other expression (a reference, a call) stays an `Expression`, because its value is known only
when Alloy runs.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKENS = re.compile(
    r"""
    (?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)
  | (?P<newline>\n)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<raw>`[^`]*`)
  | (?P<number>\d[\d.]*(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign>[-{}\[\](),=.+*/%!<>&|^?:]+?)
    """,
    re.VERBOSE | re.DOTALL,
)


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:  # an escape sequence that Go has and JSON does not
        return text[1:-1]


_READ: Mapping[str, Callable[[str], Any]] = {"string": _unquoted, "raw": lambda text: text[1:-1], "number": float}
_LITERALS = {"true": True, "false": False, "null": None}


class NotAlloyError(Exception):
    """The text is not an Alloy config. The message names the line."""


@dataclass(frozen=True)
class Expression:
    """A value that is not a literal."""

    text: str


@dataclass
class Block:
    """`name "label" { … }`. The whole file is a block without a name."""

    name: str
    label: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Name → text, number, truth value, None, list, dictionary, or `Expression`."""
    blocks: list["Block"] = field(default_factory=list)

    def walk(self) -> Iterator["Block"]:
        """This block, then every block inside it, at any depth."""
        yield self
        for block in self.blocks:
            yield from block.walk()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def parse(text: str) -> Block:
    """The whole file as one block: `parse("a { b = 1 }").blocks[0].attributes` is `{"b": 1.0}`.

    Raises:
        NotAlloyError: `text` is not an Alloy config.
    """
    reader = _Reader(_tokens(text))
    whole = Block("")
    reader.body(whole, "")
    return whole


def _tokens(text: str) -> list[_Token]:
    tokens, position, line = [], 0, 1
    while position < len(text):
        match = _TOKENS.match(text, position)
        if not match:
            raise NotAlloyError(f"line {line}: {text[position : position + 10]!r} cannot be read")
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], line))
        line += match[0].count("\n")
        position = match.end()
    return [*tokens, _Token("newline", "\n", line), _Token("end", "", line)]


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def body(self, block: Block, end: str) -> None:
        """Reads attributes and blocks into `block` up to `end`."""
        while self._skip_lines().text != end or self._next.kind == "string":
            name = self._take("name")
            while self._next.text == ".":
                self._take("sign")
                name += "." + self._take("name")
            if self._next.text == "=":
                self._take("sign")
                block.attributes[name] = self._value(("\n", end))
                continue
            label = _unquoted(self._take("string")) if self._next.kind == "string" else ""
            inner = Block(name, label)
            self._expect("{")
            self.body(inner, "}")
            block.blocks.append(inner)
        self._at += 1

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _skip_lines(self) -> _Token:
        while self._next.kind == "newline":
            self._at += 1
        return self._next

    def _take(self, kind: str) -> str:
        token = self._next
        if token.kind != kind:
            raise NotAlloyError(f"line {token.line}: {token.text!r} where a {kind} was expected")
        self._at += 1
        return token.text

    def _expect(self, sign: str) -> None:
        if self._skip_lines().text != sign:
            raise NotAlloyError(f"line {self._next.line}: {self._next.text!r} where {sign} was expected")
        self._at += 1

    def _value(self, ends: tuple[str, ...]) -> Any:
        """Reads a value up to one of `ends`, which stays unread."""
        start = self._at
        value = self._literal()
        if self._next.kind == "end" or self._next.text in ends:
            return value
        depth, texts = int(self._tokens[start].text == "("), [token.text for token in self._tokens[start : self._at]]
        while depth or self._next.text not in ends:
            token = self._next
            if token.kind == "end":
                raise NotAlloyError(f"line {token.line}: the file ends within an expression")
            if token.kind == "sign":
                depth += (token.text in "([{") - (token.text in ")]}")
            texts.append(token.text)
            self._at += 1
        return Expression("".join(texts))

    def _literal(self) -> Any:
        token = self._next
        self._at += 1
        if token.kind == "end":
            raise NotAlloyError(f"line {token.line}: the file ends where a value was expected")
        if token.text in {"[", "{"} and token.kind == "sign":
            return self._list() if token.text == "[" else self._object()
        if token.kind in _READ:
            return _READ[token.kind](token.text)
        return _LITERALS.get(token.text, Expression(token.text))

    def _list(self) -> list[Any]:
        items = []
        while self._skip_lines().text != "]" or self._next.kind == "string":
            items.append(self._value((",", "]", "\n")))
            if self._skip_lines().text == ",":
                self._at += 1
        self._at += 1
        return items

    def _object(self) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while self._skip_lines().text != "}" or self._next.kind == "string":
            key = _unquoted(self._take("string")) if self._next.kind == "string" else self._take("name")
            self._expect("=")
            items[key] = self._value((",", "}", "\n"))
            if self._skip_lines().text == ",":
                self._at += 1
        self._at += 1
        return items
