"""The stack config of a small test stack."""

from collections.abc import Mapping
from typing import Any

from tests.support.deployment import CALM
from tests.support.ports import publish


def config(prefix: str, local_images: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """The stack config of a small test stack with free ports."""
    return {
        "prefix": prefix,
        "images": dict(local_images),
        "memory": {
            "ceiling": "2GiB",
            "prometheus": "256MiB",
            "loki": "256MiB",
            "alloy": "128MiB",
            "promtail": "128MiB",
            "otel_collector": "128MiB",
            "jaeger": "192MiB",
            "grafana": "256MiB",
        },
        "metrics": {**CALM, "retention": {"time": "2h", "size": "512MiB"}},
        "publish": publish("prometheus", "alertmanager", "loki"),
        "traces": {"sampling": {"decision_wait": "1s"}},
        **more,
    }
