"""Refuses addresses that the stack must not request, because scrapes, probes and exporters send their requests from
inside.

Only the text of the settings is checked. A name that resolves to such an address has to be refused by the service that
connects.
"""

import ipaddress
import re
import unicodedata

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

EDGE = ipaddress.ip_network("198.18.0.0/15")
"""Where the stack's own networks are. Set aside for measurements in laboratories (RFC 2544), so nobody's services are there."""
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe"),
    )
)
"""Where clouds tell a host its credentials beside 169.254.169.254: Alibaba, Azure, Oracle; by IPv6 AWS, Google, Oracle."""
_CREDENTIALS = "where a cloud tells a host its credentials"
_NAMES = re.compile(
    r"(.*\.)?localhost|localhost\.localdomain|ip6-(localhost|loopback)|metadata\.google\.internal|instance-data\.ec2\.internal"
)
_OTHER_SPELLING = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
"""All that a C library takes for an IPv4 address: octal, hexadecimal, fewer than four numbers."""
_EMBEDDING = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::/96")))
"""IPv6 ranges whose addresses hold an IPv4 address in their last 32 bits (RFC 6052, RFC 4291)."""
_NOWHERE = ipaddress.ip_network("0.0.0.0/8")


def judge(host: str) -> None:
    """Checks `host`, which is a name, or an address with or without brackets.

    Raises:
        ValueError: the stack must not request this host.
    """
    plain = unicodedata.normalize("NFKC", host).strip("[]").rstrip(".").casefold()  # like Go's HTTP client
    if wrong := _wrong(plain):
        msg = f"{wrong}: name the service as its network knows it"
        raise ValueError(msg)


def _wrong(host: str) -> str:
    """The reason to refuse the host; empty if there is none."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _OTHER_SPELLING.fullmatch(host):
            return f"has an address that is not spelled as four decimal numbers ({host})"
        return f"leads to the stack's own container, or to {_CREDENTIALS} ({host})" if _NAMES.fullmatch(host) else ""
    return next((f"leads to {what} ({host})" for one in (address, *_inside(address)) if (what := _what(one))), "")


def _inside(address: _Address) -> list[_Address]:
    """IPv4 addresses that an IPv6 address contains."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    embedded = [address.ipv4_mapped, address.sixtofour]
    if any(address in network for network in _EMBEDDING):
        embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in embedded if one is not None]


def _what(address: _Address) -> str:
    """Why the stack must not request this address; empty if it may."""
    if address in _METADATA or address.is_link_local:
        return f"{'link-local addresses, ' if address.is_link_local else ''}{_CREDENTIALS}"
    if address.is_loopback or address.is_unspecified or address in _NOWHERE:
        return "the stack's own container"
    if address in EDGE:
        return f"the stack's own network, {EDGE}"
    return "no single service" if address.is_multicast or address == ipaddress.ip_address("255.255.255.255") else ""
