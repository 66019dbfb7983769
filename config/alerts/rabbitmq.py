"""RabbitMQ, as its plugin rabbitmq_prometheus 3.10 and later reports it (the peers: 3.12). A node that is down raises TargetDown."""

from config.alerts.rule import Alert, Job, Rule
from config.alerts.scope import Scope

_NODE = f'job="{Job.RABBITMQ}"'
_QUEUE = f'job="{Job.RABBITMQ_QUEUES}"'
_OF_QUEUE = "on (job, instance, service, vhost, queue)"


def rules(scope: Scope) -> tuple[Rule, ...]:
    return (*_node(), *_queues(scope.thresholds.rabbitmq_messages))


def _node() -> tuple[Rule, ...]:
    return (
        Alert(
            name="RabbitmqMemoryAlarm",
            severity="critical",
            wait="1m",
            expr=f"rabbitmq_alarms_memory_used_watermark{{{_NODE}}} == 1",
            summary="{{ $labels.instance }} of {{ $labels.service }} is out of memory: no publisher can send",
            description="RabbitMQ uses more memory than its watermark allows. It blocks every connection that publishes, in "
            "the whole cluster, until consumers have emptied queues.",
        ),
        Alert(
            name="RabbitmqDiskAlarm",
            severity="critical",
            wait="1m",
            expr=f"rabbitmq_alarms_free_disk_space_watermark{{{_NODE}}} == 1",
            summary="{{ $labels.instance }} of {{ $labels.service }} is out of disk: no publisher can send",
            description="The disk has less free space than RabbitMQ's limit. It blocks every connection that publishes, in "
            "the whole cluster, until there is room.",
        ),
        Alert(
            name="RabbitmqPeersUnreachable",
            severity="critical",
            wait="5m",
            expr=f"rabbitmq_unreachable_cluster_peers_count{{{_NODE}}} > 0",
            summary='{{ $labels.instance }} of {{ $labels.service }} cannot reach {{ printf "%.0f" $value }} nodes of its cluster',
            description="A node is down, or the network between nodes is. Queues whose only copy is there do not work.",
        ),
        Alert(
            name="RabbitmqFilesHigh",
            severity="warning",
            wait="5m",
            expr=f"rabbitmq_process_open_fds{{{_NODE}}} / rabbitmq_process_max_fds{{{_NODE}}} > 0.9",
            summary="{{ $labels.instance }} of {{ $labels.service }} has {{ $value | humanizePercentage }} of its files and "
            "sockets open",
            description="Each connection and each segment of a queue on disk needs one. When none is left, RabbitMQ accepts no "
            "further connection.",
        ),
    )


def _queues(many: int) -> tuple[Rule, ...]:
    def growing(state: str, minutes: int) -> str:
        metric = f"rabbitmq_detailed_queue_messages_{state}{{{_QUEUE}}}"
        return f"{metric} > {many}\nand deriv({metric}[{minutes}m]) > 0"

    consumers = f"rabbitmq_detailed_queue_consumers{{{_QUEUE}}}"
    return (
        # A queue in which messages only wait for their expiry has no consumer either, but soon stops growing.
        Alert(
            name="RabbitmqQueueUnread",
            severity="warning",
            wait="10m",
            expr=f"{growing('ready', 15)}\nand {_OF_QUEUE} max_over_time({consumers}[15m]) == 0",
            summary='Nobody reads {{ $labels.queue }} of {{ $labels.service }}: {{ printf "%.0f" $value }} messages, and growing',
            description="Messages arrive and no consumer is there. The work that they stand for is not done, until the queue "
            "fills memory or disk and RabbitMQ blocks all publishers.",
        ),
        Alert(
            name="RabbitmqQueueGrows",
            severity="warning",
            wait="30m",
            expr=f"{growing('ready', 30)}\nand {_OF_QUEUE} {consumers} > 0",
            summary='{{ $labels.queue }} of {{ $labels.service }} holds {{ printf "%.0f" $value }} messages, and grows',
            description="Its consumers are slower than its publishers. Each message waits longer than the one before.",
        ),
        Alert(
            name="RabbitmqUnackedGrows",
            severity="warning",
            wait="15m",
            expr=growing("unacked", 15),
            summary='{{ $labels.queue }} of {{ $labels.service }}: consumers hold {{ printf "%.0f" $value }} messages unacknowledged',
            description="Consumers take messages faster than they finish them, or never acknowledge them. The messages stay "
            "in memory, and come again when the consumer is gone.",
        ),
    )
