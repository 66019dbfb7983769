"""The level of a log line, whichever logger wrote it."""

from collections.abc import Iterator, Mapping

from config.services.logs.log_fields import LIKE_JSON, first
from config.services.logs.log_stages import Stage, logql, match, regex, template
from config.services.logs.log_templates import go_template
from config.settings.logs import Level

LEVELS: Mapping[Level, str] = {
    "debug": "trace trc trce trac verbose vrb fine finer finest debug dbug debu dbg d 7 10 20 100",
    "info": "info inf information informational i notice note n log 5 6 30 200 250",
    "warn": "warn wrn warning w 4 40 300",
    "error": "error err erro eror e severe fail failure 3 50 400",
    "fatal": "fatal ftl fata f critical crit c panic pani dpanic alert emerg emergency 0 1 2 60 500 550 600",
}
"""Level → its spellings. Numbers are the severities of syslog (0 to 7), of pino and bunyan (10 to 60), and of Monolog
(100 to 600)."""
_ALSO: Mapping[Level, str] = {
    "info": "success system strict",
    "warn": "deprecated",
    "error": "parse recoverable",
}
"""Words that are levels only at a place where there can be nothing else."""

_WORDS = "|".join(word for words in LEVELS.values() for word in words.split() if len(word) > 1 and word.isalpha())
_REDIS = {".": "debug", "-": "debug", "*": "info", "#": "warn"}

ALIGNED = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b"
"""Levels that loggers right-align, so that their lines begin with blanks."""

_TEXT = "|".join((
    rf"^[\[\s]*\d[\s\d:.,TZ+/\]-]*\s(?P<level_stamped>(?i:{_WORDS}))\b",
    rf"^(?P<level_first>(?i:{_WORDS}))(?::|\[\d)",
    r"^\[(?P<level_tornado>[DIWEC]) \d{6} ",
    r"^(?P<level_klog>[IWEF])\d{4}(?:\d{4})? \d\d:\d\d:\d\d",
    # Stops at a quote, because TRACE in a request is a method.
    (rf'^[^\n"]{{0,200}}?(?:[\[(<|]\s*(?:[\w-]+:)?(?P<level_bracketed>(?i:{_WORDS}|success|system))\s*[\])>|]'
    rf"|\b(?P<level_capital>{_WORDS.upper()})\b)"),
))  # fmt: skip
_PHP = r"^.{0,120}?\bPHP (?P<level_php>Fatal|Parse|Recoverable|Warning|Notice|Deprecated|Strict)(?: [\w ]+)?:"
"""PHP-FPM wraps each in a notice or a warning."""
_RUNTIME = r"^(?:\(node:\d+\) (?:\[\w+\] )?(?:[A-TV-Z]\w*)?|\S+\.py:\d+: \w*)(?P<level_runtime>Warning):"
"""The warnings of Node.js and Python. An unhandled rejection is an error."""
_CRASH = (
    r"(?m)^(?P<fatal>panic: |fatal error: |Fatal Python error: |thread '[^'\n]*' (?:\(\d+\) )?panicked at |terminate called |"
    r"Segmentation fault|# A fatal error has been detected)"
    r"|(?P<failed>Traceback \(most recent call last\)|^Exception in thread|^Unhandled exception|^Uncaught |"
    r"^\(node:\d+\) Unhandled|^\S+\.[cm]?[jt]s:\d+\n|^rake aborted!|http: panic serving |^goroutine \d+ \[running|^\*\* \(\w|"
    r"\n\s+at (?:async |new |file:|/|[\w$.<>\[\]/@ ]+\()|\n\s+from \S+:\d+:in )"
)

_CRASHED = r"\n|panic|atal|aborted|handled|Uncaught|terminate called|Segmentation|Exception|Traceback"


_FIRST_WORD = (
    r"(regexReplaceAll `^(?:\x1b\[[0-9;]*m|[a-z]*level[.]|[^a-z0-9])*([a-z]+|[0-9]+)(?s:.*)$` (ToLower .) `${1}`)"
)


def _of_word(word: str) -> str:
    """Template that sets `$level` to the level that `word`, an expression, stands for in `$table`."""
    return go_template("level_of_word", word=word)


def level() -> Iterator[Stage]:
    """Stages that extract `level`: from what the line states, or from what it reports."""
    yield match(
        f"!~ {logql(LIKE_JSON)}",
        regex(_TEXT),
        match('|= "PHP "', regex(_PHP)),
        match('|= "Warning: "', regex(_RUNTIME)),
        regex(r"^<(?P<priority>\d{1,3})>"),
        regex(r"^\d+:[XCSM] \d\d \w{3} \d{4} [\d:.]+ (?P<level_redis>[.*#-]) "),
        match(f"|~ {logql(_CRASHED)}", regex(_CRASH)),
    )
    spelled = [(word, level) for words in (LEVELS, _ALSO) for level, text in words.items() for word in text.split()]
    table = " ".join(("", *(f"{word}={level}" for word, level in spelled), ""))
    redis = " ".join(f'"{mark}" "{level}"' for mark, level in _REDIS.items())
    # ERROR+2, D1, or with terminal colours.
    stated = f"{_of_word('(ToLower .)')}{{{{ if not $level }}}}{_of_word(_FIRST_WORD)}{{{{ end }}}}"
    of_text = ("of_journal", "klog", "tornado", "php", "stamped", "first", "runtime", "bracketed")
    of_status = go_template("level_of_status")
    yield template(
        "level",
        go_template(
            "level",
            table=table,
            stated=first("level", "$level", stated, *(f"level_{name}" for name in of_text)),
            redis=redis,
            of_status=of_status,
            of_word=_of_word("(ToLower .)"),
            by_status=first("status", "$level", of_status),
            of_priority=_of_word("(mod (atoi .) 8 | toString)"),  # facility times eight, and the severity
        ),
    )
