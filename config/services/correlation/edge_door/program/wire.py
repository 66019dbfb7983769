"""Protocol Buffers as they are on the wire (https://protobuf.dev/programming-guides/encoding), as far as labels need it."""

from collections.abc import Iterator

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
_LONGEST = 10
"""Bytes of a number of 64 bits."""


class BadRequestError(ValueError):
    """A request that cannot be read. The message is for who has sent it."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends.

    Raises:
        BadRequestError: it does not end.
    """
    number = shift = 0
    for place in range(at, min(at + _LONGEST, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return number, place + 1
        shift += 7
    raise BadRequestError("a number in it does not end")


def field_at(data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """The field that begins at `at` in a message that ends at `end`: number, kind, where its content begins, where it ends.

    Raises:
        BadRequestError: there is none.
    """
    try:  # most are a tag, a length of one byte, and so many bytes
        tag, length = data[at], data[at + 1]
    except IndexError:
        raise BadRequestError("a field in it does not end") from None
    if tag < 0x80 and length < 0x80 and tag & 7 == LENGTH and at + 2 + length <= end:  # noqa: PLR2004 - one byte
        return tag >> 3, LENGTH, at + 2, at + 2 + length
    tag, at = varint(data, at)
    kind = tag & 7
    content = at
    if kind == LENGTH:
        length, content = varint(data, at)
        at = content + length
    elif kind == VARINT:
        _, at = varint(data, at)
    elif kind == EIGHT_BYTES:
        at += 8
    elif kind == FOUR_BYTES:
        at += 4
    else:
        raise BadRequestError(f"a field in it is of kind {kind}, which nobody uses")
    if at > end:
        raise BadRequestError("a field in it is longer than what it is in")
    return tag >> 3, kind, content, at


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The fields of the message `data[at:end]`: number, kind, where it begins, where its content begins, where it ends.

    Raises:
        BadRequestError: it is no message.
    """
    while at < end:
        begin = at
        number, kind, content, at = field_at(data, begin, end)
        yield number, kind, begin, content, at


def field(number: int, content: bytes) -> bytes:
    """A field with text, bytes or a message."""
    return encoded(number << 3 | LENGTH) + encoded(len(content)) + content


def encoded(number: int) -> bytes:
    """`number` as a varint."""
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits fit into a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
