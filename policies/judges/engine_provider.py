"""The engine: a program puts everything on one, and reaches it by a way on which nobody else becomes root.

Sums of memory and disk hold for one host only. Whoever listens in on a plain TCP connection to an engine, or answers in its
place, is root on the host. Options of ssh may name a program, which then runs on the deploying machine.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pulumi_policy import Policy, Severity

from policies.policy_kit import Config, Violation, allow_list, stack_policy, violations
from policies.readers.declared_resources import PROVIDER, Resource, noun

_HOST = r"(\w[\w.-]*@)?\[?\w[\w.:-]*\]?"
_VALUES = (
    r"(BatchMode|Compression|ConnectTimeout|ConnectionAttempts|Control(Master|Path|Persist)|ExitOnForwardFailure|HostKeyAlias"
    r"|IdentitiesOnly|IdentityFile|LogLevel|PasswordAuthentication|Port|PreferredAuthentications|ServerAlive\w+|TCPKeepAlive|User"
    r"|UserKnownHostsFile|GlobalKnownHostsFile)=[\w./~+@%:,-]+"
    rf"|StrictHostKeyChecking=(yes|accept-new|ask)|ProxyJump={_HOST}"
)
_WORD = rf"-o ?({_VALUES})|-[ilp] ?[\w./~+@-]+|-J ?{_HOST}|-[46CqTv]+"
SSH = re.compile(rf"{_WORD}|-o ?ProxyCommand=ssh( ({_WORD}))* -W '\[%h\]:%p'( ({_WORD}))* {_HOST}")
"""Options of ssh that run no program other than ssh, and do not take an unknown key of a host for granted."""


@dataclass(frozen=True)
class Engine:
    """An engine that a provider leads to."""

    provider: str
    host: str
    """Empty for the one that the Docker CLI would take."""


def _read(resource: Resource, config: Config) -> Iterator[Engine | Violation]:
    if resource.resource_type != PROVIDER:
        return
    host = str(resource.props.get("host") or "")
    yield Engine(resource.name, host)
    for key, problem in _problems(resource, host):
        if f"{resource.name}:{key}" not in config["allowed"]:
            yield Violation(
                f"{noun(resource)}: {problem}, or allow {resource.name}:{key} in the policy's config with a reason"
            )


def _problems(resource: Resource, host: str) -> Iterator[tuple[str, str]]:
    """The key that would allow each problem of a provider, and the problem with its fix."""
    parts = urlsplit(host)
    is_plain = parts.scheme in {"tcp", "http"} and not resource.props.get("certPath")
    if is_plain and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        yield (
            "tcp",
            f"it reaches {host} without TLS, so anybody on the way is root there: set cert_path, or take ssh://",
        )
    if context := resource.props.get("context"):
        yield "context", f"which engine the context {context} leads to is up to the user's own files: set host"
    for option in _joined(resource.props.get("sshOpts") or ()):
        if not SSH.fullmatch(option):
            yield (
                option,
                f"the option {option[:60]!r} of ssh may run a program, or trust a host that nobody knows: leave it out",
            )


def _joined(options: str | Sequence[str]) -> Iterator[str]:
    """Options of ssh, each with its value, also if that is a word of its own. A provider gets a list as JSON."""
    words = [str(word) for word in (json.loads(options) if isinstance(options, str) else options)]
    while words:
        word = words.pop(0)
        yield f"{word} {words.pop(0)}" if re.fullmatch(r"-[oilpJF]", word) and words else word


def _judge(facts: list[Engine | Violation], config: Config) -> Iterator[str]:
    yield from violations(facts)
    engines = [fact for fact in facts if isinstance(fact, Engine)]
    for other in engines[1:]:
        if other.host != engines[0].host and f"{other.provider}:host" not in config["allowed"]:
            yield (
                f"provider {other.provider}: it leads to another engine than {engines[0].provider}: use one provider for all "
                f"resources, or allow {other.provider}:host in the policy's config with a reason"
            )


ENGINE = stack_policy(
    "one-engine",
    "A program puts everything on one engine, which only its owner reaches.",
    _read,
    _judge,
    fix="Declare one Docker provider, with a host by unix://, ssh:// or tcp:// with cert_path.",
    config={"allowed": allow_list({}, "<provider>:<tcp, context, host, or an option of ssh> → why it must.")},
    severity=Severity.CRITICAL,
)

POLICIES: tuple[Policy, ...] = (ENGINE,)
