"""Answered requests in log lines: those that only watch a service are not stored."""

from collections.abc import Iterator

from config.log_fields import LIKE_JSON, first
from config.log_stages import Stage, logql, match, regex, stage, template

HEALTH_CHECK, SCRAPE = "health_check", "scrape"
"""Values of `reason` in the shippers' metric of dropped lines."""

_HOST = r"(?:https?://[^/\s]+)?"
_HEALTH_PATH = (
    rf"{_HOST}/(?:"
    r"(?:(?:api|v\d+|actuator|q|sys|minio|management|internal|_cluster|-)/){0,3}"
    r"_?health(?:z|y|check|[-_]check)?(?:/(?:live|liveness|ready|readiness|started|startup|db))?"
    r"|(?:-/)?(?:readyz?|readiness|livez?|liveness|ping)"
    r")/?(?:\?\S*)?"
)
"""Matches the whole path: `/category/health` is an ordinary page."""
_SCRAPE_PATH = (
    rf"{_HOST}/(?:(?:actuator|q|management|internal|-)/){{0,2}}(?:metrics|prometheus|stub_status)/?(?:\?\S*)?"
)
"""Matches the whole path. Prometheus' user agent alone is not enough: whoever sends it would be left out of the log."""


def answered() -> Stage:
    """Extracts `answered` from a line about a request: `<status> <method> <path>`. What the line does not tell is empty.

    It is a label until the end, because only labels can select lines: most lines then pass by the stages of `requests`.
    """
    return template(
        "answered",
        '{{ $path := "" }}{{ $method := "" }}{{ $status := "" }}'
        + first("path", "$path", "{{ $path = . }}", "path_in_text")
        + "{{ if not $path }}"
        + first(
            "request",
            "$path",
            '{{ $parts := splitList " " . }}{{ if eq (len $parts) 3 }}'
            "{{ $method = index $parts 0 }}{{ $path = index $parts 1 }}{{ end }}",
        )
        + "{{ end }}"
        # Most lines are not about a request, and further lookups cost time.
        "{{ if $path }}"
        + first("method", "$method", "{{ $method = ToUpper . }}", "method_in_text")
        + first("status", "$status", "{{ if eq (len .) 3 }}{{ $status = . }}{{ end }}", "status_in_text")
        + "{{ $status }} {{ $method }} {{ $path }}{{ end }}",
    )


def requests() -> Iterator[Stage]:
    """The stages for lines with the label `answered`. Successful health checks and the stack's own scrapes are dropped. Failed
    ones are kept, because you will look for them, and so is a line that others were joined to."""
    quiet = f'level!~"warn|error|fatal"}} != {logql(chr(10))}'
    health_check = rf"[23]\d\d (?:GET|HEAD|) {_HEALTH_PATH}"
    yield stage(
        "match",
        selector=f"{{answered=~{logql(health_check)},{quiet}",
        action="drop",
        drop_counter_reason=HEALTH_CHECK,
    )
    # Some formats have no user agent, and Traefik by default writes `-` for it.
    agent = r"^(?:-|null|(?:NGINX-)?Prometheus(?:-Exporter)?/\S*)$"
    scrape = rf"(?:2\d\d|304) GET {_SCRAPE_PATH}"
    yield match(
        f"{{answered=~{logql(scrape)},{quiet}",
        *_user_agent(),
        stage("drop", source="user_agent", expression=agent, drop_counter_reason=SCRAPE),
    )


def _user_agent() -> Iterator[Stage]:
    """Extracts `user_agent`. It has many names in JSON and logfmt. In text it is the second quoted field after the request, or
    the only one."""
    yield regex(
        r"""(?i)\b(?:\w*user[_-]?agent(?:\.original)?|ua|agent)"?\s*[=:]\s*\[?\s*"?(?P<agent_named>[^"\s\],}]*)"""
    )
    quoted = r'HTTP/[\d.]+"[^"]*"(?P<agent_first>[^"]*)"(?:[^"]*"(?P<agent_second>[^"]*)")?'
    yield match(f"!~ {logql(LIKE_JSON)}", regex(quoted))
    yield template("user_agent", '{{ or .agent_named .agent_second .agent_first "-" }}')
