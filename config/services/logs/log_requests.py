"""Answered requests in log lines: those that only watch a service are not stored, and the others are counted.

The shipper shows the counts on its own metrics page. `config/alerts/request_sources.py` says which services they are used for.
"""

from collections.abc import Iterator

from config import watching
from config.metric_names import ACCESS_LOG_DURATION, ACCESS_LOG_PREFIX, ACCESS_LOG_REQUESTS
from config.services.logs.log_fields import LIKE_JSON, METHOD, first
from config.services.logs.log_stages import Stage, logql, match, regex, stage, template
from config.services.logs.log_templates import go_template
from config.settings import Settings

HEALTH_CHECK, SCRAPE = "health_check", "scrape"
"""Values of `reason` in the shippers' metric of dropped lines."""

_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
"""Upper bounds in seconds."""
_IDLE = "1h"
"""Series without a request for so long are removed, as those of spans are."""


def answered() -> Stage:
    """Extracts `answered` from a line about a request: `<status> <method> <path>`. What the line does not tell is empty.

    It is a label until the end, because only labels can select lines: most lines then pass by the stages of `requests`.
    """
    return template(
        "answered",
        go_template(
            "answered",
            find_path=first("path", "$path", "{{ $path = . }}", "path_in_text"),
            find_request=first("request", "$path", go_template("request_line")),
            find_method=first("method", "$method", "{{ $method = ToUpper . }}", "method_in_text"),
            find_status=first("status", "$status", "{{ if eq (len .) 3 }}{{ $status = . }}{{ end }}", "status_in_text"),
        ),
    )


def requests(settings: Settings) -> Iterator[Stage]:
    """The stages for lines with the label `answered`. Successful health checks and the stack's own scrapes are dropped. Failed
    ones are kept, because you will look for them, and so is a line that others were joined to."""
    quiet = f'level!~"warn|error|fatal"}} != {logql(chr(10))}'
    health_check = rf"[23]\d\d (?:GET|HEAD|) {watching.health(settings.traces.health_paths)}"
    yield stage(
        "match",
        selector=f"{{answered=~{logql(health_check)},{quiet}",
        action="drop",
        drop_counter_reason=HEALTH_CHECK,
    )
    # Some formats have no user agent, and Traefik by default writes `-` for it.
    agent = r"^(?:-|null|(?:NGINX-)?Prometheus(?:-Exporter)?/\S*)$"
    scrape = rf"(?:2\d\d|304) GET {watching.SCRAPE}"
    yield match(
        f"{{answered=~{logql(scrape)},{quiet}",
        *_user_agent(),
        stage("drop", source="user_agent", expression=agent, drop_counter_reason=SCRAPE),
    )
    yield _counted(settings)


def _user_agent() -> Iterator[Stage]:
    """Extracts `user_agent`. It has many names in JSON and logfmt. In text it is the second quoted field after the request, or
    the only one."""
    yield regex(
        r"""(?i)\b(?:\w*user[_-]?agent(?:\.original)?|ua|agent)"?\s*[=:]\s*\[?\s*"?(?P<agent_named>[^"\s\],}]*)"""
    )
    quoted = r'HTTP/[\d.]+"[^"]*"(?P<agent_first>[^"]*)"(?:[^"]*"(?P<agent_second>[^"]*)")?'
    yield match(f"!~ {logql(LIKE_JSON)}", regex(quoted))
    yield template("user_agent", '{{ or .agent_named .agent_second .agent_first "-" }}')


def _counted(settings: Settings) -> Stage:
    """Counts the requests of your services. Checks and scrapes are no requests, failed ones neither: among their successful ones
    they would be a small part of all requests, and without them they are all there is.

    A path that is a whole URL, and the level debug, are those of requests that a service makes itself.
    """
    request = logql(rf"[1-5]\d\d (?:{METHOD}) /.*")
    paths = f"(?:{watching.health(settings.traces.health_paths)}|{watching.SCRAPE})"
    checks = logql(rf"\d{{3}} (?:GET|HEAD) {paths}")
    own = logql("|".join(f"{settings.prefix}-{service}" for service in settings.services))
    return match(
        f'{{answered=~{request},answered!~{checks},level!="debug",source=~"docker|file",container!~{own}}}',
        template(
            "status",
            "{{ if or .took (and .method_in_text .path_in_text .status_in_text) }}{{ substr 0 1 .answered }}xx{{ end }}",
        ),
        # All labels of a line become labels of its metrics. Promtail needs `source`: a metric of each of its scrape
        # configurations must differ from the others'.
        stage("label_keep", values=["service", "source"]),
        stage("labels", values={"status": "status"}),
        stage(
            "metrics",
            stages=(
                _metric("counter", ACCESS_LOG_REQUESTS, "Requests in access logs.", "status", action="inc"),
                _metric("histogram", ACCESS_LOG_DURATION, "Response times in access logs.", "took", buckets=_BUCKETS),
            ),
        ),
        # Later stages look at no other label, and find what the labels were among the extracted values.
        stage("labels", values={"level": "level"}),
    )


def _metric(kind: str, name: str, description: str, source: str, **config: object) -> Stage:
    shared = {"prefix": ACCESS_LOG_PREFIX, "description": description, "source": source, "max_idle_duration": _IDLE}
    return Stage(kind, {"name": name.removeprefix(ACCESS_LOG_PREFIX), **shared, **config})
