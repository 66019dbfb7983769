"""Regular expressions that Go's services compile too."""

import re
import warnings
from collections.abc import Iterator

MOST_REPEATS = 1000
"""The largest repetition that RE2 compiles, those inside each other multiplied (`regexp/syntax` of Go)."""

_ESCAPED = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|[0-7]{3}|0[0-7]?|.)", re.DOTALL)
_KNOWN = re.compile(r"\\(?:x..|[0-7]{3}|0[0-7]?|[AbBdDsSwWafnrtv]|(?![A-Za-z0-9])[\x20-\x7e])")
"""What may follow a backslash, and means the same in Python and in Go."""
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]")
LOOKS = "looks around or back, which RE2 cannot"
_FAULTS = {
    r"\(\?<?[=!]|\(\?P=": LOOKS,
    r"\(\?(?!:|[ims]+[:)]|P<\w+>)": "has a group (?…) that RE2 does not know: write it with (…) and (?:…) only",
    r"[*+?}]\+": "has a + behind * + ? or }, which RE2 does not know: leave it out",
    r"\{,\d": "has {,…}, which RE2 takes for these very signs: write {0,…}",
}
"""What may be left of an expression without its escapes and classes → what it says of it."""
_TIMES = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def fault(pattern: str) -> str:
    """Why Go's `regexp` refuses `pattern`, or reads it otherwise than Python; empty if it takes it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Python may read otherwise one day
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    return next(_faults(pattern), "")


def _faults(pattern: str) -> Iterator[str]:
    for escape in _ESCAPED.findall(pattern):
        if escape[1] in "123456789" and len(escape) == 2:  # noqa: PLR2004 - \101 is a sign by its number
            yield LOOKS
        if not _KNOWN.fullmatch(escape):
            yield f"has {escape}, which RE2 does not know: write it without"
    for inside in _CLASS.findall(pattern):
        if re.search(r"(?<!\\)(?:\\\\)*\\[bB]", inside):
            yield r"has \b between brackets, which RE2 does not know: write it without"
    bare = _ESCAPED.sub("x", _CLASS.sub("x", pattern))
    for faulty, what in _FAULTS.items():
        if re.search(faulty, bare):
            yield what
    if _repeats(bare) > MOST_REPEATS:
        yield f"repeats more than {MOST_REPEATS} times, which RE2 does not compile: repeat less"


def _repeats(bare: str) -> int:
    """How often a part of `bare`, without escapes and classes, is repeated at most: repetitions inside each other multiply."""
    most = [1]
    for part in re.findall(r"\(|\)(?:\{\d+(?:,\d*)?\})?|\{\d+(?:,\d*)?\}", bare):
        if part == "(":
            most.append(1)
            continue
        times = _TIMES.search(part)
        number = max((int(one) for one in times.groups() if one), default=1) if times else 1
        if part[0] == ")" and len(most) > 1:
            inner = most.pop() * number
            most[-1] = max(most[-1], inner)
        else:
            most[-1] = max(most[-1], number)
    return max(most)
