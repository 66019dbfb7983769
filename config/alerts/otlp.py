"""Metrics that applications send by OTLP, beyond the limits of one sender (`config/services/traces/otlp_senders.py`)."""

from config.alerts.rule import Alert, Rule
from config.alerts.scope import Scope


def rules(_scope: Scope) -> tuple[Rule, ...]:
    return (
        Alert(
            name="OtlpMetricOverflow",
            severity="warning",
            wait="5m",
            expr="""
            count by (service, metric) (
              label_replace({job="otlp",otel_metric_overflow="true"}, "metric", "$1", "__name__", "(.+?)(?:_bucket)?")
            ) > 0
            """,
            summary="{{ $labels.service }} sends more series of {{ $labels.metric }} than one process may",
            description="The collector, or the application's own SDK, combines the surplus in one series without labels. "
            "A label takes new values without end: ids, addresses or paths.",
        ),
        Alert(
            name="OtlpMetricsRefused",
            severity="warning",
            wait="1m",
            expr="""
            max by (job, instance, service, otlp_part) (
              scrape_samples_post_metric_relabeling{job="otlp"} > 0 and up{job="otlp"} == 0
            )
            """,
            summary='Prometheus refuses part {{ $labels.otlp_part }} of the OTLP metrics: {{ printf "%.0f" $value }} samples are too many',
            description="A service sends more series than one scrape may have, in many metrics or from many processes. "
            "Prometheus stores nothing of the services in this part, one sixteenth of all. The other parts "
            "are not affected.",
        ),
    )
