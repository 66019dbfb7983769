"""Names of the secret settings. Their values never enter the settings."""

import re

from config.catalogue import ROWS
from config.metrics_pages import METRICS_PAGES

SECRETS = {
    "slack_webhook": "incoming-webhook URL: its presence turns Slack on",
    "pagerduty_key": "Events API v2 integration key: its presence turns PagerDuty on",
    "deadman_url": "URL of an outside monitor that is pinged while alerting works: its presence turns the switch on",
    **{f"{row.watches}_{row.credential}": row.login for row in ROWS.values() if row.login},
    **{f"{page.key}_password": f"password of `exporters.{page.key}.user`" for page in METRICS_PAGES},
    "s3_credentials": "`<access key id>:<secret access key>` for `logs.s3`",
    "traces_password": "password of `traces.cluster.user`",
    "centre_password": "credential of an edge: what its centre has as `edge_password_<name>`",
    "grafana_password": "password of Grafana's user `admin`: its presence turns Grafana on",
    "grafana_secret_key": "key by which Grafana encrypts what it keeps; without it, one that it makes for itself beside its data",
}
"""Top-level keys that hold secrets. Their values never enter the settings: Pulumi tracks them from config to engine."""
WEBHOOKS = ("slack_webhook", "deadman_url")
"""Secrets that are addresses."""
GRAFANA_PASSWORD = "grafana_password"  # noqa: S105 - its name
GRAFANA_SECRET_KEY = "grafana_secret_key"  # noqa: S105 - its name
OF_SERVERS = {
    **{f"{row.watches}_{row.credential}_": row.watches for row in ROWS.values() if row.login},
    **{f"{page.key}_password_": page.key for page in METRICS_PAGES},
}
"""Beginnings of the names of secrets that end with the name of a server → the key of its kind below `exporters`."""
CERTIFICATES = tuple(f"{row.watches}_certificate" for row in ROWS.values() if row.credential == "certificate")
"""Secrets, or the beginnings of their names, that hold a certificate and its key."""
OF_SCRAPES = "scrape_"
"""Beginning of the names of secrets that the jobs of `metrics.scrape_files` name: passwords and tokens."""
RECEIVER = "receiver_"
"""Beginning of the names of the receivers' secrets (`notifications.receivers`)."""
OF_EDGES = "edge_password_"
"""Beginning of the names of the edges' credentials at their centre. With `_next` at the end: the one that follows it."""
CENTRE_PASSWORD = "centre_password"  # noqa: S105 - its name
OF_REMOTES = "remote_"
"""Beginning of the names of the secrets of remote stores (`config/settings/remotes.py`)."""
NAMED = (*OF_SERVERS, OF_SCRAPES, RECEIVER, OF_EDGES, OF_REMOTES)
NAMES = (*SECRETS, *(f"{beginning}<name>" for beginning in NAMED))
"""Names for messages."""
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")


def is_secret(key: str) -> bool:
    """Whether `key` is the name of a secret: one of `SECRETS`, or one that ends with a name of yours."""
    return key in SECRETS or any(key.startswith(one) and _NAME.fullmatch(key.removeprefix(one)) for one in NAMED)
