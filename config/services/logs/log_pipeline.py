"""The pipeline of a log line on its way to Loki, described once for both shippers.

Promtail and Alloy have the same stages under almost the same names; `config/services/logs/promtail.py` and `config/services/logs/alloy.py` only
spell them. A stage works on the line, and on the values that earlier stages have extracted from it, which are not
labels.

Every line leaves with the labels `service`, `level` and `source` (docker, file or system), which have few values each.
Fields with many values (trace id, span id, container, file) become structured metadata. Lines of a container keep its
name and stream as labels until the end, because stack traces are joined by them.
"""

from collections.abc import Iterator

from config.services.logs.log_fields import first, parse
from config.services.logs.log_levels import ALIGNED, level
from config.services.logs.log_masks import masks
from config.services.logs.log_requests import answered, requests
from config.services.logs.log_stages import Stage, logql, match, regex, stage, template
from config.services.logs.log_templates import go_template
from config.services.logs.log_times import times
from config.settings import Settings

LABELS = ("service", "level", "source")
"""The only labels that a line may have. All others are removed."""

JOIN_LINES = 256
"""A longer block is split. Java's longest stack traces have about 200 lines."""
JOIN_WAIT, JOIN_WAIT_OF_LAST = "2s", "5s"
"""How long a block waits for its next line. A process writes its stack trace within milliseconds, but a shipper without CPU
may read the rest of it more than a second later. The last line of a Python traceback may have waited once before."""


def stages(settings: Settings) -> list[Stage]:
    """The whole pipeline, in order."""
    return [
        stage("decolorize"),
        *_file_service(settings),
        *_join(),
        *parse(),
        answered(),
        *level(),
        stage("labels", values={"level": "level", "answered": "answered"}),
        *_trace(),
        *requests(settings),
        *times(),
        *masks(settings),
        *_fuse(settings),
        *_labels(),
    ]


def _file_service(settings: Settings) -> Iterator[Stage]:
    """Sets `service` from the path: `<folder>/<service>/….log` or `<folder>/<service>.log`."""
    folder = settings.logs.files.rstrip("/").replace(".", r"\.")
    service = stage("regex", source="filename", expression=rf"^{folder}/(?P<service>[^/]+?)(?:/.*|\.log)$")
    yield match('{source="file"}', service, stage("labels", values={"service": "service"}))


# Blocks of lines.

_CONTINUES = (
    r"\s",  # stack frames of Python, Java, Node and Go, and all other indented lines
    r"$",
    r"[\]})>]+[,;]?$",  # the end of an indented structure
    r"Traceback \(most recent call last\):",
    r"During handling of the above exception",
    r"The above exception was the direct cause",
    r"(?:Caused by|Suppressed):",
    r"\.\.\. \d+ (?:more|common frames)",
    r"(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b",  # java.io.IOException: …
    r"(?:[A-Za-z_]\w*\.)+_?[A-Z]\w*[a-z]\w*(?:: |$)",  # shop.models.Order.DoesNotExist: …
    r"(?:DETAIL|HINT|CONTEXT|QUERY|LINE \d+): ",  # added to errors by PostgreSQL and SQLAlchemy
    r"\[(?:SQL|parameters): ",
    r"\(Background on this error at",
    r"(?:note: run with|note: Some details are omitted|stack backtrace:|Node\.js v\d)",  # last lines of Rust and Node
    r"(?:Stack trace:$|\[(?:stacktrace|previous exception)\]|\"\} ?$|Next [\w\\]+: )",  # PHP, and Monolog around it
    r"#\d+\s+(?:/|\{main\}|\[internal function\]|[\w\\]+(?:->|::)|\S+\(\d+\):|0x[0-9a-f]+ |\S+ \((?:file|package|dart):)",
    r"[\w@./+-]+:\d+:in [`'][^'\n]*'$",  # frames of Ruby; its first line goes on after the quote
    r"(?:\*\* \([\w.]+\) |Last message(?: \(from [^\n]*\))?: |State: [%{#\[(])",  # Elixir
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
"""Beginnings of lines that belong to the line before."""

_MARK = "\x01"
_BLANK = r"[^\S\n]"
_OWN = rf"\[?(?:{ALIGNED}|(?:\d{{4}}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d\b|\d{{4}}-\d\d-\d\d[T ]\d\d:)|\* [A-Z]"
"""Indented lines that are separate entries: right-aligned levels and times, and Flask's messages."""
_PYTHON_ERROR = r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration|Timeout)"


def _join() -> Iterator[Stage]:
    """Joins a stack trace with the line that announces it.

    The last line of a Python traceback (`ValueError: …`) looks like the first line of one from Node. So the first step
    leaves it alone. The second step sees only such lines and the tracebacks that lack theirs, and joins them.
    """
    # RE2 has no negative lookahead, so lines that continue a block are marked until they have been joined.
    yield stage("replace", expression=rf"^()(?:{'|'.join(_CONTINUES)})", replace=_MARK)
    own = rf"[^{_MARK}]|{_MARK}{_BLANK}{{1,9}}(?:{_OWN})"
    yield stage("multiline", firstline=f"^(?:{own})", max_lines=JOIN_LINES, max_wait_time=JOIN_WAIT)
    # Also removes empty lines, which Alloy does not see, so that both shippers build the same block.
    yield stage("replace", expression=rf"(?:^|\n)({_MARK}(?:\n{_MARK})*)", replace="")
    yield stage("replace", expression=r"(\n+)$", replace="")
    invalid = r"[\w.]*ValidationError: \d+ validation error[^\n]*"  # pydantic: the next line is a field of any name
    # Anchored, because an expression without an anchor is tried at every character of every line.
    begins = r"^(?:[^\n]*\n(?:[\s\]})][^\n]*\n)*)?(?:  \+ Exception Group )?Traceback \("
    waiting = rf"{begins}most recent call last\):(?s:.*)\n(?:{_BLANK}[^\n]*|{invalid})$"
    last = rf"^{_PYTHON_ERROR}(?:: [^\n]*)?(?:$|\n(?:During handling |The above ))|^[\w.\[\]-]+\n  [A-Z][^\n]*\[type="
    both = stage("multiline", firstline=begins, max_lines=JOIN_LINES, max_wait_time=JOIN_WAIT_OF_LAST)
    yield match(f"|~ {logql(f'{waiting}|{last}')}", both)


# Trace and span.


def _trace() -> Iterator[Stage]:
    """Sets `trace_id` and `span_id` in lowercase hex, whatever their names and wherever they are in the line."""
    # No word may precede it: the parent's span id is another one.
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
            go_template(
                "id",
                find=first(
                    what,
                    "$id",
                    go_template("id_of_text", lengths=lengths),
                    f"{what}_of_spring",
                    f"{what}_in_parent",
                    f"{what}_in_text",
                ),
            ),
        )
        yield stage("structured_metadata", values={f"{what}_id": f"{what}_id"})


def _fuse(settings: Settings) -> Iterator[Stage]:
    fuse = settings.logs.fuse
    limit = stage("limit", rate=fuse.lines, burst=fuse.burst, drop=True, by_label_name="service")
    yield match('{level=~"debug|info"}', limit)


def _labels() -> Iterator[Stage]:
    """Moves labels that are not in `LABELS` to structured metadata. Each has a separate stage, because the
    order within one stage is undefined."""
    for name in ("container", "stream", "filename", "unit"):
        # Under another name, otherwise Promtail would take it twice: as a label, and as a value extracted from the
        # labels.
        yield stage("regex", source=name, expression=f"^(?P<of_{name}>.+)$")
        yield stage("structured_metadata", values={name: f"of_{name}"})
    yield stage("label_keep", values=list(LABELS))
