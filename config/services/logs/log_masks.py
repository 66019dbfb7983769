"""Masking in the shippers: the catalogue of `config/masking.py` as stages of their pipeline."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from string import ascii_lowercase

from config import masking
from config.services.logs.log_stages import Stage, logql, match, stage, template
from config.services.logs.log_templates import go_template
from config.settings import Settings

SECRET = "<secret>"  # noqa: S105 - the replacement


def masks(settings: Settings) -> Iterator[Stage]:
    """Stages that mask secrets, e-mail addresses, card numbers and the stack's own expressions.

    Regular expressions are slow, so lines that cannot hold anything to mask skip them. One template searches for all
    words. It prints a letter for each kind of secret that a line may hold, and a label with these letters selects the
    expressions.
    """
    kinds = [(words, list(of_kind)) for words, of_kind in groupby(masking.SECRETS, lambda mask: mask.words)]
    kinds.append((masking.EMAIL.words, [masking.EMAIL]))
    letters = ascii_lowercase[: len(kinds)]
    words = [(word, letter) for letter, (of_kind, _) in zip(letters, kinds, strict=True) for word in of_kind]
    yield template("masks", "{{ $line := ToLower .Entry }}" + "".join(_looks(words)))
    yield stage("labels", values={"masks": "masks"})
    inner = [
        match(
            f'{{masks=~".*{letter}.*"}}',
            *(_replace(mask.expression, "<email>" if mask == masking.EMAIL else SECRET) for mask in of_kind),
        )
        for letter, (_, of_kind) in zip(letters, kinds, strict=True)
    ]
    yield match('{masks=~".+"}', *inner)
    yield match(
        f"|~ {logql(masking.CARD_GUARD)}", *(_replace(expression, go_template("card")) for expression in masking.CARDS)
    )
    for name, expression in settings.logs.mask.items():
        yield _replace(expression, f"<{name}>")


_HINTS = (
    "a_", "ox", "t_", "w", "&", "@", "gh", "den", "ey", "hv", "pr", "pi", "40", "si", "aut", "ss", "k", "_", "-", "re",
)  # fmt: skip
"""Words are searched only in lines that contain the first of these that is part of the word. For lines of web services,
this needs a third of the searches. The choice of hints does not change what is found."""


def _looks(words: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Template that prints the letter of each word that `$line` contains, possibly more than once."""
    by_hint: dict[str, dict[str, list[str]]] = {}
    for word, letter in words:
        hint = next((hint for hint in _HINTS if hint in word), "")
        by_hint.setdefault(hint, {}).setdefault(letter, []).append(word)
    for hint, by_letter in by_hint.items():
        of_hint = "".join(_either(of_letter, letter) for letter, of_letter in by_letter.items())
        yield _either([hint], of_hint) if hint else of_hint


def _either(words: Iterable[str], then: str) -> str:
    """Template for `then` if the line contains one of `words`."""
    looks = [f"contains {json.dumps(word)} $line" for word in words]
    either = looks[0] if len(looks) == 1 else "or " + " ".join(f"({look})" for look in looks)
    return f"{{{{ if {either} }}}}{then}{{{{ end }}}}"


def _replace(expression: str, by: str) -> Stage:
    return stage("replace", expression=expression, replace=by)
