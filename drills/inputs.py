"""What a stack is given that is wrong, by kind. Each is refused with a clear message or a count, and nothing else is affected."""

from drills import bad_lines, bad_pages, bad_payloads, bad_settings
from drills.ground import OnGround


def drills() -> list[OnGround]:
    """All of them; `ONLY=input` names them together."""
    kinds = (bad_settings, bad_payloads, bad_lines, bad_pages)
    return [*(drill for kind in kinds for drill in kind.drills()), bad_payloads.many_names()]
