"""How the collector masks: what holds none of the catalogue's words passes by, the rest goes through its redaction processor.

That processor looks at each value with each expression, which takes ten times as long as all else that the collector does. It
knows attributes and the bodies of logs, and no check digit. So before it, a span's other texts become attributes, and after it
what they were; and cards are found by statements of the transform processor.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from config import masking
from config.sampling import quoted

_MOVED = {
    "span": {"name": "span.name", "status": "span.status.message", "state": "span.trace_state"},
    "spanevent": {"name": "spanevent.name"},
    "log": {"event": "log.event_name", "severity": "log.severity_text"},
}
"""Context → the attribute that a text becomes meanwhile, its path."""
CONTEXTS = {
    "trace": ("resource", "scope", "span", "spanevent"),
    "metric": ("resource", "scope", "datapoint"),
    "log": ("resource", "scope", "log"),
}
_OWNERS = ("resource", "scope")
SUSPECT = "masked.suspect"
"""An attribute that only what is to be masked has, and only until it is."""
_ASIDE = "masked.aside"
IGNORED = f"^{re.escape(_ASIDE)}"
"""Names of attributes that are not looked at."""
_PARTS = {"traces": ("span", "span"), "metrics": ("datapoint", "datapoint"), "logs": ("log_record", "log")}
"""Signal → its part, as the filter processor calls it, and the context of it."""
_CARDS_OF_A_TEXT = (1, 6)
"""How many of each of `masking.CARDS` are looked at in the attributes of a thing, together with a body."""
_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def suspect(context: str, text: str) -> Iterator[str]:
    """Statements that tell what is to be masked. `text`: the path of all attributes as JSON."""
    seen, low = f'{context}.cache["seen"]', f'{context}.cache["low"]'
    texts = [text, *_MOVED.get(context, {}).values()]
    if context == "log":
        texts.append("String(log.body)")
    owner = "span" if context == "spanevent" else context
    mark = f'set({owner}.attributes["{SUSPECT}"], true)'
    yield f'set({seen}, Concat([{", ".join(texts)}], "\\n"))'
    yield f"{mark} where {seen} == nil or IsMatch({seen}, {quoted(masking.CARD_GUARD)})"
    yield f"set({low}, ToLowerCase({seen}))"
    yield f"{mark} where {_any_of(low, _words(masking.NAMED))}"
    for mask in masking.VENDORS:  # of their words many are a part of others
        yield f"{mark} where ({_any_of(low, mask.words)}) and IsMatch({seen}, {quoted(mask.expression)})"


def _any_of(text: str, words: Iterable[str]) -> str:
    return " or ".join(f"Index({text}, {quoted(word)}) >= 0" for word in words)


def _words(masks: Iterable[masking.Mask]) -> list[str]:
    """As they stand in JSON, and none that has another one in it."""
    written = {json.dumps(word)[1:-1] for mask in masks for word in mask.words}
    written |= {_escaped(word) for word in written}
    written.add(json.dumps("pass"))
    return sorted(word for word in written if not any(other in word for other in written - {word}))


def _escaped(word: str) -> str:
    return word.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def filters() -> dict[str, Any]:
    """Processors: `filter/suspect` leaves what is to be masked, `filter/owned` what is not but its resource or scope is, and
    `filter/unsuspected` the rest."""
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
    """Leaves nothing to look at but resources and scopes: a command line with a password is no reason to look at each span."""
    return _statements(_put_aside, _cards_of_owners)


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


def _cards_of_owners(context: str) -> Iterator[str]:
    return _cards(context) if context in _OWNERS else iter(())


def before() -> dict[str, Any]:
    return _statements(lambda context: [*_moved(context), *_body(context)], _cards)


def after() -> dict[str, Any]:
    return _statements(_restored)


def _statements(*kinds: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"error_mode": "ignore"}
    for signal, contexts in CONTEXTS.items():
        groups = [group for context in contexts for kind in kinds for group in _group(context, kind)]
        if groups:
            made[f"{signal}_statements"] = groups
    return made


def _group(context: str, kind: Any) -> Iterator[dict[str, Any]]:
    statements = list(kind(context))
    if statements:
        condition = f"IsMatch(String({context}.attributes), {quoted(masking.CARD_GUARD)})"
        conditions = {"conditions": [condition]} if kind in (_cards, _cards_of_owners) else {}
        yield {"context": context, **conditions, "statements": statements}


def _moved(context: str) -> Iterator[str]:
    for name, path in _MOVED.get(context, {}).items():
        yield f'set({context}.attributes["masked.{name}"], {path}) where {path} != ""'


def _restored(context: str) -> Iterator[str]:
    yield f'delete_key({context}.attributes, "{SUSPECT}")'
    for name, path in _MOVED.get(context, {}).items():
        attribute = f'{context}.attributes["masked.{name}"]'
        yield f"set({path}, {attribute}) where {attribute} != nil"
        yield f'delete_key({context}.attributes, "masked.{name}")'


def _body(context: str) -> Iterator[str]:
    if context == "log":
        guard = quoted(masking.CARD_GUARD)
        yield f'set(log.attributes["masked.body"], String(log.body)) where IsMatch(String(log.body), {guard})'


def _cards(context: str) -> Iterator[str]:
    """Those with a right check digit. A value that is no text, but a number or a list, becomes one if there is a card in it."""
    attributes = f"{context}.attributes"
    digits, found = f'{context}.cache["digits"]', f'{context}.cache["found"]'
    for expression, count in zip(masking.CARDS, _CARDS_OF_A_TEXT, strict=True):
        named = [_GROUP.sub(f"(?P<n{number}>", expression) for number in range(count)]
        pattern = "(?s)" + named[0] + "".join(f"(?:.*?{other}" for other in named[1:]) + ")?" * (count - 1)
        yield f"set({found}, ExtractPatterns(String({attributes}), {quoted(pattern)}))"
        for number in range(count):
            card = f'{found}["n{number}"]'
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
