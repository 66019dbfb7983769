"""Alloy: ships the log lines of containers, files and the host to Loki."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.container import DIRECTORY, ConfigFiles, Container, Secret
from config.ports import DOCKER_API, DOCKER_API_FAR, METRICS
from config.services.logs import edge_logs, log_pipeline, remote_logs, shipper
from config.services.logs.log_stages import Stage
from config.settings import Settings

PORT = METRICS["alloy"]
DATA = "/var/lib/alloy/data"
VALIDATE = "/bin/alloy validate --stability.level=experimental config.alloy"


@dataclass(frozen=True)
class Raw:
    """An expression that is written verbatim: a reference to another component."""

    text: str


def container(settings: Settings) -> Container:
    """Runs as Alloy's own user, and reads the host's logs as group `adm`."""
    text = config_file(settings)
    return Container(
        service="alloy",
        command=command(PORT),
        user=f"473:{shipper.ADM}",
        port=PORT,
        tools=False,
        grace_seconds=30,
        data=DATA,
        damaged_paths={rf"invalid yaml positions file \[{DATA}/([^\]]+)\]": (r"\1",)},
        forwards_data=True,
        mounts=shipper.mounts(settings),
        config=ConfigFiles(
            files={"config.alloy": text},
            validate=VALIDATE,
            secrets={
                **edge_logs.secrets(settings),
                **({remote_logs.SECRET: Secret(remote_logs.SECRET)} if remote_logs.has_secret(settings) else {}),
            },
            expect=live(text, PORT),
        ),
    )


def command(port: int) -> tuple[str, ...]:
    """Command line of an Alloy whose pages are on `port`."""
    return (
        "run",
        f"{DIRECTORY}/config.alloy",
        f"--storage.path={DATA}",
        f"--server.http.listen-addr=0.0.0.0:{port}",
        "--disable-reporting",
        "--stability.level=experimental",  # only for `queue_config`
        # A reload waits for each component that it takes away. With a remote store that is away, one tries for two minutes to hand
        # on its lines, and meanwhile no new container was read (1.19, `loki.Drain`). The default is ten minutes.
        "--feature.component-shutdown-deadline=10s",
    )


def live(text: str, port: int) -> dict[str, str]:
    """Page → what it says once an Alloy runs with the file `text`."""
    page = f"http://127.0.0.1:{port}"
    return {
        f"{page}/metrics": f'sha256="{hashlib.sha256(text.encode()).hexdigest()}"',
        # The metric of the last load is 1 even if a component refuses its new arguments.
        f"{page}/-/healthy": "All Alloy components are healthy",
    }


def config_file(settings: Settings) -> str:
    """The text of `config.alloy`."""
    blocks = [*_sources(settings), *_sinks(settings), *_second_copy(settings)]
    return "\n".join(line for block in blocks for line in (*block, ""))


def _sources(settings: Settings) -> Iterator[list[str]]:
    yield block("logging", level="warn")
    running = block("filter", name="status", values=list(shipper.STATES))
    yield block('discovery.docker "containers"', running, host=_HOST, refresh_interval=shipper.REFRESH)
    own = [block("rule", **rule) for rule in shipper.own_stack(settings)]
    rules = [block("rule", **rule) for rule in shipper.RELABELLING if rule["target_label"] != "stream"]
    # A position is stored under all labels of a container. If its address were one, a restart would lose the position.
    position_labels = block("rule", action="labelkeep", regex="__meta_docker_container_id|container|service|source")
    targets = Raw("discovery.docker.containers.targets")
    yield block('discovery.relabel "containers"', *own, *rules, position_labels, targets=targets)
    [stream] = [block("rule", **rule) for rule in shipper.RELABELLING if rule["target_label"] == "stream"]
    yield block('loki.relabel "stream"', stream, forward_to=[])
    yield _of_containers("containers", _HOST, _PIPELINE)
    paths = [{"__path__": path, **labels} for path, labels in shipper.files(settings)]
    yield block('local.file_match "files"', path_targets=paths)
    yield _of_files("files", _PIPELINE)
    if settings.logs.system == "journal":
        rules = [block("rule", **rule) for rule in shipper.JOURNAL_RELABELLING]
        yield block('loki.relabel "journal"', *rules, forward_to=[])
        yield _of_journal("journal", _PIPELINE)


def _of_containers(label: str, host: str, forward_to: list[Raw]) -> list[str]:
    return block(
        f'loki.source.docker "{label}"',
        host=host,
        targets=Raw("discovery.relabel.containers.output"),
        relabel_rules=Raw("loki.relabel.stream.rules"),
        forward_to=forward_to,
    )


def _of_files(label: str, forward_to: list[Raw]) -> list[str]:
    targets = Raw("local.file_match.files.targets")
    return block(f'loki.source.file "{label}"', targets=targets, forward_to=forward_to)


def _of_journal(label: str, forward_to: list[Raw]) -> list[str]:
    return block(
        f'loki.source.journal "{label}"',
        path=shipper.JOURNAL,
        max_age=shipper.JOURNAL_AGE,
        labels=dict(shipper.HOST),
        relabel_rules=Raw("loki.relabel.journal.rules"),
        forward_to=forward_to,
    )


_HOST = f"tcp://socket_proxy:{DOCKER_API}"
_PIPELINE = [Raw("loki.process.pipeline.receiver")]


def _sinks(settings: Settings) -> Iterator[list[str]]:
    yield _pipeline("pipeline", settings, "loki")
    login = [block(name, **arguments) for name, arguments in edge_logs.login(settings).items()]
    # Loki has stored the streams that it has room for. Retrying the rest would hold up the lines of all services. At the
    # door of a centre it is the bound on the edge's rate, which passes.
    endpoint = _endpoint(edge_logs.url(settings), *login, retry_on_http_429=settings.role == "edge")
    labels = edge_logs.labels(settings)
    yield block('loki.write "loki"', endpoint, **({"external_labels": dict(labels)} if labels else {}))


def _second_copy(settings: Settings) -> Iterator[list[str]]:
    """A second pipeline, from the sources to a remote store. It has its own positions, so only this pipeline waits for that store,
    and it loses nothing meanwhile."""
    end = settings.logs.remote
    if end is None:
        return
    label = remote_logs.LABEL
    receiver = [Raw(f"loki.process.{label}.receiver")]
    yield _of_containers(label, f"tcp://socket_proxy:{DOCKER_API_FAR}", receiver)
    yield _of_files(label, receiver)
    if settings.logs.system == "journal":
        yield _of_journal(label, receiver)
    yield _pipeline(label, settings, label)
    file = f"{DIRECTORY}/secrets/{remote_logs.SECRET}"
    inner = [block("basic_auth", username=end.user, password_file=file)] if end.user else []
    inner += [block("tls_config", ca_pem=end.ca)] if end.ca else []
    token = {"bearer_token_file": file} if remote_logs.has_secret(settings) and not end.user else {}
    tenant = {"tenant_id": end.tenant} if end.tenant else {}
    url = f"{end.url}{remote_logs.PUSH}"
    yield block(
        f'loki.write "{label}"',
        _endpoint(url, *inner, retry_on_http_429=True, follow_redirects=False, **token, **tenant),
    )


def _pipeline(label: str, settings: Settings, write: str) -> list[str]:
    stages = [spelled(stage) for stage in log_pipeline.stages(settings)]
    return block(f'loki.process "{label}"', *stages, forward_to=[Raw(f"loki.write.{write}.receiver")])


def _endpoint(url: str, *inner: list[str], **arguments: Any) -> list[str]:
    # A queue of one batch, because a shipper that is killed loses its queue.
    queue = block("queue_config", capacity=f"{shipper.BATCH_BYTES}B")
    return block(
        "endpoint",
        queue,
        *inner,
        url=url,
        batch_wait=shipper.BATCH_WAIT,
        batch_size=f"{shipper.BATCH_BYTES}B",
        remote_timeout=shipper.TIMEOUT,
        min_backoff_period=shipper.FIRST_RETRY,
        max_backoff_period=shipper.LAST_RETRY,
        max_backoff_retries=0,  # for ever: meanwhile it reads nothing more
        **arguments,
    )


def spelled(stage: Stage) -> list[str]:
    """Lines of `stage` as a block inside `loki.process`."""
    room = "metric" if stage.kind in {"counter", "histogram"} else "stage"
    return block(f"{room}.{stage.kind}", *map(spelled, stage.stages), **stage.arguments)


def block(name: str, /, *inner: list[str], **arguments: Any) -> list[str]:
    """Lines of a block of Alloy's syntax, with blocks `inner` in it."""
    lines = [f"{key} = {_value(value)}" for key, value in arguments.items()]
    lines += [line for block in inner for line in block]
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"] if lines else [f"{name} {{ }}"]


def _value(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are written as in JSON
