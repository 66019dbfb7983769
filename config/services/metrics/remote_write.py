"""Remote stores that get Prometheus' samples by remote write, beside its own storage.

Samples that a store cannot take wait in the write-ahead log. Prometheus cuts that log every two hours, even if a store has not read
it. So a store that is down costs the memory of its queue, and no data is lost here.
"""

from collections.abc import Iterator
from typing import Any

from config.container import Secret
from config.services.metrics import long_term
from config.settings import Settings
from config.settings.remotes import LONG_TERM, LongTerm, Remote, RemoteWrite, WriteQueue, secret_of


def ends(settings: Settings) -> list[dict[str, Any]]:
    """The items of `remote_write`."""
    return [*(_asked_for(settings, one) for one in settings.metrics.remote_write), *_long_term(settings)]


def secrets(settings: Settings) -> dict[str, Secret]:
    """File name → secret, of the ends that have one."""
    names = [one.name for one in settings.metrics.remote_write]
    if (store := settings.metrics.long_term) and store.url:
        names.append(LONG_TERM)
    return {secret: Secret(secret) for name in names if (secret := secret_of(name)) in settings.secrets}


def _asked_for(settings: Settings, one: RemoteWrite) -> dict[str, Any]:
    rules = [long_term.by_name("keep", one.keep)] if one.keep else []
    rules += [long_term.by_name("drop", one.drop)] if one.drop else []
    return {
        "name": one.name,
        "url": one.url,
        "send_exemplars": True,
        "send_native_histograms": True,
        **_login(settings, one.name, one),
        **({"write_relabel_configs": rules} if rules else {}),
        "queue_config": _queue(one.queue),
    }


def _long_term(settings: Settings) -> Iterator[dict[str, Any]]:
    store = settings.metrics.long_term
    if store:
        yield {
            "name": LONG_TERM,
            "url": store.url or long_term.WRITE,
            **_login(settings, LONG_TERM, store),
            "write_relabel_configs": [long_term.by_name("keep", long_term.SELECTION)],
            "queue_config": _queue(WriteQueue(shards=2)),
        }


def _login(settings: Settings, name: str, end: RemoteWrite | LongTerm) -> dict[str, Any]:
    """Keys of the connection. Prometheus reads the secret's file at each request."""
    return {
        **({"headers": {"X-Scope-OrgID": end.tenant}} if end.tenant else {}),
        **_authentication(settings, name, end),
        **({"tls_config": {"ca": end.ca}} if end.ca else {}),
        "follow_redirects": False,  # the secret would follow
    }


def _authentication(settings: Settings, name: str, end: Remote) -> dict[str, Any]:
    secret = secret_of(name)
    if end.user:
        return {"basic_auth": {"username": end.user, "password_file": f"secrets/{secret}"}}
    return {"authorization": {"credentials_file": f"secrets/{secret}"}} if secret in settings.secrets else {}


def _queue(queue: WriteQueue) -> dict[str, Any]:
    return {
        # Their number never changes: when Prometheus changes it while an end is away, it ends the old ones after a minute with all
        # that they hold (`Failed to flush all samples on shutdown`).
        "min_shards": queue.shards,
        "max_shards": queue.shards,
        "max_samples_per_send": queue.samples,
        "capacity": 5 * queue.samples,
        "retry_on_http_429": True,  # else what an end has no room for at the moment would be lost
    }
