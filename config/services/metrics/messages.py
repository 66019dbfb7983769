"""The text of messages: Alertmanager's templates for Slack and PagerDuty, and the parts that all templates share."""

import json
from collections.abc import Iterator

from config import links
from config.services.correlation.incidents.program.message import TOTAL

SHOWN = 10
"""Number of firing alerts that a message lists, and of resolved ones. It counts the others."""
_ADDRESS = 2500
"""Characters. A link is left out from this length on. The longest of this project is a query with 2,200."""
HEADLINE_OF = (
    'or .Annotations.headline .Annotations.summary (.Labels.Remove (stringSlice "alertname" "severity")).SortedPairs.String '
    ".Labels.alertname"
)
"""Text of an alert. Your own rules need no annotations; without them the labels say what the alert is about."""


def at_most(characters: int) -> str:
    """Pipeline that keeps foreign text (labels, and what is made of them) on one line, without control characters that a
    terminal obeys."""
    return rf'reReplaceAll "[\\s\\pC\\pZ]+" " " | printf "%.{characters}s"'


ON_ONE_LINE = at_most(300)
SIGNS_ESCAPED = 'reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'
"""Escapes the characters of Slack's links and mentions (docs.slack.dev, "Escaping text")."""
_MARKS = (
    f'{SIGNS_ESCAPED} | reReplaceAll "[*]" "+" | reReplaceAll "~" "-" | reReplaceAll "`" "\'" | '
    r'reReplaceAll "(^|[^\\pL\\pN_])_" "${1}ˍ"'
)
_ESCAPED = f"{ON_ONE_LINE} | {_MARKS}"
"""Slack has no escape for bold, strikethrough, code and italics, so their characters are replaced by similar ones."""
_IN_SLACK_LINK = " | ".join(
    f'reReplaceAll "{sign}" "%{code}"' for sign, code in {"<": "3C", ">": "3E", "[|]": "7C", r"\\s": "20"}.items()
)
"""Encodes the characters that would end the address of a link."""
_TITLE = """\
[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] \
{{ with .CommonLabels.severity }}{{ . | SHOWN_AS }} · {{ end }}{{ .CommonLabels.alertname | SHOWN_AS }}\
{{ with .CommonLabels.service }} · {{ . | SHOWN_AS }}{{ end }}{{ with .CommonLabels.environment }} · {{ . | SHOWN_AS }}{{ end }}"""

# One message per group: the subject in the title, one paragraph per alert, links at the end. With these bounds it stays
# below Slack's limit of 40,000 characters. PagerDuty gets its lines as a JSON list: Alertmanager reads a text there as YAML,
# so that a colon in a label would make a mapping of it.
_SLACK = """\
{{ define "slack.title" -}}
SLACK_TITLE
{{- end }}

{{ define "plain.title" -}}
PLAIN_TITLE
{{- end }}

{{ define "slack.alert" -}}
{{ if eq .Status "resolved" }}Over: {{ end }}*{{ HEADLINE | ESCAPED }}*
{{ with .Annotations.changed }}Changed: {{ . | ESCAPED }}
{{ end }}{{ with .Annotations.culprits }}Most: {{ . | ESCAPED }}
{{ end }}{{ with or .Annotations.description .Annotations.message }}{{ . | printf "%.600s" | SIGNS }}
{{ end }}
{{ end }}

{{ define "slack.alerts" -}}
{{ if gt (len .) SHOWN }}{{ range slice . 0 SHOWN }}{{ template "slack.alert" . }}{{ end -}}
and {{ len (slice . SHOWN) }} more

{{ else }}{{ range . }}{{ template "slack.alert" . }}{{ end }}{{ end }}
{{- end }}

{{ define "slack.evidence" -}}
{{ if eq .Status "firing" }}{{ with .CommonAnnotations.evidence }}{{ . | printf "%.EVIDENCEs" | MARKS }}

{{ end }}{{ end }}
{{- end }}

{{ define "slack.text" -}}
{{ template "slack.alerts" .Alerts.Firing }}{{ template "slack.alerts" .Alerts.Resolved }}{{ template "slack.evidence" . }}{{ with index .Alerts 0 }}LINKS{{ end }}
{{- end }}

{{ define "plain.alerts" -}}
{{- $lines := list }}{{ range $number, $alert := . -}}
{{- if lt $number SHOWN }}{{ $lines = append $lines (HEADLINE | ONE_LINE) -}}
{{- with .Annotations.changed }}{{ $lines = append $lines (print "Changed: " . | ONE_LINE) }}{{ end -}}
{{- with .Annotations.culprits }}{{ $lines = append $lines (print "Most: " . | ONE_LINE) }}{{ end -}}
{{- with .Annotations.evidence }}{{ $lines = append $lines (. | ONE_LINE) }}{{ end }}{{ end }}{{ end -}}
{{- if gt (len .) SHOWN }}{{ $lines = append $lines (printf "and %d more" (len (slice . SHOWN))) }}{{ end -}}
{{- $lines | toJson }}
{{- end }}
"""
LINKS_OF = {"dashboard_url": "Dashboard", "logs_url": "Logs", "traces_url": "Traces"}
"""Annotation → title of its link."""
ADDRESSES = {"Runbook": ".Annotations.runbook_url"} | {
    title: f".Annotations.{name}" for name, title in LINKS_OF.items()
}
"""Title of a link → the field of an alert that holds its address."""
_AROUND = 30 * 60 * 10**9
"""Nanoseconds that a link shows before and after the start of its alert."""


def templates() -> str:
    """The templates for Slack and PagerDuty, `templates/slack.tmpl`."""
    text = _SLACK.replace("LINKS", "".join(_links()))
    meanings = {
        "SLACK_TITLE": _TITLE.replace("SHOWN_AS", _ESCAPED),
        "PLAIN_TITLE": _TITLE.replace("SHOWN_AS", ON_ONE_LINE),
        "HEADLINE": HEADLINE_OF,
        "ESCAPED": _ESCAPED,
        "EVIDENCE": str(TOTAL),
        "MARKS": _MARKS,
        "ONE_LINE": ON_ONE_LINE,
        "SIGNS": SIGNS_ESCAPED,
        "SHOWN": str(SHOWN),
    }
    for name, meant in meanings.items():
        text = text.replace(name, meant)
    return text


def _links() -> Iterator[str]:
    """Templates of the links to runbook, dashboard, logs, traces and query, in Slack's syntax."""
    for title, address in ADDRESSES.items():
        exact = at_its_time(address, began=".StartsAt")
        yield f"{_if_linked(address)}<{exact}|{title}> {{{{ end }}}}"
    yield f"{_if_linked('.GeneratorURL')}<{{{{ .GeneratorURL | {_IN_SLACK_LINK} }}}}|Query>{{{{ end }}}}"


def _if_linked(address: str) -> str:
    return f"{{{{ if {is_linked(address)} }}}}"


def is_linked(address: str) -> str:
    """Condition of a template: whether `address` is one that a message links to."""
    # `and` in templates stops at the first false value, and `match` accepts only strings.
    return f'and {address} (match "^https?://" {address}) (le (len {address}) {_ADDRESS})'


def at_its_time(annotation: str, *, began: str) -> str:
    """Template of the address in `annotation`, changed to show the time of the alert."""
    return f"{{{{ $at := {began} }}}}{{{{ {exactly(annotation)} | {_IN_SLACK_LINK} }}}}"


def exactly(annotation: str) -> str:
    """Pipeline from the address in `annotation` to one that shows the time `$at`, which the rules cannot know."""
    return annotation + "".join(
        f" | reReplaceAll {json.dumps(relative)} "
        f"(printf {json.dumps(form)} ($at.Add -{_AROUND}).{method} ($at.Add {_AROUND}).{method})"
        for relative, (form, method) in links.exactly().items()
    )
