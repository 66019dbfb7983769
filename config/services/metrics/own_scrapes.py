"""Your own scrape jobs, as Prometheus and scrape_proxy get them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from config.own_jobs import RESERVED, OwnJob
from config.ports import SCRAPES
from config.services.metrics import scrape
from config.settings import Settings

_OF_THE_STACK = "|".join(sorted(RESERVED)) + "|application.*"


def jobs(settings: Settings, own: Sequence[OwnJob]) -> list[scrape.ScrapeConfig]:
    """Further items of `scrape_configs`."""
    ways = {job.name: f"https-{number}" for number, job in with_tls(own).items()}
    return [_job(settings, job, ways.get(job.name)) for job in own]


def with_tls(own: Sequence[OwnJob]) -> dict[int, OwnJob]:
    """Jobs with TLS settings of their own: number of the route through the proxy → the job."""
    return dict(enumerate((job for job in own if job.has_tls), start=1))


@dataclass(frozen=True)
class Way:
    """TLS settings of a route: how the proxy verifies the certificates of its targets."""

    authority: str | None
    """Certificates in PEM; None or empty for those of its image."""
    server_name: str = ""
    """Name in the certificates; empty for the host name in the request."""


def ways(settings: Settings, own: Sequence[OwnJob]) -> dict[str, Way]:
    """All routes with TLS settings of their own: the part after `https-` in a target's path → the route."""
    of_jobs = {str(number): Way(job.authority, job.server_name) for number, job in with_tls(own).items()}
    tls = {page.name: page.server.tls for page in settings.exporters.pages}
    return of_jobs | {name: Way(one.ca) for name, one in tls.items() if one and one.ca}


def _job(settings: Settings, job: OwnJob, way: str | None) -> scrape.ScrapeConfig:
    config = dict(job.config)
    own_way = {"source_labels": ["__scheme__"], "regex": "https", "target_label": "__scheme__", "replacement": way}
    # Relabelling may have chosen a job of the stack at run time.
    not_ours = {"source_labels": ["job"], "regex": _OF_THE_STACK, "action": "drop"}
    config["relabel_configs"] = [
        *config.get("relabel_configs", ()),
        not_ours,
        {"source_labels": ["service", "job"], "regex": ";(.+)", "target_label": "service"},
        *([own_way] if way else []),
        *scrape.by_proxy(settings),
    ]
    config |= scrape.renamed(config)
    config["metric_relabel_configs"] = [*config["metric_relabel_configs"], not_ours]
    if "http_sd_configs" in config:
        config["http_sd_configs"] = [_through_proxy(settings, one) for one in config["http_sd_configs"]]
    return {"fallback_scrape_protocol": scrape.FALLBACK, **config, "follow_redirects": False}


def _through_proxy(settings: Settings, discovery: Mapping[str, Any]) -> dict[str, Any]:
    """A discovery whose page the proxy gets, so Prometheus sends no request into your networks."""
    url = urlsplit(discovery["url"])
    target = f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
    path = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
    proxy = f"http://{settings.host('scrape_proxy')}:{SCRAPES}"
    return {**discovery, "url": f"{proxy}/{url.scheme}/{target}{path}", "follow_redirects": False}
