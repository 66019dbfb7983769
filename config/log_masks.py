"""How the shippers mask: the catalogue of `config/masking.py` as stages of their pipeline."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from string import ascii_lowercase

from config import masking
from config.log_stages import Stage, logql, match, stage, template
from config.settings import Settings

SECRET = "<secret>"  # noqa: S105 - what stands in its place

_LUHN = (
    '{{ $digits := regexReplaceAll "[^0-9]" .Value "" }}{{ $count := len $digits }}{{ $sum := 0 }}'
    "{{ range $place := until $count }}"
    "{{ $digit := atoi (substr $place (int (add $place 1)) $digits) }}"
    "{{ if eq (mod (sub $count $place) 2) 0 }}{{ $digit = mul $digit 2 }}"
    "{{ if gt $digit 9 }}{{ $digit = sub $digit 9 }}{{ end }}{{ end }}"
    "{{ $sum = add $sum $digit }}{{ end }}"
    "{{ if eq (mod $sum 10) 0 }}<card>{{ else }}{{ .Value }}{{ end }}"
)
"""The card's check digit decides."""


def masks(settings: Settings) -> Iterator[Stage]:
    """Regular expressions are slow, so lines that cannot hold anything to mask pass by: words are looked for first, all in
    one template. It finds a letter for each kind that a line may hold, and the label with these letters selects."""
    kinds = [(words, list(of_kind)) for words, of_kind in groupby(masking.SECRETS, lambda mask: mask.words)]
    kinds.append((masking.EMAIL.words, [masking.EMAIL]))
    letters = ascii_lowercase[: len(kinds)]
    looks = (_look(words, letter) for letter, (words, _) in zip(letters, kinds, strict=True))
    yield template("masks", "{{ $line := ToLower .Entry }}" + "".join((*_hints(), *looks)))
    yield stage("labels", values={"masks": "masks"})
    inner = [
        match(
            f'{{masks=~".*{letter}.*"}}',
            *(_replace(mask.expression, "<email>" if mask == masking.EMAIL else SECRET) for mask in of_kind),
        )
        for letter, (_, of_kind) in zip(letters, kinds, strict=True)
    ]
    yield match('{masks=~".+"}', *inner)
    yield match(f"|~ {logql(masking.CARD_GUARD)}", *(_replace(expression, _LUHN) for expression in masking.CARDS))
    for name, expression in settings.logs.mask.items():
        yield _replace(expression, f"<{name}>")


_HINTS = ("pass", "key", "sess", "login", "40", "_", " -", "-", "auth")
"""Each is in many of the words, which are looked for where it is in the line."""


def _hints() -> Iterator[str]:
    for number, hint in enumerate(_HINTS):
        yield f"{{{{ $hint{number} := contains {json.dumps(hint)} $line }}}}"


def _look(words: Iterable[str], letter: str) -> str:
    by_hint: dict[int | None, list[str]] = {}
    for word in words:
        hint = next((number for number, hint in enumerate(_HINTS) if hint in word), None)
        by_hint.setdefault(hint, []).append(word)
    ways = []
    for hint, of_hint in by_hint.items():
        found = " ".join(f"(contains {json.dumps(word)} $line)" for word in of_hint)
        ways.append(found if hint is None else f"(and $hint{hint} (or {found} false))")
    return f"{{{{ if or {' '.join(ways)} false }}}}{letter}{{{{ end }}}}"


def _replace(expression: str, by: str) -> Stage:
    return stage("replace", expression=expression, replace=by)
