"""What becomes of a log line on its way to Loki: one description for both shippers.

Promtail and Alloy know the same stages by nearly the same names: `config/promtail.py` and `config/alloy.py` only spell
them. A stage works on a line and on what stages before it have extracted from it, a map of names that no label shows.

Every line leaves with the labels `service`, `level` and `source` (docker, file or system), of few values each; what has many (trace and
span id, container, file) is structured metadata. Lines of one container keep its name and stream as labels until the
end: stack traces are joined by them.
"""

from collections.abc import Iterator

from config.log_fields import first, parse
from config.log_levels import ALIGNED, level
from config.log_masks import masks
from config.log_stages import Stage, logql, match, regex, stage, template
from config.log_times import times
from config.settings import Settings

LABELS = ("service", "level", "source")
"""All that a line may have: anything else that finds its way into the labels is removed."""

HEALTH_CHECK = "health_check"
"""`reason` in the shippers' metric of dropped lines."""

JOIN_LINES = 256
"""A block longer than this is cut in two: Java's longest traces have about 200 lines."""
JOIN_WAIT = "1s"
"""How long the end of a block is waited for: a process writes its trace within milliseconds."""


def stages(settings: Settings) -> list[Stage]:
    """The whole pipeline, in its order."""
    return [
        stage("decolorize"),
        *_file_service(settings),
        *_join(),
        *parse(),
        *level(),
        *_trace(),
        *_health_checks(),
        *times(),
        *masks(settings),
        *_fuse(settings),
        *_labels(),
    ]


def _file_service(settings: Settings) -> Iterator[Stage]:
    """`<folder>/<service>/….log` or `<folder>/<service>.log`."""
    folder = settings.logs.files.rstrip("/").replace(".", r"\.")
    service = stage("regex", source="filename", expression=rf"^{folder}/(?P<service>[^/]+?)(?:/.*|\.log)$")
    yield match('{source="file"}', service, stage("labels", values={"service": "service"}))


# Blocks of lines.

_CONTINUES = (
    r"\s",  # frames of Python, Java, Node and Go, and anything else that is indented
    r"$",
    r"[\]})>]+[,;]?$",  # the end of an indented structure
    r"Traceback \(most recent call last\):",
    r"During handling of the above exception",
    r"The above exception was the direct cause",
    r"(?:Caused by|Suppressed):",
    r"\.\.\. \d+ (?:more|common frames)",
    r"(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b",  # java.io.IOException: …
    r"(?:[A-Za-z_]\w*\.)+_?[A-Z]\w*[a-z]\w*(?:: |$)",  # shop.models.Order.DoesNotExist: …
    r"(?:DETAIL|HINT|CONTEXT|QUERY|LINE \d+): ",  # what PostgreSQL adds to its errors, and SQLAlchemy
    r"\[(?:SQL|parameters): ",
    r"\(Background on this error at",
    r"(?:note: run with|stack backtrace:|Node\.js v\d)",  # the ends of Rust and Node
    r"[A-Za-z0-9+/]{60,}$",  # a key in PEM
    r"[A-Za-z0-9+/]+={1,2}$",
    r"-----END ",
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
_OWN = rf"\[?(?:{ALIGNED}|(?:\d{{4}}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d\b|\d{{4}}-\d\d-\d\d[T ]\d\d:)|\* [A-Z]"
"""How lines go on that begin with a blank and are entries of their own: levels and times aligned to the right, Flask's words."""
_PYTHON_ERROR = r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration|Timeout)"


def _join() -> Iterator[Stage]:
    """Makes one entry of a stack trace and the line that announces it.

    The last line of Python's traces (`ValueError: …`) looks like the first one of Node's. So the first step leaves it
    alone, and the second, which sees nothing but such lines and traces that wait for theirs, brings them together.
    """
    # RE2 cannot say "begins with none of these", so what does begin so is marked until it has been joined.
    yield stage("replace", expression=rf"^()(?:{'|'.join(_CONTINUES)})", replace=_MARK)
    own = rf"[^{_MARK}]|{_MARK}{_BLANK}{{1,9}}(?:{_OWN})"
    yield stage("multiline", firstline=f"^(?:{own})", max_lines=JOIN_LINES, max_wait_time=JOIN_WAIT)
    # With the marks go empty lines, of which Alloy sees none, so that both shippers make the same block.
    yield stage("replace", expression=rf"(?:^|\n)({_MARK}(?:\n{_MARK})*)", replace="")
    yield stage("replace", expression=r"(\n+)$", replace="")
    invalid = (
        r"[\w.]*ValidationError: \d+ validation error[^\n]*"  # of pydantic, which goes on with a field of any name
    )
    # From the beginning on, as an expression that may match anywhere is tried at each letter of each line.
    begins = r"^(?:[^\n]*\n(?:[\s\]})][^\n]*\n)*)?(?:  \+ Exception Group )?Traceback \("
    waiting = rf"{begins}most recent call last\):(?s:.*)\n(?:{_BLANK}[^\n]*|{invalid})$"
    last = rf"^{_PYTHON_ERROR}(?:: [^\n]*)?(?:$|\n(?:During handling |The above ))|^[\w.\[\]-]+\n  [A-Z][^\n]*\[type="
    # Longer, because the step before may keep the last line for as long as it waits.
    both = stage("multiline", firstline=begins, max_lines=JOIN_LINES, max_wait_time="3s")
    yield match(f"|~ {logql(f'{waiting}|{last}')}", both)


# Trace and span.


def _trace() -> Iterator[Stage]:
    """`trace_id` and `span_id` in small hex digits, whatever they are called and wherever they stand in the line."""
    # Not with a word before it: the parent's span is another one.
    anywhere = (
        r"""(?i)(?:^|[^\w.-])(?:otel[_.]?|dd[_.]|context[_.]|x-b3-)?%s[_.-]?id["'\\]*\s*[=:]\s*["'\\]*"""
        r"""(?P<%s_in_text>[0-9a-f]{8}-?(?:[0-9a-f-]{8,28}))"""
    )
    yield match(
        '|~ "(?i)trace|span"',
        regex(anywhere % ("trace", "trace")),
        regex(anywhere % ("span", "span")),
        regex(r"\b[0-9a-f]{2}-(?P<trace_in_parent>[0-9a-f]{32})-(?P<span_in_parent>[0-9a-f]{16})-[0-9a-f]{2}\b"),
    )
    spring = r"\[(?:[\w.-]*,)?(?P<trace_of_spring>[0-9a-f]{16,32})[,-](?P<span_of_spring>[0-9a-f]{16})(?:,(?:true|false)?)?\]"
    yield match('|= "["', regex(spring))
    for what, lengths in (("trace", "16 32"), ("span", "16")):
        yield template(
            f"{what}_id",
            '{{ $id := "" }}'
            + first(
                what,
                "$id",
                '{{ $id = base . | ToLower | replace "-" "" }}'
                # All zeros is what a logger writes outside of any span.
                f'{{{{ if or (not (eq (len $id) {lengths})) (trimAll "0123456789abcdef" $id) (not (trimAll "0" $id)) }}}}'
                '{{ $id = "" }}{{ end }}',
                f"{what}_of_spring",
                f"{what}_in_parent",
                f"{what}_in_text",
            )
            + "{{ $id }}",
        )
        yield stage("structured_metadata", values={f"{what}_id": f"{what}_id"})


# Health checks.

_HEALTH_PATH = (
    r"(?:https?://[^/\s]+)?/(?:"
    r"(?:(?:api|v\d+|actuator|q|sys|minio|management|internal|_cluster|-)/){0,3}"
    r"_?health(?:z|y|check|[-_]check)?(?:/(?:live|liveness|ready|readiness|started|startup|db))?"
    r"|(?:-/)?(?:readyz?|readiness|livez?|liveness|ping)"
    r")/?(?:\?\S*)?"
)
"""The path itself: `/category/health` is a page."""


def _health_checks() -> Iterator[Stage]:
    """Drops those that succeeded: one that failed is the very line that is looked for, and so is what others were joined to."""
    yield template(
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
        # Most lines tell of no request, and to look for more of it costs.
        "{{ if $path }}"
        + first("method", "$method", "{{ $method = ToUpper . }}", "method_in_text")
        + first("status", "$status", "{{ if eq (len .) 3 }}{{ $status = . }}{{ end }}", "status_in_text")
        + "{{ $status }} {{ $method }} {{ $path }}{{ end }}",
    )
    of_one = rf"^[23]\d\d (?:GET|HEAD|) {_HEALTH_PATH}$"
    drop = stage("drop", source="answered", expression=of_one, drop_counter_reason=HEALTH_CHECK)
    yield match(f'{{level!~"warn|error|fatal"}} != {logql(chr(10))}', drop)


def _fuse(settings: Settings) -> Iterator[Stage]:
    fuse = settings.logs.fuse
    limit = stage("limit", rate=fuse.lines, burst=fuse.burst, drop=True, by_label_name="service")
    yield match('{level=~"debug|info"}', limit)


def _labels() -> Iterator[Stage]:
    """Moves what is not in `LABELS` to the structured metadata, each by a stage: together, their order would be anyone's."""
    for name in ("container", "stream", "filename", "unit"):
        # By another name, or Promtail would take it twice: as a label, and as what it has extracted from the labels.
        yield stage("regex", source=name, expression=f"^(?P<of_{name}>.+)$")
        yield stage("structured_metadata", values={name: f"of_{name}"})
    yield stage("label_keep", values=list(LABELS))
