"""Label cardinality: nothing with many values becomes a label.

Each value of a label is a separate time series or log stream. So ids, addresses, paths, users and messages belong in the
log line, the structured metadata or the span. `readers/declared_labels.py` says where labels are read.

Values are unknown before they arrive, so the policy judges names: the last word of a label's name, and the names that it is
filled from. If a config sets a value, the policy judges its shape too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from pulumi_policy import Policy

from policies.policy_kit import Config, allow_list, resource_policy
from policies.readers.declared_labels import Label, UnknownLabelsError, labels_in_file, labels_of_container
from policies.readers.declared_resources import CONTAINER, Properties, Resource
from policies.readers.uploads import UnreadableError, files

MANY = frozenset({
    "id", "ids", "uid", "uuid", "guid", "pid", "user", "username", "userid", "login", "email", "mail", "phone",
    "ip", "ipv4", "ipv6", "addr", "address", "session", "sessionid", "token", "cookie", "jwt",
    "trace", "traceid", "traceparent", "span", "spanid", "request", "requestid",
    "path", "filename", "uri", "url", "href", "referer", "referrer", "useragent", "query", "statement",
    "message", "msg", "body", "payload", "line", "exception", "stacktrace", "timestamp", "ts", "datetime",
    "hash", "sha", "sha1", "sha256", "digest", "checksum", "fingerprint", "commit", "revision", "nonce",
})  # fmt: skip
"""Last words of names whose values are unlimited."""
_MANY_PAIRS = frozenset(
    {"user name", "user agent", "user key", "http target", "peer port", "client port", "error text"}
)
"""Last two words of such names."""

_PATH_OF_METRICS = "a Docker label with the path of a container's metrics; Prometheus does not make a label of it"

ALLOWED: Mapping[str, str] = {
    "observability.path": _PATH_OF_METRICS,
    "prometheus.io/path": _PATH_OF_METRICS,
    "prometheus.path": _PATH_OF_METRICS,
    "__tenant_id__": "in the door of a centre the name of an edge, of which the stack file lists all",
    "version": "one time series of Prometheus, with the digest of its config files",
}
"""Label name → why its values are few."""

INSTANCE = "instance"
"""A label filled from an address. Prometheus has one value for each target, and the number of targets is limited."""

_UNIQUE_VALUES = {
    "an id": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "a hash": r"(?:sha\d+:)?(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}",
    "a time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*|1\d{9}(?:\d{3})*",
    "an address": r"(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?",
    "an e-mail address": r"[^@\s]+@[^@\s]+\.[a-z]{2,}",
}
"""Kind of value → its shape. Each value of these kinds is different."""


def words(name: str) -> list[str]:
    """The words of a label name: `["http", "user", "id"]` for `http.userId` and `http.user-id`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]


def has_many_values(name: str) -> bool:
    """Whether a label of this name has unlimited values."""
    parts = words(name)
    return bool(parts) and (parts[-1] in MANY or " ".join(parts[-2:]) in _MANY_PAIRS)


def looks_like(value: str) -> str | None:
    """What `value` is if the next one differs (`"a time"`), else None."""
    return next((what for what, pattern in _UNIQUE_VALUES.items() if re.fullmatch(pattern, value)), None)


def judge(label: Label, allowed: Mapping[str, str], denied: Iterable[str]) -> str | None:
    """The violation of `label`, None if it has few values."""
    instead = "put it into the log line, structured metadata or a span attribute, or allow it in the policy's config with a reason"
    if label.name in allowed or label.name.startswith("__") or label.value == "":
        return None
    if has_many_values(label.name) or label.name in denied:
        return f"{label.where}: the label {label.name} has unlimited values: {instead}"
    unlimited = [
        source for source in label.sources if source not in allowed and (has_many_values(source) or source in denied)
    ]
    if unlimited and label.name != INSTANCE:
        return f"{label.where}: the label {label.name} is filled from {unlimited[0]}, which has unlimited values: {instead}"
    if label.value is not None and (looks := looks_like(label.value)):
        return f"{label.where}: the label {label.name} is set to {looks}, which differs every time: leave it out, or {instead}"
    return None


def _check(resource: Resource, config: Config) -> Iterator[str]:
    violations: dict[str, None] = {}
    try:
        for label in _labels(resource.props):
            if violation := judge(label, config["allowed"], config["denied"]):
                violations[violation] = None
    except (UnknownLabelsError, UnreadableError) as error:
        violations[str(error)] = None
    yield from violations


def _labels(container: Properties) -> Iterator[Label]:
    yield from labels_of_container(container)
    for file in files(container):
        yield from labels_in_file(file)


LABELS = resource_policy(
    "low-cardinality-labels",
    "No label or dimension has unlimited values: ids, users, addresses, paths, messages.",
    _check,
    kinds=(CONTAINER,),
    fix="Put values that are unlimited into the log line, structured metadata or a span attribute. If a label has few values "
    "despite its name, add it to `allowed` in the policy's config with the reason.",
    config={
        "allowed": allow_list(ALLOWED, "Label names that may be used → why their values are few."),
        "denied": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "More label names that may not be used.",
        },
    },
)

POLICIES: tuple[Policy, ...] = (LABELS,)
