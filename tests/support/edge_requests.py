"""What an edge sends to its centre's door, made by hand: nothing of the program that reads it is used."""

import json
import struct
import time
from collections.abc import Iterable, Mapping

PROTOBUF = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
"""Headers of both kinds."""


def write_request(*series: tuple[Mapping[str, str], float, float]) -> bytes:
    """A request of remote write: labels, value and time of one sample each (prometheus.WriteRequest of prompb/remote.proto)."""
    return _snappy(
        *(
            _field(
                1,
                *(_field(1, _field(1, name), _field(2, text)) for name, text in sorted(labels.items())),
                _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(int(at * 1000))),
            )
            for labels, value, at in series
        )
    )


def push_request(*streams: tuple[Mapping[str, str], Iterable[str]]) -> bytes:
    """A push of lines as Alloy sends it: labels and lines of streams (logproto.PushRequest of pkg/push/push.proto)."""
    now = time.time_ns()
    return _snappy(
        *(
            _field(
                1,
                _field(1, "{" + ", ".join(f"{name}={json.dumps(text)}" for name, text in sorted(labels.items())) + "}"),
                *(_field(2, _field(1, _timestamp(now + number)), _field(2, line)) for number, line in enumerate(lines)),
            )
            for labels, lines in streams
        )
    )


def _timestamp(nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, 10**9)
    return b"\x08" + _varint(seconds) + b"\x10" + _varint(rest)


def _snappy(*parts: bytes) -> bytes:
    """In literals of snappy, each of at most 64 KiB."""
    message = b"".join(parts)
    blocks = [message[at : at + 2**16] for at in range(0, len(message), 2**16)]
    literals = (bytes([61 << 2]) + struct.pack("<H", len(block) - 1) + block for block in blocks)
    return _varint(len(message)) + b"".join(literals)


def _field(number: int, *contents: str | bytes) -> bytes:
    content = b"".join(one.encode() if isinstance(one, str) else one for one in contents)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
