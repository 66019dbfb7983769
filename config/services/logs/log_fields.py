"""Fields of log lines: extracted from JSON and logfmt, and from the usual places in text."""

from collections.abc import Iterator

from config.services.logs.log_stages import Stage, logql, match, regex, stage
from config.services.logs.log_templates import go_template

_FIELDS = {
    "level": (
        "level", "severity", "lvl", "levelname", "level_name", "levelName", "loglevel", "log_level", "logLevel", "LogLevel",
        "severity_text", "severityText", "SeverityText", "Severity", "Level", "LEVEL", "log.level", "level.name", "@level",
        "@l", "s",
    ),
    "time": ("time", "timestamp", "ts", "@timestamp", "@t", "datetime", "Timestamp", "Time", "t.$date"),
    "trace": (
        "trace_id", "traceId", "traceID", "TraceId", "TraceID", "traceid", "trace-id", "otelTraceID", "trace.id",
        "context.trace_id", "span.trace_id", "logging.googleapis.com/trace",
    ),
    "span": (
        "span_id", "spanId", "spanID", "SpanId", "SpanID", "spanid", "span-id", "otelSpanID", "span.id",
        "context.span_id", "logging.googleapis.com/spanId",
    ),
    "path": (
        "path", "url", "uri", "request_uri", "url.path", "http.path", "http.target", "http.url", "req.url",
        "request.path", "request.url", "request.uri", "RequestPath",
    ),
    "method": (
        "method", "http.method", "http.request.method", "req.method", "request.method", "request_method", "RequestMethod", "verb",
    ),
    "status": (
        "status", "status_code", "statusCode", "http.status_code", "http.status", "http.response.status_code",
        "res.statusCode", "response.status", "response_code", "DownstreamStatus",
    ),
    "request": ("request", "http.request"),
}  # fmt: skip
"""Field → the names that it has in JSON and logfmt. All names that are present are listed in this order, because the
first one may hold no usable value. A dot stands for itself or for a nested object."""

LIKE_JSON = r"^\W{0,4}\{"
"""Also matches broken JSON (a NaN, a missing end, a byte order mark in front), and a Python dict as printed."""
_LOGFMT = r"""^[A-Za-z_@][\w.@-]*=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s|$)"""
METHOD = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT"


_TOOK = """
    request_time && to_string(request_time)
    || DownstreamStatus && join('', [to_string(Duration), 'ns'])
    || response_flags && join('', [to_string(duration), 'ms'])
    || latency_human
    || responseTime && join('', [to_string(responseTime), 'ms'])
    || logger && starts_with(to_string(logger), 'http.log.access') && to_string(duration)
    || remote_addr && body_bytes_sent && '-'
"""
"""JMESPath for the duration in an access log of Nginx, Traefik, Envoy, Echo, pino-http or Caddy: seconds, or a number with its
unit. `-` if there is none. Nothing in all other lines: other programs may write only the requests that failed. Functions take
time, so most lines reach none."""
_TOOK_IN_TEXT = r'(?: (?:\d+|-)(?: "[^"]*")*(?: \d+ "[^"]*" "[^"]*")? (?:\w+=)?"?(?P<took>\d+\.\d{3}|\d+ms)\b)?'
"""Nginx's `$request_time` after the status, or behind more quoted fields, and the duration of Traefik."""


def parse() -> Iterator[Stage]:
    """Extracts `<field>_in_json`, each name of logfmt, `<field>_in_text`, and `took` from access logs."""
    expressions = {f"{what}_in_json": _all_of(names) for what, names in _FIELDS.items()}
    # If the line is not valid JSON, the level is searched in its text.
    level = regex(
        r"""["']@?(?:log[_.]?)?(?i:level|lvl|severity|levelname|level_name)["']\s*:\s*["']?(?P<level_in_broken>\w+)"""
    )
    yield match(
        f"|~ {logql(LIKE_JSON)}",
        stage("json", expressions={"is_json": "'yes'", "took": " ".join(_TOOK.split()), **expressions}),
        level,
    )
    names = {_logfmt(name): name for names in _FIELDS.values() for name in names}
    yield match(f"|~ {logql(_LOGFMT)}", stage("logfmt", mapping=names), regex("^(?P<is_logfmt>.)"))
    request = rf'"(?P<method_in_text>{METHOD}) (?P<path_in_text>\S+) HTTP/[\d.]+"(?:(?: from \S+ -)? (?P<status_in_text>\d{{3}})\b{_TOOK_IN_TEXT})?'
    haproxy = regex(r" -?\d+(?:/-?\d+){3}/\+?\d+ (?P<status_in_text>\d{3}) ")
    columns = r"\| +(?P<status_in_text>\d{3}) +\|(?: +(?P<took>\d[\w.µ]*) +\|)?"  # as written by Gin and Fiber
    rest = rf"(?:.*\| +(?P<method_in_text>{METHOD}) +\|? *\"?(?P<path_in_text>[^\s\"]+))?"
    morgan = rf"^(?P<method_in_text>{METHOD}) (?P<path_in_text>\S+) (?P<status_in_text>\d{{3}})\b"
    rails = r"\bCompleted (?P<status_in_text>\d{3}) [A-Z]"
    yield match(
        f"!~ {logql(LIKE_JSON)}",
        match('|= " HTTP/"', regex(request), haproxy),
        match('|= "| "', regex(columns + rest)),
        regex(morgan),
        match('|= "Completed "', regex(rails)),
    )


def _all_of(names: tuple[str, ...]) -> str:
    """JMESPath expression for the values of all `names` that are present, as text joined by `\\x01`."""
    return f"join('\x01', map(&to_string(@), [{', '.join(map(_jmespath, names))}][?@]))"


def _jmespath(name: str) -> str:
    whole = f'"{name}"'
    return f"{whole} || {'.'.join(f'{chr(34)}{part}{chr(34)}' for part in name.split('.'))}" if "." in name else whole


def _logfmt(name: str) -> str:
    """Name under which a logfmt field is extracted, because names in templates cannot have dots: `log.level` →
    `f_log_2elevel`."""
    return "f_" + "".join(letter if letter.isalnum() else f"_{ord(letter):x}" for letter in name)


def first(what: str, variable: str, body: str, *more: str) -> str:
    """Template that runs `body` for each candidate for `what`, the likeliest first, until it has set `variable`.

    `more` are further extracted names.
    """
    logfmt = " ".join(f".{name}" for name in map(_logfmt, _FIELDS[what]))
    others = " ".join(f".{name}" for name in more)
    return go_template("first", field=what, variable=variable, body=body, logfmt=logfmt, others=others)
