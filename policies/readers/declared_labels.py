"""Labels that a container and its config files declare.

Read are: the labels of containers, cAdvisor's command line, and the configs of Prometheus (scraping, relabelling, external
labels, remote write), rule files, Loki, Promtail, Alloy, and the metrics of an OpenTelemetry Collector.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.readers import alloy_syntax
from policies.readers.declared_resources import Properties, arguments, image_name
from policies.readers.uploads import File, Kind

LOKI_DEFAULTS = (
    "service.name", "service.namespace", "service.instance.id", "deployment.environment", "cloud.region",
    "cloud.availability_zone", "k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name",
    "container.name", "k8s.replicaset.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name",
    "k8s.cronjob.name", "k8s.job.name",
)  # fmt: skip
"""Attributes of OTLP resources that Loki 3 turns into labels, unless `ignore_defaults` is set (Loki docs, limits_config:
otlp_config)."""

_CONVERSION = "resource_to_telemetry_conversion"
_INSTANCE_ID = "service.instance.id"
"""One of the labels that this option makes from the attributes of a resource. SDKs choose a new one at each start."""


@dataclass(frozen=True)
class Label:
    """A label that a container or a config file declares."""

    name: str
    where: str
    """Place in the container or file, for messages."""
    sources: tuple[str, ...] = ()
    """Names of the labels or fields that it is filled from."""
    value: str | None = None
    """Its value, if the config sets it."""


class UnknownLabelsError(Exception):
    """A file declares labels whose names are unknown. The message says where."""


def labels_of_container(container: Properties) -> Iterator[Label]:
    """Labels that `container` has, and those that cAdvisor is told to copy from containers."""
    for label in container.get("labels") or ():
        yield Label(str(label["label"]), "labels", value=str(label.get("value")))
    if image_name(container) == "cadvisor":
        for argument in arguments(container):
            flag, _, value = argument.lstrip("-").partition("=")
            if flag in {"whitelisted_container_labels", "env_metadata_whitelist"}:
                yield from (Label(name, f"--{flag}") for name in value.split(",") if name)


# Prometheus. Promtail and Alloy use the same keys.


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
            replacement = str(rule.get("replacement", "$1"))
            pattern = str(rule.get("regex", "(.*)"))
            if replacement == "$1" and re.fullmatch(r"[\w^]*\(\w+(?:\|\w+)*\)\$?", pattern):
                names = pattern[pattern.index("(") + 1 : pattern.index(")")].split("|")
                yield from (Label(name, where) for name in names)
            else:
                raise UnknownLabelsError(
                    f"{where}: labelmap makes a label of everything that matches {pattern}: name the labels one by one"
                )


def _constants(labels: Any, where: str) -> Iterator[Label]:
    if labels and not isinstance(labels, Mapping):
        raise UnknownLabelsError(f"{where}: the names of these labels are unknown: write them as a map")
    for name, value in (labels or {}).items():
        literal = None if isinstance(value, alloy_syntax.Expression) or "{{" in str(value) else str(value)
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


# Loki, Promtail and Alloy.


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
                raise UnknownLabelsError(f"{place}: index_label by regex: name the attributes one by one")
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
        raise UnknownLabelsError(f"{where}: the names of these labels are unknown: write them as a map")
    for name, source in (labels or {}).items():
        yield Label(
            str(name), where, (str(source),) if source and not isinstance(source, alloy_syntax.Expression) else ()
        )


def _alloy(document: alloy_syntax.Block, where: str) -> Iterator[Label]:
    for component in document.blocks:
        place = f'{where}, {component.name} "{component.label}"'
        for block in component.walk():
            yield from _alloy_block(block, place)


def _alloy_block(block: alloy_syntax.Block, where: str) -> Iterator[Label]:
    attributes = block.attributes
    if reader := _ALLOY_BLOCKS.get(block.name):
        yield from reader(attributes, where)
    for key in ("labels", "external_labels", "extra_labels"):
        yield from _constants(attributes.get(key), where)
    for key in ("dimensions", "resource_metrics_key_attributes"):
        yield from (Label(str(name), where) for name in _literal_list(attributes.get(key)))
    targets = [*_literal_list(attributes.get("targets")), *_literal_list(attributes.get("path_targets"))]
    for target in (target for target in targets if isinstance(target, Mapping)):
        yield from _constants({name: value for name, value in target.items() if name != "address"}, where)


_ALLOY_BLOCKS: Mapping[str, Callable[[Mapping[str, Any], str], Iterable[Label]]] = {
    "stage.labels": lambda attributes, where: _filled(attributes.get("values"), where),
    "stage.static_labels": lambda attributes, where: _constants(attributes.get("values"), where),
    "rule": lambda attributes, where: _relabelled([attributes], where),
    "dimension": lambda attributes, where: [Label(str(attributes.get("name")), where)],
    "otelcol.exporter.prometheus": lambda attributes, where: (
        [Label(_INSTANCE_ID, f"{where}, {_CONVERSION}")] if attributes.get(_CONVERSION) is True else []
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
            yield Label(_INSTANCE_ID, f"{place}, {_CONVERSION}")
    for name, processor in (document.get("processors") or {}).items():
        for action in _literal_list((processor or {}).get("actions") or (processor or {}).get("attributes")):
            if action.get("key") in {"loki.attribute.labels", "loki.resource.labels"}:
                labels = str(action.get("value", "")).split(",")
                yield from (Label(label.strip(), f"{where}, {name}") for label in labels)


def _connector(kind: str, connector: Mapping[str, Any], where: str) -> Iterator[Label]:
    if kind == "spanmetrics":
        events, histogram = connector.get("events") or {}, connector.get("histogram") or {}
        lists = [connector.get("dimensions"), connector.get("calls_dimensions"), histogram.get("dimensions")]
        lists.append(events.get("dimensions") if events.get("enabled") else None)
        for dimension in (dimension for dimensions in lists for dimension in dimensions or ()):
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


def labels_in_file(file: File) -> Iterator[Label]:
    """Every label that `file` declares.

    Raises:
        UnknownLabelsError: `file` declares labels whose names are unknown, or is not built as a config of its kind.
    """
    reader = _READERS.get(file.kind)
    if reader is None:
        return
    try:
        yield from reader(file.document, file.path)
    except (AttributeError, TypeError, KeyError) as error:
        raise UnknownLabelsError(f"{file.path}: it is not built as a config of its kind ({error})") from None
