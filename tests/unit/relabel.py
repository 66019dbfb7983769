"""Relabelling as Prometheus does it, as far as this project uses it."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from config.ports import SCRAPES


def relabelled(labels: Mapping[str, str], rules: Iterable[Mapping[str, Any]]) -> dict[str, str] | None:
    """`labels` after `rules`; None where they are dropped. An empty label is none."""
    result = dict(labels)
    for rule in rules:
        action = rule.get("action", "replace")
        assert action in {"replace", "keep", "drop", "keepequal", "labeldrop", "hashmod"}, action
        regex = re.compile(rule.get("regex", "(.*)"))
        if action == "labeldrop":
            result = {name: value for name, value in result.items() if not regex.fullmatch(name)}
            continue
        source = rule.get("separator", ";").join(result.get(name, "") for name in rule.get("source_labels", ()))
        if action == "hashmod":
            number = int.from_bytes(hashlib.md5(source.encode(), usedforsecurity=False).digest()[8:], "big")
            result[rule["target_label"]] = str(number % rule["modulus"])
            continue
        if action == "keepequal" and source != result.get(rule["target_label"], ""):
            return None
        match = regex.fullmatch(source)
        if (action == "keep" and not match) or (action == "drop" and match):
            return None
        if action == "replace" and match:
            replacement = re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))
            label = re.sub(r"\$(\d)", r"\\\1", rule["target_label"])
            result[match.expand(label)] = match.expand(replacement)
        result = {name: value for name, value in result.items() if value}
    return result


def scraped(labels: Mapping[str, str], job: Mapping[str, Any]) -> dict[str, str] | None:
    """What a target of `job` with `labels` becomes: its series' labels, and what is asked for where."""
    start = {
        "job": job["job_name"],
        "__scheme__": job.get("scheme", "http"),
        "__metrics_path__": job.get("metrics_path", "/metrics"),
    }
    target = relabelled({**start, **labels}, job.get("relabel_configs", ()))
    if target is None:
        return None
    params = {name: [value] for name, value in target.items() if name.startswith("__param_")}
    params |= {f"__param_{name}": values for name, values in job.get("params", {}).items()}
    query = "&".join(f"{name.removeprefix('__param_')}={v}" for name, values in sorted(params.items()) for v in values)
    address, path = target["__address__"], target["__metrics_path__"]
    if address.endswith(f"-scrape_proxy:{SCRAPES}"):  # it asks what its path says
        assert target["__scheme__"] == "http"
        target["__scheme__"], address, path = path[1:].split("/", 2)
        path = f"/{path}"
    # As Prometheus asks: a `?` within the path is a character of it.
    url = f"{target['__scheme__']}://{address}{path.replace('?', '%3F')}" + (f"?{query}" if query else "")
    series = {name: value for name, value in target.items() if not name.startswith("__")}
    return {"instance": target["__address__"], **series, "url": url}


def targets(job: Mapping[str, Any]) -> list[dict[str, str] | None]:
    """Of the static targets of `job`, what each becomes."""
    return [
        scraped({"__address__": address, **group.get("labels", {})}, job)
        for group in job.get("static_configs", ())
        for address in group["targets"]
    ]
