"""NaN and the infinities, which JSON does not know: where an application sends one, the collector makes it a text.

Otherwise each statement that looks at all attributes as one text fails, and with it the guards for secrets and lengths; Badger
then refuses for ever what was not cut, and Jaeger's API answers with an error for every trace beside it. There is no
function that finds such numbers: what cannot be written as JSON becomes flat, and all of it text.
"""

from collections.abc import Iterator


def of_attributes(attributes: str, text: str) -> Iterator[str]:
    """`text`: the path that has all of them as JSON afterwards."""
    yield f"set({text}, String({attributes}))"
    yield from _flat(attributes, f"{text} == nil")
    yield f"set({text}, String({attributes})) where {text} == nil"


def of_body() -> Iterator[str]:
    """The body of a log record, which may be any value; a list cannot be made flat, and stays."""
    body, text = "log.body", 'log.cache["body"]'
    yield f"set({text}, String({body}))"
    yield from _flat(body, f"{text} == nil and IsMap({body})")
    yield f'set({body}, Format("%v", [{body}])) where {text} == nil and IsDouble({body})'


def _flat(values: str, condition: str) -> Iterator[str]:
    yield f"flatten({values}) where {condition}"
    yield f"stringify_all({values}) where {condition}"
