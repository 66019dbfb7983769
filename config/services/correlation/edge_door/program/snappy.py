"""Snappy's block format (https://github.com/google/snappy/blob/main/format_description.txt), which Python does not bring."""

from .wire import BadRequestError, encoded, varint

_COPY_1, _COPY_2 = 1, 2
_IN_TAG = 60
"""Lengths of literals up to here are in the tag itself."""
_FOUR_BYTES = 63


def decoded(data: bytes, most: int) -> bytes:
    """What `data` says, of at most `most` bytes.

    Raises:
        BadRequestError: it is too long, or not in this format.
    """
    size, at = varint(data, 0)
    if size > most:
        raise BadRequestError(f"it has {size} bytes, and {most} are taken")
    out = bytearray()
    try:
        while at < len(data):
            tag = data[at]
            at += 1
            kind = tag & 3
            if not kind:
                at = _literal(data, at, tag >> 2, out)
            else:
                if kind == _COPY_1:
                    length, offset = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at]
                    at += 1
                elif kind == _COPY_2:
                    length, offset = (tag >> 2) + 1, data[at] | data[at + 1] << 8
                    at += 2
                else:
                    length, offset = (tag >> 2) + 1, int.from_bytes(data[at : at + 4], "little")
                    at += 4
                begin = len(out) - offset
                if begin < 0 or not offset:
                    raise BadRequestError("its snappy refers to what is not in it")
                found = out[begin : begin + length]
                out += found if offset >= length else (found * (length // offset + 1))[:length]
            if len(out) > size:
                break
    except IndexError:
        raise BadRequestError("its snappy ends too early") from None
    if len(out) != size:
        raise BadRequestError("its snappy has another length than it says")
    return bytes(out)


def _literal(data: bytes, at: int, length: int, out: bytearray) -> int:
    if length >= _IN_TAG:
        more = length - _IN_TAG + 1
        length = int.from_bytes(data[at : at + more], "little")
        at += more
    out += data[at : at + length + 1]
    return at + length + 1


def stored(data: bytes) -> bytes:
    """`data` in this format, as one literal: the way to Prometheus and Loki is short, and compression costs more."""
    if not data:
        return encoded(0)
    return encoded(len(data)) + bytes([_FOUR_BYTES << 2]) + (len(data) - 1).to_bytes(4, "little") + data
