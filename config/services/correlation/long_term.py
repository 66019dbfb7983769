"""Grafana's data source for `metrics.long_term`.

Grafana queries the store directly. Prometheus could also read from it (remote read), but VictoriaMetrics and Thanos do not support
that, and every rule and panel that looks further back than Prometheus' own data would wait for a remote store.
"""

from typing import Any

from config.container import DIRECTORY, Secret
from config.remote_login import authorization
from config.services.metrics import api_proxy
from config.settings import Settings
from config.settings.remotes import LONG_TERM, secret_of

NAME = "Long term"
UID = LONG_TERM
SECRET = secret_of(LONG_TERM)
_FILE = f"$__file{{{DIRECTORY}/secrets/{SECRET}}}"
INTERVAL = "1m"
"""Between two samples, for queries that choose their own step."""


def source(settings: Settings) -> dict[str, Any] | None:
    """The data source; None if there is no such store."""
    store = settings.metrics.long_term
    if store is None:
        return None
    data_source: dict[str, Any] = {
        "name": NAME,
        "uid": UID,
        "type": "prometheus",
        "access": "proxy",
        "url": store.query or api_proxy.for_grafana("long_term"),
        "editable": False,
        "jsonData": {"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": INTERVAL},
    }
    secure: dict[str, str] = {}
    if SECRET in settings.secrets and store.url:
        data_source["jsonData"]["httpHeaderName1"] = "Authorization"
        secure["httpHeaderValue1"] = _FILE
    if store.tenant:
        data_source["jsonData"]["httpHeaderName2"] = "X-Scope-OrgID"
        secure["httpHeaderValue2"] = store.tenant
    if store.ca:
        data_source["jsonData"]["tlsAuthWithCACert"] = True
        secure["tlsCACert"] = store.ca
    return {**data_source, **({"secureJsonData": secure} if secure else {})}


def secrets(settings: Settings) -> dict[str, Secret]:
    """File name → secret: the whole header, in which a password is encoded. Grafana would replace `$name` in a password."""
    store = settings.metrics.long_term
    if store is None or not store.url or SECRET not in settings.secrets:
        return {}
    return {SECRET: Secret(SECRET, authorization(store.user))}
