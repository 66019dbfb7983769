"""Faults on demand. The shop's services read them from the header `X-Fault`."""

import re
from dataclasses import dataclass
from typing import Self

HEADER = "X-Fault"
SERVICES = ("gateway", "auth", "users", "products", "orders")

KINDS = {
    "latency": (r"\d+(?:ms|s)", "a time such as 1500ms"),
    "error": ("", "no value"),
    "panic": ("", "no value"),
    "leak": (r"\d+(?:KiB|MiB)", "a size such as 5MiB"),
    "logburst": (r"\d+", "a number of lines such as 500"),
}
"""Kind → pattern of its value, and the same in words."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that one service causes while it answers one request."""

    service: str
    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `<service>=<kind>[:<value>]`, such as `products=latency:1500ms` or `orders=error`.

        Raises:
            ValueError: the text is no fault. The message says what is wrong.
        """
        service, _, what = text.partition("=")
        kind, _, value = what.partition(":")
        if service not in SERVICES:
            raise ValueError(f"{text}: {service!r} is not a service of the shop, which has {', '.join(SERVICES)}")
        if kind not in KINDS:
            raise ValueError(f"{text}: {kind!r} is not a kind of fault, which are {', '.join(KINDS)}")
        pattern, in_words = KINDS[kind]
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{text}: {kind} takes {in_words}")
        return cls(service, kind, value)

    def __str__(self) -> str:
        return f"{self.service}={self.kind}" + (f":{self.value}" if self.value else "")
