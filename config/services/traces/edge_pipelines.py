"""The differences in the collector of an edge, and of a centre with edges.

    edge:    otlp ─▶ cut, mask ─┬─▶ traces, logs ─▶ queue on disk ─▶ the centre's door
                                └─▶ metrics ─▶ Prometheus
    centre:  the door ─▶ host ─▶ all that it does with what is sent here

An edge counts and samples nothing: a trace has spans of several hosts, and only the centre sees all of them. It masks, so
that no secret leaves the host; the centre does it once more, because it does not trust its edges.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from config.container import Secret
from config.ports import OTLP_EDGES
from config.services.traces.sampling import quoted
from config.settings import Settings
from config.settings.secret_keys import CENTRE_PASSWORD
from config.yaml_text import dump

CENTRE = "otlp_http/centre"
QUEUES = ("exporter_otlp_http_centre_traces", "exporter_otlp_http_centre_logs")
"""Files of an edge's queues."""
LOGIN = "centre.yml"
"""The file with the credential's header, below `secrets/`. The collector merges it into its main file."""
HEADER = "X-Edge"
"""Header in which the door says which edge has sent a request."""
_FORWARD = ("forward/received", "forward/masked")


def fitted(main: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The collector's file `main`, changed for the role of the stack."""
    if settings.role == "edge":
        return _of_an_edge(main, settings)
    return _with_edges(main, settings) if settings.edges else main


def logins(settings: Settings) -> Mapping[str, Secret]:
    """File name below `secrets/` → its secret."""
    if settings.role != "edge":
        return {}

    def file(password: str) -> str:
        return dump({"exporters": {CENTRE: {"headers": {"Authorization": basic(settings.name_of_host, password)}}}})

    return {LOGIN: Secret(CENTRE_PASSWORD, file)}


def basic(user: str, password: str) -> str:
    """Value of the header `Authorization` (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password.strip()}".encode()).decode()


def _of_an_edge(main: dict[str, Any], settings: Settings) -> dict[str, Any]:
    centre, pipelines = settings.centre, main["service"]["pipelines"]
    assert centre is not None  # noqa: S101 - settings.edges
    queue = {
        key: main["exporters"]["otlp_grpc/jaeger"][key] for key in ("timeout", "sending_queue", "retry_on_failure")
    }
    subset = {
        name: parts for name, parts in pipelines.items() if set(parts["receivers"]) <= {"otlp", "forward/received"}
    }
    subset["traces/masked"] = {**pipelines["traces/masked"], "processors": ["filter/nameless"], "exporters": [CENTRE]}
    subset["logs/masked"] = {**pipelines["logs/masked"], "processors": [], "exporters": [CENTRE]}
    subset["metrics/masked"] = pipelines["metrics/masked"]
    used = {name for parts in subset.values() for name in parts["processors"]}
    return {
        **main,
        "processors": {name: part for name, part in main["processors"].items() if name in used},
        "connectors": {name: main["connectors"][name] for name in _FORWARD},
        "exporters": {
            CENTRE: {"endpoint": centre.url, **({"tls": {"ca_pem": centre.ca}} if centre.ca else {}), **queue},
            "prometheus/otlp": main["exporters"]["prometheus/otlp"],
        },
        "service": {**main["service"], "pipelines": subset},
    }


def _with_edges(main: dict[str, Any], settings: Settings) -> dict[str, Any]:
    endpoint = f"{settings.listens('otel_collector')}:{OTLP_EDGES}"
    receiver = {"protocols": {"http": {"endpoint": endpoint, "include_metadata": True}}}
    hosts = {
        "transform/here": quoted(settings.name_of_host),
        "transform/edge": f'otelcol.client.metadata["{HEADER}"][0]',
    }
    pipelines = dict(main["service"]["pipelines"])
    for signal in ("traces", "logs"):
        received = pipelines[signal]
        first, *rest = received["processors"]  # the memory limiter
        pipelines[signal] = {**received, "processors": [first, "transform/here", *rest]}
        pipelines[f"{signal}/edges"] = {
            **received,
            "receivers": ["otlp/edges"],
            "processors": [first, "transform/edge", *rest],
        }
    return {
        **main,
        "receivers": {**main["receivers"], "otlp/edges": receiver},
        "processors": {**main["processors"], **{name: _host(value) for name, value in hosts.items()}},
        "service": {**main["service"], "pipelines": pipelines},
    }


def _host(value: str) -> dict[str, Any]:
    """Transform processor that overwrites the resource attribute `host`."""
    statements = [{"context": "resource", "statements": [f'set(resource.attributes["host"], {value})']}]
    # An error refuses the request: nothing may pass without its host.
    return {"error_mode": "propagate", "trace_statements": statements, "log_statements": statements}
