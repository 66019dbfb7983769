"""Secrets in clear: environment, labels and command line show in `docker inspect`, in previews and in the state."""

import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit

from pulumi_policy import Policy, Severity

from declared import Config, Properties, Resource, each, reasons

_WORDS = r"(?:passw(?:or)?d|passphrase|pwd|secret|credentials?|token|api[_-]?key|access[_-]?key|private[_-]?key|secret[_-]?key|auth[_-]?key|routing[_-]?key|webhook)"
NAMES = re.compile(rf"(?:.*[_.-])?{_WORDS}(?:[_.-]?(?:value|id|\d+))?", re.IGNORECASE)
"""Names that say that their value is a secret."""
NOT_THE_VALUE = re.compile(r"(?:.*[_.-])?(?:file|path|dir|name|enabled|type|length|ttl|expiry)", re.IGNORECASE)
"""Names that speak about one: PASSWORD_FILE."""

SHAPES = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token of GitHub or GitLab": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T",
    "a key of Stripe or Google": r"\b(?:[sr]k_live_[A-Za-z0-9]{16,}|AIza[\w-]{35})",
    "a token of Grafana": r"\bgl(?:sa|c)_[A-Za-z0-9_=+/-]{20,}",
    "a JSON web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.",
    "credentials for HTTP": r"(?i)\b(?:authorization\W+)?(?:basic|bearer)\s+[A-Za-z0-9+/=._~-]{12,}",
}


def gives_away(name: str, value: str) -> str | None:
    """What secret `value`, which is called `name`, shows; None for none."""
    if not value:
        return None
    for what, pattern in SHAPES.items():
        if re.search(pattern, value):
            return what
    for url in re.findall(r"\w+://[^\s\"'<>]+", value):
        if _password(url):
            return "a password in a URL"
    is_path = value.startswith(("/", "./")) or value.lower() in {"true", "false", "none"}
    if NAMES.fullmatch(name) and not NOT_THE_VALUE.fullmatch(name) and not is_path:
        return "a secret, as its name says"
    return None


def _password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False


def shown(container: Properties) -> Iterator[tuple[str, str, str]]:
    """Where something stands that everybody on the host can read, its name, its text."""
    for entry in container.get("envs") or ():
        name, _, value = str(entry).partition("=")
        yield "environment", name, value
    for label in container.get("labels") or ():
        yield "label", str(label["label"]), str(label.get("value"))
    given = [str(one) for key in ("entrypoints", "command") for one in container.get(key) or ()]
    for argument, following in pairwise([*given, ""]):
        flag, equals, value = argument.partition("=")
        if equals and flag.startswith("-"):
            yield "command line", flag.lstrip("-"), value
        elif argument.startswith("-") and not following.startswith("-"):
            yield "command line", argument.lstrip("-"), following
        else:
            yield "command line", "", argument


def _check(resource: Resource, config: Config) -> Iterator[str]:
    for where, name, value in shown(resource.props):
        if f"{resource.name}:{name}" in config["allowed"]:
            continue
        if what := gives_away(name, value):
            named = f" {name}" if name else ""
            yield (
                f"its {where}{named} holds {what}, which docker inspect shows: give it as a file that only the service's group "
                "can read, and name the file"
            )


CLEAR_TEXT = each(
    "no-secrets-in-clear",
    "No secret stands in an environment, a label or on a command line.",
    _check,
    fix="Give the secret as a file (*_FILE, --…-file), delivered by an upload that Pulumi keeps secret.",
    config={
        "allowed": reasons(
            {}, "<container>:<variable, label or flag> that is no secret although it looks like one → why."
        )
    },
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (CLEAR_TEXT,)
