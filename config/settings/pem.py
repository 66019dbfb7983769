"""Certificates and keys as texts in PEM."""

import re
import ssl

_KEY = re.compile(r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----\s[^-]+-----END (?:RSA |EC )?PRIVATE KEY-----")


def unfolded(text: str) -> str:
    """Certificates whose lines YAML's `>-` has folded into one, with their lines again.

    Raises:
        ValueError: they are none.
    """
    pem = re.sub(r"(?<=-----)\s+|(?<=[A-Za-z0-9+/=])\s+", "\n", text.strip()) + "\n"
    pem = re.sub(r"(BEGIN|END)\n", r"\1 ", pem)
    if not _is_certificate(pem):
        msg = "is not a certificate: write what its PEM file holds, BEGIN and END included, indented below  ca: >-"
        raise ValueError(msg)
    return pem


def is_login(text: str) -> bool:
    """Whether a text holds a certificate, and a key that no password encrypts. Whether they belong together, only the program
    that reads them finds out."""
    return bool(_KEY.search(text)) and "ENCRYPTED" not in text and _is_certificate(text)


def _is_certificate(pem: str) -> bool:
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):  # ValueError: it is not ASCII
        return False
    return True
