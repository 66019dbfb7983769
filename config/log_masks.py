"""How the shippers mask: the catalogue of `config/masking.py` as stages of their pipeline."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from config import masking
from config.log_stages import Stage, logql, match, stage
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
    """Regular expressions are slow, so lines that cannot hold anything to mask pass by: first by one look at a line for
    all words, then by one for each kind."""
    words = [word for mask in masking.SECRETS for word in mask.words]
    kinds = groupby(masking.SECRETS, lambda mask: mask.words)
    yield match(f"|~ {_any_of(words)}", *(_kind(words, masks) for words, masks in kinds))
    yield match(f"|~ {_any_of(masking.EMAIL.words)}", _replace(masking.EMAIL.expression, "<email>"))
    yield match(f"|~ {logql(masking.CARD_GUARD)}", *(_replace(expression, _LUHN) for expression in masking.CARDS))
    for name, expression in settings.logs.mask.items():
        yield _replace(expression, f"<{name}>")


def _kind(words: Iterable[str], masks: Iterable[masking.Mask]) -> Stage:
    return match(f"|~ {_any_of(words)}", *(_replace(mask.expression, SECRET) for mask in masks))


def _any_of(words: Iterable[str]) -> str:
    return logql("(?i)" + "|".join(sorted({re.escape(word) for word in words})))


def _replace(expression: str, by: str) -> Stage:
    return stage("replace", expression=expression, replace=by)
