"""At which time Loki has a line: its own, where Loki takes that and a reader finds it there, else the time at which it was got.

Loki refuses a line that is an hour (half of `max_chunk_age`, 2h) behind the newest of its stream, and one that is 10
minutes ahead of its clock. Nobody finds a line of a time to come, nor looks hours back for one that has just been
written. What a line tells is never lost: where it is not its time in Loki, it is metadata.
"""

from collections.abc import Iterator

from config.log_fields import first
from config.log_stages import Stage, match, regex, stage, template

LATE_SECONDS = 50 * 60
"""No own time that is longer ago: ten minutes of Loki's hour are for the way. The socket proxy reads no older log for the
same reason (`LATE` in `socket_proxy.lua`)."""
EARLY_SECONDS = 2
"""No own time that is to come by more. The socket proxy trusts that no line is later than it was read."""
OWN_TIME = "own_time"
"""Metadata of a line that Loki has at another time than its own."""

_LAYOUTS = (
    "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
    "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 UTC", "02/Jan/2006:15:04:05 -0700",
    "Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 02 Jan 2006 15:04:05 -0700",
)  # fmt: skip
"""Layouts of Go's `time` package, which reads a fraction of any length with each. All have a time zone: without one, a time may be
off by hours."""

_SECONDS = (
    '{{ if not (trimAll "0123456789." .) }}'
    # Since 1970, in s, ms, µs or ns, maybe with a fraction → seconds with a fraction.
    '{{ $digits := index (splitList "." .) 0 }}'
    "{{ if eq (len $digits) 10 }}{{ $time = . }}"
    "{{ else if eq (len $digits) 13 16 19 }}"
    '{{ $time = printf "%s.%s" (substr 0 10 $digits) (substr 10 -1 $digits) }}{{ end }}'
    "{{ else if lt (len .) 50 }}{{ $text := . }}"
    "{{ range list " + " ".join(f'"{layout}"' for layout in _LAYOUTS) + " }}{{ if not $time }}"
    "{{ $moment := toDate . $text }}{{ if gt $moment.Unix 0 }}"
    '{{ $time = printf "%d.%09d" $moment.Unix $moment.Nanosecond }}'
    "{{ end }}{{ end }}{{ end }}{{ end }}"
)
"""Template that sets `$time` to the seconds since 1970 of a text, if it is a time."""


def times() -> Iterator[Stage]:
    """For the shippers.

    The engine stamps each line with nanoseconds. A time of whole seconds says less, and would make one of equal lines:
    Loki keeps one of those that have the same time. So it only counts in files, which are read without any stamp.
    """
    stamp = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| UTC| ?[+-]\d\d:?\d\d)"
    common = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
    yield match('{source!="docker"}', regex(rf"^(?:[^\[\n]{{0,100}}\[)?(?P<time_in_text>{stamp}|{common})"))
    yield template(
        "time",
        '{{ $source := .source }}{{ $time := "" }}{{ $said := "" }}'
        + first("time", "$time", f"{{{{ $said = . }}}}{_SECONDS}", "time_in_text")
        + "{{ if $time }}{{ $age := sub now.Unix (atoi (substr 0 10 $time)) }}"
        f"{{{{ if or (ge $age {LATE_SECONDS}) (le $age -{EARLY_SECONDS}) }}}}not {{{{ $said }}}}"
        '{{ else if or (ne $source "docker") (and (contains "." $time) (trimAll "0" (splitList "." $time | last))) }}'
        "{{ $time }}{{ end }}{{ end }}",
    )
    yield stage("timestamp", source="time", format="Unix", action_on_failure="skip")
    yield stage("regex", source="time", expression=f"^not (?P<{OWN_TIME}>.+)$")
    yield stage("structured_metadata", values={OWN_TIME: OWN_TIME})


def of_record() -> list[str]:
    """The same for the collector, as statements. A record without a time has that at which its SDK or a collector saw it."""
    own, unknown = "log.time", "log.time_unix_nano == 0"
    taken = f'{own} >= Now() - Duration("{LATE_SECONDS}s") and {own} <= Now() + Duration("{EARLY_SECONDS}s")'
    text = f'FormatTime({own}, "%Y-%m-%dT%H:%M:%S.%fZ")'
    return [
        f"set({own}, log.observed_time) where {unknown}",
        f'set(log.attributes["{OWN_TIME}"], {text}) where not ({unknown}) and not ({taken})',
        f"set({own}, Now()) where not ({taken})",
    ]
