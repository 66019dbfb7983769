"""Names of containers' services: the same in logs, metrics and alerts, and after each deployment."""

import re
from collections.abc import Mapping
from typing import Any

from config.container import discovered_label

LABELS = ("com.docker.swarm.service.name", "com.docker.compose.service", "observability.service")
"""Container labels that set the name; a later one overrides an earlier one."""
COOLIFY = "coolify.serviceName"
"""Label with the name that people gave to what Coolify deploys. It replaces a name that Coolify has made up."""
MADE_UP = r"[0-9a-z]{24}(?:-\d+)?"
"""Coolify's names of containers, and of their services in Compose: an id, and in most the time of the deployment (`uuid-Hisu` in
`bootstrap/helpers/docker.php` of coollabsio/coolify). Previews of pull requests (`uuid-pr-7`) keep theirs."""

NAME = r"(.+?)(?:[-_.](?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d+|v\d+(?:\.\d+)+|[0-9a-f]{7,}|[0-9a-z]{25}|uncommitted|upcoming|blue|green))*"
"""Finds the service of a container without such a label: its name without the parts that differ between containers.
These are a number, a version, a commit (7 digits or more), the id of a Swarm task or a Nomad allocation (a UUID),
Kamal's `uncommitted`, Dokku's `upcoming`, and the two colours of blue-green deployments. `config/services/metrics/socket_proxy.lua` does the same."""


LENGTH = 128
"""Maximum length of a name, in characters."""
CHARACTERS = (
    "0-9A-Za-z_.:/@ "
    "\u00a1-\u1fff\u2070-\ud7ff\ufb00-\ufefe\uff00-\uffef\U00010000-\U000dffff"  # letters of all scripts
    "-"
)
"""Characters of a name, for a character class: none that Slack, a page, a terminal or a template would interpret.

No end of a range has another spelling (U+F900 is U+8C48): texts are normalized (NFC) on their way to the engine, and
the digest that the deployment waits for would no longer match. Of the other scripts, spaces are left out, and so are
characters that are invisible, change the direction, or have no meaning of their own. `config/services/metrics/socket_proxy.lua` uses the
same characters, and `config/services/traces/otlp_names.py` builds the names of OTLP from them.
"""


def rules(name: str, prefix: str) -> tuple[dict[str, Any], ...]:
    """Relabelling rules, in Prometheus' terms, that set `service`.

    `name` is the label with the container's name, with or without a slash. Labels of the container begin with `prefix`.
    A label whose value is not a valid name is ignored.
    """
    valid = f"([{CHARACTERS}]{{1,{LENGTH}}})"

    def label(of_container: str) -> str:
        return prefix + discovered_label(of_container)

    *earlier, last = ({"source_labels": [label(one)], "regex": valid, "target_label": "service"} for one in LABELS)
    by_coolify = {
        "source_labels": [label(COOLIFY), "service"],
        "regex": f"{valid};{MADE_UP}",
        "target_label": "service",
    }
    return ({"source_labels": [name], "regex": f"/?{NAME}", "target_label": "service"}, *earlier, by_coolify, last)


def of_labels(labels: Mapping[str, str]) -> str:
    """The service that a container's labels name; empty if they name none."""
    *_, last = ("", *(labels[one] for one in LABELS if labels.get(one)))
    return labels.get(COOLIFY) or last if re.fullmatch(MADE_UP, last) else last
