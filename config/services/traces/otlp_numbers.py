"""Turns NaN and infinities, which JSON cannot represent, into text.

Otherwise each statement that reads all attributes as one text fails, and with it the guards for secrets and lengths.
Badger then refuses uncut data for ever, and Jaeger's API answers with an error for every trace beside it. No function
finds such numbers, so attributes that cannot be written as JSON are flattened and all turned into text.
"""

from collections.abc import Iterator


def of_attributes(attributes: str, text: str) -> Iterator[str]:
    """Statements for attributes. `text`: path that contains all of them as JSON afterwards."""
    yield f"set({text}, String({attributes}))"
    yield from _flat(attributes, f"{text} == nil")
    yield f"set({text}, String({attributes})) where {text} == nil"


def of_body() -> Iterator[str]:
    """Statements for the body of a log record, which may be any value. A list cannot be flattened, and stays."""
    body, text = "log.body", 'log.cache["body"]'
    yield f"set({text}, String({body}))"
    yield from _flat(body, f"{text} == nil and IsMap({body})")
    yield f'set({body}, Format("%v", [{body}])) where {text} == nil and IsDouble({body})'


def _flat(values: str, condition: str) -> Iterator[str]:
    yield f"flatten({values}) where {condition}"
    yield f"stringify_all({values}) where {condition}"
