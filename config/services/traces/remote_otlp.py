"""Remote stores that also get the kept traces, and the log records that came by OTLP.

Each has a separate queue on disk. When it is full, the copy loses new data, and the other stores are not affected:

    tail sampling ─┬─▶ queue on disk ─▶ Jaeger              labels ─┬─▶ queue on disk ─▶ Loki
                   └─▶ queue on disk ─▶ far away                    └─▶ batch ─▶ queue on disk ─▶ far away

The batch processor is for records. Without it a sender would get the error of a full remote queue, and send its records to both
stores again. Traces need none: the sampling already answers their senders.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from config.container import Secret
from config.remote_login import authorization
from config.settings import Settings
from config.settings.remotes import LOGS, TRACES, RemoteLogs, RemoteTraces, secret_of
from config.yaml_text import dollars_doubled

LOGS_EXPORTER = "otlp_http/remote_logs"
RECORDS = "/otlp"
"""Path below the address of a Loki, to which OTLP's own paths are added."""

Queue = Callable[[int], dict[str, Any]]


def traces_exporter(end: RemoteTraces) -> str:
    """Name of the exporter of traces."""
    return f"otlp_{end.protocol}/remote_traces"


def added(main: Mapping[str, Any], settings: Settings, queue: Queue) -> dict[str, Any]:
    """The collector's file `main` with the ends of `settings`. `queue` makes the options of a queue of so many bytes."""
    changed = dict(main)
    exporters, pipelines = dict(main["exporters"]), dict(main["service"]["pipelines"])
    if traces := settings.traces.remote:
        name = traces_exporter(traces)
        exporters[name] = _exporter(traces, queue)
        sampled = pipelines["traces/sampled"]
        pipelines["traces/sampled"] = {**sampled, "exporters": [*sampled["exporters"], name]}
    if (logs := settings.logs.remote) and "logs/masked" in pipelines:
        exporters[LOGS_EXPORTER] = _exporter(logs, queue)
        masked = pipelines["logs/masked"]
        pipelines["logs/masked"] = {**masked, "exporters": [*masked["exporters"], "forward/remote_logs"]}
        pipelines["logs/remote"] = {
            "receivers": ["forward/remote_logs"],
            "processors": ["batch/remote_logs"],
            "exporters": [LOGS_EXPORTER],
        }
        changed["connectors"] = {**main["connectors"], "forward/remote_logs": {}}
        changed["processors"] = {**main["processors"], "batch/remote_logs": {}}
    return {**changed, "exporters": exporters, "service": {**main["service"], "pipelines": pipelines}}


def _exporter(end: RemoteTraces | RemoteLogs, queue: Queue) -> dict[str, Any]:
    url = urlsplit(end.url)
    grpc = isinstance(end, RemoteTraces) and end.protocol == "grpc"
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    port = url.port or (443 if url.scheme == "https" else 80)
    tls: dict[str, Any] = {"ca_pem": end.ca} if end.ca else {}
    if grpc and url.scheme == "http":
        tls = {"insecure": True}
    return {
        "endpoint": f"{host}:{port}" if grpc else f"{end.url}{RECORDS if isinstance(end, RemoteLogs) else ''}",
        **({"headers": {"X-Scope-OrgID": end.tenant}} if end.tenant else {}),
        **({"tls": tls} if tls else {}),
        **queue(end.queue),
    }


def queues(settings: Settings) -> tuple[str, ...]:
    """Names of the files of the queues."""
    traces = (f"{traces_exporter(settings.traces.remote)}_traces",) if settings.traces.remote else ()
    logs = (f"{LOGS_EXPORTER}_logs",) if settings.logs.remote else ()
    return tuple(f"exporter_{one.replace('/', '_')}" for one in (*traces, *logs))


def secrets(settings: Settings) -> dict[str, Secret]:
    """File name → secret, of the ends that have one."""
    result = {}
    if (traces := settings.traces.remote) and (secret := secret_of(TRACES)) in settings.secrets:
        result[secret] = Secret(secret, _rendered(traces_exporter(traces), traces.header, traces.user))
    if (logs := settings.logs.remote) and (secret := secret_of(LOGS)) in settings.secrets:
        result[secret] = Secret(secret, _rendered(LOGS_EXPORTER, None, logs.user))
    return result


def _rendered(exporter: str, header: str | None, user: str | None) -> Callable[[str], str]:
    value = str.strip if header else authorization(user)

    def text(secret: str) -> str:
        headers = {header or "Authorization": value(secret)}
        return json.dumps(dollars_doubled({"exporters": {exporter: {"headers": headers}}}))

    return text
