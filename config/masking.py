"""Expressions for data that must not be stored, from any source: secrets and personal data. One catalogue for log lines
and OTLP.

The shipper replaces the groups of an expression, the collector the whole match. All are RE2, which has no lookahead or
lookbehind, so the expressions themselves exclude what is not a secret.
"""

import string
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Mask:
    expression: str
    words: tuple[str, ...]
    """A text that contains none of these, in any case, holds nothing to mask."""


def _other_than(words: Collection[str], more: str = "") -> str:
    """Expression for any text of letters, and of the characters in the class `more`, except `words` in any case."""
    ways = [f"[a-zA-Z]*[{more}][a-zA-Z{more}]*"] if more else []
    return f"(?-i:{'|'.join([*ways, _letters_but(words)])})"


def _letters_but(words: Collection[str]) -> str:
    firsts = sorted({word[0] for word in words if word})
    if not firsts:
        return "[a-zA-Z]+" if words else "[a-zA-Z]*"
    others = "".join(letter + letter.upper() for letter in string.ascii_lowercase if letter not in firsts)
    ways = [f"[{others}][a-zA-Z]*"]
    for first in firsts:
        ways.append(f"[{first}{first.upper()}]{_letters_but([word[1:] for word in words if word[:1] == first])}")
    return f"(?:{'|'.join(ways)})" + ("" if "" in words else "?")  # the beginning of a word is not that word


# Names.

_PASSWORD = r"pass(?:w(?:or)?d|phrase|code)"  # noqa: S105 - a pattern
_KEY = r"(?:api|app|access|account|private|secret|auth|signing|encryption|master|license|subscription|shared[_-]?access)[ _-]?key"
_SESSION = r"(?:php|j|asp\.net_)?sess(?:ion)?[_.-]?id"
_NAME = (
    rf"(?:{_PASSWORD}|(?:db|user|auth|smtp|mail|root|admin|require|[._-])pass|{_KEY}|(?:client_?)?secret|credentials?|token|"
    rf"authorization|cookie|jwt|{_SESSION}|x-amz-signature|connect\.sid)"
    r"(?:[_-]?(?:access[_-]?key|key[_-]?base|key|hash|confirm(?:ation)?|again|old|new|value)|_?\d+)?"
)
"""Endings of names of secrets, e.g. `DB_PASSWORD`, `clientSecret` or `SECRET_KEY_BASE`; `max_tokens` does not match."""
_NAME_WORDS = (
    "passw", "passphrase", "passcode", "_pass", "-pass", ".pass", "dbpass", "userpass", "authpass", "smtppass", "mailpass", "rootpass",
    "adminpass", "requirepass", "_key", "-key", " key", "apikey", "appkey", "accesskey", "accountkey", "privatekey", "authkey",
    "signingkey", "encryptionkey", "masterkey", "licensekey", "subscriptionkey", "secret", "credential", "token", "authorization",
    "cookie", "jwt", "sessid", "session", "x-amz-signature", "connect.sid",
)  # fmt: skip

KEYS = (rf"(?i)(?:^|[^a-z])pwd$|(?:^pass|{_NAME})$",)
"""Names of attributes whose values are masked whole, e.g. `http.request.header.authorization`."""

# Values.

_IS = r"""["'\]\\]*\s*(?:=>|:=|[:=])\s*(?:string\(\d+\)\s*)?[bu]?"""
"""Between a name and its value, in JSON, Python, Ruby, PHP, YAML, or a query."""
_DOUBLE = r"""(?:[^"\\,}\]) ]|\\.)(?:[^"\\]|\\.)*"""
"""Content of double quotes, which need not be closed. Excludes characters that follow a closing quote."""
_SINGLE = r"""(?:[^'\\,}\]) ]|\\.)(?:[^'\\]|\\.|'')*"""

_LETTERS = (
    r"À-ʯ\x{300}-\x{60b}\x{60d}-\x{61a}\x{61c}-\x{61e}\x{620}-\x{963}\x{966}-\x{1fff}\x{2c00}-\x{2dff}\x{3041}-\x{d7ff}"
    r"\x{f900}-\x{fdff}\x{fe70}-\x{fefc}\x{ff66}-\x{ffdc}\x{10000}-\x{1efff}\x{20000}-\x{3ffff}"
)
"""Letters of other alphabets: blocks without common punctuation. Only in groups that regard case, `(?-i:`. In others Go
looks up the case of every letter, which took a second of CPU at each start. The classes of whole scripts have five hundred ranges
each, and the two expressions with them took 1.6 MB of memory wherever the collector compiles them, which is six times."""
_SIGNS = r"!#$%*+./:?@^`~\-" + _LETTERS
_INSIDE = r"[()\[\]{}|=]+"
"""Characters that may be inside a value without quotes, but not at its end."""
_NO_SECRET = ("true", "false", "null", "none", "nil", "undefined", "yes", "no", "on", "off")
_BARE = rf"{_other_than(('', *_NO_SECRET), '0-9_' + _SIGNS)}(?-i:(?:\b|[{_SIGNS}])(?:{_INSIDE}[\w{_SIGNS}]+)*)=*"
_TOLD = rf"[a-z]*(?:[0-9_!#$%*+/@^~-]|[.:?]\w)(?-i:[\w{_SIGNS}=]*)|[a-z]{{3,}}[ \t]*(?:$|[,;&}}])"
"""After a colon. Excludes words of a sentence such as "reset your password: click below"."""

_ASSIGNED = (
    rf"""(?im){_NAME}(?:{_IS}(?:"({_DOUBLE})|\\*'({_SINGLE})|\[([^\]\n]+)|\\+"([^"\\,}}\]) ][^"\\]*))"""
    r"""|["\\]+\s*:\s*(\d[\w.+-]*)"""  # a number in JSON
    rf"""|["'\\]*\s*=\s*({_BARE})"""
    r"""|["']?\]\s*=>[ \t]*([^\s"'<\\]+)[ \t]*(?:$|\\*["'])"""  # as printed by PHP
    r"""|(?:%22|%27)*%3[ad](?:%20|\+)*(?:%22|%27)*([^\s"'&;%]+)"""
    # Name and value as items of a list or attributes of an object.
    r"""|\\*["']?\s*[,:]?\s*\\*["']?value\\*["']?\s*[:=]\s*(?:\\*["']([^"'\\]+)|([^\s"'\\,}]+)))"""
)
"""One expression for all forms, because searching the name is the slow part."""
_COLON = rf"""(?im)(?:{_PASSWORD}|[._-]pass|{_KEY}(?:_base)?|secret|credentials?|jwt|{_SESSION})["']?:[ \t]*({_TOLD})"""
_PASS = r"""(?i)["']pass\\*["']\s*(?:=>|[:=])\s*[bu]?\\*["']([^"'\\]+)"""  # noqa: S105 - a pattern
"""A text only, because `"pass": 12` counts tests."""
_HEADERS = (
    r"""(?i)-(?:token|key):\s*([^\s"'\\,;]{4,})""",  # X-Auth-Token, X-Api-Key
    r"(?i)token:[ \t]*([\w.~+/-]*\d[\w.~+/=-]{5,}|[\w.~+/-]{5,}\d[\w.~+/=-]*)",
    r"""(?i)["'](?:(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:token|key))["'],\s*b?["']([^"'\\]+)["'](?:[^:]|$)""",
)
_ELEMENT = rf"(?i)(?:<|&lt;)[\w:.-]*{_NAME}(?:\s[^<>]*)?(?:>|&gt;)([^<&]+)(?:</|&lt;/|$)"
_COOKIE = r"""(?i)cookie["'\\]*\s*(?:=>|[:=])\s*[b"'\\\[]*([\w.$%+!#-]+=[^\n"'\\\]]*)"""
"""The whole header, because the secret may be its second cookie."""
_SCHEMES = "basic|bearer|digest|token|apikey|negotiate|ntlm|hmac|aws4-hmac-sha256"
_AUTHORIZATION = (
    rf"""(?i)authorization["'\\]*\s*(?:=>|[:=])\s*[b"'\\\[]*("""
    rf"""(?:{_SCHEMES})\s+[^\s"'\\,;<>\]}})]+(?:,\s*[\w-]+=[^\s"'\\,;]*)*|[^\s"'\\,;<>\]}})]{{6,}})"""
)
_BEARER = r"(?i)\b(?:bearer|basic)\s+((?-i:[\w.~+/-]*(?:[a-z+/][A-Z]|\d)[\w.~+/-]{3,}|[\w.~+/-]{6,}\d)[\w.~+/-]*=*)"
_PWD = r"""(?i)pwd["'\]\\]*\s*(?:=>|=|["']\s*:)\s*["'\\]*([^\s"'\\&,;<>/~=][^\s"'\\&,;<>]*)"""  # noqa: S105 - a pattern
"""Excludes the directory that shells call `PWD`."""
_SQL = (
    r"""(?i)\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?\\*['"]((?:[^'"\\]|\\[^"]|'')+)""",
    r"""(?i)\bpassword(?:\s+|\s*\(\s*)\\*['"]([^'"\\,][^'"\\]*)""",
)
_OPTION = r"""(?:\s+\\*["']?|\\*["'],\s*\\*["'])"""
"""Between an option and its value, in a command line or in an argument list."""
_COMMANDS = (
    rf"""(?i)(?:^|[\s"'])--?(?:[\w-]*-)?(?:{_NAME}|pass|passin|passout){_OPTION}([^\s"'-][^\s"']*)""",
    rf"""(?i)\bcurl\b[^\n]*?[\s"'](?:-u|--user|-U|--proxy-user)(?:{_OPTION}|=)?[^\s:"']*:([^\s"']+)""",
    r"""(?i)\b(?:mysql|mariadb)[\w-]*\b[^\n|;]*?[\s"']-p([^\s"']+)""",
    rf"""(?i)\b(?:sshpass|mongo\w*|redis-cli|login|ldap\w+)\b[^\n|;]*?[\s"']-[paw](?:{_OPTION})([^\s"'-][^\s"']*)""",
    r"(?i)\bsshpass\s+-p([^\s]+)",
    r"(?im)(?:^\s*|\bset\s+)(?:requirepass|masterauth)\s+(\S+)",
    r"(?i)\bhtpasswd\b[^\n|;]*?\s-[a-z]*b[a-z]*(?:\s+\S+){2}\s+(\S+)",
    r"(?i)\bauth\s+(?:plain|xoauth2)\s+([\w+/]{16,}=*)",  # SMTP
    r"""(?i)"auth"\s+(?:"[^"]*"\s+)?"([^"]+)\"""",
)
_TOOLS = (" -u", " -p", " -a", " -w", "--user", "--proxy-user", '-u"', '-p"', "requirepass ", "masterauth ", '"auth"',
          "htpasswd", "auth plain", "auth xoauth2")  # fmt: skip
_HOST = r"[\w.\[\]:-]"
_URLS = (
    # A password may contain a slash, but not after digits alone, which are a port.
    r"""(?i):(?:\\*/){2}[^/:@"'<>?#\n]{0,64}:([^/?#\s"'<>\\]+|\d*[^\d/?#\s"'<>\\][^\s"'<>\\]*)@""",
    r"""(?i)%3a%2f%2f[^\s%]*%3a([^\s&"']+?)%40""",
    r"""[\w.-]+:([^\s"'<>]+)@(?:tcp|udp|unix)\w?\(""",  # Go's MySQL driver
    rf"""(?:^|[\s"'=,])[\w.-]+:([^\s:"'<>/,@]+)@(?:{_HOST}*[a-zA-Z\]])?{_HOST}*:\d{{2,5}}\b""",  # without a scheme
)
_BY_VENDOR = {
    r"(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)": "eyj",  # JSON web token
    r"\b((?:gh[oprsu]_|github_pat_|shp(?:at|ss|ca|pa)_|sntrys_|glsa_)\w[\w.=-]{15,}|(?:glpat|dckr_pat)[-_][\w-]{20,}|(?:npm|hf)_[a-zA-Z0-9]{30,}|dop_v1_[0-9a-f]{32,})": (
        "gho_ ghp_ ghr_ ghs_ ghu_ github_pat_ glpat- npm_ hf_ dop_v1_ shpat_ shpss_ shpca_ shppa_ sntrys_ glsa_ dckr_pat_"
    ),
    r"\b((?:xox[a-z]|xapp)-[\w-]{8,}|hooks\.slack\.com/services/[\w/]+|discord(?:app)?\.com/api/webhooks/\d+/[\w-]+|webhook\.office\.com/[\w@/-]+)": (
        "xox xapp- hooks.slack.com api/webhooks/ webhook.office"
    ),
    r"\b((?:[rsp]k|whsec)_(?:live|test|prod)_\w{8,}|whsec_[\w+/=]{16,}|sk-[\w-]{16,}|sq0[a-z]{3}-[\w-]{16,})": (
        "_live_ _test_ _prod_ whsec_ sk- sq0"
    ),
    r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}|AIza[\w-]{30,}|ya29\.[\w-]{8,}|GOCSPX-[\w-]{16,})": (
        "akia asia abia acca aiza ya29. gocspx-"
    ),
    r"\b(SG\.[\w-]{16,}\.[\w-]{16,}|pypi-AgE[\w-]{16,}|hv[sbr]\.[\w-]{16,}|dapi[0-9a-f]{32}|lin_api_\w{16,}|AGE-SECRET-KEY-\w+)": (
        "sg. pypi-age hvs. hvb. hvr. dapi lin_api_ age-secret-key-"
    ),
    r"(?:\b|bot)(\d{8,10}:AA[\w-]{30,})": ":aa",  # Telegram bot
    r"\b(pul-[0-9a-f]{40}|key-[0-9a-z]{32}|(?:nvapi|tskey|NRAK|PMAK|pat-(?:na|eu)\d)-[\w-]{20,}|(?:figd|gsk|sbp|glc|rubygems|pscale_[a-z]+)_[\w=+/.-]{20,}|ATATT3[\w=-]{20,}|dp\.(?:st|pt|ct|sa)\.[\w.-]{20,})": (
        "pul- key- nvapi- tskey- nrak- pmak- pat-na pat-eu figd_ gsk_ sbp_ glc_ rubygems_ pscale_ atatt3 dp.st. dp.pt. dp.ct. dp.sa."
    ),
    r"(?:[?&;]|\\u0026)sig=([\w%+/-]{20,}=*)": "sig=",  # a shared access signature of Azure
    r"(?s)-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(.+?)(?:-----END|$)": "private key",
}

_NAMED = (
    Mask(_ELEMENT, ("</", "&lt;/")),  # first, because the shipper's replacement of a secret looks like an element
    Mask(_COOKIE, ("cookie",)),
    Mask(_AUTHORIZATION, ("authorization",)),
    *(Mask(expression, _NAME_WORDS) for expression in (_ASSIGNED, _COLON, *_HEADERS, _COMMANDS[0])),
    Mask(_BEARER, ("bearer ", "basic ")),
    Mask(_PWD, ("pwd",)),
    Mask(_PASS, ('pass"', "pass'", "pass\\")),
    *(Mask(expression, ("password", "identified")) for expression in _SQL),
    *(Mask(expression, _TOOLS) for expression in _COMMANDS[1:]),
    *(Mask(expression, ("@", "%40")) for expression in _URLS),
)
VENDORS = tuple(Mask(expression, tuple(words.split())) for expression, words in _BY_VENDOR.items())
"""Secrets that are recognised by their own form, without a name."""
SECRETS = (*_NAMED, *VENDORS)

# People.

_UNITS = ("service", "socket", "timer", "mount", "automount", "slice", "scope", "target", "path", "device", "swap")
"""Types of systemd units, e.g. `getty@tty1.service`."""
_USER = rf"{_other_than(('', 'git', 'hg', 'svn'), '0-9_.%+' + _LETTERS + '-')}"
_LABEL = rf"[0-9-]*[a-zA-Z{_LETTERS}][a-zA-Z0-9{_LETTERS}-]*\."
"""A part of a host name. It has a letter, otherwise `next@15.0.0-canary.abc` would be an address."""
_ADDRESS = (
    rf"(?:\\[nrt]|\b|[{_LETTERS}])({_USER}(?:@|%(?:25)?40|\\u0040|&#64;)(?:[0-9-]+\.(?:{_LABEL})*|(?:{_LABEL})+)"
    rf"{_other_than(('', *_UNITS), _LETTERS)})(?:\b|_|$|[^a-zA-Z0-9_])"
)
EMAIL = Mask(_ADDRESS, ("@", "%40", "%2540", "u0040", "&#64;"))

_GAP = "[ .\u00a0-]"
_BEFORE = r"(?:^|[^\w.]|\\[nrt]|%[Bb])"
CARD_GUARD = rf"(?:^|[^\w.]|[nrtBb])[2-689]\d{{3}}{_GAP}?\d{{4}}{_GAP}?\d\d"
CARDS = (
    # Digits in groups, more than 16 first: if a number and the one after it are not a card together, the next expression
    # tries the first alone.
    rf"{_BEFORE}([2-689]\d{{3}}(?:{_GAP}\d{{4}}){{3}}{_GAP}\d{{1,3}})\b",
    (
        rf"{_BEFORE}([2-689]\d{{3}}(?:{_GAP}\d{{4}}){{3}}|3\d{{3}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}|6\d{{5}}{_GAP}\d{{13}}|"
        # American Express has 15 digits, Diners 14, the oldest of Visa 13, and Maestro from 12 on.
        r"3[47]\d{13}|3[0689]\d{12}|4\d{12}|(?:5[0678]|6\d)\d{10,13}|[2-689]\d{15,18})\b"
    ),
)
"""As many digits as a card has, with the prefix of any network; the check digit decides. After a decimal point they are
a fraction."""

NAMED = (*_NAMED, EMAIL)
VALUES = (*(mask.expression for mask in SECRETS), EMAIL.expression)
"""Masked anywhere in a value, in this order, because the rest of a masked password may look like an e-mail address."""
