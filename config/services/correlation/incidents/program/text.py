"""Text from outside: made safe for a message, and for a query."""

import json
import re
from collections.abc import Iterable


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, without what does not print: controls, direction marks."""
    seen = "".join(sign if sign.isprintable() else " " for sign in text[: 4 * limit])
    joined = " ".join(seen.split())
    return joined if len(joined) <= limit else f"{joined[: limit - 1]}…"


def quoted(text: str) -> str:
    """`text` as a string of PromQL and LogQL, whose escapes are those of Go, and JSON's are among these."""
    return json.dumps(text.encode(errors="replace").decode(), ensure_ascii=False)


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches exactly `names`, as a string of PromQL and LogQL."""
    return quoted("|".join(re.escape(name) for name in names))


def percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %" if ratio >= 0.1 else f"{100 * ratio:.1f} %"  # noqa: PLR2004 - two digits


def duration(seconds: float) -> str:
    """Seconds in words: ``90 s``, ``12 min``, ``850 ms``."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - two digits
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - two minutes
