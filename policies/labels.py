"""Labels: nothing with many values becomes one, wherever it could be declared.

Each value of a label is a series, or a stream, of its own. So ids, addresses, paths, users and messages belong into the
line, the structured metadata or the span. The policy reads the labels of containers, the command line of cAdvisor, and
the config files that containers carry: Prometheus (scrape, relabelling, external labels, remote write), rule files,
Loki, Promtail, Alloy, and the metrics that an OpenTelemetry Collector makes.

It goes by names, since nobody knows the values before they come: by the last word of a label's name, by the names of
what it is filled from, and, where a value is written down, by its looks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import Policy

import alloy
from declared import CONTAINER, Config, Properties, Resource, arguments, each, image_name, reasons
from files import File, Kind, UnreadableError, files

MANY = frozenset({
    "id", "ids", "uid", "uuid", "guid", "pid", "user", "username", "userid", "login", "email", "mail", "phone",
    "ip", "ipv4", "ipv6", "addr", "address", "session", "sessionid", "token", "cookie", "jwt",
    "trace", "traceid", "traceparent", "span", "spanid", "request", "requestid",
    "path", "filename", "uri", "url", "href", "referer", "referrer", "useragent", "query", "statement",
    "message", "msg", "body", "payload", "line", "exception", "stacktrace", "timestamp", "ts", "datetime",
    "hash", "sha", "sha1", "sha256", "digest", "checksum", "fingerprint", "commit", "revision", "nonce",
})  # fmt: skip
"""Last words of names whose values have no end."""
_MANY_PAIRS = frozenset(
    {"user name", "user agent", "user key", "http target", "peer port", "client port", "error text"}
)
"""The same, by their last two words."""

ALLOWED: Mapping[str, str] = {
    "observability.path": "of Docker: where a container serves its metrics; Prometheus makes no label of it",
    "version": "one series of Prometheus, which carries the digest of its config files",
}

INSTANCE = "instance"
"""Filled from an address: Prometheus has one for each target, and targets are limited."""

LOKI_DEFAULTS = (
    "service.name", "service.namespace", "service.instance.id", "deployment.environment", "cloud.region",
    "cloud.availability_zone", "k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name",
    "container.name", "k8s.replicaset.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name",
    "k8s.cronjob.name", "k8s.job.name",
)  # fmt: skip
"""Attributes of OTLP resources that Loki 3 makes labels of, unless `ignore_defaults` (docs, limits_config: otlp_config)."""

_CONVERSION = "resource_to_telemetry_conversion"
_OF_RESOURCE = "service.instance.id"
"""One of those labels that this option makes of a resource's attributes: SDKs make a new one at each start."""

_LOOKS = {
    "an id": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "a hash": r"(?:sha\d+:)?(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}",
    "a time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*|1\d{9}(?:\d{3})*",
    "an address": r"(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?",
    "an e-mail address": r"[^@\s]+@[^@\s]+\.[a-z]{2,}",
}


@dataclass(frozen=True)
class Label:
    """One that is declared somewhere."""

    name: str
    where: str
    sources: tuple[str, ...] = ()
    """Names of what it is filled from."""
    value: str | None = None
    """What it is set to, where that is written down."""


class NotReadError(Exception):
    """What keeps anybody from telling which labels there will be."""


def words(name: str) -> list[str]:
    """`exported_userId`, `http.user-id` → …, user, id."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", apart) if word]


def has_many_values(name: str) -> bool:
    """Whether a label of this name would have values without end."""
    parts = words(name)
    return bool(parts) and (parts[-1] in MANY or " ".join(parts[-2:]) in _MANY_PAIRS)


def looks_like(value: str) -> str | None:
    """What a value is that will be another one next time."""
    return next((what for what, pattern in _LOOKS.items() if re.fullmatch(pattern, value)), None)


def judge(label: Label, allowed: Mapping[str, str], denied: Iterable[str]) -> str | None:
    """What is wrong with `label`."""
    instead = "put it into the line, structured metadata or a span attribute, or allow it in the policy's config with a reason"
    if label.name in allowed or label.name.startswith("__") or label.value == "":
        return None
    if has_many_values(label.name) or label.name in denied:
        return f"{label.where}: the label {label.name} has values without end: {instead}"
    named = [
        source for source in label.sources if source not in allowed and (has_many_values(source) or source in denied)
    ]
    if named and label.name != INSTANCE:
        return (
            f"{label.where}: the label {label.name} is filled from {named[0]}, which has values without end: {instead}"
        )
    if label.value is not None and (looks := looks_like(label.value)):
        return f"{label.where}: the label {label.name} is set to {looks}, another one every time: leave it out, or {instead}"
    return None


def _of_container(container: Properties) -> Iterator[Label]:
    for label in container.get("labels") or ():
        yield Label(str(label["label"]), "labels", value=str(label.get("value")))
    if image_name(container) == "cadvisor":
        for argument in arguments(container):
            flag, _, value = argument.lstrip("-").partition("=")
            if flag in {"whitelisted_container_labels", "env_metadata_whitelist"}:
                yield from (Label(name, f"--{flag}") for name in value.split(",") if name)


# Prometheus, whose words Promtail and Alloy use too.


def _relabelled(rules: Iterable[Mapping[str, Any]], where: str) -> Iterator[Label]:
    for rule in rules:
        action = rule.get("action") or "replace"
        sources = tuple(str(name) for name in rule.get("source_labels") or ())
        if action in {"replace", "lowercase", "uppercase", "hashmod"}:
            target = str(rule.get("target_label"))
            replacement = rule.get("replacement")
            constant = replacement is not None and "$" not in str(replacement)
            yield Label(target, where, () if constant else sources, str(replacement) if constant else None)
        elif action == "labelmap":
            made = str(rule.get("replacement", "$1"))
            pattern = str(rule.get("regex", "(.*)"))
            if made == "$1" and re.fullmatch(r"[\w^]*\(\w+(?:\|\w+)*\)\$?", pattern):
                names = pattern[pattern.index("(") + 1 : pattern.index(")")].split("|")
                yield from (Label(name, where) for name in names)
            else:
                raise NotReadError(
                    f"{where}: labelmap makes labels of everything that {pattern} finds: name them one by one"
                )


def _constants(labels: Any, where: str) -> Iterator[Label]:
    if labels and not isinstance(labels, Mapping):
        raise NotReadError(f"{where}: which labels these are is not written down: write them as a map")
    for name, value in (labels or {}).items():
        literal = None if isinstance(value, alloy.Expression) or "{{" in str(value) else str(value)
        yield Label(str(name), where, value=literal)


def _scraped(jobs: Iterable[Mapping[str, Any]], where: str) -> Iterator[Label]:
    for job in jobs:
        place = f"{where}, job {job.get('job_name')}"
        for groups in (value for key, value in job.items() if key == "static_configs"):
            for group in groups or ():
                yield from _constants(group.get("labels"), place)
        yield from _relabelled(job.get("relabel_configs") or (), f"{place}, relabel_configs")
        yield from _relabelled(job.get("metric_relabel_configs") or (), f"{place}, metric_relabel_configs")
        for source in ("journal", "syslog", "gelf", "loki_push_api", "windows_events", "cloudflare", "kafka"):
            yield from _constants((job.get(source) or {}).get("labels"), f"{place}, {source}")
        yield from _stages(job.get("pipeline_stages") or (), f"{place}, pipeline_stages")


def _prometheus(document: Mapping[str, Any], where: str) -> Iterator[Label]:
    yield from _constants((document.get("global") or {}).get("external_labels"), f"{where}, external_labels")
    yield from _scraped(document.get("scrape_configs") or (), where)
    for remote in document.get("remote_write") or ():
        yield from _relabelled(remote.get("write_relabel_configs") or (), f"{where}, remote_write")
    alerting = document.get("alerting") or {}
    yield from _relabelled(alerting.get("alert_relabel_configs") or (), f"{where}, alert_relabel_configs")


_BY = re.compile(r"\b(?:by|group_left|group_right)\s*\(([^()]*)\)")
_REPLACED = re.compile(r"\blabel_(?:replace|join)\s*\(.*?,\s*\"(\w+)\"", re.DOTALL)


def _rules(document: Mapping[str, Any], where: str) -> Iterator[Label]:
    for group in document["groups"]:
        yield from _constants(group.get("labels"), f"{where}, group {group.get('name')}")
        for rule in group.get("rules") or ():
            place = f"{where}, {rule.get('record') or rule.get('alert')}"
            yield from _constants(rule.get("labels"), place)
            expression = str(rule.get("expr"))
            for names in _BY.findall(expression):
                yield from (Label(name.strip(), f"{place}, by") for name in names.split(",") if name.strip())
            yield from (Label(name, place) for name in _REPLACED.findall(expression))


# Loki and those who bring it lines.


def _loki(document: Mapping[str, Any], where: str) -> Iterator[Label]:
    yield from _loki_limits(document.get("limits_config") or {}, f"{where}, limits_config")
    distributor = (document.get("distributor") or {}).get("otlp_config") or {}
    for name in distributor.get("default_resource_attributes_as_index_labels") or ():
        yield Label(str(name), f"{where}, distributor.otlp_config")


def _loki_overrides(document: Mapping[str, Any], where: str) -> Iterator[Label]:
    for tenant, limits in document["overrides"].items():
        if "otlp_config" in limits:
            yield from _loki_limits(limits, f"{where}, {tenant}")


def _loki_limits(limits: Mapping[str, Any], where: str) -> Iterator[Label]:
    otlp = limits.get("otlp_config") or {}
    attributes = otlp.get("resource_attributes") or {}
    place = f"{where}, otlp_config"
    if not attributes.get("ignore_defaults"):
        without = f"{place} (without ignore_defaults: true)"
        yield from (Label(name, without) for name in LOKI_DEFAULTS)
    for rule in (*(attributes.get("attributes_config") or ()), *(otlp.get("log_attributes") or ())):
        if rule.get("action") == "index_label":
            if rule.get("regex"):
                raise NotReadError(f"{place}: index_label by regex: name the attributes one by one")
            yield from (Label(str(name), place) for name in rule.get("attributes") or ())


def _promtail(document: Mapping[str, Any], where: str) -> Iterator[Label]:
    yield from _scraped(document.get("scrape_configs") or (), where)
    for client in document.get("clients") or ():
        yield from _constants(client.get("external_labels"), f"{where}, clients")


def _stages(stages: Iterable[Mapping[str, Any]], where: str) -> Iterator[Label]:
    for stage in stages:
        yield from _filled(stage.get("labels"), where)
        yield from _constants(stage.get("static_labels"), where)
        yield from _stages((stage.get("match") or {}).get("stages") or (), where)


def _filled(labels: Any, where: str) -> Iterator[Label]:
    if labels and not isinstance(labels, Mapping):
        raise NotReadError(f"{where}: which labels these are is not written down: write them as a map")
    for name, source in (labels or {}).items():
        yield Label(str(name), where, (str(source),) if source and not isinstance(source, alloy.Expression) else ())


def _alloy(document: alloy.Block, where: str) -> Iterator[Label]:
    for component in document.blocks:
        place = f'{where}, {component.name} "{component.label}"'
        for block in component.walk():
            yield from _alloy_block(block, place)


def _alloy_block(block: alloy.Block, where: str) -> Iterator[Label]:
    attributes = block.attributes
    if reader := _ALLOY_BLOCKS.get(block.name):
        yield from reader(attributes, where)
    for key in ("labels", "external_labels", "extra_labels"):
        yield from _constants(attributes.get(key), where)
    for key in ("dimensions", "resource_metrics_key_attributes"):
        yield from (Label(str(name), where) for name in _literal_list(attributes.get(key)))
    targets = [*_literal_list(attributes.get("targets")), *_literal_list(attributes.get("path_targets"))]
    for target in (one for one in targets if isinstance(one, Mapping)):
        yield from _constants({name: value for name, value in target.items() if name != "address"}, where)


_ALLOY_BLOCKS: Mapping[str, Callable[[Mapping[str, Any], str], Iterable[Label]]] = {
    "stage.labels": lambda attributes, where: _filled(attributes.get("values"), where),
    "stage.static_labels": lambda attributes, where: _constants(attributes.get("values"), where),
    "rule": lambda attributes, where: _relabelled([attributes], where),
    "dimension": lambda attributes, where: [Label(str(attributes.get("name")), where)],
    "otelcol.exporter.prometheus": lambda attributes, where: (
        [Label(_OF_RESOURCE, f"{where}, {_CONVERSION}")] if attributes.get(_CONVERSION) is True else []
    ),
}


def _literal_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# OpenTelemetry Collector.


def _collector(document: Mapping[str, Any], where: str) -> Iterator[Label]:
    for name, connector in (document.get("connectors") or {}).items():
        yield from _connector(name.partition("/")[0].replace("_", ""), connector or {}, f"{where}, {name}")
    for name, exporter in (document.get("exporters") or {}).items():
        if not name.partition("/")[0].startswith("prometheus"):
            continue
        place, settings = f"{where}, {name}", exporter or {}
        yield from _constants(settings.get("const_labels") or settings.get("external_labels"), place)
        if (settings.get(_CONVERSION) or {}).get("enabled"):
            yield Label(_OF_RESOURCE, f"{place}, {_CONVERSION}")
    for name, processor in (document.get("processors") or {}).items():
        for action in _literal_list((processor or {}).get("actions") or (processor or {}).get("attributes")):
            if action.get("key") in {"loki.attribute.labels", "loki.resource.labels"}:
                made = str(action.get("value", "")).split(",")
                yield from (Label(label.strip(), f"{where}, {name}") for label in made)


def _connector(kind: str, connector: Mapping[str, Any], where: str) -> Iterator[Label]:
    if kind == "spanmetrics":
        events, histogram = connector.get("events") or {}, connector.get("histogram") or {}
        lists = [connector.get("dimensions"), connector.get("calls_dimensions"), histogram.get("dimensions")]
        lists.append(events.get("dimensions") if events.get("enabled") else None)
        for dimension in (one for found in lists for one in found or ()):
            yield Label(str(dimension.get("name")), where)
        yield from (Label(str(key), where) for key in connector.get("resource_metrics_key_attributes") or ())
    elif kind == "servicegraph":
        yield from (Label(str(name), where) for name in connector.get("dimensions") or ())
    elif kind in {"count", "sum", "signaltometrics"}:
        for metrics in connector.values():
            for metric in metrics.values() if isinstance(metrics, Mapping) else _literal_list(metrics):
                for attribute in metric.get("attributes") or ():
                    yield Label(str(attribute.get("key")), where)


_READERS: Mapping[Kind, Callable[[Any, str], Iterator[Label]]] = {
    Kind.PROMETHEUS: _prometheus,
    Kind.PROMTAIL: _promtail,
    Kind.RULES: _rules,
    Kind.LOKI: _loki,
    Kind.LOKI_OVERRIDES: _loki_overrides,
    Kind.COLLECTOR: _collector,
    Kind.ALLOY: _alloy,
}


def declared_in(file: File) -> Iterator[Label]:
    """Every label that `file` declares.

    Raises:
        NotReadError: it declares some that nobody can name.
    """
    reader = _READERS.get(file.kind)
    if reader is None:
        return
    try:
        yield from reader(file.document, file.path)
    except (AttributeError, TypeError, KeyError) as error:
        raise NotReadError(f"{file.path}: it is not built as a config of its kind is ({error})") from None


def _check(resource: Resource, config: Config) -> Iterator[str]:
    found: dict[str, None] = {}
    try:
        for label in _declared(resource.props):
            if violation := judge(label, config["allowed"], config["denied"]):
                found[violation] = None
    except (NotReadError, UnreadableError) as error:
        found[str(error)] = None
    yield from found


def _declared(container: Properties) -> Iterator[Label]:
    yield from _of_container(container)
    for file in files(container):
        yield from declared_in(file)


LABELS = each(
    "low-cardinality-labels",
    "No label or dimension has values without end: ids, users, addresses, paths, messages.",
    _check,
    kinds=(CONTAINER,),
    fix="Put what has many values into the log line, structured metadata or a span attribute. What is bounded although its "
    "name does not say so goes into `allowed` of the policy's config, with the reason.",
    config={
        "allowed": reasons(ALLOWED, "Label names that may be used → why their values are few."),
        "denied": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "More label names that may not be used.",
        },
    },
)

POLICIES: tuple[Policy, ...] = (LABELS,)
