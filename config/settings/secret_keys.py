"""Names of the secret settings. Their values never enter the settings."""

import re

SECRETS = {
    "slack_webhook": "incoming-webhook URL: its presence turns Slack on",
    "pagerduty_key": "Events API v2 integration key: its presence turns PagerDuty on",
    "deadman_url": "URL of an outside monitor that is pinged while alerting works: its presence turns the switch on",
    "postgres_password": "password of `exporters.postgres.user`, without blanks",
    "redis_password": "password of `exporters.redis.user`",
    "elasticsearch_password": "password of `exporters.elasticsearch.user`",
    "s3_credentials": "`<access key id>:<secret access key>` for `logs.s3`",
    "traces_password": "password of `traces.cluster.user`",
    "grafana_password": "password of Grafana's user `admin`: its presence turns Grafana on",
    "grafana_secret_key": "key by which Grafana encrypts what it keeps; without it, one that it makes for itself beside its data",
}
"""Top-level keys that hold secrets. Their values never enter the settings: Pulumi tracks them from config to engine."""
OF_SCRAPES = re.compile(r"scrape_[a-z0-9_]{1,40}")
"""Names of further secrets, which the jobs of `metrics.scrape_files` name: passwords and tokens."""


def is_secret(key: str) -> bool:
    """Whether `key` is the name of a secret setting."""
    return key in SECRETS or bool(OF_SCRAPES.fullmatch(key))


WEBHOOKS = ("slack_webhook", "deadman_url")
"""Secrets that are addresses."""
GRAFANA_PASSWORD = "grafana_password"  # noqa: S105 - its name
GRAFANA_SECRET_KEY = "grafana_secret_key"  # noqa: S105 - its name
