"""What becomes of a log line on its way to Loki: one description for both shippers.

Promtail and Alloy know the same stages by nearly the same names: `config/promtail.py` and `config/alloy.py` only spell
them. A stage works on a line and on what stages before it have extracted from it, a map of names that no label shows.

Every line leaves with the labels `service`, `level` and `source` (docker, file or system), of few values each; what has many (trace and
span id, container, file) is structured metadata. Lines of one container keep its name and stream as labels until the
end: stack traces are joined by them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.log_settings import Level
from config.settings import Settings

LABELS = ("service", "level", "source")
"""All that a line may have: anything else that finds its way into the labels is removed."""

HEALTH_CHECK = "health_check"
"""`reason` in the shippers' metric of dropped lines."""

JOIN_LINES = 256
"""A block longer than this is cut in two: Java's longest traces have about 200 lines."""
JOIN_WAIT = "1s"
"""How long the end of a block is waited for: a process writes its trace within milliseconds."""


@dataclass(frozen=True)
class Stage:
    """One step, in Alloy's words."""

    kind: str
    arguments: Mapping[str, Any]
    stages: tuple["Stage", ...] = ()
    """Of a `match`: what is done to lines that its selector finds."""


def stages(settings: Settings) -> list[Stage]:
    """The whole pipeline, in its order."""
    return [
        _stage("decolorize"),
        *_file_service(settings),
        *_join(),
        *_parse(),
        *_level(),
        *_trace(),
        *_health_checks(),
        *_time(),
        *_mask(settings),
        *_fuse(settings),
        *_labels(),
    ]


def _stage(kind: str, *, stages: tuple[Stage, ...] = (), **arguments: Any) -> Stage:
    return Stage(kind, arguments, stages)


def _match(condition: str, *stages: Stage) -> Stage:
    """`stages` for the lines that satisfy `condition`: LogQL, label matchers and line filters."""
    selector = condition if condition.startswith("{") else f'{{source=~".+"}} {condition}'
    return _stage("match", selector=selector, stages=stages)


def _logql(text: str) -> str:
    """`text` as a LogQL string: in double quotes, the only ones that the shippers' own parser knows."""
    return json.dumps(text, ensure_ascii=False)


def _regex(expression: str) -> Stage:
    return _stage("regex", expression=expression)


def _template(name: str, template: str) -> Stage:
    """Extracts `name`, which is removed where the template gives nothing."""
    return _stage("template", source=name, template=template)


def _file_service(settings: Settings) -> Iterator[Stage]:
    """`<folder>/<service>/….log` or `<folder>/<service>.log`."""
    folder = settings.logs.files.rstrip("/").replace(".", r"\.")
    service = _stage("regex", source="filename", expression=rf"^{folder}/(?P<service>[^/]+?)(?:/.*|\.log)$")
    yield _match('{source="file"}', service, _stage("labels", values={"service": "service"}))


# Blocks of lines.

_CONTINUES = (
    r"\s",  # frames of Python, Java, Node and Go, and anything else that is indented
    r"$",
    r"[\]})]+[,;]?$",  # the end of an indented structure
    r"Traceback \(most recent call last\):",
    r"During handling of the above exception",
    r"The above exception was the direct cause",
    r"(?:Caused by|Suppressed): ",
    r"\.\.\. \d+ (?:more|common frames)",
    r"(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b",  # java.io.IOException: …
    r"goroutine \d+ \[",
    r"created by ",
    r"\[signal ",
    r"exit status \d+$",
    r"panic\([\w{}, .?]*\)$",  # frames of Go: package.function(arguments in hex)
    r"[\w./-]+\.[\w.()*\[\]-]+\([\w{}, .?]*\)$",
)
"""How lines begin that belong to the one before."""

_MARK = "\x01"
_BLANK = r"[^\S\n]"
_PYTHON_ERROR = r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration|Timeout)"


def _join() -> Iterator[Stage]:
    """Makes one entry of a stack trace and the line that announces it.

    The last line of Python's traces (`ValueError: …`) looks like the first one of Node's. So the first step leaves it
    alone, and the second, which sees nothing but such lines and traces that wait for theirs, brings them together.
    """
    # RE2 cannot say "begins with none of these", so what does begin so is marked until it has been joined.
    yield _stage("replace", expression=rf"^()(?:{'|'.join(_CONTINUES)})", replace=_MARK)
    yield _stage("multiline", firstline=f"^[^{_MARK}]", max_lines=JOIN_LINES, max_wait_time=JOIN_WAIT)
    # With the marks go empty lines, of which Alloy sees none, so that both shippers make the same block.
    yield _stage("replace", expression=rf"(?:^|\n)({_MARK}(?:\n{_MARK})*)", replace="")
    yield _stage("replace", expression=r"(\n+)$", replace="")
    waiting = rf"Traceback \(most recent call last\):(?s:.*)\n{_BLANK}[^\n]*$"
    last = rf"^{_PYTHON_ERROR}(?:: [^\n]*)?(?:$|\n(?:During handling |The above ))"
    begins = rf"^(?:[^\n]*\n(?:{_BLANK}[^\n]*\n)*)?Traceback \("
    # Longer, because the step before may keep the last line for as long as it waits.
    both = _stage("multiline", firstline=begins, max_lines=JOIN_LINES, max_wait_time="3s")
    yield _match(f"|~ {_logql(f'{waiting}|{last}')}", both)


# What a line says of itself.

_FIELDS = {
    "level": (
        "level", "severity", "lvl", "levelname", "level_name", "loglevel", "log_level", "logLevel", "severity_text",
        "severityText", "SeverityText", "Level", "LEVEL", "log.level", "@l", "s",
    ),
    "time": ("time", "timestamp", "ts", "@timestamp", "@t", "datetime", "Timestamp", "Time", "t.$date"),
    "trace": (
        "trace_id", "traceId", "traceID", "TraceId", "TraceID", "traceid", "trace-id", "otelTraceID", "trace.id",
        "context.trace_id", "span.trace_id",
    ),
    "span": (
        "span_id", "spanId", "spanID", "SpanId", "SpanID", "spanid", "span-id", "otelSpanID", "span.id",
        "context.span_id",
    ),
    "path": (
        "path", "url", "uri", "request_uri", "url.path", "http.path", "http.target", "http.url", "req.url",
        "request.path", "request.url", "request.uri", "RequestPath",
    ),
    "status": (
        "status", "status_code", "statusCode", "http.status_code", "http.status", "http.response.status_code",
        "res.statusCode", "response.status", "DownstreamStatus",
    ),
    "request": ("request", "http.request"),
}  # fmt: skip
"""What is looked for in JSON and logfmt → the names it goes by, the first found winning. A dot stands for itself or for
an object in an object."""

_JSON = r"^\s*\{"
_LOGFMT = r"""^[A-Za-z_@][\w.@-]*=(?:"[^"]*"|[^\s"]*)(?:\s|$)"""


def _parse() -> Iterator[Stage]:
    """Extracts `<what>_in_json`, each name of logfmt, and `<what>_in_text`."""
    expressions = {f"{what}_in_json": " || ".join(map(_jmespath, names)) for what, names in _FIELDS.items()}
    yield _match(f"|~ {_logql(_JSON)}", _stage("json", expressions=expressions))
    names = {_logfmt(name): name for names in _FIELDS.values() for name in names}
    yield _match(f"|~ {_logql(_LOGFMT)}", _stage("logfmt", mapping=names))
    access_log = _regex(r'"(?:[A-Z]+) (?P<path_in_text>\S+) HTTP/[\d.]+" (?P<status_in_text>\d{3})\b')
    gin = _regex(r'\| +(?P<status_in_text>\d{3}) \|.*\| +(?:[A-Z]+) +"(?P<path_in_text>[^"]+)"')
    yield _match('|= " HTTP/"', access_log)
    yield _match('|= "[GIN]"', gin)


def _jmespath(name: str) -> str:
    whole = f'"{name}"'
    return f"{whole} || {'.'.join(f'{chr(34)}{part}{chr(34)}' for part in name.split('.'))}" if "." in name else whole


def _logfmt(name: str) -> str:
    """The name under which a field of logfmt is extracted: templates know no dots in names."""
    return "f_" + "".join(letter if letter.isalnum() else f"_{ord(letter):x}" for letter in name)


def _first(what: str, *more: str) -> str:
    """Of all places where `what` may be found, a list for a template."""
    return "list " + " ".join(f".{name}" for name in (f"{what}_in_json", *map(_logfmt, _FIELDS[what]), *more))


# Level.

LEVELS: Mapping[Level, str] = {
    "debug": "trace trc verbose vrb fine finer finest debug dbug dbg d 7 10 20",
    "info": "info inf information informational i notice note n log 5 6 30",
    "warn": "warn wrn warning w 4 40",
    "error": "error err e eror severe fail failure 3 50",
    "fatal": "fatal ftl f critical crit c panic dpanic alert emerg emergency 0 1 2 60",
}
"""How services spell their levels. Numbers: syslog's severities (0 to 7) and those of pino and bunyan (10 to 60)."""

_WORDS = "|".join(word for words in LEVELS.values() for word in words.split() if len(word) > 1 and word.isalpha())
_REDIS = {".": "debug", "-": "debug", "*": "info", "#": "warn"}


def _level() -> Iterator[Stage]:
    text = "|".join((
        rf"^[\[\s]*\d[\s\d:.,TZ+/\]-]*\s(?P<level_stamped>(?i:{_WORDS}))\b",
        rf"^(?P<level_first>(?i:{_WORDS})):",
        rf"^[^\n]{{0,200}}?(?:[\[(<|]\s*(?P<level_bracketed>(?i:{_WORDS}))\s*[\])>|]|\b(?P<level_capital>{_WORDS.upper()})\b)",
    ))  # fmt: skip
    yield _match(
        f"!~ {_logql(_JSON)}",
        _regex(text),
        _regex(r"^(?P<level_klog>[IWEF])\d{4} \d\d:\d\d:\d\d"),
        _regex(r"^\d+:[XCSM] \d\d \w{3} \d{4} [\d:.]+ (?P<level_redis>[.*#-]) "),
        _regex(r"(?m)^(?P<fatal>panic: |fatal error: )"),
        _regex(r"(?m)^(?P<failed>Traceback \(most|Exception in thread|[\w.]*(?:Error|Exception): .*\n\s+at )"),
    )
    known = " ".join(f'"{word}" "{level}"' for level, words in LEVELS.items() for word in words.split())
    redis = " ".join(f'"{mark}" "{level}"' for mark, level in _REDIS.items())
    found = _first(
        "level", "level_of_journal", "level_klog", "level_stamped", "level_first", "level_bracketed", "level_capital"
    )
    yield _template(
        "level",
        f'{{{{ $level := "" }}}}{{{{ $known := dict {known} }}}}'
        "{{ range " + found + " }}{{ if and . (not $level) }}{{ $level = get $known (ToLower .) }}{{ end }}{{ end }}"
        # Whatever the line before a trace says of itself, together they are an error.
        '{{ if .fatal }}{{ $level = "fatal" }}'
        '{{ else if and .failed (not (has $level (list "warn" "fatal"))) }}{{ $level = "error" }}'
        "{{ else if not $level }}"
        f"{{{{ if .level_redis }}}}{{{{ $level = get (dict {redis}) .level_redis }}}}{{{{ end }}}}"
        "{{ range " + _first("status", "status_in_text") + " }}{{ if and . (not $level) }}"
        '{{ $level = ternary "error" "info" (and (eq (len .) 3) (hasPrefix "5" .)) }}{{ end }}{{ end }}{{ end }}'
        '{{ $level | default "unknown" }}',
    )
    yield _stage("labels", values={"level": "level"})


# Trace and span.


def _trace() -> Iterator[Stage]:
    """`trace_id` and `span_id` in small hex digits, whatever they are called and wherever they stand in the line."""
    anywhere = r"""(?i)%s[_.-]?id["'\\]*\s*[=:]\s*["'\\]*(?P<%s_in_text>[0-9a-f]{8}-?(?:[0-9a-f-]{8,28}))"""
    yield _match(
        '|~ "(?i)trace|span"',
        _regex(anywhere % ("trace", "trace")),
        _regex(anywhere % ("span", "span")),
        _regex(r"\b[0-9a-f]{2}-(?P<trace_in_parent>[0-9a-f]{32})-(?P<span_in_parent>[0-9a-f]{16})-[0-9a-f]{2}\b"),
    )
    for what, lengths in (("trace", "16 32"), ("span", "16")):
        yield _template(
            f"{what}_id",
            '{{ $id := "" }}{{ range ' + _first(what, f"{what}_in_parent", f"{what}_in_text") + " }}"
            '{{ if and . (not $id) }}{{ $id = . | ToLower | replace "-" "" }}'
            # All zeros is what a logger writes outside of any span.
            f'{{{{ if or (not (eq (len $id) {lengths})) (trimAll "0123456789abcdef" $id) (not (trimAll "0" $id)) }}}}'
            '{{ $id = "" }}{{ end }}{{ end }}{{ end }}{{ $id }}',
        )
        yield _stage("structured_metadata", values={f"{what}_id": f"{what}_id"})


# Health checks.

_HEALTH_PATH = (
    r"(?:https?://[^/\s]+)?/(?:"
    r"(?:[\w.-]+/){0,2}_?health(?:z|y|check|[-_]check)?(?:/(?:live|liveness|ready|readiness|startup|db))?"
    r"|(?:-/)?(?:readyz?|readiness|livez?|liveness|ping)"
    r")/?(?:\?\S*)?"
)


def _health_checks() -> Iterator[Stage]:
    """Drops those that succeeded: one that failed is the very line that is looked for."""
    yield _template(
        "answered",
        '{{ $path := "" }}{{ range ' + _first("path", "path_in_text") + " }}{{ if and . (not $path) }}{{ $path = . }}"
        "{{ end }}{{ end }}"
        "{{ range " + _first("request") + " }}{{ if and . (not $path) }}"
        '{{ $path = regexReplaceAll "^[A-Z]+ ([^ ]+) HTTP/.*$" . "${1}" }}{{ end }}{{ end }}'
        '{{ $status := "" }}{{ range ' + _first("status", "status_in_text") + " }}{{ if and . (not $status) }}"
        "{{ $status = . }}{{ end }}{{ end }}"
        "{{ $status }} {{ $path }}",
    )
    drop = _stage("drop", source="answered", expression=rf"^[23]\d\d {_HEALTH_PATH}$", drop_counter_reason=HEALTH_CHECK)
    yield _match('{level!~"warn|error|fatal"}', drop)


# Time.

_LAYOUTS = (
    "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
    "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 UTC", "02/Jan/2006:15:04:05 -0700",
    "Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 02 Jan 2006 15:04:05 -0700",
)  # fmt: skip
"""Of Go, which reads a fraction of any length with each. All with a time zone: without, a time may be off by hours."""

LATE_SECONDS = 24 * 3600
"""A time longer ago is a wrong clock's, and Loki may refuse the line for it."""
EARLY_SECONDS = 2
"""A time that is still to come by more than this, too. The socket proxy trusts that no line is later than it was read."""


def _time() -> Iterator[Stage]:
    """The line's own time, where it is a good one; else the line keeps the time at which it was read.

    The engine stamps each line with nanoseconds. A time of whole seconds says less, and would make one of equal lines:
    Loki keeps one of those that have the same time. So it only counts in files, which are read without any stamp.
    """
    stamp = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| UTC| ?[+-]\d\d:?\d\d)"
    common = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
    yield _match('{source!="docker"}', _regex(rf"^(?:[^\[\n]{{0,100}}\[)?(?P<time_in_text>{stamp}|{common})"))
    layouts = " ".join(f'"{layout}"' for layout in _LAYOUTS)
    yield _template(
        "time",
        '{{ $source := .source }}{{ $time := "" }}{{ range ' + _first("time", "time_in_text") + " }}"
        "{{ if and . (not $time) }}"
        '{{ if not (trimAll "0123456789." .) }}'
        # Since 1970, in s, ms, µs or ns, maybe with a fraction → seconds with a fraction.
        '{{ $digits := index (splitList "." .) 0 }}'
        "{{ if eq (len $digits) 10 }}{{ $time = . }}"
        "{{ else if eq (len $digits) 13 16 19 }}"
        '{{ $time = printf "%s.%s" (substr 0 10 $digits) (substr 10 -1 $digits) }}{{ end }}'
        "{{ else if lt (len .) 50 }}{{ $text := . }}{{ range list " + layouts + " }}{{ if not $time }}"
        "{{ $moment := toDate . $text }}{{ if gt $moment.Unix 0 }}"
        '{{ $time = printf "%d.%09d" $moment.Unix $moment.Nanosecond }}'
        "{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}"
        '{{ $whole := not (and (contains "." $time) (trimAll "0" (splitList "." $time | last))) }}'
        '{{ if and $time (not (and $whole (eq $source "docker"))) }}'
        "{{ $age := sub now.Unix (atoi (substr 0 10 $time)) }}"
        f"{{{{ if and (lt $age {LATE_SECONDS}) (gt $age -{EARLY_SECONDS}) }}}}{{{{ $time }}}}{{{{ end }}}}{{{{ end }}}}",
    )
    yield _stage("timestamp", source="time", format="Unix", action_on_failure="skip")


# Secrets and personal data.

SECRET = "<secret>"  # noqa: S105 - what stands in its place
_KEY = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret(?:[_-]?key)?|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"token|authorization|cookie)"
)
_MASKED = "(?i)pass|pwd|secret|credential|key|token|authorization|cookie|bearer|eyJ|://"
_MASKS = (
    r"\b(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",  # JSON web token
    r"(?i)\bbearer\s+([\w.~+/=-]{6,})",
    r"""(?i)authorization["'\\]*\s*[:=]\s*["'\\]*(?:basic|digest|token|apikey)\s+([^"'\\\s,}]+)""",
    r"://[^/\s:@]*:([^/\s@]+)@",  # the password in a URL
    rf'(?i)"{_KEY}"\s*:\s*"((?:[^"\\]|\\.)+)"',
    rf'(?i)\\"{_KEY}\\"\s*:\s*\\"([^"\\]+)',  # JSON in a text of JSON
    rf"""(?i)\b{_KEY}=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s&"'\\,;]+)""",
    r"""(?i)\b(?:passw(?:or)?d|passphrase|secret|api[_-]?key|authorization|cookie):\s*([^\s,;"'}<]+)""",
)
"""The first group is masked."""

_EMAIL = r"([\w.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})"
_CARD = r"(?:^|[^\w.-])([2-6]\d(?:[ -]?\d){11,17})\b"
"""Digits as many as a card has, and beginning like one; the check digit decides."""
_LUHN = (
    '{{ $digits := regexReplaceAll "[^0-9]" .Value "" }}{{ $count := len $digits }}{{ $sum := 0 }}'
    "{{ range $place := until $count }}"
    "{{ $digit := atoi (substr $place (int (add $place 1)) $digits) }}"
    "{{ if eq (mod (sub $count $place) 2) 0 }}{{ $digit = mul $digit 2 }}"
    "{{ if gt $digit 9 }}{{ $digit = sub $digit 9 }}{{ end }}{{ end }}"
    "{{ $sum = add $sum $digit }}{{ end }}"
    "{{ if eq (mod $sum 10) 0 }}<card>{{ else }}{{ .Value }}{{ end }}"
)


def _mask(settings: Settings) -> Iterator[Stage]:
    """Regular expressions are slow, so lines that cannot hold anything to mask pass by."""
    secrets = (_stage("replace", expression=expression, replace=SECRET) for expression in _MASKS)
    yield _match(f"|~ {_logql(_MASKED)}", *secrets)
    yield _match('|= "@"', _stage("replace", expression=_EMAIL, replace="<email>"))
    yield _match('|~ "[2-6][0-9][0-9 -]{10}"', _stage("replace", expression=_CARD, replace=_LUHN))
    for name, expression in settings.logs.mask.items():
        yield _stage("replace", expression=expression, replace=f"<{name}>")


def _fuse(settings: Settings) -> Iterator[Stage]:
    fuse = settings.logs.fuse
    limit = _stage("limit", rate=fuse.lines, burst=fuse.burst, drop=True, by_label_name="service")
    yield _match('{level=~"debug|info"}', limit)


def _labels() -> Iterator[Stage]:
    """Moves what is not in `LABELS` to the structured metadata, each by a stage: together, their order would be anyone's."""
    for name in ("container", "stream", "filename", "unit"):
        # By another name, or Promtail would take it twice: as a label, and as what it has extracted from the labels.
        yield _stage("regex", source=name, expression=f"^(?P<of_{name}>.+)$")
        yield _stage("structured_metadata", values={name: f"of_{name}"})
    yield _stage("label_keep", values=list(LABELS))
