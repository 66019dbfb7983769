"""Metrics that applications send by OTLP: what of them is beyond the bounds of one sender (`config/otlp_senders.py`)."""

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
            summary="{{ $labels.service }} has more series of {{ $labels.metric }} than one process may have",
            description="The collector, or the application's own SDK, counts them together as one, without labels. A label "
            "takes new values without end: ids, addresses or paths.",
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
            summary='{{ printf "%.0f" $value }} samples of part {{ $labels.otlp_part }} of the OTLP metrics are refused: too many',
            description="A service sends more series than a scrape may have, in many metrics or from many processes. Nothing "
            "of the services in its part is stored, a sixteenth of them all; the others are not hurt.",
        ),
    )
