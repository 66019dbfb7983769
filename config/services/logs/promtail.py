"""Promtail: the shipper for hosts that still need it. Grafana Labs has ended its support."""

from collections.abc import Iterable, Mapping
from typing import Any

from config.container import DIRECTORY, ConfigFiles, Container
from config.ports import DOCKER_API, METRICS
from config.services.logs import edge_logs, log_pipeline, shipper
from config.services.logs.log_stages import Stage
from config.settings import Settings
from config.yaml_text import digest, dump

PORT = METRICS["promtail"]
DATA = "/promtail"


def container(settings: Settings) -> Container:
    """Runs as root without capabilities: root owns only its own volume. It reads the host's logs as group `adm`."""
    config = _config(settings)
    # Promtail shows its running config but not its file, so a job without targets carries the version.
    version = f"version-{digest({'config': dump(config)})}"
    config["scrape_configs"].append({"job_name": version, "static_configs": []})
    return Container(
        service="promtail",
        command=(f"-config.file={DIRECTORY}/promtail.yml",),
        user=f"0:{shipper.ADM}",
        port=PORT,
        tools=False,
        grace_seconds=30,
        data=DATA,
        forwards_data=True,
        mounts=shipper.mounts(settings),
        config=ConfigFiles(
            files={"promtail.yml": dump(config, width=1_000_000)},
            validate="/usr/bin/promtail -config.file=promtail.yml -check-syntax",
            # A failed reload leaves it without targets, and the next one makes it panic (3.5.0).
            reload="restart",
            expect={f"http://127.0.0.1:{PORT}/config": version},
        ),
    )


def _config(settings: Settings) -> dict[str, Any]:
    stages = [spelled(stage) for stage in log_pipeline.stages(settings)]
    return {
        "server": {"http_listen_port": PORT, "grpc_listen_port": 0, "log_level": "warn"},
        "positions": {"filename": f"{DATA}/positions.yaml", "sync_period": "5s", "ignore_invalid_yaml": True},
        "limits_config": {"max_line_size": int(settings.logs.limits.line_size), "max_line_size_truncate": True},
        "clients": [
            {
                "url": shipper.PUSH_URL,
                "batchsize": shipper.BATCH_BYTES,
                "batchwait": shipper.BATCH_WAIT,
                "timeout": shipper.TIMEOUT,
                # Loki has stored the streams that it has room for. Retrying the rest would hold up the lines of all
                # services.
                "drop_rate_limited_batches": True,
                "backoff_config": {
                    "min_period": shipper.FIRST_RETRY,
                    "max_period": shipper.LAST_RETRY,
                    "max_retries": 0,  # for ever: meanwhile it reads nothing more
                },
                **({"external_labels": dict(labels)} if (labels := edge_logs.labels(settings)) else {}),
            }
        ],
        "scrape_configs": [{**source, "pipeline_stages": stages} for source in _sources(settings)],
    }


def _sources(settings: Settings) -> Iterable[dict[str, Any]]:
    yield {
        "job_name": "docker",
        "docker_sd_configs": [
            {
                "host": f"tcp://socket_proxy:{DOCKER_API}",
                "refresh_interval": shipper.REFRESH,
                "filters": [{"name": "status", "values": list(shipper.STATES)}],
            }
        ],
        "relabel_configs": [dict(rule) for rule in shipper.RELABELLING],
    }
    for path, labels in shipper.files(settings):
        target = {"targets": ["localhost"], "labels": {**labels, "__path__": path}}
        yield {"job_name": labels["source"], "static_configs": [target]}
    if settings.logs.system == "journal":
        yield {
            "job_name": "journal",
            "journal": {"path": shipper.JOURNAL, "max_age": shipper.JOURNAL_AGE, "labels": dict(shipper.HOST)},
            "relabel_configs": [dict(rule) for rule in shipper.JOURNAL_RELABELLING],
        }


def spelled(stage: Stage) -> dict[str, Any]:
    """`stage` as an item of `pipeline_stages`."""
    arguments: Mapping[str, Any] = stage.arguments
    if stage.kind == "match":
        return {"match": {**arguments, "stages": [spelled(inner) for inner in stage.stages]}}
    if stage.kind == "metrics":
        return {"metrics": dict(map(_metric, stage.stages))}
    if stage.kind == "label_keep":
        return {"labelallow": arguments["values"]}
    if stage.kind in {"labels", "structured_metadata"}:
        return {stage.kind: dict(arguments["values"])}
    return {stage.kind: dict(arguments)}


def _metric(stage: Stage) -> tuple[str, dict[str, Any]]:
    """Name of a counter or histogram, and what it is."""
    shared = {"description", "prefix", "source", "max_idle_duration"}
    config = {key: value for key, value in stage.arguments.items() if key not in {"name", *shared}}
    described = {key: stage.arguments[key] for key in stage.arguments if key in shared}
    return stage.arguments["name"], {"type": stage.kind, **described, "config": config}
