"""The edges of a centre: what they send, and whether the door takes it (edge_door is a program of this project). Clocks: `HostClockSkewed`."""

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope
from config.settings.edges import UNKNOWN

LATE = 120
"""Seconds. A sample arrives within ten, and each target is scraped at least once a minute."""
NEAR = 0.8
"""Share of its bound from which an edge has many series. There is still time to act."""
REFUSED = 20
"""Requests in ten minutes: more than those of one that has been given a new credential a moment too early."""


def rules(scope: Scope) -> tuple[Rule, ...]:
    edges = scope.settings.edges
    if not edges:
        return ()
    every = f'host=~"{"|".join(sorted(edges))}"'
    return (
        Alert(
            name="EdgeSilent",
            severity="critical",
            wait="5m",
            service="{{ $labels.host }}",
            expr="\nor ".join(f'absent(up{{host="{name}"}})' for name in sorted(edges)),
            summary="Nothing comes from {{ $labels.host }}",
            description="No sample of this host has come for ten minutes: it is down, or its way to the centre is, or its "
            "credential is wrong. Nothing that happens there can raise an alert.",
        ),
        Alert(
            name="EdgeLate",
            severity="warning",
            wait="10m",
            service="{{ $labels.host }}",
            expr=f"""
            time() - max by (host) (max_over_time(timestamp(up{{job="prometheus",{every}}})[1h:1m])) > {LATE}
            """,
            summary="What comes from {{ $labels.host }} is {{ $value | humanizeDuration }} old",
            description="Its queue is not empty yet after an outage, its rate is above its bound, or its clock is behind. "
            "Alerts about this host come that much later.",
        ),
        Alert(
            name="EdgeQueueFills",
            severity="warning",
            wait="10m",
            service="{{ $labels.host }}",
            expr=f"""
            max by (host) (
              otelcol_exporter_queue_size{{job="otel_collector",{every}}} / otelcol_exporter_queue_capacity{{job="otel_collector",{every}}}
            ) > 0.5
            """,
            summary="The queue of traces on {{ $labels.host }} is {{ $value | humanizePercentage }} full",
            description="It sends more slowly than it receives. A full queue loses new spans and OTLP logs.",
        ),
        Alert(
            name="EdgeLost",
            severity="warning",
            service="{{ $labels.host }}",
            expr=f"""
            sum by (host) (increase(prometheus_remote_storage_samples_failed_total{{{every}}}[10m])) > 0
            or sum by (host) (increase(prometheus_remote_storage_samples_dropped_total{{{every}}}[10m])) > 0
            or sum by (host) (increase(loki_write_dropped_entries_total{{job="alloy",{every}}}[10m])) > 0
            """,
            summary='{{ $labels.host }} has lost {{ printf "%.0f" $value }} samples or lines in ten minutes',
            description="The centre has refused them for good, so they were not sent again: the credential was wrong, or they "
            "were older than a day.",
        ),
        Alert(
            name="EdgeOldVersion",
            severity="info",
            wait="1d",
            service="{{ $labels.host }}",
            expr=f"""
            group by (host, version) (prometheus_build_info{{job="prometheus",{every}}})
            unless on (version) prometheus_build_info{{job="prometheus",host="{scope.settings.name_of_host}"}}
            """,
            summary="{{ $labels.host }} runs Prometheus {{ $labels.version }}, and its centre another version",
            description="The edge and its centre were deployed from different checkouts of this project.",
        ),
        Alert(
            name="EdgeManySeries",
            severity="warning",
            wait="10m",
            service="{{ $labels.edge }}",
            expr=f"edge_door_series > {NEAR} * edge_door_series_bound",
            summary='{{ $labels.edge }} has sent {{ printf "%.0f" $value }} series within an hour, near or at its bound',
            description="Samples of series above the bound are lost; those that there were come in as before. Each series costs "
            "the centre's Prometheus 3 to 9 kB of memory.",
        ),
        Alert(
            name="EdgesRefused",
            severity="warning",
            service="edge_door",
            expr=f'increase(haproxy_backend_http_requests_total{{job="api_proxy",proxy="{UNKNOWN}"}}[10m]) > {REFUSED}',
            summary='The door has refused {{ printf "%.0f" $value }} requests without a valid credential in ten minutes',
            description="An edge has a wrong credential, and loses what it sends; or a stranger is trying the door.",
        ),
    )
