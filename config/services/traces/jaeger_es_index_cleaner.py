"""Retention of traces in Elasticsearch and OpenSearch, because Jaeger itself never deletes an index.

Runs Jaeger's own cleaner once an hour. The time of the last success goes to the collector as a metric.
"""

import json
import shlex
from typing import Any

from config.container import DIRECTORY, ConfigFiles, Container, Secret
from config.ports import OTLP_HTTP
from config.services.metrics import scrape_proxy
from config.services.traces.jaeger import DAY_SECONDS, storage_url
from config.settings import Settings
from config.settings.traces import RETENTION_SUCCESS
from config.settings.units import seconds

SCRIPT = "clean.sh"
EVERY_SECONDS = 3600

_LOOP = """\
# Deletes what is too old once an hour, tries again at once what fails, and tells when it last succeeded.
set -u
trap 'exit 0' TERM
{password}last=0
while :; do
    now=$(date +%s)
    if [ "$now" -ge $((last + {every})) ] && /go/bin/es-index-cleaner-linux {days} {url}; then
        last=$now
    fi
    if [ "$last" -gt 0 ]; then
        timeout 10 wget -q -O /dev/null --header 'Content-Type: application/json' --post-data '{metric}' {collector} || :
    fi
    sleep 15 &
    wait $!
done
"""


def container(settings: Settings) -> Container:
    """The cleaner has no loop of its own, so its entrypoint is a script for the image's shell."""
    has_password = settings.traces.cluster is not None and "traces_password" in settings.secrets
    return Container(
        service="jaeger_es_index_cleaner",
        entrypoint=("/bin/sh",),
        command=(f"{DIRECTORY}/{SCRIPT}",),
        user="10001:10001",
        port=None,
        config=ConfigFiles(
            files={SCRIPT: script(settings, with_password=has_password)},
            validate=f"sh -n {SCRIPT}",
            secrets={"traces_password": Secret("traces_password")} if has_password else {},
            reload="restart",
        ),
        names=scrape_proxy.cluster_names(settings),
        after=("elasticsearch", "opensearch"),
    )


def script(settings: Settings, *, with_password: bool) -> str:
    """The text of `clean.sh`. An index holds one day. It is deleted one day after its first span has reached the
    retention, so that its last span has reached it too."""
    cluster = settings.traces.cluster
    password = ""
    if with_password and cluster:
        user = shlex.quote(cluster.user or "elastic")
        password = f'export ES_USERNAME={user} ES_PASSWORD="$(cat {DIRECTORY}/secrets/traces_password)"\n'
    days = round(seconds(settings.traces.retention) / DAY_SECONDS) + 1
    return _LOOP.format(
        password=password,
        every=EVERY_SECONDS,
        days=days,
        url=shlex.quote(storage_url(settings)),
        metric=_metric(),
        collector=f"http://{settings.host('otel_collector')}:{OTLP_HTTP}/v1/metrics",
    )


def _metric() -> str:
    """OTLP request in JSON, with shell variables in it."""
    point = {"timeUnixNano": "'$now'000000000", "asDouble": "'$last'"}
    gauge: dict[str, Any] = {"name": RETENTION_SUCCESS, "gauge": {"dataPoints": [point]}}
    service = {"key": "service.name", "value": {"stringValue": "jaeger_es_index_cleaner"}}
    metrics = [{"resource": {"attributes": [service]}, "scopeMetrics": [{"metrics": [gauge]}]}]
    return json.dumps({"resourceMetrics": metrics}, separators=(",", ":")).replace("\"'$last'\"", "'$last'")
