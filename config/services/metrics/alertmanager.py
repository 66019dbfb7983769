"""Alertmanager: groups, routes, silences and delivers alerts."""

from collections.abc import Iterator
from typing import Any

from config.alerts import EVERYTHING, Alert, groups, slo
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.services.logs import loki_rules
from config.services.metrics import alertmanager_receivers, messages
from config.settings import Settings
from config.settings.units import seconds
from config.yaml_text import digest, dump

PORT = METRICS["alertmanager"]


def container(settings: Settings) -> Container:
    """Keeps silences, and the log of sent notifications, across restarts."""
    return Container(
        service="alertmanager",
        command=(
            f"--config.file={DIRECTORY}/alertmanager.yml",
            "--storage.path=/alertmanager",
            f"--web.external-url={settings.url('alertmanager')}",
            "--web.route-prefix=/",
            "--cluster.listen-address=",  # one instance: no gossip
            # With several receivers of a kind, only their names tell which one fails.
            f"--enable-feature=auto-gomemlimit{',receiver-name-in-metrics' if settings.notifications.receivers else ''}",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/ready"),
        grace_seconds=20,
        go_memory_percent=0,
        data="/alertmanager",
        damaged_paths={"error creating notification log": ("nflog",), "error creating silence": ("silences",)},
        quiesce="stopped",  # it writes silences every 15 minutes, and when it exits
        config=_config(settings),
    )


def _config(settings: Settings) -> ConfigFiles:
    main, texts = (
        main_file(settings),
        {"templates/slack.tmpl": messages.templates(), **alertmanager_receivers.templates(settings)},
    )
    # An unused receiver carries the version, because Alertmanager shows its receivers but not its files.
    version = f"version-{digest({'main': dump(main), **texts})}"
    main["receivers"].append({"name": version})
    keys = ("slack_webhook", "pagerduty_key", "deadman_url")
    return ConfigFiles(
        files={"alertmanager.yml": dump(main), **texts},
        validate="amtool check-config alertmanager.yml",
        secrets={key: Secret(key) for key in keys if key in settings.secrets}
        | alertmanager_receivers.secrets(settings),
        expect={
            f"http://127.0.0.1:{PORT}/api/v2/receivers": f'"{version}"',
            f"http://127.0.0.1:{PORT}/metrics": "alertmanager_config_last_reload_successful 1",
        },
    )


def main_file(settings: Settings) -> dict[str, Any]:
    """The content of `alertmanager.yml`, which names the files that hold the secrets."""
    notifications = settings.notifications
    slack, pagerduty, deadman = (key in settings.secrets for key in ("slack_webhook", "pagerduty_key", "deadman_url"))
    everyday = "slack" if slack else alertmanager_receivers.NOWHERE
    routes: list[dict[str, Any]] = [
        {
            "matchers": ['alertname="Watchdog"'],
            "receiver": "deadman" if deadman else alertmanager_receivers.NOWHERE,
            "group_wait": "0s",
            "group_interval": notifications.deadman_interval,
            # Shorter than the interval: otherwise a ping recorded slightly later than sent would mute every second one.
            "repeat_interval": f"{seconds(notifications.deadman_interval) * 0.8:.0f}s",
        }
    ]
    receivers: list[dict[str, Any]] = [{"name": alertmanager_receivers.NOWHERE}]
    if deadman:
        receivers.append(
            {
                "name": "deadman",
                "webhook_configs": [
                    {"url_file": alertmanager_receivers.secret_file("deadman_url"), "send_resolved": False}
                ],
            }
        )
    if pagerduty:
        routes.append({"matchers": ['severity="critical"'], "receiver": "pagerduty", "continue": True})
        receivers.append(
            {"name": "pagerduty", "pagerduty_configs": [alertmanager_receivers.pagerduty(settings, "pagerduty_key")]}
        )
    routes += alertmanager_receivers.routes(settings)
    # An explicit route: the default of the parent applies only if no child matches, and those before it did.
    routes.append({"receiver": everyday})
    if slack:
        receivers.append(
            {
                "name": "slack",
                "slack_configs": [alertmanager_receivers.slack(settings.notifications.slack.channel, "slack_webhook")],
            }
        )
    hours = alertmanager_receivers.time_intervals(settings)
    return {
        "global": {"resolve_timeout": "5m"},
        "templates": ["templates/*.tmpl"],
        **({"time_intervals": hours} if hours else {}),
        "route": {
            "receiver": everyday,
            # With the severity: an alert that drops from critical to warning ends one message and starts another.
            "group_by": ["alertname", "service", "severity", *(["host"] if settings.edges else [])],
            "group_wait": notifications.group_wait,
            "group_interval": notifications.group_interval,
            "repeat_interval": notifications.repeat_interval,
            "routes": routes,
        },
        "inhibit_rules": inhibit_rules(settings),
        "receivers": receivers + alertmanager_receivers.configured(settings),
    }


# These alerts say that a service does not answer at all. Its other problems follow from that.
_APPLICATION_GONE = "ApplicationDown|ApplicationGone"
_GONE = "TargetDown|PostgresDown|RedisDown|NginxDown|MongodbDown|ElasticsearchDown"

_OF_APPLICATIONS = "|".join(
    (
        "ApplicationInstanceDown|ApplicationErrorsHigh|ApplicationSlow|ApplicationTrafficDropped",
        "ProbeFailing|ProbeSlow|LogErrorBurst|LogLastWords|LogServiceSilent",
    )
)


def pairs(settings: Settings) -> tuple[str, ...]:
    """Names of this project's alerts that exist both as a warning and as critical.

    Your own alerts are left out: their labels may not tell objects apart, so a critical alert about one object would
    mute the warning about another.
    """
    all_groups = (*groups(settings, EVERYTHING), *loki_rules.groups(settings))
    names = [rule.name for group in all_groups for rule in group.rules if isinstance(rule, Alert)]
    return tuple(sorted({name for name in names if names.count(name) > 1}))


def inhibit_rules(settings: Settings) -> list[dict[str, Any]]:
    """The items of `inhibit_rules`: which alerts mute others that only repeat them. A label missing on both sides is
    equal."""
    paired = f'alertname=~"{"|".join(pairs(settings))}"'
    rules = [
        _inhibits(
            [paired, 'severity="critical"'],
            [paired, 'severity=~"warning|info"'],
            "alertname",
            "service",
            "instance",
            "mountpoint",
        ),
        # not the container's own alerts: they give the reason
        _inhibits([f'alertname=~"{_GONE}"'], ['severity=~"warning|info"', 'alertname!~"Container.*"'], "service"),
        # Users name their services. One that has the name of a service of the stack must not mute that service's
        # alerts.
        _inhibits([f'alertname=~"{_APPLICATION_GONE}"'], [f'alertname=~"{_OF_APPLICATIONS}"'], "service"),
        _inhibits(['alertname="NginxDown"'], ['alertname="ApplicationTrafficDropped"']),
        _inhibits(['alertname="HostMemoryPressure"'], ['alertname=~"HostMemoryHigh|HostSwapping"'], "instance"),
        _inhibits(
            ['alertname="HostDiskFull"', 'severity="critical"'],
            ['alertname="HostDiskFillsUp"'],
            "instance",
            "mountpoint",
        ),
        _inhibits(['alertname="ContainerOomKilled"'], ['alertname="HostOomKill"']),
        _inhibits(['alertname="ContainerGone"'], ['alertname="LogServiceSilent"'], "service"),
        _inhibits(['alertname="TargetDown"', 'job=~"alloy|promtail"'], ['alertname="LogServiceSilent"']),
        _inhibits(['alertname="LogShipperBehind"'], ['alertname="LogServiceSilent"']),
        _inhibits(['alertname="LokiDiskFull"'], ['alertname=~"LogShipperBehind|LokiRequestsFailing|LogServiceSilent"']),
        _inhibits(['alertname="PrometheusRetentionCut"'], ['alertname="PrometheusDiskBudgetLow"'], "service"),
    ]
    if settings.edges:
        rules = [*map(_on_one_host, rules), _inhibits(['alertname="EdgeSilent"'], ['alertname="EdgeLate"'], "host")]
    return [*rules, *(_of_slos() if settings.slos else ())]


def _on_one_host(rule: dict[str, Any]) -> dict[str, Any]:
    """An alert mutes only those about its own host."""
    return {**rule, "equal": [*rule.get("equal", ()), "host"]}


def _of_slos() -> Iterator[dict[str, Any]]:
    """A budget that burns faster mutes what says the same more slowly, and the alerts of the service about the same requests."""
    names = [tier.name for tier in slo.TIERS]
    for number, name in enumerate(names[:-1], start=1):
        yield _inhibits([f'alertname="{name}"'], [f'alertname=~"{"|".join(names[number:])}"'], "slo")
    paging = f'alertname=~"{"|".join(tier.name for tier in slo.TIERS if tier.severity == "critical")}"'
    for kind, alert in {"errors": "ApplicationErrorsHigh", "latency": "ApplicationSlow"}.items():
        yield _inhibits([paging, f'sli="{kind}"'], [f'alertname="{alert}"'], "service")
    yield _inhibits(
        [f'alertname=~"{_APPLICATION_GONE}"'], [f'alertname=~"{"|".join((*names, "SloHasNoData"))}"'], "service"
    )


def _inhibits(source: list[str], target: list[str], *equal: str) -> dict[str, Any]:
    return {"source_matchers": source, "target_matchers": target, **({"equal": list(equal)} if equal else {})}
