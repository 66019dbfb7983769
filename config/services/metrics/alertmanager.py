"""Alertmanager: groups, routes, silences and delivers alerts."""

import json
from collections.abc import Iterator
from typing import Any

from config import links
from config.alerts import EVERYTHING, Alert, groups, slo
from config.container import DIRECTORY, ConfigFiles, Container, Secret, http_health
from config.ports import METRICS
from config.services.logs import loki_rules
from config.settings import Settings
from config.settings.units import seconds
from config.yaml_text import digest, dump

PORT = METRICS["alertmanager"]

_NOWHERE = "nowhere"
_SECRETS = f"{DIRECTORY}/secrets"  # absolute: Alertmanager reads them at every notification, from its own root

SHOWN = 10
"""Number of firing alerts that a message lists, and of resolved ones. It counts the others."""
_ADDRESS = 2500
"""Characters. A link is left out from this length on. The longest of this project is a query with 2,200."""
_HEADLINE = (
    'or .Annotations.headline .Annotations.summary (.Labels.Remove (stringSlice "alertname" "severity")).SortedPairs.String '
    ".Labels.alertname"
)
"""Text of an alert. Your own rules need no annotations; without them the labels say what the alert is about."""
_ONE_LINE = r'reReplaceAll "[\\s\\pC\\pZ]+" " " | printf "%.300s"'
"""Keeps foreign text (labels, and what is made of them) on one line, without control characters that a terminal obeys."""
_SIGNS = 'reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'
"""Escapes the characters of Slack's links and mentions (docs.slack.dev, "Escaping text")."""
_ESCAPED = (
    f'{_ONE_LINE} | {_SIGNS} | reReplaceAll "[*]" "+" | reReplaceAll "~" "-" | reReplaceAll "`" "\'" | '
    r'reReplaceAll "(^|[^\\pL\\pN_])_" "${1}ˍ"'
)
"""Slack has no escape for bold, strikethrough, code and italics, so their characters are replaced by similar ones."""
_IN_LINK = " | ".join(
    f'reReplaceAll "{sign}" "%{code}"' for sign, code in {"<": "3C", ">": "3E", "[|]": "7C", r"\\s": "20"}.items()
)
"""Encodes the characters that would end the address of a link."""
_TITLE = """\
[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] \
{{ with .CommonLabels.severity }}{{ . | SHOWN_AS }} · {{ end }}{{ .CommonLabels.alertname | SHOWN_AS }}\
{{ with .CommonLabels.service }} · {{ . | SHOWN_AS }}{{ end }}{{ with .CommonLabels.environment }} · {{ . | SHOWN_AS }}{{ end }}"""

# One message per group: the subject in the title, one paragraph per alert, links at the end. With these bounds it stays
# below Slack's limit of 40,000 characters.
_SLACK = """\
{{ define "slack.title" -}}
SLACK_TITLE
{{- end }}

{{ define "plain.title" -}}
PLAIN_TITLE
{{- end }}

{{ define "slack.alert" -}}
{{ if eq .Status "resolved" }}Over: {{ end }}*{{ HEADLINE | ESCAPED }}*
{{ with or .Annotations.description .Annotations.message }}{{ . | printf "%.600s" | SIGNS }}
{{ end }}
{{ end }}

{{ define "slack.alerts" -}}
{{ if gt (len .) SHOWN }}{{ range slice . 0 SHOWN }}{{ template "slack.alert" . }}{{ end -}}
and {{ len (slice . SHOWN) }} more

{{ else }}{{ range . }}{{ template "slack.alert" . }}{{ end }}{{ end }}
{{- end }}

{{ define "slack.text" -}}
{{ template "slack.alerts" .Alerts.Firing }}{{ template "slack.alerts" .Alerts.Resolved }}{{ with index .Alerts 0 }}LINKS{{ end }}
{{- end }}

{{ define "plain.alerts" -}}
{{ if gt (len .) SHOWN }}{{ range slice . 0 SHOWN }}{{ HEADLINE | ONE_LINE }}
{{ end }}and {{ len (slice . SHOWN) }} more{{ else }}{{ range . }}{{ HEADLINE | ONE_LINE }}
{{ end }}{{ end }}
{{- end }}
"""
_LINKS = {"dashboard_url": "Dashboard", "logs_url": "Logs", "traces_url": "Traces"}
"""Annotation → title of its link."""
_AROUND = 30 * 60 * 10**9
"""Nanoseconds that a link shows before and after the start of its alert."""


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
            "--enable-feature=auto-gomemlimit",
        ),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/ready"),
        grace_seconds=20,
        go_memory_percent=0,
        data="/alertmanager",
        unreadable={"error creating notification log": ("nflog",), "error creating silence": ("silences",)},
        still="stopped",  # it writes silences every 15 minutes, and when it exits
        config=_config(settings),
    )


def _config(settings: Settings) -> ConfigFiles:
    main, texts = main_file(settings), {"templates/slack.tmpl": templates()}
    # An unused receiver carries the version, because Alertmanager shows its receivers but not its files.
    version = f"version-{digest({'main': dump(main), **texts})}"
    main["receivers"].append({"name": version})
    keys = ("slack_webhook", "pagerduty_key", "deadman_url")
    return ConfigFiles(
        files={"alertmanager.yml": dump(main), **texts},
        validate="amtool check-config alertmanager.yml",
        secrets={key: Secret(key) for key in keys if key in settings.secrets},
        expect={
            f"http://127.0.0.1:{PORT}/api/v2/receivers": f'"{version}"',
            f"http://127.0.0.1:{PORT}/metrics": "alertmanager_config_last_reload_successful 1",
        },
    )


def templates() -> str:
    """The message templates, `templates/slack.tmpl`."""
    text = _SLACK.replace("LINKS", "".join(_links()))
    meanings = {
        "SLACK_TITLE": _TITLE.replace("SHOWN_AS", _ESCAPED),
        "PLAIN_TITLE": _TITLE.replace("SHOWN_AS", _ONE_LINE),
        "HEADLINE": _HEADLINE,
        "ESCAPED": _ESCAPED,
        "ONE_LINE": _ONE_LINE,
        "SIGNS": _SIGNS,
        "SHOWN": str(SHOWN),
    }
    for name, meant in meanings.items():
        text = text.replace(name, meant)
    return text


def _links() -> Iterator[str]:
    """Templates of the links to runbook, dashboard, logs, traces and query, in Slack's syntax."""
    addresses = {"Runbook": ".Annotations.runbook_url"}
    addresses |= {title: f".Annotations.{name}" for name, title in _LINKS.items()}
    for title, address in addresses.items():
        exact = _at_its_time(address, began=".StartsAt")
        yield f"{_if_linked(address)}<{exact}|{title}> {{{{ end }}}}"
    yield f"{_if_linked('.GeneratorURL')}<{{{{ .GeneratorURL | {_IN_LINK} }}}}|Query>{{{{ end }}}}"


def _if_linked(address: str) -> str:
    # `and` in templates stops at the first false value, and `match` accepts only strings.
    return f'{{{{ if and {address} (match "^https?://" {address}) (le (len {address}) {_ADDRESS}) }}}}'


def _at_its_time(annotation: str, *, began: str) -> str:
    """Template of the address in `annotation`, changed to show the time of the alert, which the rules cannot know."""
    exact = "".join(
        f" | reReplaceAll {json.dumps(relative)} "
        f"(printf {json.dumps(form)} ($at.Add -{_AROUND}).{method} ($at.Add {_AROUND}).{method})"
        for relative, (form, method) in links.exactly().items()
    )
    return f"{{{{ $at := {began} }}}}{{{{ {annotation}{exact} | {_IN_LINK} }}}}"


def main_file(settings: Settings) -> dict[str, Any]:
    """The content of `alertmanager.yml`, which names the files that hold the secrets."""
    notifications = settings.notifications
    slack, pagerduty, deadman = (key in settings.secrets for key in ("slack_webhook", "pagerduty_key", "deadman_url"))
    everyday = "slack" if slack else _NOWHERE
    routes: list[dict[str, Any]] = [
        {
            "matchers": ['alertname="Watchdog"'],
            "receiver": "deadman" if deadman else _NOWHERE,
            "group_wait": "0s",
            "group_interval": notifications.deadman_interval,
            # Shorter than the interval: otherwise a ping recorded slightly later than sent would mute every second one.
            "repeat_interval": f"{seconds(notifications.deadman_interval) * 0.8:.0f}s",
        }
    ]
    receivers: list[dict[str, Any]] = [{"name": _NOWHERE}]
    if deadman:
        receivers.append(
            {"name": "deadman", "webhook_configs": [{"url_file": f"{_SECRETS}/deadman_url", "send_resolved": False}]}
        )
    if pagerduty:
        routes.append({"matchers": ['severity="critical"'], "receiver": "pagerduty", "continue": True})
        receivers.append({"name": "pagerduty", "pagerduty_configs": [_pagerduty(settings)]})
    # An explicit route: the default of the parent applies only if no child matches, and PagerDuty's did.
    routes.append({"receiver": everyday})
    if slack:
        receivers.append({"name": "slack", "slack_configs": [_slack(settings)]})
    return {
        "global": {"resolve_timeout": "5m"},
        "templates": ["templates/*.tmpl"],
        "route": {
            "receiver": everyday,
            # With the severity: an alert that drops from critical to warning ends one message and starts another.
            "group_by": ["alertname", "service", "severity"],
            "group_wait": notifications.group_wait,
            "group_interval": notifications.group_interval,
            "repeat_interval": notifications.repeat_interval,
            "routes": routes,
        },
        "inhibit_rules": inhibit_rules(settings),
        "receivers": receivers,
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
    made = (*groups(settings, EVERYTHING), *loki_rules.groups(settings))
    names = [rule.name for group in made for rule in group.rules if isinstance(rule, Alert)]
    return tuple(sorted({name for name in names if names.count(name) > 1}))


def inhibit_rules(settings: Settings) -> list[dict[str, Any]]:
    """The items of `inhibit_rules`: which alerts mute others that only repeat them. A label missing on both sides is
    equal."""
    paired = f'alertname=~"{"|".join(pairs(settings))}"'
    return [
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
        *(_of_slos() if settings.slos else ()),
    ]


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


def _slack(settings: Settings) -> dict[str, Any]:
    return {
        "api_url_file": f"{_SECRETS}/slack_webhook",
        "channel": settings.notifications.slack.channel,
        "send_resolved": True,
        "title": '{{ template "slack.title" . }}',
        "title_link": "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}",
        "text": '{{ template "slack.text" . }}',
    }


def _pagerduty(settings: Settings) -> dict[str, Any]:
    began = "(index .Alerts 0).StartsAt"
    further = _LINKS if settings.grafana_url else {}
    return {
        "routing_key_file": f"{_SECRETS}/pagerduty_key",
        "severity": "{{ .CommonLabels.severity }}",
        "description": '{{ template "plain.title" . }}',
        "client": "Nervous System",
        "details": {
            kind: f'{{{{ template "plain.alerts" .Alerts.{kind.title()} }}}}' for kind in ("firing", "resolved")
        },
        "links": [
            {"href": "{{ .CommonAnnotations.runbook_url }}", "text": "Runbook"},
            *(
                {"href": _at_its_time(f".CommonAnnotations.{name}", began=began), "text": title}
                for name, title in further.items()
            ),
        ],
    }
