"""Reads and judges Prometheus scrape configs of your own (`metrics.scrape_files`).

Prometheus is in none of your networks, so each of these jobs is scraped through scrape_proxy, as `config/services/metrics/scrape.py`
does for your containers. What the proxy cannot pass on is refused here, with the reason.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from config.alerts.rule import Job
from config.ports import METRICS
from config.settings import Settings, own_files
from config.settings.loading import SettingsError
from config.settings.metrics import LONGEST_INTERVAL
from config.settings.model import asked_address, asked_page, wrong_text
from config.settings.secret_keys import OF_SCRAPES, is_secret
from config.settings.units import seconds
from config.sizes import MIB

LARGEST = MIB
"""Bytes of one file."""
RESERVED = frozenset({str(job) for job in Job} | METRICS.keys() | {"application", "application-containers"})
"""Values of the label `job` that alerts trust."""

_PLAIN = frozenset(
    {
        *("job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params", "honor_timestamps"),
        *("track_timestamps_staleness", "scrape_protocols", "fallback_scrape_protocol", "scrape_native_histograms"),
        *("always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb", "enable_compression"),
        *("enable_http2", "relabel_configs", "metric_relabel_configs", "static_configs", "dns_sd_configs"),
        *("label_name_length_limit", "metric_name_validation_scheme", "metric_name_escaping_scheme"),
        *("native_histogram_bucket_limit", "native_histogram_min_bucket_factor"),
    }
)
"""Keys that are passed on as they are."""
_HANDLED = frozenset(
    {"basic_auth", "authorization", "bearer_token_file", "tls_config", "file_sd_configs", "http_sd_configs"}
)
_IGNORED = frozenset({"follow_redirects", "keep_dropped_targets"})
"""Keys that the stack sets itself. People copy them from the configuration that Prometheus shows."""
_IN_CLEAR = "stands in clear in the file: pulumi config set --secret {secret}  and write  {key}_file: {secret}  instead"
_PAST_THE_PROXY = "would be asked by Prometheus itself, which is in none of your networks"
_REFUSED = {
    "honor_labels": "would let a page choose its own job and instance, by which alerts tell targets apart: leave it out; "
    "the page's own labels arrive as exported_job and exported_instance",
    "oauth2": f"its token {_PAST_THE_PROXY}: use authorization or basic_auth",
    "proxy_url": "the stack has a proxy of its own (scrape_proxy): leave it out",
    "http_headers": "would show what is in them: use authorization or basic_auth, whose secrets are in files",
    "body_size_limit": "is set for all jobs: metrics.limits.body_size",
}
_TLS = frozenset({"ca_file", "server_name", "insecure_skip_verify"})
_TLS_REFUSED = {
    "cert_file": "scrape_proxy makes the connection, and has no client certificate to show: use authorization or basic_auth",
    "key_file": "scrape_proxy makes the connection, and has no client certificate to show: use authorization or basic_auth",
    "ca": "write the certificate into a file of the project, and name it:  ca_file: …",
}

Refuse = Callable[[str], SettingsError]


@dataclass(frozen=True)
class OwnJob:
    """One scrape config, judged."""

    config: Mapping[str, Any]
    """The config for Prometheus, without TLS, which the proxy does. Its files are `secrets/<name of the secret>`."""
    secrets: frozenset[str] = frozenset()
    authority: str = ""
    """Certificates of the authorities that the proxy trusts for the targets; empty for those of its image."""
    server_name: str = ""
    """Name in the targets' certificate; empty for the host name in the request."""

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.config["job_name"])

    @property
    def has_tls(self) -> bool:
        """Whether the proxy needs TLS settings for this job alone."""
        return bool(self.authority or self.server_name)


def read(settings: Settings, root: Path, *, stack_key: str) -> tuple[OwnJob, ...]:
    """The jobs in the files of `metrics.scrape_files`, which are relative to `root`. `stack_key` names that setting in
    messages. promtool judges them later.

    Raises:
        SettingsError: a file is missing or no list of scrape configs, or a job asks for what this stack does not allow.
    """
    jobs: dict[str, OwnJob] = {}
    for key, file in own_files.matching_files(
        settings.metrics.scrape_files, root, endings=(".yml", ".yaml"), stack_key=stack_key
    ):
        for config in _configs(own_files.text_of(file, key, LARGEST), key):
            try:
                job = _Judge(settings, root, file.parent, key, config).job()
            except (TypeError, AttributeError, ValueError) as error:
                raise SettingsError(f"{key}: {config.get('job_name')}: is not a scrape config: {error}") from None
            if job.name in jobs:
                raise SettingsError(f"{key}: there is another job called {job.name} too")
            jobs[job.name] = job
    return tuple(jobs.values())


def _configs(text: str, key: str) -> Iterator[dict[str, Any]]:
    try:
        document = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{key}: is not YAML: {' '.join(str(error).split())}") from None
    if isinstance(document, dict) and (others := sorted(str(one) for one in document if one != "scrape_configs")):
        raise SettingsError(
            f"{key}: has {', '.join(others)}, which the stack sets itself: leave only scrape_configs (rules: alerts.rule_files)"
        )
    listed = document.get("scrape_configs") if isinstance(document, dict) else document
    if not isinstance(listed, list) or not listed:
        raise SettingsError(f"{key}: holds no `scrape_configs:`")
    for config in listed:
        if not isinstance(config, dict) or not isinstance(config.get("job_name"), str):
            raise SettingsError(f"{key}: has an item without a job_name")
        yield config


class _Judge:
    """Judges one scrape config."""

    def __init__(self, settings: Settings, root: Path, folder: Path, key: str, config: dict[str, Any]) -> None:
        self._settings, self._root, self._folder, self._config = settings, root, folder, config
        self._name = str(config["job_name"])
        self._where = f"{key}: {self._name}"
        self._secrets: set[str] = set()

    def _no(self, key: str, what: str) -> SettingsError:
        return SettingsError(f"{self._where}: {key}: {what}")

    def job(self) -> OwnJob:
        """The judged job.

        Raises:
            SettingsError: it asks for what this stack does not allow.
        """
        config = {key: value for key, value in self._config.items() if value is not None and key not in _IGNORED}
        if what := wrong_text(self._name):
            raise SettingsError(f"{self._where!r}: its job_name {what}")
        if self._name in RESERVED or self._name.startswith("application"):
            raise self._no("job_name", "is a job of the stack, whose alerts trust it: choose another name")
        self._judge_keys(config)
        self._judge_times(config)
        if not str(path := config.get("metrics_path", "/")).startswith("/") or "?" in str(path):
            raise self._no("metrics_path", "is not a path like /metrics; what is behind a ? belongs into params")
        scrape_config = {key: value for key, value in config.items() if key in _PLAIN}
        scrape_config |= self._limits(config) | self._login(config)
        static = [*(config.get("static_configs") or ()), *self._of_files(config.get("file_sd_configs") or [])]
        self._judge_targets(static)
        self._judge_relabelling(config)
        if static:
            scrape_config["static_configs"] = static
        if listed := config.get("http_sd_configs"):
            scrape_config["http_sd_configs"] = [self._discovery(one) for one in listed]
        if not {"static_configs", "dns_sd_configs", "http_sd_configs"} & scrape_config.keys():
            raise self._no("static_configs", "are missing, so it has no target")
        return OwnJob(scrape_config, frozenset(self._secrets), *self._tls(config.get("tls_config") or {}))

    def _judge_keys(self, config: Mapping[str, Any]) -> None:
        for key, value in config.items():
            if key == "bearer_token":
                raise self._no(key, _IN_CLEAR.format(secret=self._suggested, key=key))
            if key in _REFUSED and value is not False:
                raise self._no(key, _REFUSED[key])
            if key.endswith("_sd_configs") and key not in _HANDLED | _PLAIN:
                raise self._no(
                    key,
                    f"{_PAST_THE_PROXY}: use http_sd_configs, dns_sd_configs, file_sd_configs, or labels on containers",
                )
            if key not in _PLAIN | _HANDLED | _REFUSED.keys() | _limits_of(self._settings).keys():
                raise self._no(key, "is not a key that is known here")

    @property
    def _suggested(self) -> str:
        """Name for a secret of this job."""
        return (
            OF_SCRAPES + "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in self._name.lower())[:40]
        )

    def _judge_times(self, config: Mapping[str, Any]) -> None:
        for key in ("scrape_interval", "scrape_timeout"):
            if key not in config:
                continue
            try:
                length = seconds(str(config[key]))
            except ValueError:
                raise self._no(key, "is not a time span like 30s") from None
            if length > seconds(LONGEST_INTERVAL):
                raise self._no(key, f"{LONGEST_INTERVAL} is the most: rules and dashboards look at five minutes")
            if length < 1:
                raise self._no(key, "the least is 1s, because every scrape and evaluation costs CPU")

    def _limits(self, config: Mapping[str, Any]) -> dict[str, int]:
        """The limits of the stack, or lower ones of the job. To Prometheus, 0 means no limit."""
        limits = {}
        for key, (most, setting) in _limits_of(self._settings).items():
            limits[key] = int(config.get(key) or most)
            if limits[key] > most:
                raise self._no(key, f"is above metrics.limits.{setting}, which is {most}: raise that, or leave it out")
        return limits

    def _login(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The keys for a login, with its secrets as files."""
        result: dict[str, Any] = {}
        if token := config.get("bearer_token_file"):
            result["authorization"] = {"credentials_file": self._secret("bearer_token_file", token)}
        for block, key in (("basic_auth", "password"), ("authorization", "credentials")):
            if not (login := config.get(block)):
                continue
            if key in login:
                raise self._no(f"{block}.{key}", _IN_CLEAR.format(secret=self._suggested, key=key))
            file = f"{key}_file"
            result[block] = {**login, file: self._secret(f"{block}.{file}", login.get(file))}
        if "username_file" in result.get("basic_auth", {}):
            raise self._no("basic_auth.username_file", "write the name itself:  username: …")
        return result

    def _secret(self, key: str, name: Any) -> str:
        if not (isinstance(name, str) and name.startswith(OF_SCRAPES) and is_secret(name)):
            raise self._no(
                key,
                f"is the name of a secret: pulumi config set --secret {self._suggested}  and write its name, {self._suggested}",
            )
        if name not in self._settings.secrets:
            raise self._no(key, f"the secret is not set: pulumi config set --secret {name}")
        self._secrets.add(name)
        return f"secrets/{name}"

    def _of_files(self, discoveries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The target groups in files of the project. They are read now, because Prometheus sees no file of your host."""
        for discovery in discoveries:
            for path in discovery.get("files") or ():
                if str(path).startswith(("/", "~")) or ".." in Path(path).parts:
                    raise self._no(
                        "file_sd_configs", f"{path} is not inside the project: put it there, or use http_sd_configs"
                    )
                named = str((self._folder / path).relative_to(self._root))
                for key, file in own_files.matching_files(
                    [named], self._root, endings=(".json", ".yml", ".yaml"), stack_key=f"{self._where}: file_sd_configs"
                ):
                    try:
                        groups = yaml.load(own_files.text_of(file, key, LARGEST), yaml.CSafeLoader)
                    except (yaml.YAMLError, RecursionError) as error:
                        raise SettingsError(
                            f"{key}: is neither JSON nor YAML: {' '.join(str(error).split())}"
                        ) from None
                    if not isinstance(groups, list):
                        raise SettingsError(f"{key}: is not a list of targets and labels")
                    yield from groups

    def _judge_targets(self, groups: list[dict[str, Any]]) -> None:
        for group in groups:
            for target in group.get("targets") or ():
                try:
                    asked_address(str(target))
                    self._must_not_be_ipv6("targets", str(target))
                except ValueError as error:
                    raise self._no("targets", f"{target} {error}") from None
            for label, value in (group.get("labels") or {}).items():
                if not isinstance(value, str | int) or isinstance(value, bool):
                    raise self._no("labels", f"{label}: write its value in quotes")
                self._judge_label(label, str(value))

    def _must_not_be_ipv6(self, key: str, address: str) -> None:
        if "[" in address:
            raise self._no(key, f"{address} has an IPv6 address, which scrape_proxy cannot ask: use a name")

    def _judge_relabelling(self, config: Mapping[str, Any]) -> None:
        for key in ("relabel_configs", "metric_relabel_configs"):
            for rule in config.get(key) or ():
                if rule.get("action", "replace") in {"replace", "lowercase", "uppercase"}:
                    self._judge_label(str(rule.get("target_label", "")), str(rule.get("replacement", "")))

    def _judge_label(self, label: str, value: str) -> None:
        if label == "job" and (value in RESERVED or value.startswith("application")):
            raise self._no("labels", f"{value} is a job of the stack, whose alerts trust it: choose another name")
        if label.startswith("__scrape_"):
            raise self._no("labels", f"{label}: say it for the job, as scrape_interval or scrape_timeout")

    def _discovery(self, discovery: dict[str, Any]) -> dict[str, Any]:
        """One of `http_sd_configs`. The proxy gets the page too (`config/services/metrics/own_scrapes.py`)."""
        if others := sorted(discovery.keys() - {"url", "refresh_interval", "basic_auth", "authorization"}):
            raise self._no(
                "http_sd_configs", f"{others[0]} is not known here: it has url, refresh_interval and a login"
            )
        try:
            url = asked_page(str(discovery.get("url")))
        except ValueError as error:
            raise self._no("http_sd_configs", f"its url {error}") from None
        self._must_not_be_ipv6("http_sd_configs", url)
        return {**discovery, **self._login(discovery)}

    def _tls(self, tls: Mapping[str, Any]) -> tuple[str, str]:
        """The authority's certificates, and the name in the targets' certificates."""
        for key in tls:
            if key in _TLS_REFUSED:
                raise self._no(f"tls_config.{key}", _TLS_REFUSED[key])
            if key not in _TLS:
                raise self._no(f"tls_config.{key}", f"is not known here: {', '.join(sorted(_TLS))}")
        if tls.get("insecure_skip_verify"):
            raise self._no(
                "tls_config.insecure_skip_verify",
                "would send what is scraped, and passwords, to whoever answers: name the certificate instead:  ca_file: …",
            )
        name = str(tls.get("server_name") or "")
        if name and not all(sign.isalnum() or sign in "-._" for sign in name):
            raise self._no("tls_config.server_name", "is not a host name")
        if not tls.get("ca_file"):
            return "", name
        path = str(tls["ca_file"])
        if path.startswith(("/", "~")) or ".." in Path(path).parts:
            raise self._no("tls_config.ca_file", "is not inside the project: put the certificate there")
        file, key = self._folder / path, f"{self._where}: tls_config.ca_file"
        own_files.must_be_inside(self._root, file, key)
        text = own_files.text_of(file, key, LARGEST)
        if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
            raise SettingsError(f"{key}: must contain certificates (PEM), and no key")
        return text, name


def _limits_of(settings: Settings) -> dict[str, tuple[int, str]]:
    """Key of a scrape config → the stack's limit, and its name below `metrics.limits`."""
    limits = settings.metrics.limits
    return {
        "sample_limit": (limits.samples, "samples"),
        "label_limit": (limits.labels, "labels"),
        "label_value_length_limit": (limits.label_value_length, "label_value_length"),
        "target_limit": (limits.targets, "targets"),
    }
