"""A stack without engine or network: its settings from a dictionary, its resources as a mocked engine records them."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import pulumi
import pytest
import trustme
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from config.additions import Additions
from config.catalogue import ROWS
from config.container import ConfigFiles, Container
from config.images import pins
from config.metrics_pages import METRICS_PAGES
from config.services import descriptions
from config.settings import Settings
from config.settings.loading import SettingsError, load
from config.settings.secret_keys import CERTIFICATES, WEBHOOKS
from policies.readers.uploads import uploads

PROJECT, STACK = "nervous-system", "test"

PINNED = {service: f"{pin.reference}@sha256:{'a' * 64}" for service, pin in pins().items() if not pin.digest}
"""Overrides for the images of which no digest is known."""
PINNED_STORAGE = {"jaeger_es_index_cleaner": PINNED["jaeger_es_index_cleaner"]}
EXPORTERS: dict[str, Any] = {
    **{row.watches: dict(row.example) for row in ROWS.values() if row.watches},
    **{page.key: {"targets": [page.example]} for page in METRICS_PAGES},
    "probes": [{"name": "home", "target": "https://shop.example"}],
}
EVERYTHING: dict[str, Any] = {
    "exporters": EXPORTERS,
    "images": PINNED,
    "logs": {"s3": {"bucket": "logs"}},
    "traces": {"storage": "elasticsearch"},
    "grafana": {"tls": {"domain": "grafana.example.com"}},
    "notifications": {"incidents": {}},
    "actions": [
        {"alert": "ApplicationDown", "restart": "shop-orders", "at_most": "2 per 1h", "dry_run": False},
        {
            "alert": "ApplicationSlow",
            "diagnose": {"container": "shop-orders", "command": ["ps", "aux"]},
            "at_most": "1 per 1h",
            "dry_run": False,
        },
        {"alert": "ApplicationErrorsHigh", "roll_back": "shop-orders", "at_most": "1 per 1h", "dry_run": False},
    ],
    "metrics": {"long_term": {"local": True}},
    "publish": {"caddy": "127.0.0.1:443"},
}
"""Stack config that selects every service there is, but for those that stand in for another."""
INSTEAD: dict[str, Any] = {
    **EVERYTHING,
    "logs": {"shipper": "promtail", "s3": {"bucket": "logs"}},
    "traces": {"storage": "opensearch"},
}
"""Stack config that selects those."""

DOOR: dict[str, Any] = {
    "edges": {"web-2": {}, "db-1": {"rate": "1MiB"}},
    "door": {"domain": "centre.example.com"},
    "publish": {"caddy": "127.0.0.1:443"},
    "host_name": "centre",
}
"""Stack config of a centre with edges."""
OF_DOOR = ("edge_password_web-2", "edge_password_db-1")
"""Secrets that it needs."""
AS_A_CENTRE: dict[str, Any] = {**INSTEAD, **DOOR}
"""`INSTEAD`, with the services that only a centre with edges has."""
EDGE: dict[str, Any] = {"role": "edge", "host_name": "web-2", "centre": {"url": "https://centre.example.com"}}
"""Stack config of an edge, which needs the secret `centre_password`."""

FRONT: dict[str, Any] = {"grafana": {"tls": {"domain": "g.example"}}, "publish": {"caddy": "0.0.0.0:443"}}
"""Stack config that puts TLS in front of Grafana, for everybody."""


def several(number: int) -> dict[str, Any]:
    """Stack config that selects every service, and `number` servers of each kind."""
    kinds = [row for row in ROWS.values() if row.board]
    names: list[dict[str, str]] = [{}, *({"name": f"no-{place}"} for place in range(1, number))]
    servers = {row.watches: [{**row.example, **name} for name in names] for row in kinds}
    return {**EVERYTHING, "exporters": servers, "memory": {row.name: "16MiB" for row in kinds}}


SECRET_TEXT = "hunter2:shows-nowhere"
"""What every secret of these tests holds; that of a webhook within its address."""
WEBHOOK_TEXT = f"https://hooks.example/{SECRET_TEXT}"


@cache
def login() -> str:
    """A certificate and its key in PEM, as the secrets that are one hold them."""
    return trustme.CA().issue_cert("exporter.example").private_key_and_cert_chain_pem.bytes().decode()


RECEIVER_SECRETS = {
    "receiver_my-email": "hunter2",
    "receiver_my-telegram": "12345678:AA-x_y",
    "receiver_my-discord": "https://discord.com/api/webhooks/1/x",
    "receiver_my-teams": "https://x.logic.azure.com/workflows/1?sig=x",
    "receiver_my-ntfy": "https://:tk_x@ntfy.example.com/topic",
    "receiver_my-pushover": f"{'u' * 30}:{'a' * 30}",
    "receiver_my-opsgenie": "1-2-3",
    "receiver_my-incidentio": "token",
    "receiver_my-webhook": "https://user:password@hook.example/x",
    "receiver_my-slack": "https://hooks.slack.com/services/x",
    "receiver_my-pagerduty": "abc123",
}
"""Secret of a receiver called `my-<kind>` → a value that its kind takes."""


def settings_of(
    config: Mapping[str, Any] | None = None, *, secrets: Collection[str] = (), stack: str = STACK
) -> Settings:
    """Settings of a stack file with `config`, and with `secrets` set."""
    secret_keys = [f"{PROJECT}:{key}" for key in secrets]
    return load(pulumi_config(config or {}, secrets), secret_keys=secret_keys, project=PROJECT, stack=stack)


def pulumi_config(config: Mapping[str, Any], secrets: Collection[str] = ()) -> dict[str, str]:
    """Stack config as the CLI hands it over: texts as they are, everything else as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    defaults = dict.fromkeys(WEBHOOKS, WEBHOOK_TEXT) | RECEIVER_SECRETS
    texts |= {key: login() if key.startswith(CERTIFICATES) else defaults.get(key, SECRET_TEXT) for key in secrets}
    return {f"{PROJECT}:{key}": text for key, text in texts.items()}


def refusal(config: Mapping[str, Any], *, secrets: Collection[str] = (), stack: str = STACK) -> str:
    """The message by which a stack file with `config` is refused."""
    with pytest.raises(SettingsError) as caught:
        settings_of(config, secrets=secrets, stack=stack)
    return str(caught.value)


CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
NETWORK = "docker:index/network:Network"
IMAGE = "docker:index/remoteImage:RemoteImage"
PROVIDER = "pulumi:providers:docker"
COMMAND = "command:local:Command"

Answer: TypeAlias = Callable[[MockResourceArgs], Mapping[str, Any]]
"""Outputs of a resource beside its inputs."""


@dataclass(frozen=True)
class Registered:
    """One resource as the program declared it."""

    typ: str
    name: str
    inputs: Mapping[str, Any]
    """In camelCase, as the provider gets them; secrets wrapped (see `is_secret`)."""
    options: Any
    """The request to the engine: parent, provider, deleteBeforeReplace, retainOnDelete, customTimeouts, dependencies."""


class Recorder:
    """Writes down every resource that a program registers, and answers like an engine where all went well."""

    def __init__(self, answer: Answer = lambda _: {}) -> None:
        self.resources: list[Registered] = []
        self.monitor: MockMonitor = _Monitor(_Engine(answer), self.resources)

    def of_type(self, *types: str) -> dict[str, Registered]:
        """Logical name → resource. In one type, names are unique."""
        return {resource.name: resource for resource in self.resources if resource.typ in types}

    def __getitem__(self, key: tuple[str, str]) -> Registered:
        typ, name = key
        return self.of_type(typ)[name]


class _Monitor(MockMonitor):
    """Keeps what the mocks of the SDK are not told: the options of a resource."""

    def __init__(self, mocks: Mocks, resources: list[Registered]) -> None:
        super().__init__(mocks)
        self._registered = resources

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        if request.type == "pulumi:pulumi:Stack":  # registered once in a process, whatever the number of programs
            return super().RegisterResource(request)  # type: ignore[no-untyped-call] # the SDK's
        loop = asyncio.new_event_loop()  # of this worker thread: the SDK would make one, and leave it open
        asyncio.set_event_loop(loop)
        try:
            response = super().RegisterResource(request)  # type: ignore[no-untyped-call] # the SDK's
            inputs = rpc.deserialize_properties(request.object)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        self._registered.append(Registered(request.type, request.name, inputs, request))
        return response


class _Engine(Mocks):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        ended = {"exitCode": 0, "containerLogs": ""} if args.inputs.get("attach") else {}
        return f"id-of-{args.name}", {**args.inputs, **ended, **self._answer(args)}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"an invoke asks the engine at every preview: {args.token}")


def deploy(program: Callable[[], Any], recorder: Recorder | None = None) -> Recorder:
    """Runs `program` to its end, on an event loop of its own, all outputs known."""
    recorder = recorder or Recorder()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Of a program that fails, hundreds of futures are left that nobody asked. Each would write its traceback when it is
    # collected, in any later test; an `ast.parse` in which that happens fails with Python 3.11.
    loop.set_exception_handler(lambda _loop, _context: None)
    pulumi.runtime.set_mocks(
        _Engine(lambda _: {}), project=PROJECT, stack=STACK, preview=False, monitor=recorder.monitor
    )

    # Without this decorator, what goes wrong inside an output would never fail a test.
    @pulumi.runtime.test  # type: ignore[untyped-decorator] # the SDK's
    def run() -> Any:
        return program()

    try:
        run()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return recorder


SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key by which Pulumi's wire format marks a secret."""


def is_secret(value: Any) -> bool:
    """Whether Pulumi encrypts and hides `value`."""
    return isinstance(value, Mapping) and SECRET_SIGNATURE in value


def revealed(value: Any) -> Any:
    """`value` without the wrapping of a secret."""
    return value["value"] if is_secret(value) else value


def uploaded(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Path → text of the files that a container gets, those in an archive one by one."""
    return {str(one["file"]): str(one["content"]) for one in uploads(inputs)}


def texts_in(value: Any) -> Iterator[str]:
    """Every text that shows in `value`: keys, values, items; what Pulumi hides is left out."""
    if is_secret(value):
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def described(service: str, settings: Settings, own_rules: Mapping[str, str] | None = None) -> Container:
    """What `config` makes of `service`, as its stack asks for it."""
    return descriptions.describe(service, settings, Additions(rules=own_rules or {}))


def config_of(service: str, settings: Settings, own_rules: Mapping[str, str] | None = None) -> ConfigFiles:
    """The config files of `service`, which must have some."""
    config = described(service, settings, own_rules).config
    assert config is not None
    return config
