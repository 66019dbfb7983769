"""Every container on the host, whoever started it, as the engine and cAdvisor see it.

The engine's metrics (`engine_container_*`, on the socket proxy's page) cover each container, even one that has ended or lives
for a second. They say how often the engine has restarted it and, by its restart policy, whether it is meant to end. cAdvisor
sees only containers that exist when it looks. Its `container_start_time_seconds` is the time of the last start
(container/docker/handler.go since 0.57).

`container_oom_events_total` counts the kills in the kernel's log while cAdvisor runs (cmd/internal/api/oom.go). Before 0.57
cAdvisor dropped the counter together with a container whose main process was killed (google/cadvisor#3015): after 6 such kills
it was 0, and `node_vmstat_oom_kill` was 6.
"""

from config.alerts.rule import Alert, Job, RecordingRule, Rule, ratio
from config.alerts.scope import Scope
from config.settings.thresholds import Thresholds

_NAMED = 'job="cadvisor",name!=""'
_ENGINE = 'job="containers"'
_RUNS = f"engine_container_running{{{_ENGINE}}} == 1"


def rules(scope: Scope) -> tuple[Rule, ...]:
    if not {Job.CADVISOR, Job.CONTAINERS} <= scope.watched:
        return ()
    oom_killed = (_oom_killed(),) if Job.NODE_EXPORTER in scope.watched else ()
    return _rules(scope.thresholds) + oom_killed


def _restarted(span: str, times: str) -> str:
    """Restarts by the engine, or by anything else that starts the container again: the engine does not count those."""
    return f"""
            max by (service, name) (increase(engine_container_restarts_total{{{_ENGINE}}}[{span}])) {times}
            or max by (service, name) (changes(container_start_time_seconds{{{_NAMED}}}[{span}])) {times}
            """


def _rules(limits: Thresholds) -> tuple[Rule, ...]:
    return (
        # The working set includes recently read files (cAdvisor subtracts only inactive ones), so a database that reads much
        # is always at its limit. The kernel frees those files before it kills a process.
        RecordingRule(
            "name:container_memory_used:ratio",
            f"""
            max by (job, instance, service, name) (
              clamp_min(
                container_memory_working_set_bytes{{{_NAMED}}}
                  - on (job, instance, service, name) container_memory_total_active_file_bytes{{{_NAMED}}},
                0
              )
              or container_memory_working_set_bytes{{{_NAMED}}}
            ) / (max by (job, instance, service, name) (container_spec_memory_limit_bytes{{{_NAMED}}}) > 0)
            """,
        ),
        Alert(
            name="ContainerMemoryHigh",
            severity="warning",
            wait="10m",
            expr=f"name:container_memory_used:ratio > {ratio(limits.container_memory)}",
            summary="{{ $labels.name }} uses {{ $value | humanizePercentage }} of its memory limit",
            description="This counts memory that the kernel cannot simply take back: the working set without cached "
            "files. At the limit the kernel kills the container's largest process.",
        ),
        Alert(
            name="ContainerRestarting",
            severity="warning",
            expr=_restarted("15m", f">= {limits.container_restarts}"),
            summary='{{ $labels.name }} has restarted {{ printf "%.0f" $value }} times in 15 minutes',
            description="The container starts, dies and is started again. Docker waits longer before each attempt, up "
            "to a minute, and never gives up under `unless-stopped`.",
        ),
        Alert(
            name="ContainerThrottled",
            severity="warning",
            wait="15m",
            expr=f"""
            max by (job, instance, service, name) (
              rate(container_cpu_cfs_throttled_periods_total{{{_NAMED}}}[5m])
                / (rate(container_cpu_cfs_periods_total{{{_NAMED}}}[5m]) > 0)
            ) > {ratio(limits.container_throttled)}
            """,
            summary="{{ $labels.name }} hits its CPU limit {{ $value | humanizePercentage }} of the time",
            description="The container has work to do, but its CPU quota holds it back. Its requests are slow while the "
            "host's CPU looks free.",
        ),
        # By service, not by name: a deploy may bring the same service back under another name. By id inside: a renamed container
        # is still there. A job does not count: it has no restart policy, and it succeeded, was removed or was short.
        Alert(
            name="ContainerGone",
            severity="warning",
            wait="5m",
            expr=f"""
            count by (service) (
              (
                max_over_time(engine_container_running{{{_ENGINE},restart!="no"}}[1h]) == 1
                or engine_container_exit_code{{{_ENGINE},restart="no"}} > 0
              )
              unless on (id) {_RUNS}
            )
            and on (service) count_over_time((max by (service) ({_RUNS}))[90m:1m]) >= 30
            unless on (service) {_RUNS}
            and on () count({_RUNS})
            """,
            summary="No container of {{ $labels.service }} is running",
            description="The service had run for at least half an hour. Its containers were stopped or removed. The "
            "alert ends one hour after that, even if nobody has started them again.",
        ),
        # Upgrades of Docker have caused this more than once (google/cadvisor#3749, #3793: API version, containerd's snapshotter).
        Alert(
            name="ContainersNotSeen",
            severity="warning",
            service="cadvisor",
            wait="5m",
            expr=f"""
            up{{job="cadvisor"}} == 1
              unless on (instance) container_last_seen{{{_NAMED}}}
            """,
            summary="cAdvisor answers but sees no container",
            description="Nothing watches memory, CPU and restarts of containers now. The usual reason is an upgrade of "
            "Docker that this cAdvisor cannot talk to.",
        ),
    )


def _oom_killed() -> Alert:
    return Alert(
        name="ContainerOomKilled",
        severity="warning",
        expr=f"""
        max by (service, name) (increase(container_oom_events_total{{{_NAMED}}}[10m])) > 0
        or (
          ({_restarted("10m", "> 0").strip()})
          and on () increase(node_vmstat_oom_kill{{job="node_exporter"}}[10m]) > 0
        )
        """,
        summary="A process in {{ $labels.name }} was killed because memory ran out",
        description="Either cAdvisor saw the kill, or the container restarted in the ten minutes in which the kernel "
        "killed a process. The container's limit is too low for its work, or it leaks memory.",
    )
