"""What a stack knows of the shop beside it, in each of the three signals."""

from typing import Any, Protocol

from tests.support.troubleshooting import parent, service, tags
from tests.support.wait import until

GOLDEN = (
    "service:requests:rate5m > 0",
    "service:errors:ratio_rate5m == 0",
    "service:request_duration_seconds:p95_rate5m > 0",
    "service:active_requests:sum >= 0",
)
"""Traffic, errors, latency and saturation of services that are well."""

CALLS = {("gateway", "auth"), ("gateway", "orders"), ("orders", "products")}
"""Who calls whom for an order."""


class Published(Protocol):
    """A stack whose Prometheus, Loki and Jaeger are published."""

    def get(self, service: str, path: str, /, **parameters: str) -> Any:
        """The JSON of a published service."""


def with_signal(stack: Published, signal: str, **at: str) -> set[str]:
    """The services of which Prometheus has a golden signal."""
    answer = stack.get("prometheus", "/api/v1/query", query=signal, **at)
    return {sample["metric"]["service"] for sample in answer["data"]["result"]}


def an_order_is_told(stack: Published, trace_id: str) -> None:
    """Waits until Jaeger has a kept order as one tree, and Loki its lines, with service and level."""

    def trace() -> dict[str, Any]:
        """Whole: each service sends its spans when it likes, and until all have, parents are missing."""
        [candidate] = stack.get("jaeger", f"/api/traces/{trace_id}")["data"]
        whole = (
            len(_roots(candidate)) == 1
            and _databases(candidate) >= {"postgresql", "redis"}
            and _calls(candidate) >= CALLS
        )
        return candidate if whole else {}

    tree = until(trace)
    [root] = _roots(tree)
    assert service(tree, root) == "gateway"
    assert parent(root) is None

    def lines() -> set[tuple[str, str]]:
        query = f'{{service=~".+"}} | trace_id="{trace_id}"'
        streams = stack.get("loki", "/loki/api/v1/query_range", query=query, since="10m")["data"]["result"]
        return {(stream["stream"]["service"], stream["stream"]["level"]) for stream in streams}

    expected = {(name, "info") for name in ("nginx", "gateway", "auth", "orders", "products")}
    until(lambda: lines() == expected)


def _roots(trace: dict[str, Any]) -> list[dict[str, Any]]:
    spans = {span["spanID"]: span for span in trace["spans"]}
    return [span for span in spans.values() if parent(span) not in spans]


def _databases(trace: dict[str, Any]) -> set[str]:
    keys = ("db.system.name", "db.system")
    return {str(tags(span)[key]) for span in trace["spans"] for key in keys if key in tags(span)}


def _calls(trace: dict[str, Any]) -> set[tuple[str, str]]:
    """Which service called which."""
    spans = {span["spanID"]: span for span in trace["spans"]}
    of = {identifier: service(trace, span) for identifier, span in spans.items()}
    return {
        (of[str(parent(span))], of[identifier])
        for identifier, span in spans.items()
        if parent(span) in spans and of[str(parent(span))] != of[identifier]
    }
