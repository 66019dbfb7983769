"""The second copy of the logs, in a remote store."""

from typing import Any

from config.settings import Settings
from config.settings.remotes import LOGS, secret_of

LABEL = "remote"
"""Label of the shipper's components for this copy."""
PUSH = "/loki/api/v1/push"
SECRET = secret_of(LOGS)
METRICS_PREFIX = "loki_remote_"
"""Prefix of the shipper's metrics of the remote store. Those of the stack's own Loki begin with `loki_write_`."""


def has_secret(settings: Settings) -> bool:
    """Whether the store asks for a password or a token."""
    return settings.logs.remote is not None and SECRET in settings.secrets


def metric_relabel_configs(settings: Settings) -> list[dict[str, Any]]:
    """Rules that limit alerts and dashboards to the stack's own logs, so that each line is counted once. The metrics of the remote
    store get other names."""
    if settings.logs.remote is None:
        return []
    again = {"source_labels": ["component_id"], "regex": rf"loki\.(process|source\..+)\.{LABEL}", "action": "drop"}
    writer = {
        "source_labels": ["component_id", "__name__"],
        "regex": rf"loki\.write\.{LABEL};loki_write_(.+)",
        "target_label": "__name__",
        "replacement": f"{METRICS_PREFIX}$1",
    }
    return [again, writer]
