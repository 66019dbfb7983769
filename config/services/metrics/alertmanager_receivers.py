"""Receivers of alerts in Alertmanager's terms: how each is notified, which alerts it gets, and the files of their secrets."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from config.container import DIRECTORY, Secret
from config.services.metrics import messages, receiver_texts
from config.settings import Settings
from config.settings.receivers import (
    DAYS,
    Condition,
    Email,
    Hours,
    Incidentio,
    Ntfy,
    Opsgenie,
    Pushover,
    Receiver,
    Telegram,
    Webhook,
)

NOWHERE = "nowhere"
"""The receiver of alerts that are not sent."""
TEST_ALERT = "AlertTest"
"""Name of the alert of `make alert-test`. Every receiver gets it, without regard to its conditions."""

_SITES = {
    "jira": "https://api.atlassian.com/jsm/ops/integration/",
    "opsgenie": "https://api.opsgenie.com/",
    "opsgenie-eu": "https://api.eu.opsgenie.com/",
}
"""Address of each product that speaks Opsgenie's API. Alertmanager appends `v2/alerts`."""
_AT_NTFY = {"template": "yes", "title": "{{.title}}", "message": "{{.message}}"}
"""Query by which ntfy takes title and message out of JSON (docs.ntfy.sh/publish, "Message templating")."""
_IF_CRITICAL = '{{ if and (eq .Status "firing") (eq .CommonLabels.severity "critical") }}%s{{ else }}%s{{ end }}'


def secret_file(name: str) -> str:
    """Path of a secret in the container. It is absolute: Alertmanager reads it at every notification, from its own root."""
    return f"{DIRECTORY}/secrets/{name}"


def slack(channel: str | None, secret: str) -> dict[str, Any]:
    """An item of `slack_configs`."""
    return {
        "api_url_file": secret_file(secret),
        **({"channel": channel} if channel else {}),
        "send_resolved": True,
        "title": '{{ template "slack.title" . }}',
        "title_link": "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}",
        "text": '{{ template "slack.text" . }}',
    }


def pagerduty(settings: Settings, secret: str) -> dict[str, Any]:
    """An item of `pagerduty_configs`."""
    began = "(index .Alerts 0).StartsAt"
    further = messages.LINKS_OF if settings.grafana_url else {}
    return {
        "routing_key_file": secret_file(secret),
        "severity": "{{ .CommonLabels.severity }}",
        "description": '{{ template "plain.title" . }}',
        "client": "Nervous System",
        "details": {
            kind: f'{{{{ template "plain.alerts" .Alerts.{kind.title()} }}}}' for kind in ("firing", "resolved")
        },
        "links": [
            {"href": "{{ .CommonAnnotations.runbook_url }}", "text": "Runbook"},
            *(
                {"href": messages.at_its_time(f".CommonAnnotations.{name}", began=began), "text": title}
                for name, title in further.items()
            ),
        ],
    }


def _email(receiver: Email) -> dict[str, Any]:
    password = {"auth_password_file": secret_file(receiver.secret), "auth_secret_file": secret_file(receiver.secret)}
    return {
        "to": ", ".join(receiver.to),
        "from": receiver.sender,
        "smarthost": receiver.server,
        **({"auth_username": receiver.user, **password} if receiver.user else {}),
        "require_tls": True,
        "send_resolved": True,
        "headers": {"Subject": '{{ template "plain.title" . }}'},
        "html": '{{ template "html.text" . }}',
        "text": '{{ template "plain.text" . }}',
        # The messages about one problem are one conversation.
        "threading": {"enabled": True, "thread_by_date": "none"},
    }


def _telegram(receiver: Telegram) -> dict[str, Any]:
    """A webhook: Alertmanager's own `telegram_configs` logs the bot's token if Telegram does not answer (0.34)."""
    more = {"message_thread_id": receiver.thread} if receiver.thread else {}
    message = {"chat_id": receiver.chat, **more, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    return {
        "url_file": secret_file(receiver.secret),
        "send_resolved": True,
        "payload": json.dumps(message)[:-1] + ', "text": {{ template "telegram.json" . }}}',
    }


def _discord(receiver: Receiver) -> dict[str, Any]:
    return {
        "webhook_url_file": secret_file(receiver.secret),
        "send_resolved": True,
        "title": '{{ template "discord.title" . }}',
        "message": '{{ template "discord.text" . }}',
    }


def _teams(receiver: Receiver) -> dict[str, Any]:
    return {
        "webhook_url_file": secret_file(receiver.secret),
        "send_resolved": True,
        "title": '{{ template "teams.title" . }}',
        "text": '{{ template "teams.text" . }}',
    }


def _ntfy(receiver: Ntfy) -> dict[str, Any]:
    return {
        "url_file": secret_file(receiver.secret),
        "send_resolved": True,
        "payload": '{{ template "ntfy.payload" . }}',
    }


def _pushover(receiver: Pushover) -> dict[str, Any]:
    return {
        "user_key_file": secret_file(f"{receiver.secret}_user"),
        "token_file": secret_file(f"{receiver.secret}_token"),
        "send_resolved": True,
        "title": '{{ template "plain.title" . }}',
        "message": '{{ template "pushover.text" . }}',
        "url": '{{ template "pushover.url" . }}',
        "url_title": "Open",
        # High priority passes the quiet hours of the device. The highest would repeat it each minute until somebody
        # answers.
        "priority": _IF_CRITICAL % (1, 0),
    }


def _opsgenie(receiver: Opsgenie) -> dict[str, Any]:
    return {
        "api_key_file": secret_file(receiver.secret),
        "api_url": _SITES[receiver.site],
        "send_resolved": True,
        "message": '{{ template "plain.title" . }}',
        "description": '{{ template "plain.text" . }}',
        "source": "Nervous System",
        "priority": _IF_CRITICAL % ("P1", "P3"),
    }


def _incidentio(receiver: Incidentio) -> dict[str, Any]:
    return {"url": receiver.url, "alert_source_token_file": secret_file(receiver.secret), "send_resolved": True}


def _webhook(settings: Settings, receiver: Webhook) -> dict[str, Any]:
    if receiver.url is None:
        return {"url_file": secret_file(receiver.secret), "send_resolved": True}
    token = {"http_config": {"authorization": {"credentials_file": secret_file(receiver.secret)}}}
    return {"url": receiver.url, **(token if receiver.secret in settings.secrets else {}), "send_resolved": True}


def configured(settings: Settings) -> list[dict[str, Any]]:
    """The items of `receivers` for `notifications.receivers`."""
    makes: dict[str, Callable[[Any], dict[str, Any]]] = {
        "email": _email,
        "telegram": _telegram,
        "discord": _discord,
        "teams": _teams,
        "ntfy": _ntfy,
        "pushover": _pushover,
        "opsgenie": _opsgenie,
        "incidentio": _incidentio,
        "webhook": lambda one: _webhook(settings, one),
        "slack": lambda one: slack(one.channel, one.secret),
        "pagerduty": lambda one: pagerduty(settings, one.secret),
    }
    return [
        {"name": one.name, f"{integration(one.kind)}_configs": [makes[one.kind](one)]}
        for one in settings.notifications.receivers
    ]


def integration(kind: str) -> str:
    """Alertmanager's name for what sends messages to a kind of receiver."""
    return {"teams": "msteamsv2", "ntfy": "webhook", "telegram": "webhook"}.get(kind, kind)


def templates(settings: Settings) -> dict[str, str]:
    """Path → text of the templates that `configured` uses."""
    text = receiver_texts.templates({receiver.kind for receiver in settings.notifications.receivers})
    return {"templates/receivers.tmpl": text} if text else {}


def secrets(settings: Settings) -> dict[str, Secret]:
    """Name of a file below `secrets/` → the secret in it."""
    files: dict[str, Secret] = {}
    for receiver in settings.notifications.receivers:
        key = receiver.secret
        if key not in settings.secrets:
            continue
        if receiver.kind == "pushover":  # Alertmanager sends what these files hold, blanks included
            files[f"{key}_user"] = Secret(key, lambda value: value.strip().partition(":")[0])
            files[f"{key}_token"] = Secret(key, lambda value: value.strip().partition(":")[2])
        elif receiver.kind == "ntfy":
            files[key] = Secret(key, _at_ntfy)
        elif receiver.kind == "telegram":
            files[key] = Secret(key, lambda token: f"https://api.telegram.org/bot{token.strip()}/sendMessage")
        else:
            files[key] = Secret(key, str.strip)
    return files


def _at_ntfy(address: str) -> str:
    """The address of a topic, with what tells ntfy where title and message are."""
    parts = urlsplit(address.strip())
    query = "&".join(filter(None, (parts.query, urlencode(_AT_NTFY))))
    return urlunsplit(parts._replace(query=query))


def time_intervals(settings: Settings) -> list[dict[str, Any]]:
    """The items of `time_intervals`: the hours that a receiver's condition names."""
    used = {condition.hours for one in settings.notifications.receivers for condition in one.when}
    return [
        {"name": name, "time_intervals": list(_intervals(hours))}
        for name, hours in settings.notifications.hours.items()
        if name in used
    ]


def _intervals(hours: Hours) -> Iterator[dict[str, Any]]:
    """`hours` in intervals that do not pass midnight, which Alertmanager does not take."""
    days = hours.days or DAYS
    if hours.start < hours.end:
        yield _interval(days, hours.start, hours.end, hours.zone)
        return
    yield _interval(days, hours.start, "24:00", hours.zone)
    if hours.end != "00:00":
        following = [DAYS[(DAYS.index(day) + 1) % len(DAYS)] for day in days]
        yield _interval(following, "00:00", hours.end, hours.zone)


def _interval(days: Iterable[str], start: str, end: str, zone: str) -> dict[str, Any]:
    return {"weekdays": list(days), "times": [{"start_time": start, "end_time": end}], "location": zone}


def routes(settings: Settings) -> list[dict[str, Any]]:
    """A route for each of `notifications.receivers`. Whatever it does, the routes behind it get the alert too."""
    return [_route(receiver) for receiver in settings.notifications.receivers]


def _route(receiver: Receiver) -> dict[str, Any]:
    own = {"receiver": receiver.name, "continue": True}
    if not receiver.conditions:
        return own
    test = {"receiver": receiver.name, "matchers": [f'alertname="{TEST_ALERT}"']}
    # The first that matches counts, so that no alert is sent twice: always, else in the hours of all conditions that it
    # fits.
    always = [_fitting(receiver, [one]) for one in receiver.conditions if not one.hours]
    by_hours = [one for one in receiver.conditions if one.hours]
    at_hours = [
        _fitting(receiver, some) for size in range(len(by_hours), 0, -1) for some in combinations(by_hours, size)
    ]
    return {**own, "routes": [test, *always, *at_hours, {"receiver": NOWHERE}]}


def _fitting(receiver: Receiver, conditions: Iterable[Condition]) -> dict[str, Any]:
    """The route of alerts that fit all of `conditions`, in the hours of any of them."""
    conditions = list(conditions)
    matchers = [matcher for condition in conditions for matcher in _matchers(condition)]
    hours = list(dict.fromkeys(condition.hours for condition in conditions if condition.hours))
    return {
        "receiver": receiver.name,
        **({"matchers": matchers} if matchers else {}),
        **({"active_time_intervals": hours} if hours else {}),
    }


def _matchers(condition: Condition) -> Iterator[str]:
    one_of: Mapping[str, tuple[str, ...]] = {
        "severity": condition.severity,
        "service": condition.services,
        **{name: (value,) for name, value in condition.labels.items()},
    }
    for name, values in one_of.items():
        if values:
            yield f'{name}=~"{"|".join(value.replace(".", "[.]") for value in values)}"'
