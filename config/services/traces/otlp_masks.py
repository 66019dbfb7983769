"""Masking in the collector: data with none of the catalogue's words passes, the rest goes through the redaction
processor.

That processor tries each expression on each value, which takes ten times as long as everything else in the collector.
It handles attributes and log bodies, and no check digits. So before it, a span's other texts are moved to attributes,
and moved back afterwards. Statements of the transform processor find the card numbers.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from config import masking
from config.services.traces.sampling import quoted

_MOVED = {
    "span": {"name": "span.name", "status": "span.status.message", "state": "span.trace_state"},
    "spanevent": {"name": "spanevent.name"},
    "log": {"event": "log.event_name", "severity": "log.severity_text"},
}
"""Context → temporary attribute of a text → path of the text."""
CONTEXTS = {
    "trace": ("resource", "scope", "span", "spanevent"),
    "metric": ("resource", "scope", "datapoint"),
    "log": ("resource", "scope", "log"),
}
_OWNERS = ("resource", "scope")
SUSPECT = "masked.suspect"
"""Temporary attribute that marks data to be masked."""
_ASIDE = "masked.aside"
IGNORED = f"^{re.escape(_ASIDE)}"
"""Pattern for attributes that are not searched."""
_PARTS = {"traces": ("span", "span"), "metrics": ("datapoint", "datapoint"), "logs": ("log_record", "log")}
"""Signal → its part, as named by the filter processor, and the context of that part."""
_CARDS_OF_A_TEXT = (1, 6)
"""Maximum number of matches of each of `masking.CARDS` in the attributes of an object, including its body."""
_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def suspect(context: str, text: str) -> Iterator[str]:
    """Statements that mark data to be masked. `text`: path of all attributes as JSON."""
    content, low = f'{context}.cache["seen"]', f'{context}.cache["low"]'
    texts = [text, *_MOVED.get(context, {}).values()]
    if context == "log":
        texts.append("String(log.body)")
    owner = "span" if context == "spanevent" else context
    mark = f'set({owner}.attributes["{SUSPECT}"], true)'
    yield f'set({content}, Concat([{", ".join(texts)}], "\\n"))'
    yield f"{mark} where {content} == nil or IsMatch({content}, {quoted(masking.CARD_GUARD)})"
    yield f"set({low}, ToLowerCase({content}))"
    yield f"{mark} where {_any_of(low, _words(masking.NAMED))}"
    for mask in masking.VENDORS:  # many of their words are parts of other words
        yield f"{mark} where ({_any_of(low, mask.words)}) and IsMatch({content}, {quoted(mask.expression)})"


def _any_of(text: str, words: Iterable[str]) -> str:
    return " or ".join(f"Index({text}, {quoted(word)}) >= 0" for word in words)


def _words(masks: Iterable[masking.Mask]) -> list[str]:
    """Words as JSON spells them, without those that contain another."""
    words = {json.dumps(word)[1:-1] for mask in masks for word in mask.words}
    words |= {_escaped(word) for word in words}
    words.add(json.dumps("pass"))
    return sorted(word for word in words if not any(other in word for other in words - {word}))


def _escaped(word: str) -> str:
    return word.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def filters() -> dict[str, Any]:
    """Filter processors: `filter/suspect` keeps data to be masked, `filter/owned` data whose resource or
    scope alone is to be masked, and `filter/unsuspected` the rest."""
    return {
        f"filter/{name}": {
            "error_mode": "propagate",
            **{
                signal: {part: [drop.format(_marked(context), _marked(*_OWNERS))]}
                for signal, (part, context) in _PARTS.items()
            },
        }
        for name, drop in (("suspect", "not ({})"), ("owned", "({}) or not ({})"), ("unsuspected", "({}) or ({})"))
    }


def _marked(*contexts: str) -> str:
    return " or ".join(f'{context}.attributes["{SUSPECT}"] != nil' for context in contexts)


def aside() -> dict[str, Any]:
    """Transform processor that leaves only resources and scopes to search: a password in a resource's command line is
    no reason to search every span."""
    result = _statements(_put_aside)
    for signal, groups in result.items():
        if signal.endswith("_statements"):
            groups[:0] = [group for context in _OWNERS for group in _group(context, _cards)]
    return result


def back() -> dict[str, Any]:
    return _statements(_put_back)


def _put_aside(context: str) -> Iterator[str]:
    if context not in _OWNERS:
        yield f'set({context}.cache["all"], {context}.attributes)'
        yield f"keep_keys({context}.attributes, [])"
        yield f'set({context}.attributes["{_ASIDE}"], {context}.cache["all"])'
    if context == "log":
        yield f'set(log.attributes["{_ASIDE}.body"], log.body)'
        yield 'set(log.body, "")'


def _put_back(context: str) -> Iterator[str]:
    if context == "log":
        yield f'set(log.body, log.attributes["{_ASIDE}.body"])'
    if context in _OWNERS:
        yield f'delete_key({context}.attributes, "{SUSPECT}")'
    else:
        yield f'set({context}.attributes, {context}.attributes["{_ASIDE}"])'


def before() -> dict[str, Any]:
    return _statements(_moved, _cards)


def after() -> dict[str, Any]:
    return _statements(_restored)


def _statements(*kinds: Callable[[str], Iterator[str]]) -> dict[str, Any]:
    groups = {
        f"{signal}_statements": [group for context in contexts for kind in kinds for group in _group(context, kind)]
        for signal, contexts in CONTEXTS.items()
    }
    return {"error_mode": "ignore", **{signal: group for signal, group in groups.items() if group}}


@cache
def _group(context: str, kind: Callable[[str], Iterator[str]]) -> tuple[dict[str, Any], ...]:
    """Cached, because many groups are long, and the file contains a shared object only once."""
    statements = list(kind(context))
    condition = f"IsMatch(String({context}.attributes), {quoted(masking.CARD_GUARD)})"
    conditions = {"conditions": [condition]} if kind is _cards else {}
    return ({"context": context, **conditions, "statements": statements},) if statements else ()


def _moved(context: str) -> Iterator[str]:
    for name, path in _MOVED.get(context, {}).items():
        yield f'set({context}.attributes["masked.{name}"], {path}) where {path} != ""'
    if context == "log":
        guard = quoted(masking.CARD_GUARD)
        yield f'set(log.attributes["masked.body"], String(log.body)) where IsMatch(String(log.body), {guard})'


def _restored(context: str) -> Iterator[str]:
    yield f'delete_key({context}.attributes, "{SUSPECT}")'
    for name, path in _MOVED.get(context, {}).items():
        attribute = f'{context}.attributes["masked.{name}"]'
        yield f"set({path}, {attribute}) where {attribute} != nil"
        yield f'delete_key({context}.attributes, "masked.{name}")'


def _cards(context: str) -> Iterator[str]:
    """Statements that mask card numbers with a valid check digit. A number or list that contains one becomes text."""
    attributes = f"{context}.attributes"
    digits, matches = f'{context}.cache["digits"]', f'{context}.cache["found"]'
    for expression, count in zip(masking.CARDS, _CARDS_OF_A_TEXT, strict=True):
        named = [_GROUP.sub(f"(?P<n{number}>", expression) for number in range(count)]
        pattern = "(?s)" + named[0] + "".join(f"(?:.*?{other}" for other in named[1:]) + ")?" * (count - 1)
        yield f"set({matches}, ExtractPatterns(String({attributes}), {quoted(pattern)}))"
        for number in range(count):
            card = f'{matches}["n{number}"]'
            yield f'set({digits}, "")'
            yield f"set({digits}, {card}) where {card} != nil"
            yield f'replace_pattern({digits}, "[^0-9]+", "")'
            is_card = f'{digits} != "" and IsValidLuhn({digits})'
            yield f'replace_all_patterns({attributes}, "value", {card}, "<card>") where {is_card}'
            yield f"stringify_all({attributes}) where {is_card} and Index(String({attributes}), {card}) >= 0"
            yield f'replace_all_patterns({attributes}, "value", {card}, "<card>") where {is_card}'
    if context == "log":
        body = 'log.attributes["masked.body"]'
        yield f"set(log.body, {body}) where {body} != nil and {body} != String(log.body)"
        yield 'delete_key(log.attributes, "masked.body")'
