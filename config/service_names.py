"""What a container's service is called: in logs, metrics and alerts the same, and the same after each deployment."""

from typing import Any

LABELS = ("com.docker.swarm.service.name", "com.docker.compose.service", "observability.service")
"""Labels of a container that say it, the later one winning."""

NAME = r"(.+?)(?:[-_.](?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d+|v\d+(?:\.\d+)+|[0-9a-f]{7,}|[0-9a-z]{25}|uncommitted|blue|green))*"
"""The service of a container without such a label: its name without what changes from one container to the next. That is a
number, a version, a commit (7 digits or more), the id of a task in a swarm or of an allocation of Nomad's (a UUID), Kamal's
`uncommitted`, and the two colours that deployments alternate between. `config/socket_proxy.lua` does the same."""


LENGTH = 128
"""Characters that a name may have."""
CHARACTERS = (
    "0-9A-Za-z_.:/@ "
    "\u00a1-\u1fff\u2070-\ud7ff\ufb00-\ufefe\uff00-\uffef\U00010000-\U000dffff"  # letters of any script
    "-"
)
"""What a name is made of, inside the brackets of an expression: nothing that Slack, a page, a terminal or a template would take for
more than text. No end of a range is a letter that has another spelling (U+F900 is U+8C48): on its way to the engine a text is
spelled anew (NFC), and is no more the one whose digest is waited for. Left out of the other scripts are spaces and signs that nobody sees or that turn the direction, and what has no
meaning of its own. `config/socket_proxy.lua` knows the same, and `config/otlp_names.py` makes the names of OTLP so."""


def rules(name: str, prefix: str) -> tuple[dict[str, Any], ...]:
    """Relabelling rules, in Prometheus' words, that set `service`.

    `name` is the label that holds the container's name, with or without a slash; labels of the container begin with `prefix`.
    A label that is no name is not there.
    """
    labels = (prefix + "".join(letter if letter.isalnum() else "_" for letter in label) for label in LABELS)
    return (
        {"source_labels": [name], "regex": f"/?{NAME}", "target_label": "service"},
        *(
            {"source_labels": [label], "regex": f"([{CHARACTERS}]{{1,{LENGTH}}})", "target_label": "service"}
            for label in labels
        ),
    )
