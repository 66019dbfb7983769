"""Requests that only watch a service: health checks, and scrapes of its metrics. One catalogue for log lines and spans.

`config/services/logs/log_requests.py` and `config/services/traces/sampling.py` write it in the languages of the shipper
and of the collector. Every expression is RE2 and matches a whole path: `/category/health` is an ordinary page.
"""

import re
from collections.abc import Iterable

_HOST = r"(?:https?://[^/\s]+)?"
_END = r"/?(?:\?\S*)?"
_HEALTH = (
    rf"{_HOST}/(?:"
    r"(?:(?:api|v\d+|actuator|q|sys|minio|management|internal|_cluster|-)/){0,3}"
    r"_?health(?:z|y|check|[-_]check)?(?:/(?:live|liveness|ready|readiness|started|startup|db))?"
    r"|(?:-/)?(?:readyz?|readiness|livez?|liveness|ping)"
    r"|up"  # of Rails, Laravel and Kamal
    rf"){_END}"
)
SCRAPE = rf"{_HOST}/(?:(?:actuator|q|management|internal|-)/){{0,2}}(?:metrics|prometheus|stub_status){_END}"
"""Paths of scrapes. Where a client says who it is, the path alone is not enough: any client can ask for it, and would
then be missing in the log."""


def health(more: Iterable[str]) -> str:
    """Paths of health checks: the usual ones, and `more` as written (`traces.health_paths`)."""
    own = "|".join(map(re.escape, more))
    return f"(?:{_HEALTH}|{_HOST}(?:{own}){_END})" if own else _HEALTH
