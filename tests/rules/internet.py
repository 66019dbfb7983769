"""The services that receivers talk to, each as strict as its own documentation: what it would refuse is refused here too.

Alertmanager reaches them under their real names, through a proxy that ends TLS with a certificate of the tests' own authority.
"""

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOSTS = (
    "api.telegram.org",
    "discord.com",
    "prod.westeurope.logic.azure.com",
    "ntfy.example.com",
    "api.pushover.net",
    "api.atlassian.com",
    "api.incident.io",
    "hooks.example.com",
    "hooks.slack.com",
    "events.pagerduty.com",
)


class RefusedError(Exception):
    """What a service answers to a message that it does not take."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(answer)
        self.status = status


def must(holds: object, answer: str, status: int = 400) -> None:
    """Raises RefusedError if something does not hold."""
    if not holds:
        raise RefusedError(status, answer)


@dataclass(frozen=True)
class Request:
    """One request that came through the proxy."""

    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        must("application/json" in self.headers["content-type"], "no JSON", 415)
        return json.loads(self.body)


@dataclass(frozen=True)
class Message:
    """What a person sees."""

    title: str
    text: str
    """With the receiver's markup in it."""
    raw: Any = None


class TelegramHtml(HTMLParser):
    """The HTML of core.telegram.org/bots/api, "HTML style": the tags and entities that it names, and nothing else."""

    TAGS = frozenset({"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.links: dict[str, str] = {}
        self._open: list[tuple[str, str, int]] = []
        self.feed(text)
        self.close()
        must(not self._open, "can't parse entities: a tag is not closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        must(tag in self.TAGS, f"can't parse entities: unsupported start tag {tag}")
        must({name for name, _ in attrs} == ({"href"} if tag == "a" else set()), "can't parse entities: attributes")
        self._open.append((tag, dict(attrs).get("href") or "", len(self.text)))

    def handle_endtag(self, tag: str) -> None:
        must(self._open and self._open[-1][0] == tag, f"can't parse entities: unexpected end tag {tag}")
        _, address, start = self._open.pop()
        if tag == "a":
            self.links[self.text[start:]] = address

    def handle_data(self, data: str) -> None:
        must(not set("<>&") & set(data), "can't parse entities: a sign is not escaped")
        self.text += data

    def handle_entityref(self, name: str) -> None:
        signs = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
        must(name in signs, f"can't parse entities: &{name};")
        self.text += signs[name]

    def handle_charref(self, name: str) -> None:
        self.text += chr(int(name[1:], 16) if name[0] in "xX" else int(name))

    def handle_comment(self, data: str) -> None:
        must(holds=False, answer=f"can't parse entities: {data}")

    def handle_decl(self, decl: str) -> None:
        self.handle_comment(decl)

    def handle_pi(self, data: str) -> None:
        self.handle_comment(data)

    def unknown_decl(self, data: str) -> None:
        self.handle_comment(data)


def telegram(request: Request) -> tuple[Any, Message]:
    """core.telegram.org/bots/api#sendmessage."""
    must(request.path == "/bot12345678:AA-secret_of_the_bot/sendMessage", "Unauthorized", 401)
    body = request.json
    must(re.fullmatch(r"-?\d+", str(body["chat_id"])), "chat not found")
    must(body["parse_mode"] == "HTML", "unsupported parse_mode")
    parsed = TelegramHtml(body["text"])
    must(parsed.text.strip(), "message text is empty")
    must(len(parsed.text) <= 4096, "message is too long")
    message = {"message_id": 1, "date": 1, "chat": {"id": int(body["chat_id"]), "type": "group"}, "text": parsed.text}
    return {"ok": True, "result": message}, Message("", body["text"], body)


def discord(request: Request) -> tuple[Any, Message]:
    """docs.discord.com/developers/resources/webhook#execute-webhook, and "Embed Limits"."""
    must(request.path == "/api/webhooks/1/secret-of-discord", "Unknown Webhook", 404)
    body = request.json
    must(body.keys() <= {"content", "username", "avatar_url", "embeds", "allowed_mentions"}, "unknown field")
    must(len(body.get("content", "")) <= 2000, "content: must be 2000 or fewer in length")
    must(len(body["embeds"]) <= 10, "embeds: must be 10 or fewer")
    for embed in body["embeds"]:
        must(embed.keys() <= {"title", "description", "color", "url"}, "unknown field of an embed")
        must(len(embed["title"]) <= 256, "title: must be 256 or fewer in length")
        must(len(embed["description"]) <= 4096, "description: must be 4096 or fewer in length")
        must(0 <= embed["color"] <= 0xFFFFFF, "color: no color")
    must(sum(len(one["title"] + one["description"]) for one in body["embeds"]) <= 6000, "embeds: exceed 6000")
    [embed] = body["embeds"]
    return None, Message(embed["title"], embed["description"], body)


def teams(request: Request) -> tuple[Any, Message]:
    """learn.microsoft.com, "Post a workflow when a webhook request is received"; adaptivecards.io/schemas."""
    must(request.query.get("sig") == "secret-of-teams", "Unauthorized", 401)
    must(len(request.body) <= 28 * 1024, "the message is too large", 413)
    body = request.json
    must(body["type"] == "message", "type is not message")
    [attachment] = body["attachments"]
    must(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", "no adaptive card")
    card = attachment["content"]
    must(card["type"] == "AdaptiveCard", "no adaptive card")
    must(re.fullmatch(r"1\.[0-5]", card["version"]), "version is not known")
    for block in card["body"]:
        must(block["type"] == "TextBlock", "unknown element")
        must(isinstance(block["text"], str), "a block without text")
        must(
            block.get("color", "Default") in {"Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"},
            "color",
        )
    title, text = card["body"]
    return None, Message(title["text"], text["text"], body)


def ntfy(request: Request) -> tuple[Any, Message]:
    """docs.ntfy.sh/publish, "Message templating" and "Limitations"."""
    must(request.path == "/secret-topic", "Not Found", 404)
    must(len(request.body) <= 32_768, "request body too large", 413)
    data = request.json

    def filled(template: str) -> str:
        return re.sub(r"\{\{\s*\.(\w+)\s*\}\}", lambda field: str(data[field[1]]), template)

    must(request.query["template"] == "yes", "no template")
    message = Message(filled(request.query["title"]), filled(request.query["message"]), data)
    must(len(message.text.encode()) <= 4096, "message too large", 413)
    return {"id": "x", "event": "message", "topic": "secret-topic"}, message


def pushover(request: Request) -> tuple[Any, Message]:
    """pushover.net/api."""
    must(request.path == "/1/messages.json", "not found", 404)
    body = {**request.query}
    must(body["token"] == "a" * 30, "application token is invalid")
    must(body["user"] == "u" * 30, "user key is invalid")
    must(0 < len(body["message"]) <= 1024, "message is blank or too long")
    must(len(body.get("title", "")) <= 250, "title is too long")
    must(len(body.get("url", "")) <= 512, "url is too long")
    must(body["priority"] in {"-2", "-1", "0", "1"}, "priority is invalid")
    return {"status": 1, "request": "x"}, Message(body["title"], body["message"], body)


def jira(request: Request) -> tuple[Any, Message]:
    """developer.atlassian.com/cloud/jira/service-desk-ops/rest/v1/api-group-integration-events."""
    must(request.headers["authorization"] == "GenieKey secret-of-jira", "key is not valid", 401)
    if re.fullmatch(r"/jsm/ops/integration/v2/alerts/[0-9a-f]+/close", request.path):
        return {"result": "Request will be processed"}, Message("close", "", request.json)
    must(request.path == "/jsm/ops/integration/v2/alerts", "not found", 404)
    body = request.json
    must(0 < len(body["message"]) <= 130, "message is too long", 422)
    must(len(body["alias"]) <= 512, "alias is too long", 422)
    must(len(body["description"]) <= 15_000, "description is too long", 422)
    must(body["priority"] in {"P1", "P2", "P3", "P4", "P5"}, "priority is invalid", 422)
    must(len(json.dumps(body["details"])) <= 8000, "details are too long", 422)
    return {"result": "Request will be processed"}, Message(body["message"], body["description"], body)


def _alertmanager_json(body: Any) -> Message:
    """prometheus.io/docs/alerting/latest/configuration, "webhook_config"."""
    keys = {
        "receiver",
        "status",
        "alerts",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "groupKey",
    }
    must(body.keys() >= keys, "no JSON of Alertmanager")
    return Message(body["commonLabels"]["alertname"], body["alerts"][0]["annotations"].get("summary", ""), body)


def incidentio(request: Request) -> tuple[Any, Message]:
    """docs.incident.io, "Alertmanager"."""
    must(request.path == "/v2/alert_events/alertmanager/01ABC", "not found", 404)
    must(request.headers["authorization"] == "Bearer secret-of-incident", "token is not valid", 401)
    must(len(request.body) <= 512 * 1024, "too large", 413)
    return {"status": "success"}, _alertmanager_json(request.json)


def webhook(request: Request) -> tuple[Any, Message]:
    """The sender is known by the secret address, or by a bearer token."""
    by_token = request.path == "/open" and request.headers.get("authorization") == "Bearer secret-of-the-hook"
    must(request.path == "/secret-path" or by_token, "not found", 404)
    return None, _alertmanager_json(request.json)


def slack(request: Request) -> tuple[Any, Message]:
    """docs.slack.dev, "Sending messages using incoming webhooks"."""
    must(request.path == "/services/T1/B1/secret-of-slack", "invalid_token", 403)
    body = request.json
    [attachment] = body["attachments"]
    must(len(attachment["text"]) <= 40_000, "msg_too_long")
    return None, Message(attachment["title"], attachment["text"], body)


def pagerduty(request: Request) -> tuple[Any, Message]:
    """developer.pagerduty.com/docs/send-alert-event."""
    must(request.path == "/v2/enqueue", "not found", 404)
    must(len(request.body) <= 512 * 1024, "too large", 413)
    body = request.json
    must(body["routing_key"] == "secretofpagerduty", "invalid routing key")
    must(body["event_action"] in {"trigger", "acknowledge", "resolve"}, "event_action")
    payload = body["payload"]
    must(0 < len(payload["summary"]) <= 1024, "summary")
    must(payload["severity"] in {"critical", "error", "warning", "info"}, "severity")
    for link in body.get("links", []):
        must(urlsplit(link["href"]).scheme in {"http", "https"}, "links: no address")
    return {"status": "success", "dedup_key": "x"}, Message(payload["summary"], str(payload["custom_details"]), body)


SERVICES: dict[str, Callable[[Request], tuple[Any, Message]]] = dict(
    zip(HOSTS, (telegram, discord, teams, ntfy, pushover, jira, incidentio, webhook, slack, pagerduty), strict=True)
)


@dataclass
class Internet:
    """What came, and what was refused."""

    proxy: str
    mail_port: int
    deliveries: list[tuple[str, Message]] = field(default_factory=list)
    """(host, message), in order; e-mail as `mail`."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    """Host → status that it answers, whatever it is sent; 0 for none: it hangs up."""

    def messages(self, host: str) -> list[Message]:
        """What `host` has taken."""
        return [message for name, message in self.deliveries if name == host]


@contextmanager
def internet(folder: Path) -> Iterator[Internet]:
    """Runs the services. The certificate of their authority is `folder/ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*HOSTS, "localhost").configure_cert(context)
    running = Internet("", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(running, context))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mail = _MailServer(_Mailbox(running), hostname="127.0.0.1", port=0, tls_context=context, require_starttls=True,
                       authenticator=_login, auth_required=True, auth_exclude_mechanism=["LOGIN"], auth_require_tls=True)  # fmt: skip
    mail.start()
    running.proxy = f"http://127.0.0.1:{server.server_port}"
    running.mail_port = _port(mail)
    try:
        yield running
    finally:
        mail.stop()
        server.shutdown()
        server.server_close()


def _handler(internet: Internet, context: ssl.SSLContext) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        host = ""

        def do_CONNECT(self) -> None:  # http.server looks for this name
            self.host = self.path.rsplit(":", 1)[0]
            self.send_response(200)
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.close_connection = False

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.host, parts.path, query, headers, body)
            if internet.broken.get(self.host) == 0:
                self.connection.close()
                self.close_connection = True
                return
            try:
                must(self.host not in internet.broken, "out of order", internet.broken.get(self.host, 500))
                answer, message = SERVICES[self.host](request)
                internet.deliveries.append((self.host, message))
                status = 200
            except RefusedError as error:
                internet.refused.append((self.host, str(error)))
                status, answer = error.status, {"ok": False, "error_code": error.status, "description": str(error)}
            except (KeyError, ValueError, TypeError) as error:
                internet.refused.append((self.host, repr(error)))
                status, answer = 400, {"ok": False, "error_code": 400, "description": repr(error)}
            text = b"ok" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if answer is None else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _MailServer(Controller):
    def _trigger_server(self) -> None:
        """Asks the port that it was given, where aiosmtpd asks the one that was asked for."""
        self.port = _port(self)
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _port(mail: Controller) -> int:
    return int(cast("Any", mail.server).sockets[0].getsockname()[1])


def _login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"alerts", b"secret of the mail")
    return AuthResult(success=right)


class _Mailbox:
    def __init__(self, internet: Internet) -> None:
        self._internet = internet

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd looks for this name
        assert session.ssl
        message = message_from_bytes(cast("bytes", envelope.content), policy=policy.default)
        assert isinstance(message, EmailMessage)
        if message.defects:
            self._internet.refused.append(("mail", str(message.defects)))
            return "550 malformed"
        html = message.get_body(("html",))
        assert html
        self._internet.deliveries.append(("mail", Message(str(message["Subject"]), html.get_content(), message)))
        return "250 OK"
