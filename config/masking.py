"""What must not be stored, wherever it comes from: secrets, and data about people. All are RE2."""

KEYS = (
    r"(?i)(?:^|[._-])(?:password|passwd|pwd|secret|token|api[_-]?key|private[_-]?key|authorization|(?:set-)?cookie|session[_-]?id)$",
)
"""Names of attributes whose values are masked whole, e.g. `http.request.header.authorization`."""

EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
CARD = r"\b(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|3[47]\d{2}|6011|65\d{2})[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{3,4})?\b"
"""By the prefixes of the large networks, in groups or not: a timestamp in nanoseconds is none."""
JWT = r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
"""JSON web token."""
BEARER = r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{8,}=*"
ASSIGNMENT = r"""(?i)\b(?:password|passwd|pwd|secret|(?:access_|refresh_|id_)?token|api[_-]?key)["']?\s*[=:]\s*["']?[^\s"'&,;]+"""
"""As in a query string, a connection string or JSON."""
CREDENTIALS = r"://[^\s/:@]+:[^\s/@]+@"
"""User and password in a URL."""

VALUES = (CREDENTIALS, EMAIL, CARD, BEARER, JWT, ASSIGNMENT)
"""What is masked wherever it stands in a value, in this order: what is left of a password may look like an address."""
