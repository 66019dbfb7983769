"""The settings of a stack, with their defaults. Each topic has a module. This one has the whole model, and the
rules across topics.

The defaults fit the host in the README (16 GB, 8 cores, 200 GB). A stack file contains only what differs.
"""

import ipaddress
from typing import Any, Self

from pydantic import ByteSize, Field, TypeAdapter, ValidationError, model_validator

from config import images
from config.catalogue import EXPORTERS, ROWS, SERVICES, instance, place_of, row_of
from config.ports import ELASTICSEARCH, JAEGER_PAGES, METRICS
from config.row import INSIDE, Zone
from config.settings import actions as healing
from config.settings import disk_budget, edges, front, remotes
from config.settings import slos as objectives
from config.settings.addresses import Addresses
from config.settings.alerts import Alerts, Notifications
from config.settings.disk import Disk
from config.settings.docker import Docker
from config.settings.edges import Centre, Door, EdgeBounds, Role
from config.settings.exporters import ElasticsearchExporter, Exporters, Login, MetricsServer, secret_of
from config.settings.grafana import Grafana
from config.settings.image_overrides import Images
from config.settings.logs import Logs
from config.settings.memory import MemoryLimits
from config.settings.metrics import Metrics
from config.settings.model import OF_DOCKER, Model, Name, Network, ProjectFile, Subnet
from config.settings.networks import Edge, own_networks, subnet_of
from config.settings.publish import ExternalUrls, Page, Publish
from config.settings.secret_keys import GRAFANA_PASSWORD, OF_SERVERS, RECEIVER
from config.settings.traces import Cluster, Traces
from config.settings.units import mib
from config.sizes import GIB

_SIZE = TypeAdapter(ByteSize)


class Settings(Model):
    """One stack."""

    environment: Name
    """Label on everything that leaves the stack."""
    role: Role = "centre"
    """`edge`: watches its host, keeps nothing and sends all to a centre ([how](edges.md)). A centre without edges is a
    stack that stands alone."""
    host_name: Name | None = None
    """Value of the label `host` on everything that this host sends or, as a centre with edges, keeps. For an edge it is its
    name in the centre's `edges`. Default: `environment`."""
    centre: Centre | None = None
    edges: dict[Name, EdgeBounds] = {}
    """Hosts that send to this centre: name → what it may send. Each has a credential, the secret
    `edge_password_<name>`."""
    door: Door | None = None
    prefix: Name
    """Containers, volumes and the network are called `<prefix>-<service>`, so that several stacks can share an
    engine."""
    networks: tuple[Network, ...] = ()
    """Existing Docker networks of your services. Only the collector, the exporters and the proxy that Prometheus
    scrapes through join them. Services without a network can use `<prefix>-apps`, which the stack makes."""
    edge_subnet: Subnet | None = None
    """Addresses of the network `<prefix>-edge`, e.g. `198.18.7.0/26`. The default is a range out of 198.18.0.0/15 that
    follows from `prefix`: set another one if that range is in use."""
    docker: Docker = Docker()
    images: Images = Images()
    memory: MemoryLimits = MemoryLimits()
    disk: Disk = Disk()
    publish: Publish = Publish()
    external_urls: ExternalUrls = ExternalUrls()
    metrics: Metrics = Metrics()
    exporters: Exporters = Exporters()
    logs: Logs = Logs()
    traces: Traces = Traces()
    alerts: Alerts = Alerts()
    notifications: Notifications = Notifications()
    actions: tuple[healing.Action, ...] = Field((), max_length=20)
    slos: tuple[objectives.Slo, ...] = ()
    slo_files: tuple[ProjectFile, ...] = ()
    """Files with SLOs in OpenSLO's format (`openslo/v1`), relative to the project ([what is read](slos.md#openslo))."""
    grafana: Grafana = Grafana()
    secrets: frozenset[str] = frozenset()
    """Names, not values, of the secrets that are set."""

    @model_validator(mode="before")
    @classmethod
    def _prepare_the_role(cls, values: Any) -> Any:
        return edges.prepared(values)

    @model_validator(mode="before")
    @classmethod
    def _split_the_disk(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("role") == "edge":
            return values
        try:
            budget = _SIZE.validate_python(values["disk"]["budget"])
        except (TypeError, KeyError, ValidationError):  # the field will say what is wrong with it
            return values
        return disk_budget.with_shares(values, budget)

    @property
    def services(self) -> tuple[str, ...]:
        """Services that this stack runs, in the order of `SERVICES`."""
        optional = {
            "blackbox_exporter": self.exporters.probes,
            "alloy": self.logs.shipper == "alloy",
            "promtail": self.logs.shipper == "promtail",
            "elasticsearch": self.own_storage == "elasticsearch",
            "opensearch": self.own_storage == "opensearch",
            "jaeger_es_index_cleaner": self.traces.storage != "badger",
            "grafana": self.grafana.enabled and GRAFANA_PASSWORD in self.secrets,
            "incidents": self.notifications.incidents,
            "engine_door": any(action.restart or action.diagnose for action in self.actions),
            "rollback_door": any(action.roll_back for action in self.actions),
            "healer": self.actions,
            "long_term": self.metrics.long_term and self.metrics.long_term.local,
            "caddy": self.shows_grafana_by_tls or self.door,
            "edge_door": self.edges,
        }
        selected = (
            service
            for service in SERVICES
            if optional.get(service, True) and (self.role == "centre" or edges.runs_on_an_edge(ROWS[service]))
        )
        return tuple(
            instance(service, place)
            for service in selected
            for place in range(len(self.servers(service)) if ROWS[service].board else 1)
        )

    @property
    def shows_grafana_by_tls(self) -> bool:
        """Whether Caddy is in front of Grafana."""
        return bool(self.grafana.tls and self.grafana.enabled and GRAFANA_PASSWORD in self.secrets)

    @property
    def name_of_host(self) -> str:
        """Value of the label `host`."""
        return self.host_name or self.environment

    @property
    def edge(self) -> Edge:
        """The network between the services that store data and your containers."""
        subnet = ipaddress.IPv4Network(self.edge_subnet) if self.edge_subnet else subnet_of(self.prefix)
        return Edge(own_networks(self.prefix)[1], subnet)

    @property
    def apps_network(self) -> str:
        """Name of the network that the stack creates for your containers."""
        return own_networks(self.prefix)[2]

    @property
    def users_networks(self) -> tuple[str, ...]:
        """Names of all networks of your containers."""
        return (self.apps_network, *sorted(self.networks))

    def joins(self, service: str) -> tuple[Zone, ...]:
        """Networks that `service` joins."""
        needs_none_of_the_users = {
            "elasticsearch_exporter": not self.exporters.elasticsearch,  # watches the stack's own
            "jaeger": self.traces.cluster is None,
        }
        if needs_none_of_the_users.get(service):
            return INSIDE
        return row_of(service).zones

    def host(self, service: str) -> str:
        """Host name of `service` for Prometheus and other services in the network `inside`."""
        return service if "inside" in self.joins(service) else f"{self.prefix}-{service}"

    def listens(self, service: str) -> str:
        """Address on which `service` listens inside its container. It is not reachable from your containers' networks."""
        return self.edge.address(service) if "users" in self.joins(service) else "0.0.0.0"  # noqa: S104 - inside

    @property
    def own_storage(self) -> str | None:
        """The service that stores Jaeger's traces; None if the storage is embedded in Jaeger, or not part of this
        stack."""
        return None if self.traces.storage == "badger" or self.traces.cluster else self.traces.storage

    def servers(self, exporter: str) -> tuple[Any, ...]:
        """The servers that exporters of one kind watch, each with one of its own. elasticsearch_exporter watches the
        stack's own storage if no other cluster is configured."""
        watches = ROWS[exporter].watches
        if watches == "elasticsearch" and self.own_storage and not self.exporters.elasticsearch:
            return (ElasticsearchExporter(url=f"http://{self.own_storage}:{ELASTICSEARCH}", service=self.own_storage),)
        servers: tuple[Any, ...] = getattr(self.exporters, watches) if watches else ()
        return servers

    def watched(self, exporter: str) -> Any:
        """The server that an exporter watches. ``redis_exporter-2`` watches the second one below `exporters.redis`."""
        return self.servers(row_of(exporter).name)[place_of(exporter)]

    def credential_of(self, exporter: str) -> str | None:
        """Name of the secret by which an exporter logs in to the server that it watches; None if it is not set."""
        secret = self._secret_of(exporter)
        return secret if secret in self.secrets else None

    def _secret_of(self, exporter: str) -> str:
        return secret_of(str(row_of(exporter).watches), self.watched(exporter))

    def subject_of(self, service: str) -> str:
        """The service that the metrics of `service` describe: for an exporter, the server that it watches."""
        return str(self.watched(service).service) if row_of(service).board else service

    @model_validator(mode="after")
    def _each_network_once(self) -> Self:
        if own := {*self.networks} & {*own_networks(self.prefix)}:
            msg = f"networks: {min(own)} is one of the stack's own networks: name one of your services'"
            raise ValueError(msg)
        if len({*self.networks}) < len(self.networks):
            msg = "networks: one is named twice"
            raise ValueError(msg)
        if self.prefix in OF_DOCKER:
            msg = f"prefix: {self.prefix} is the name of one of Docker's own networks: choose another prefix"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _front_has_an_address(self) -> Self:
        front.judge(self)
        return self

    @model_validator(mode="after")
    def _edges_fit_their_centre(self) -> Self:
        edges.judge(self)
        return self

    @model_validator(mode="after")
    def _slos_can_be_kept(self) -> Self:
        objectives.judge(self.slos, self.exporters, self.metrics)
        return self

    @model_validator(mode="after")
    def _actions_are_allowed(self) -> Self:
        healing.judge(self.actions, self.prefix, with_incidents=self.notifications.incidents is not None)
        return self

    @model_validator(mode="after")
    def _users_have_passwords(self) -> Self:
        users: list[tuple[str, Cluster | Login | MetricsServer, str]] = []
        if self.traces.cluster:
            users.append(("traces.cluster", self.traces.cluster, "traces_password"))
        for exporter in self.services:
            if row_of(exporter).login and isinstance(server := self.watched(exporter), Login):
                users.append((f"exporters.{row_of(exporter).watches}", server, self._secret_of(exporter)))
        for page in self.exporters.pages:
            users.append((f"exporters.{page.kind.key}", page.server, page.secret))
        for key, spoken_to, password in users:
            if spoken_to.user and password not in self.secrets:
                msg = f"{key}.user: needs its password: pulumi config set --secret {password}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _credentials_have_servers(self) -> Self:
        of_servers = {self._secret_of(exporter) for exporter in self.services if row_of(exporter).login}
        of_servers |= {page.secret for page in self.exporters.pages}
        for secret in sorted(self.secrets - of_servers):
            if beginning := next((one for one in OF_SERVERS if secret.startswith(one)), None):
                key, name = OF_SERVERS[beginning], secret.removeprefix(beginning)
                msg = f"exporters.{key}: there is none called {name}: name one so, or  pulumi config rm {secret}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _receivers_have_secrets(self) -> Self:
        receivers = {receiver.secret: receiver for receiver in self.notifications.receivers}
        for secret, receiver in receivers.items():
            if receiver.needs_secret and secret not in self.secrets:
                msg = (
                    f"notifications.receivers: {receiver.name}: needs {receiver.credential}: "
                    f"pulumi config set --secret {secret}"
                )
                raise ValueError(msg)
        if stray := {secret for secret in self.secrets if secret.startswith(RECEIVER)} - receivers.keys():
            name = min(stray).removeprefix(RECEIVER)
            msg = (
                f"notifications.receivers: there is none called {name}: name one so, or  pulumi config rm {min(stray)}"
            )
            raise ValueError(msg)
        return self

    @property
    def remotes(self) -> tuple[remotes.End, ...]:
        """Remote stores, of all signals."""
        return remotes.ends(self.metrics.remote_write, self.metrics.long_term, self.logs.remote, self.traces.remote)

    @model_validator(mode="after")
    def _ends_far_away_are_right(self) -> Self:
        names = [*remotes.own_hosts(self.prefix)]
        remotes.judge(self.remotes, self.secrets, own_hosts=names, own_network=str(self.edge.subnet))
        if self.logs.remote and self.logs.shipper != "alloy":
            msg = "logs.remote: Promtail would wait for both stores, so one that is away would hold up the other: logs.shipper: alloy"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        limits = {service: getattr(self.memory, row_of(service).name) for service in self.services}
        exporters = sum(limit for service, limit in limits.items() if row_of(service).name in EXPORTERS)
        if exporters > GIB:
            msg = f"memory: the exporters' limits add up to {mib(exporters)} MiB, and 1024 MiB is their share"
            raise ValueError(msg)
        if (total := sum(limits.values())) > self.memory.ceiling:
            shares = ", ".join(f"{service} {mib(limit)}" for service, limit in limits.items())
            msg = (
                f"memory.ceiling: the limits add up to {mib(total)} MiB, the ceiling is {mib(self.memory.ceiling)} MiB "
                f"({shares}): lower a limit or raise the ceiling"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _fits_onto_the_disk(self) -> Self:
        disk_budget.judge(self)
        return self

    @model_validator(mode="after")
    def _every_image_is_pinned(self) -> Self:
        for name in self.image_names:
            if not (getattr(self.images, name) or images.pins()[name].digest):
                msg = (
                    f"images.{name}: no digest is known for this image: set "
                    f"{images.pins()[name].reference}@sha256:… as your registry shows it"
                )
                raise ValueError(msg)
        return self

    @property
    def notices(self) -> tuple[str, ...]:
        """Warnings about choices that are allowed."""
        notices = []
        if self.logs.shipper == "promtail":
            notices.append(
                "logs.shipper: Promtail has reached its end of life (March 2026) and gets no security fixes; "
                "alloy, the default, ships the same lines"
            )
        if self.role == "centre" and self.grafana.enabled and GRAFANA_PASSWORD not in self.secrets:
            notices.append(
                f"grafana: not deployed without a password: pulumi config set --secret {GRAFANA_PASSWORD}; "
                "or say that none is wanted: grafana: {enabled: false}"
            )
        jaeger = images.version(self.image("jaeger"))
        if "grafana" in self.services and jaeger and jaeger >= images.JAEGER_WITHOUT_SEARCH:
            notices.append(
                "images.jaeger: from 2.21 on Jaeger has no search for Grafana's Jaeger data source: lists of traces stay empty "
                "there, a trace opens by its id; leave images.jaeger out, or search in Jaeger's own pages"
            )
        return tuple(notices)

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the images that this stack uses: one per kind of service, and `busybox`, which some services need."""
        return (*dict.fromkeys(row_of(service).name for service in self.services), "busybox")

    def image(self, name: str) -> str:
        """Image reference for the name of a service, or for `busybox`."""
        name = name if name == "busybox" else row_of(name).name
        return images.resolve(name, getattr(self.images, name), self.images.registry)

    def memory_mib(self, service: str) -> int:
        """Memory limit of `service`, in MiB."""
        return mib(getattr(self.memory, row_of(service).name))

    @property
    def grafana_url(self) -> str | None:
        """URL of the stack's Grafana, or of your own; None if there is neither."""
        return self.url("grafana") if "grafana" in self.services else self.external_urls.grafana

    @property
    def addresses(self) -> Addresses:
        """Addresses that alerts link to."""
        return Addresses(self.alerts.runbooks, self.grafana_url, self.url("jaeger"))

    def url(self, service: Page) -> str:
        """Public URL of `service`: the configured one, else where it is published, else the address inside the network."""
        if service == "grafana" and self.grafana.tls and self.publish.caddy:
            port = self.publish.caddy.rsplit(":", 1)[1]
            return f"https://{self.grafana.tls.domain}{'' if port == '443' else f':{port}'}"
        published = getattr(self.publish, service)
        inside = JAEGER_PAGES if service == "jaeger" else METRICS[service]
        return getattr(self.external_urls, service) or f"http://{published or f'{service}:{inside}'}"
