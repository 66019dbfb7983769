"""The text of messages for e-mail, Telegram, Discord, Teams, ntfy, Pushover and Opsgenie, as Alertmanager's templates.

Each format has one template, which joins the message piece by piece: title, links, one paragraph per alert. A piece that would
exceed the format's limit is left out, and alerts left out are counted. So no receiver cuts a message inside a link, or
refuses it. All foreign text (labels, annotations, results of queries) is escaped for the format.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from config.services.metrics.messages import ADDRESSES, HEADLINE_OF, SHOWN, SIGNS_ESCAPED, at_most, exactly, is_linked

_APART = "\u200b"
"""Zero-width space. Behind a sign it keeps apps from making a mention, a command or a link of what follows."""


def _replaced(pattern: str, by: str) -> str:
    return f"reReplaceAll {json.dumps(pattern)} {json.dumps(by)}"


_QUOTES = _replaced('"', "&quot;")
_HTML = f"{SIGNS_ESCAPED} | {_QUOTES}"
_TELEGRAM = " | ".join(
    (_HTML, _replaced("[@#]", "${0}" + _APART), _replaced(r"(^|[^\pL\pN_/])(/+)", "${1}${2}" + _APART)),
)
"""Telegram makes mentions, hashtags, commands and links out of plain text (core.telegram.org/bots/api, "MessageEntity")."""
_MARKDOWN = " | ".join(
    (
        _replaced(r"[\\`*_~|\[\]()<>#&]", r"\${0}"),
        _replaced(r"^[-+=]", r"\${0}"),
        _replaced(r"^(\d+)([.)])", r"${1}\${2}"),
        _replaced("://", rf"\://{_APART}"),
        _replaced("@", f"@{_APART}"),
        _replaced(r"\{\{", "{" + _APART + "{"),  # Teams fills in {{DATE(…)}} and {{TIME(…)}}
    )
)
"""A backslash before punctuation makes it plain, in CommonMark and in Discord's Markdown."""


def _encoded(signs: dict[str, str]) -> str:
    """Pipeline for an address: the characters that would end it, percent-encoded."""
    return " | ".join(_replaced(sign, f"%{code}") for sign, code in signs.items())


_IN_HTML_LINK = _encoded({r"\s": "20", "<": "3C", ">": "3E", '"': "22", "'": "27"}) + " | " + _replaced("&", "&amp;")
_IN_MARKDOWN_LINK = _encoded(
    {r"\s": "20", "<": "3C", ">": "3E", r"\(": "28", r"\)": "29", r"\\": "5C", r"\|": "7C", r"\*": "2A", r"\[": "5B"}
)
_IN_TEXT = _encoded({r"\s": "20"})


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of receiver writes a message."""

    name: str
    room: int
    """Bytes of the message. The receivers' limits are in characters, and a text never has more characters than bytes."""
    room_for_links: int
    """Bytes of the links, and of the title if it is a part of the text. The rest has room for the first alert's first line
    at its longest."""
    escaped: str
    """Pipeline that makes foreign text plain."""
    in_link: str
    """Pipeline that makes an address fit into `link`."""
    link: str
    """Format of a link: its title and its address."""
    bold: str = "%s"
    line: str = "\n"
    """What ends a line."""
    first_line: int = 300
    """Characters of the first line of an alert."""
    titled: bool = False
    """Whether the title is a part of the text."""
    links_first: bool = True
    """Not where a link shows its whole address: that would leave nothing else on the screen of a phone."""


_HTML_LINK = '<a href="%[2]s">%[1]s</a> '
_MARKDOWN_LINK = "[%[1]s](%[2]s) "
_TEXT_LINK = "%[1]s: %[2]s\n"

# The limit of each, and its source.
FORMATS = (
    # No limit of its own. Gmail shows 102 KB of a message.
    Format("html", 20_000, 10_000, _HTML, _IN_HTML_LINK, _HTML_LINK, bold="<b>%s</b>", line="<br>\n", titled=True),
    # 4,096 characters (core.telegram.org/bots/api#sendmessage).
    Format("telegram", 4000, 2200, _TELEGRAM, _IN_HTML_LINK, _HTML_LINK, bold="<b>%s</b>", titled=True),
    # 4,096 characters of an embed's description (docs.discord.com/developers/resources/message, "Embed Limits").
    Format("discord", 4000, 2200, _MARKDOWN, _IN_MARKDOWN_LINK, _MARKDOWN_LINK, bold="**%s**"),
    # 28 KB of the whole card (learn.microsoft.com, "Create Incoming Webhooks"), in which each of < > & takes six.
    Format("teams", 5000, 2200, _MARKDOWN, _IN_MARKDOWN_LINK, _MARKDOWN_LINK, bold="**%s**", line="\n\n"),
    # 15,000 characters of Opsgenie's description, the smallest limit of those that get this text.
    Format("plain", 12_000, 8000, "print", _IN_TEXT, _TEXT_LINK, links_first=False),
    # 4,096 bytes; ntfy makes a file of what is longer (docs.ntfy.sh/publish, "Limitations").
    Format("ntfy", 4000, 2200, "print", _IN_TEXT, _TEXT_LINK, links_first=False),
    # 1,024 characters (pushover.net/api, "Limits"). Its link is a field of its own.
    Format("pushover", 1000, 0, "print", _IN_TEXT, "", first_line=200),
)
USED_BY = {
    "email": ("html", "plain"),
    "telegram": ("telegram",),
    "discord": ("discord",),
    "teams": ("teams",),
    "ntfy": ("ntfy",),
    "pushover": ("pushover",),
    "opsgenie": ("plain",),
}
"""Kind of a receiver → names of its formats. The others have templates of `config.messages`, or none."""

_MEANING = 600
"""Characters of what an alert means."""
_PART_OF_TITLE = 60
"""Characters of each label in the title."""
_TITLE = """\
{{- $count := "" }}{{ if eq .Status "firing" }}{{ $count = len .Alerts.Firing | printf ":%d" }}{{ end -}}
{{- $title := print ("[" | ESCAPED) (.Status | toUpper) $count ("]" | ESCAPED) " " -}}
{{- with .CommonLabels.severity }}{{ $title = print $title (. | PART) " · " }}{{ end -}}
{{- $title = print $title (.CommonLabels.alertname | PART) -}}
{{- with .CommonLabels.service }}{{ $title = print $title " · " (. | PART) }}{{ end -}}
{{- with .CommonLabels.environment }}{{ $title = print $title " · " (. | PART) }}{{ end -}}
"""
"""Sets `$title`: how many alerts, how severe, which, of what."""
_LINK = """\
{{- if IS_LINKED }}{{ $one := printf LINK "TITLE" (ADDRESS | IN_LINK) -}}
{{- if le (len (print $text $one)) LIMIT }}{{ $text = print $text $one }}{{ end }}{{ end -}}
"""
_IF_IT_FITS = "{{ if le (len (print $text $one)) LIMIT }}{{ $text = print $text $one }}{{ end }}"
_ALERTS = """\
{{- $rest := 0 -}}
{{- range $number, $alert := ALERTS -}}
{{- $one := print "BEFORE" (printf BOLD (HEADLINE | FIRST_LINE)) LINE -}}
{{- if and (not $rest) (lt $number SHOWN) (le (len (print $text $one)) LIMIT) -}}
{{- $text = print $text $one -}}
{{- with .Annotations.changed }}{{ $one = print "Changed: " (. | FIRST_LINE) LINE }}IF_IT_FITS{{ end -}}
{{- with .Annotations.culprits }}{{ $one = print "Most: " (. | FIRST_LINE) LINE }}IF_IT_FITS{{ end -}}
{{- with or .Annotations.evidence .Annotations.description .Annotations.message }}{{ $one = print (. | MEANING) LINE }}IF_IT_FITS{{ end -}}
{{- else if not $rest }}{{ $rest = len (slice $ALERTS $number) }}{{ end -}}
{{- end -}}
{{- if $rest }}{{ $text = print $text (printf "and %d more" $rest) LINE }}{{ end -}}
""".replace("IF_IT_FITS", _IF_IT_FITS)
"""Appends a paragraph for each alert to `$text`, and the number of those that had no room."""
_ONLY_ADDRESS = """\
{{- if and (not $text) (IS_LINKED) }}{{ $one := ADDRESS | IN_LINK -}}
{{- if le (len $one) LIMIT }}{{ $text = $one }}{{ end }}{{ end -}}
"""
_HTML_PAGE = (
    '<!DOCTYPE html><html><head><meta name="viewport" content="width=device-width, initial-scale=1"></head>'
    '<body style="font-family: sans-serif; overflow-wrap: anywhere">{{ $text | safeHtml }}</body></html>'
)
_BEGINNING = '{{- $text := "" -}}\n'


def templates(kinds: Collection[str]) -> str:
    """The templates for receivers of these kinds, `templates/receivers.tmpl`."""
    used = {name for kind in kinds for name in USED_BY.get(kind, ())}
    defined = {name: text for form in FORMATS if form.name in used for name, text in _of_format(form)}
    return "".join(f'{{{{ define "{name}" -}}}}\n{text}\n{{{{- end }}}}\n' for name, text in defined.items())


def _of_format(form: Format) -> Iterator[tuple[str, str]]:
    """Name → body of each template of a format."""
    title, text = _filled(form, _TITLE), _text(form)
    if form.name == "html":
        yield "html.text", text + _HTML_PAGE
    elif form.name == "telegram":
        yield "telegram.json", text + "{{ $text | toJson }}"
    elif form.name == "ntfy":  # as one JSON document: a text by itself, Alertmanager would read as YAML
        yield "ntfy.payload", title + text + '{{ dict "title" $title "message" $text | toJson }}'
    else:
        yield f"{form.name}.text", text + "{{ $text }}"
    if form.name in {"discord", "teams"}:
        yield f"{form.name}.title", title + "{{ $title }}"
    if form.name == "pushover":
        first = sorted(ADDRESSES, key=lambda title: title != "Dashboard")
        # 512 characters (pushover.net/api, "Limits")
        yield "pushover.url", _BEGINNING + _links(form, _ONLY_ADDRESS, first, limit=512) + "{{ $text }}"


def _text(form: Format) -> str:
    """Sets `$text`, the whole message."""
    title = _filled(form, _TITLE + "{{- $text = print (printf BOLD $title) LINE -}}\n") if form.titled else ""
    limit = form.room if form.links_first else form.room - form.room_for_links
    alerts = "".join(
        _filled(form, _ALERTS, ALERTS=field, BEFORE=before, LIMIT=str(limit))
        for field, before in {".Alerts.Firing": "", ".Alerts.Resolved": "Over: "}.items()
    )
    titles = [*ADDRESSES, "Query"]
    if not form.room_for_links:
        return _BEGINNING + title + alerts
    if form.links_first:
        links = _links(form, _LINK, titles, limit=form.room_for_links)
        return _BEGINNING + title + links + _filled(form, "{{- $text = print $text LINE -}}\n") + alerts
    return _BEGINNING + title + alerts + _links(form, _LINK, titles, limit=form.room)


def _links(form: Format, template: str, titles: Iterable[str], *, limit: int) -> str:
    """Appends the links of the first alert to `$text`, by `template` for each."""
    fields = {**ADDRESSES, "Query": ".GeneratorURL"}
    each = (
        _filled(
            form,
            template,
            TITLE=title,
            IS_LINKED=is_linked(fields[title]),
            ADDRESS=exactly(fields[title]) if title in ADDRESSES else fields[title],
            LIMIT=str(limit),
        )
        for title in titles
    )
    return "{{- with index .Alerts 0 }}{{ $at := .StartsAt -}}\n" + "".join(each) + "{{- end -}}\n"


def _filled(form: Format, template: str, **more: str) -> str:
    """`template` with each word in capitals replaced by what it means for this format."""
    meanings = {
        "ESCAPED": form.escaped,
        "PART": f"{at_most(_PART_OF_TITLE)} | {form.escaped}",
        "FIRST_LINE": f"{at_most(form.first_line)} | {form.escaped}",
        "MEANING": f"{at_most(_MEANING)} | {form.escaped}",
        "HEADLINE": HEADLINE_OF,
        "BOLD": json.dumps(form.bold),
        "LINE": json.dumps(form.line),
        "LINK": json.dumps(form.link),
        "IN_LINK": form.in_link,
        "SHOWN": str(SHOWN),
        **more,
    }
    return re.sub(r"\b[A-Z]+(?:_[A-Z]+)*\b", lambda word: meanings.get(word[0], word[0]), template)
