"""Recognises secrets by the name of a value, by its shape, or by its place on a command line."""

import base64
import contextlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from urllib.parse import urlsplit

SHAPES = {
    "a private key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|\bLS0tLS1CRUdJTi[A-Za-z0-9+/]*(?:UFJJVkFURSBLRVk|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)"
    r"|AGE-SECRET-KEY-1\w{20}|PuTTY-User-Key-File",
    "a key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token of GitHub or GitLab": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[\w-]{20,})",
    "a token of Slack": r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}|hooks\.slack\.com/(?:services|workflows|triggers)/",
    "a webhook of a chat": r"discord(?:app)?\.com/api/webhooks/\d|webhook\.office\.com/webhookb2/|\b\d{8,10}:[A-Za-z0-9_-]{32,}",
    "a key of Stripe or Google": r"\b(?:[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{20,}|AIza[\w-]{35}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,})",
    "a token of Grafana": r"\bgl(?:sa|c)_[A-Za-z0-9_=+/-]{20,}",
    "a token of a registry": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{20,}|dckr_[a-z]+_[\w-]{20,})",
    "a token of a cloud": r"\b(?:hv[sbr]\.[\w-]{20,}|pul-[0-9a-f]{40}|do[opr]_v1_[0-9a-f]{64}|hf_[A-Za-z]{30,}|sk-(?:proj-|ant-)?[\w-]{32,}"
    r"|SG\.[\w-]{20,}\.[\w-]{40,}|key-[0-9a-f]{32}|tskey-\w+-\w+|shp(?:at|ss)_[0-9a-f]{32}|sntrys_[\w=+/-]{20,}|NRAK-[A-Z0-9]{20,})",
    "a JSON web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.",
    "the hash of a password": r"\$(?:apr1|1|2[aby]|5|6|y|argon2\w*)\$[\w./$=,+-]{16,}|\{(?:S?SHA\d*|S?MD5|CRYPT)\}[\w./$=+-]{16,}"
    r"|\bmd5[0-9a-f]{32}\b|\bSCRAM-SHA-\d+\$\d+:\S+",
    "a signed URL": r"[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=[\w%+/=-]{16,}",
    "credentials for HTTP": r"(?i:\b(?:authorization\W+)?(?:basic|bearer)\s+)[A-Za-z0-9+/=._~-]{12,}",
}
"""Kind of secret → the beginning that its issuer gives it."""
_ANY_SHAPE = re.compile("|".join(f"(?:{pattern})" for pattern in SHAPES.values()))

_SECRET = re.compile(
    r".*(?:password|passwd|passphrase|passwort|secret|credential|token|pwd|apikey|accesskey|privatekey|secretkey|signingkey"
    r"|encryptionkey|masterkey|authkey|routingkey|accountkey|masterauth|webhook|kennwort|contrasena|pword|psw)s?|.*(?<!by)(?<!com)(?<!sur)(?<!tres)(?<!over)(?<!under)pass"
    r"|creds|.*pw|passe|passcode|salt|pepper|mnemonic|bearer|authorization"
)
"""A word in a name that marks the value as a secret, also at the end of a longer word (`dbpassword`)."""
_KEYS = re.compile(
    r"access|account|admin|api|app|application|auth|cipher|client|cookie|crypt|deploy|enc|encryption|hmac|host"
    r"|integration|jwt|licence|license|master|private|root|routing|secret|service|session|shared|sharedaccess"
    r"|signature|signing|ssh|ssl|storage|subscription|tls|unseal|webhook"
)
"""The word before `key` in the name of a secret key (`signing_key`)."""
_SEED = re.compile(r"t?otp|mfa|2fa|wallet|hsm|card|recovery|backup")
"""The word in a name that makes its `pin`, `seed` or `code` a secret (`TOTP_SEED`)."""
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=]{16,}")
"""A random text, as the value of a key whose name does not say what it is for (`SHOP_KEY`)."""
_ABOUT = re.compile(
    r"age|alg|algorithm|arn|audience|backend|bucket|bytes|change|channel|class|cmd|command|complexity|cost|count"
    r"|days|dir|directory|disabled|domain|driver|duration|enable|enabled|encoder|encoding|endpoint|engine|env|error"
    r"|errors|exp|expiration|expires|expiry|field|file|filename|folder|format|hasher|hashing|header|headers|helper"
    r"|host|hours|interactive|interval|issuer|iterations|kind|len|length|lifetime|limit|location|login|manager|max"
    r"|method|min|minutes|mode|mount|mountpath|name|path|paths|pattern|plugin|policy|port|prefix|prompt|provider|ref"
    r"|refresh|regex|requests|required|reset|role|rotation|rounds|samesite|scope|scopes|seconds|secure|service"
    r"|sessions|signer|size|source|stdin|store|strategy|strength|suffix|timeout|ttl|type|uri|url|user|username|users"
    r"|version|volume"
)
"""Last words of names that describe a secret and do not hold one (`PASSWORD_FILE`)."""
_ABOUT_FIRST = re.compile(r"allow|disable|enable|has|hide|is|max|min|no|num|require|show|use|with|without")
"""First words of such names (`MAX_TOKENS`)."""
_REST = re.compile(
    r"(?:\d+|id|value|base|base64|b64|old|new|current|previous|primary|secondary|default|prod|dev|test|staging)*"
)
"""Last words that do not change what a name says (`TOKEN_1`, `PASSWORD_PROD`)."""

_NOTHING = re.compile(
    r"basic|bearer|digest|disabled|enabled|false|ldap|md5|nil|no|none|null|oauth|off|oidc|on|optional|required"
    r"|scram-sha-256|true|trust|yes"
)
_REFERENCE = re.compile(
    r"\$\{[^}]+\}|\$[A-Z_][A-Z0-9_]*|\$\(.*|\$__\w+\{[^}]+\}|\{\{.+\}\}|<[^<>]+>|\*+|%\w+%|\[?redacted\]?",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?:file:(?://)?)?(?:\.{1,2}|\$\w+|\$\{\w+\}|/(?:run|etc|var|config|conf|secrets?|vault|mnt|srv|opt|home|data|tmp|usr|certs?|tls|keys|app|dev|root|proc|bitnami))"
    r"(?:/[\w.@-]+)+/?"
)
_PAIR = re.compile(
    r"""(?<![\w.-])(?:--?)?["']?([A-Za-z_][\w.-]*)["']?\s?=\s?("[^"]*"|'[^']*'|\$\([^)]*\)|[^\s;&,'"]+)"""
    r"""|["']([A-Za-z_][\w.-]*)["']\s*:\s*["']([^"']*)["']|<([A-Za-z][\w.-]*)>([^<>\s]+)</"""
)
"""`name=value` in connection strings, queries and shells, `"name": "value"` in JSON, and `<name>value</name>` in XML."""
_PLACES = re.compile(
    r"""\blogin\s+\S+\s+password\s+(\S+)|(?i:\bidentified\s+by|\bpassword)\s+'([^']+)'"""
    r"""|(?:^|(?<=[\s'"]))[\w.*-]+:(?:\*|\d{2,5}):[\w.*-]+:[\w.*-]+:([^\s'":/]+)"""
    r"""|\b(?:echo|printf)\s+(?:-\w+\s+|["']%s(?:\\n)?["']\s+)?["']?([^\s"'|]+)["']?\s*\|[^|]*(?:--password-stdin|--stdin|\bchpasswd)"""
)
"""Passwords by their place: in netrc, in SQL, in PostgreSQL's `.pgpass`, and before a pipe."""
_BASE64 = re.compile(r"(?<![\w+/=.-])[A-Za-z0-9+/]{12,}={0,2}(?![\w+/=-])")
_LONG_TOKEN = re.compile(
    r"(?!sha(?:256|384|512)[-:])(?=(?:.*[a-z]){3})(?=(?:.*[A-Z]){3})(?=(?:.*\d){3})[A-Za-z0-9+/_=!@#$^&*~-]{24,128}"
)
"""One word in which all classes of signs occur."""
_KEY_OF_AWS = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+][A-Za-z0-9/+]{39}")
"""A secret access key: 40 signs. The id of a commit has as many, all in lower case."""
_CHANGES = 0.42
"""Least share of signs that are of another class than the one before. Random letters and digits have 0.62, long names with
years and versions below 0.4. Hexadecimal ids have one class of letters."""
_LINE = re.compile(
    r"\s*(?:export\s+)?([A-Za-z][\w.-]*)\s*[=:]\s*(.*?)[;,]?\s*$|\s*(requirepass|masterauth)\s+(\S+)\s*$|\s*ENV\s+(\w+)\s+(\S+)\s*$"
)
_MATCHERS = re.compile(r'\{[^{}]*=~?"[^{}]*\}')
"""Label matchers in PromQL or LogQL."""
_HEADER = re.compile(
    r"(?i)\b(x-[\w-]+|private-token|job-token|api-?key|authorization|proxy-authorization|cookie)\s*:\s*([^\s'\"]{6,}.*)"
)
_NATIVE = re.compile(
    r"[\w.-]+:([^\s@/]+)@(?:tcp|unix)\(|\w+/([^\s@/]+)@(?://)?[\w.-]+:\d+/|\w+://[^\s/@:]*:([^\s@]*[^\s@/])@"
)
"""User and password as Go's MySQL driver and Oracle write them, and in a URL whose password is not percent-encoded."""

_LAUNCHER = re.compile(
    r"CMD|CMD-SHELL|-c|--|exec|env|sudo|time|then|do|else|!|[|&;(]+|.*;|\w+=.*|.*(tini|dumb-init|entrypoint(\.sh)?)"
)
"""Words after which the name of a program follows."""
_LOGIN_FLAGS = {
    r"(redis|valkey|keydb)-cli": {"-a", "--pass"},
    r"sshpass|mongo\w*": {"-p"},
    r"openssl": {"-k", "-K"},
    r"influx": {"-t"},
    r"(docker|podman|nerdctl|az) login": {"-p"},
    r"ldap\w+": {"-w"},
    r"mosquitto_\w+|sqlcmd|unzip|zip": {"-P"},
    r"snmp\w+": {"-A", "-X"},
}
"""Program → short flags that take a password."""
_GLUED = re.compile(r"(?:mysql|mariadb)[\w-]*|sshpass|7z[ar]?|rar|unrar")
"""Programs that take the password directly after `-p` (`-psecret`)."""
_LAST = {r"htpasswd": re.compile(r"-\w*b\w*")}
"""Program → the flag with which its last word is a password."""
_USER_FLAGS = {r"curl": {"-u", "--user", "-U", "--proxy-user"}, r"wget|http": {"--auth", "-a"}, r"smbclient": {"-U"}}
"""Program → flags that take `user:password`."""


@cache  # a loader and its validator carry the same files
def gives_away(name: str, value: str) -> str | None:
    """Which secret the value `value` of the name `name` exposes, None if it exposes none.

    `gives_away("DB_PASSWORD", "hunter2")` is `"a secret, as its name says"`.
    """
    return next(_given_away(name, value), None) if value.strip() else None


def _given_away(name: str, value: str) -> Iterator[str]:
    if _ANY_SHAPE.search(value):
        yield from (what for what, pattern in SHAPES.items() if re.search(pattern, value))
    if _in_url(value):
        yield "a password in a URL"
    if is_secret_name(name) and not _is_harmless(value):
        yield "a secret, as its name says"
    words, texts = _words(name), [*_texts_in(value)]
    if words[-1:] == ["key"] and "public" not in words and _RANDOM.fullmatch(value):
        yield "a random key"
    if words[-1:] in (["auth"], ["login"]) and any(map(_LOGIN.fullmatch, (value, *texts))):
        yield "a user with a password"
    if words[-1:] in (["pin"], ["seed"], ["code"]) and any(map(_SEED.fullmatch, words)) and not _is_harmless(value):
        yield "a secret, as its name says"
    if _looks_random(value, texts) and not {"public", "site", "integrity", "checksum"} & {*words}:
        yield "a random text, as keys and tokens are"
    yield from _inside(value)
    for text in texts:
        if next(_in_text(text), None):
            yield "a secret in base64"


def _in_text(text: str) -> Iterator[str]:
    """Secrets in a text of which only the content tells anything."""
    if _ANY_SHAPE.search(text) or _in_url(text):
        yield "a secret by its shape"
    yield from _inside(text)
    for pair in re.finditer(r'"auth"\s*:\s*"([^"]+)"', text):
        if any(map(_LOGIN.fullmatch, _texts_in(pair[1]))):
            yield "a user with a password"


_LOGIN = re.compile(r"[^\s:/]+[:/][^\s:/]\S*")
"""`user:password`, or `user/password` as Neo4j has it."""


def _texts_in(value: str) -> Iterator[str]:
    """What parts of `value` say that are text in Base64."""
    for word in _BASE64.findall(value) if len(value) < _LONGEST_READ else ():
        with contextlib.suppress(ValueError):
            text = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode("ascii")
            if text.isprintable() or text.strip().replace("\n", "").isprintable():
                yield text


_LONGEST_READ = 20_000
"""Signs of the longest value of which the parts in Base64 are read: a certificate, a config file."""


def _looks_random(value: str, texts: list[str]) -> bool:
    """Whether `value` is one word that no person would write, such as `x8Kq3vT9zLpW2nRb7YdC5mHg`. `texts`: what it says in
    Base64."""
    if _KEY_OF_AWS.fullmatch(value):
        return True
    if not _LONG_TOKEN.fullmatch(value) or value.count("/") > len(value) / 10 or texts:
        return False
    classes = [(sign.islower(), sign.isupper(), sign.isdigit()) for sign in re.sub("[-_/]", "", value)]
    return sum(one != other for one, other in pairwise(classes)) >= _CHANGES * len(classes)


def _inside(value: str) -> Iterator[str]:
    """Secrets inside `value` that have a name there."""
    for pair in _PAIR.finditer(_MATCHERS.sub("", value)) if re.search("[=:<]", value) else ():
        key, text = pair[1] or pair[3] or pair[5], pair[2] or pair[4] or pair[6] or ""
        if is_secret_name(key) and not _is_harmless(text):
            yield f"a secret, as {key} in it says"
    for header in _HEADER.finditer(value):
        is_login = header[1].lower() in {"authorization", "proxy-authorization", "cookie"}
        if (is_login or is_secret_name(header[1])) and not _is_harmless(header[2]):
            yield f"a secret in the header {header[1]}"
    for place in _PLACES.finditer(value):
        if not _is_harmless(next(filter(None, place.groups()), "")):
            yield "a password, by its place"


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret: true for `PGPASSWORD` and `db.password`, not for `PASSWORD_FILE` or `MAX_TOKENS`."""
    words = _words(name)
    while len(words) > 1 and _REST.fullmatch(words[-1]):
        words = words[:-1]
    if not words or _ABOUT_FIRST.fullmatch(words[0]) or "per" in words:
        return False
    if _ABOUT.fullmatch(words[-1]) and not (words[-1] in {"url", "uri"} and "webhook" in words):
        return False
    keys = any(word in {"key", "keys"} and _KEYS.fullmatch(before) for before, word in pairwise(words))
    return keys or words[-1] == "cookie" or any(_SECRET.fullmatch(word) for word in words)


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if word]


def _is_harmless(value: str) -> bool:
    text = re.sub(r"(?i)^(?:basic|bearer)\s+", "", value.strip().strip("\"'"))
    return not text or bool(_NOTHING.fullmatch(text.lower()) or _REFERENCE.fullmatch(text) or _PATH.fullmatch(text))


def _in_url(value: str) -> bool:
    if "@" not in value:
        return False
    for url in re.findall(r"\w+://[^\s\"'<>]+", value):
        try:
            password = urlsplit(url).password
        except ValueError:
            continue
        if password and not _is_harmless(password):
            return True
    passwords = [next(filter(None, match.groups()), "") for match in _NATIVE.finditer(value)]
    return any(password and not re.match(r"\d+/", password) and not _is_harmless(password) for password in passwords)


def on_command_line(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Names and values on a command line: flags, arguments that are passwords by their place, and each argument as a whole.

    An argument with spaces is read as a command line too, as a shell would. `["app --token x"]` yields `("token", "x")` and
    `("", "app --token x")`.
    """
    words = [word for argument in arguments for word in _split(argument)]
    programs: list[str] = []
    for before, word, following in zip(["", *words], words, [*words[1:], ""], strict=False):
        if not before or _LAUNCHER.fullmatch(before):
            programs.append(PurePosixPath(word).name)
        elif programs and PurePosixPath(before).name == programs[-1]:
            programs.append(f"{programs[-1]} {word}")
        yield from _of_word(word, following, programs)
        if any(_is_called(programs, {name: {word}}, word) and flag.fullmatch(word) for name, flag in _LAST.items()):
            yield f"{word} (password)", words[-1]
    for argument in arguments:
        yield "", argument


def _of_word(word: str, following: str, programs: list[str]) -> Iterator[tuple[str, str]]:
    flag, equals, value = word.partition("=")
    if equals and flag.startswith("-"):
        is_user = _is_called(programs, _USER_FLAGS, flag) and ":" in value
        yield (f"{flag} (password)", value.partition(":")[2]) if is_user else (flag.lstrip("-"), value)
    elif _is_called(programs, _LOGIN_FLAGS, word):
        yield f"{word} (password)", following
    elif _is_called(programs, _USER_FLAGS, word) and re.search("[:%]", following):
        yield f"{word} (password)", re.split("[:%]", following, maxsplit=1)[1]
    elif _is_glued(word, programs):
        yield "-p (password)", word.removeprefix("-p")
    elif re.match(r"-[uU][^:\s]+:.", word) and _is_called(programs, _USER_FLAGS, word[:2]):
        yield f"{word[:2]} (password)", word.partition(":")[2]
    elif word.startswith("-") and not following.startswith("-"):
        yield word.lstrip("-"), following
    elif word.lower() == "auth" and _is_called(programs, _LOGIN_FLAGS, "-a"):
        yield "password", following
    elif word.lower() in {"requirepass", "masterauth"}:
        yield word, following
    elif word.startswith("pass:"):
        yield "password", word.removeprefix("pass:")


def _is_glued(word: str, programs: list[str]) -> bool:
    return bool(re.fullmatch(r"-p(?!rotocol)[^=]+", word)) and any(map(_GLUED.fullmatch, programs))


def _is_called(programs: list[str], flags: dict[str, set[str]], flag: str) -> bool:
    return any(
        flag in of_program and any(re.fullmatch(name, program) for program in programs)
        for name, of_program in flags.items()
    )


def _split(text: str) -> list[str]:
    """The words of `text`, quoted parts split again."""
    if text.startswith("$(") or not re.search(r"\s", text):
        return [text]
    try:
        words = shlex.split(text)
    except ValueError:  # an unclosed quote
        return text.split()
    return words if words == [text] else [one for word in words for one in _split(word)]


_LITERAL = re.compile(
    r"""([A-Za-z_][\w.]*)["']?\]?\s*(?::\s*[\w.\[\]]+\s*)?(?:=|:=|:|=>)\s*[rbf]?(["'`])([^"'`\n]+)\2"""
)


def in_program(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of texts in quotes in a program: `name = "value"`. What it computes is no secret that it holds."""
    for literal in _LITERAL.finditer(text):
        yield literal[1], literal[3]
    for place in _PLACES.finditer(text):
        yield "", place[0]
    for shape in _ANY_SHAPE.finditer(text):
        yield "", shape[0]


def in_lines(text: str) -> Iterator[tuple[str, str]]:
    """Names and values in a config file or script: `name = value`, `name: value`, `requirepass value`. Other lines have no name."""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            yield match[1] or match[3] or match[5], match[2] or match[4] or match[6] or ""
        if not match or _PLACES.search(line):
            yield "", line


def decoded(text: str) -> str:
    """The text in `text`, which is Base64. Bytes that are not UTF-8 are replaced."""
    return base64.b64decode(text).decode(errors="replace")
