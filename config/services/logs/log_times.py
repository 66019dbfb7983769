"""The timestamp under which Loki stores a line: the line's own time if Loki accepts it and readers find it there,
otherwise the time of arrival.

Loki refuses a line that is an hour (half of `max_chunk_age`, 2h) behind the newest of its stream, or 10 minutes ahead
of Loki's clock. Readers do not look for lines in the future, nor hours back for a line that was just written. The
line's own time is never lost: if it is not the timestamp in Loki, it is metadata.
"""

from collections.abc import Iterator

from config.services.logs.log_fields import first
from config.services.logs.log_stages import Stage, match, regex, stage, template
from config.services.logs.log_templates import go_template

LATE_SECONDS = 50 * 60
"""Own times older than this are not used. Ten minutes of Loki's hour are left for the delivery. For the same reason the
socket proxy reads no older log (`LATE` in `socket_proxy.lua`)."""
EARLY_SECONDS = 2
"""Own times further in the future than this are not used. The socket proxy relies on no line being later than the time
it was read."""
OWN_TIME = "own_time"
"""Metadata of a line whose timestamp in Loki is not its own time."""

_LAYOUTS = (
    "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
    "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 UTC", "02/Jan/2006:15:04:05 -0700",
    "Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 02 Jan 2006 15:04:05 -0700",
)  # fmt: skip
"""Layouts of Go's `time` package, which accepts a fraction of any length with each. All have a time zone, because a
time without one may be off by hours."""


def times() -> Iterator[Stage]:
    """Stages that set the timestamp, for the shippers.

    The engine stamps each line with nanoseconds. A time in whole seconds is less exact, and would merge equal lines:
    Loki keeps only one of equal lines with the same timestamp. So whole seconds count only in files, whose lines have
    no stamp.
    """
    stamp = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| UTC| ?[+-]\d\d:?\d\d)"
    common = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
    yield match('{source!="docker"}', regex(rf"^(?:[^\[\n]{{0,100}}\[)?(?P<time_in_text>{stamp}|{common})"))
    of_text = go_template("time_of_text", layouts=" ".join(f'"{layout}"' for layout in _LAYOUTS))
    yield template(
        "time",
        go_template(
            "time",
            find=first("time", "$time", f"{{{{ $said = . }}}}{of_text}", "time_in_text"),
            late=str(LATE_SECONDS),
            early=str(EARLY_SECONDS),
        ),
    )
    yield stage("timestamp", source="time", format="Unix", action_on_failure="skip")
    yield stage("regex", source="time", expression=f"^not (?P<{OWN_TIME}>.+)$")
    yield stage("structured_metadata", values={OWN_TIME: OWN_TIME})


def of_record() -> list[str]:
    """The same as statements for the collector. A record without a time has the one at which its SDK or a collector
    observed it."""
    own, unknown = "log.time", "log.time_unix_nano == 0"
    in_time = f'{own} >= Now() - Duration("{LATE_SECONDS}s") and {own} <= Now() + Duration("{EARLY_SECONDS}s")'
    text = f'FormatTime({own}, "%Y-%m-%dT%H:%M:%S.%fZ")'
    return [
        f"set({own}, log.observed_time) where {unknown}",
        f'set(log.attributes["{OWN_TIME}"], {text}) where not ({unknown}) and not ({in_time})',
        f"set({own}, Now()) where not ({in_time})",
    ]
