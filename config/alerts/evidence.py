"""Evidence that an alert carries: its possible culprits, and the changes of the last hour.

They are annotations, which Prometheus fills in by queries while the alert is active: a quiet alert costs nothing. An annotation
without an answer stays empty, and messages leave it out. Values of labels come from outside: in a query they are quoted
(`%q`), and the receivers' templates escape them in a message (`config/services/metrics/messages.py`, `config/services/metrics/receiver_texts.py`).
"""

from config.alerts.rule import Alert, Job, Watched

CULPRITS, CHANGED = "culprits", "changed"
"""Names of the annotations."""

_SHOWN = 3
_HOUR = "1h"
_RUNNING = 'job="cadvisor",name!=""'
_STARTED = "container_start_time_seconds"
_LIMIT = "container_spec_memory_limit_bytes"

_MEMORY = (
    f"topk({_SHOWN}, max by (name) (container_memory_working_set_bytes{{{_RUNNING}}}))",
    "{{ .Labels.name }} {{ .Value | humanize1024 }}B",
)
_CPU = (
    f"topk({_SHOWN}, sum by (name) (rate(container_cpu_usage_seconds_total{{{_RUNNING}}}[5m])) > 0.01)",
    '{{ .Labels.name }} {{ printf "%.1f" .Value }} cores',
)
_WRITES = (
    f"topk({_SHOWN}, sum by (name) (rate(container_fs_writes_bytes_total{{{_RUNNING}}}[5m])) > 1000)",
    "{{ .Labels.name }} writes {{ .Value | humanize1024 }}B/s",
)
_FILES = (
    f"topk({_SHOWN}, max by (name) (container_fs_usage_bytes{{{_RUNNING}}}) > 1e8)",
    "{{ .Labels.name }} {{ .Value | humanize1024 }}B in its layer",
)
_CALLS = 'traces_service_graph_request_%s{job="spans",client=%%q}'
_FAILED_CALLS = (
    f"topk({_SHOWN}, sum by (server) (rate({_CALLS % 'failed_total'}[5m])) > 0)",
    '{{ .Labels.server }} fails {{ printf "%.2g" .Value }} calls a second',
)
_SLOW_CALLS = (
    (
        f"topk({_SHOWN}, sum by (server) (rate({_CALLS % 'client_seconds_sum'}[5m])) "
        f"/ (sum by (server) (rate({_CALLS % 'client_seconds_count'}[5m])) > 0))"
    ),
    "{{ .Labels.server }} takes {{ .Value | humanizeDuration }} a call",
)

_ASKS: dict[str, tuple[tuple[str, str], Job]] = {
    "ApplicationErrorsHigh": (_FAILED_CALLS, Job.SPANS),
    "ApplicationSlow": (_SLOW_CALLS, Job.SPANS),
    "HostCpuHigh": (_CPU, Job.CADVISOR),
    "HostMemoryHigh": (_MEMORY, Job.CADVISOR),
    "HostMemoryPressure": (_MEMORY, Job.CADVISOR),
    "HostOomKill": (_MEMORY, Job.CADVISOR),
    "HostSwapping": (_MEMORY, Job.CADVISOR),
    "HostIoPressure": (_WRITES, Job.CADVISOR),
    "HostDiskFull": (_FILES, Job.CADVISOR),
    "HostDiskFillsUp": (_WRITES, Job.CADVISOR),
}
"""Alert → the query for its culprits with the text of one, and the job whose metrics it reads."""
_OF_A_SERVICE = frozenset(
    {
        "ApplicationDown",
        "ApplicationErrorsHigh",
        "ApplicationSlow",
        "ApplicationTrafficDropped",
        "ContainerMemoryHigh",
        "ContainerOomKilled",
        "ContainerRestarting",
        "ContainerThrottled",
    }
)
_OF_THE_HOST = frozenset({"HostCpuHigh", "HostMemoryHigh", "HostMemoryPressure", "HostOomKill"})
"""Alerts that say what has changed: about their service, and about all."""


def annotations(alert: Alert, watched: Watched) -> dict[str, str]:
    """`culprits` and `changed`, for alerts that have them."""
    texts = {}
    if (ask := _ASKS.get(alert.name)) and ask[1] in watched:
        texts[CULPRITS] = _each(*ask[0], apart=", ")
    if Job.CADVISOR in watched and alert.name in _OF_A_SERVICE:
        texts[CHANGED] = _new_images(_THIS_SERVICE) + _started_again(_THIS_SERVICE) + _new_limits(_THIS_SERVICE)
    elif Job.CADVISOR in watched and alert.name in _OF_THE_HOST:
        texts[CHANGED] = _new_images("") + _new_limits("")
    return texts


_THIS_SERVICE = ",service=%q"


def _each(query: str, one: str, *, apart: str = "", of: str = "$labels.service") -> str:
    """Template: `one` for each answer to `query`. Every `%q` in the query is the value of the variable `of`."""
    values = f" {of}" * query.count("%q")
    call = f"(printf `{query}`{values})" if values else f"`{query}`"
    between = f"{{{{ if $number }}}}{apart}{{{{ end }}}}" if apart else ""
    return f"{{{{ range $number, $one := query {call} }}}}{between}{one}{{{{ end }}}}"


def _started(only: str) -> str:
    return f'max by (service, image) ({_STARTED}{{{_RUNNING},image!=""{only}}})'


def _earlier(only: str) -> str:
    return f'last_over_time({_STARTED}{{{_RUNNING},image!=""{only}}}[5m] offset {_HOUR})'


def _new_images(only: str) -> str:
    """Containers with another image than an hour ago. A stack that has seen containers for less than that knows of none."""
    history = f"and on () count({_STARTED}{{{_RUNNING}}} offset {_HOUR})"
    return _each(
        f"topk({_SHOWN}, {_started(only)} unless on (service, image) {_earlier(only)} {history})",
        "{{ .Labels.service }} runs {{ .Labels.image }} since {{ .Value | humanizeTimestamp }}. ",
    )


def _started_again(only: str) -> str:
    """Containers with the same image, started within the hour: restarts, and deployments of a tag that moves."""
    return _each(
        f"topk({_SHOWN}, {_started(only)} > time() - 3600 and on (service, image) {_earlier(only)})",
        "{{ .Labels.service }} with {{ .Labels.image }} was started again at {{ .Value | humanizeTimestamp }}. ",
    )


def _new_limits(only: str) -> str:
    """Containers with another memory limit than an hour ago."""
    limit = f"max by (name) ({_LIMIT}{{{_RUNNING}{only}}})"
    before = f"max by (name) (last_over_time({_LIMIT}{{{_RUNNING}{only}}}[5m] offset {_HOUR}))"
    size = "{{ if .Value }}{{ .Value | humanize1024 }}B{{ else }}none{{ end }}"
    old = f"max by (name) (last_over_time({_LIMIT}{{{_RUNNING},name=%q}}[5m] offset {_HOUR}))"
    was = _each(old, f", and was {size}", of=".Labels.name")
    return _each(f"topk({_SHOWN}, {limit} != {before})", f"The memory limit of {{{{ .Labels.name }}}} is {size}{was}. ")
