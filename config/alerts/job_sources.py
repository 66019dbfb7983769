"""Metrics that count the jobs and messages of a worker: rows as in `config/alerts/request_sources.py`, which puts them last."""

from config.alerts.request_source import RequestSource, Selector, by_status, tally
from config.alerts.rule import Job


def _messaging(job: Job) -> tuple[RequestSource, ...]:
    """Metrics of messages and jobs by OpenTelemetry. Exporters for Node.js and kafkajs leave the unit out."""
    way = ", by OTLP" if job is Job.OTLP else ""
    return (
        # It can have the metric of the conventions too, there without its errors. Its histogram has OpenTelemetry's bounds for
        # milliseconds, but counts seconds: the first is 5 s.
        by_status(f"River{way}", "river_work_count_total", "status", job=job, failed="error|panic", routes=("kind",)),
        *(
            by_status(
                f"BullMQ{way}",
                f"{name}_count",
                "bullmq_job_state",
                duration=name,
                job=job,
                failed="failed",
                # The others are steps of a job that goes on.
                matchers='bullmq_job_state=~"completed|failed"',
                milliseconds=True,
                routes=("bullmq_job_name",),
            )
            for name in ("bullmq_job_duration_milliseconds", "bullmq_job_duration")
        ),
        *(
            tally(
                f"OpenTelemetry, messaging{way}",
                Selector(f"{name}_count"),
                Selector(f"{name}_count", 'error_type!=""'),
                duration=name,
                job=job,
                kinds=("messaging_destination_name",),
            )
            for name in ("messaging_process_duration_seconds", "messaging_process_duration")
        ),
    )


def _workers() -> tuple[RequestSource, ...]:
    """Workers that take jobs or messages from a queue. An attempt is a request."""
    return (
        tally(
            "celery_exporter",
            Selector("celery_task_started_total"),
            Selector("celery_task_failed_total"),
            duration="celery_task_runtime",
            active="celery_worker_tasks_active",
            kinds=("name",),
        ),
        tally(
            "Flower",
            Selector("flower_events_total", 'type=~"task-succeeded|task-failed"'),
            Selector("flower_events_total", 'type="task-failed"'),
            duration="flower_task_runtime_seconds",
            active="flower_worker_number_of_currently_executing_tasks",
            kinds=("task",),
            by_kind="flower_task_runtime_seconds_count",
        ),
        tally(
            "Dramatiq",
            Selector("dramatiq_messages_total"),
            Selector("dramatiq_message_errors_total"),
            duration="dramatiq_message_duration_milliseconds",
            active="dramatiq_messages_inprogress",
            milliseconds=True,
            kinds=("actor_name",),
        ),
        tally(
            "taskiq",
            Selector("received_tasks_total", 'task_name!=""'),
            Selector("found_errors_total", 'task_name!=""'),
            duration="execution_time",
            kinds=("task_name",),
        ),
        by_status(
            "FastStream",
            "faststream_received_processed_messages_total",
            "status",
            duration="faststream_received_processed_messages_duration_seconds",
            active="faststream_received_messages_in_process",
            failed="error|nacked|rejected",
            routes=("handler",),
        ),
        tally(
            "yabeda_sidekiq",
            Selector("sidekiq_jobs_executed_total"),
            Selector("sidekiq_jobs_failed_total"),
            duration="sidekiq_job_runtime_seconds",
            kinds=("worker",),
        ),
        tally(
            "prometheus_exporter, Sidekiq",
            Selector("ruby_sidekiq_jobs_total"),
            Selector("ruby_sidekiq_failed_jobs_total"),
            duration="ruby_sidekiq_job_duration_seconds",
            kinds=("job_name",),
        ),
        by_status(
            "yabeda_faktory",
            "faktory_jobs_executed_total",
            "success",
            duration="faktory_job_execution_runtime_seconds",
            failed="false",
            routes=("worker",),
        ),
        # With observations, the label `error` takes the place of `result`.
        *(
            tally(
                name,
                Selector(f"{metric}_count"),
                Selector(f"{metric}_count", 'result="failure"'),
                Selector(f"{metric}_count", 'result="",error!~"none|"'),
                duration=metric,
                kinds=kinds,
            )
            # The labels of the two without observations come first.
            for name, metric, kinds in (
                ("Spring Kafka", "spring_kafka_listener_seconds", ("name", "spring_kafka_listener_id")),
                ("Spring AMQP", "spring_rabbitmq_listener_seconds", ("listener_id", "queue")),
                ("Spring AMQP", "spring_rabbit_listener_seconds", ("spring_rabbit_listener_id",)),
            )
        ),
        tally(
            "MassTransit",
            Selector("mt_consume_total"),
            Selector("mt_consume_fault_total"),
            duration="mt_consume_duration_seconds",
            active="mt_consumer_in_progress",
            kinds=("message_type",),
        ),
        # Programs have counters of this name with the status in a label. Their failures have no counter of their own.
        tally(
            "asynq",
            Selector("asynq_tasks_processed_total", 'queue!="",status=""'),
            Selector("asynq_tasks_failed_total", 'queue!="",status=""'),
            kinds=("queue",),
        ),
    )


JOBS = (*_messaging(Job.APPLICATION), *_messaging(Job.OTLP), *_workers())
"""Sources that count jobs. Nobody waits for a job's answer."""
