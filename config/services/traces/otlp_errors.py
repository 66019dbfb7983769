"""Error status for failed spans whose library leaves it unset, as nginx's module and Envoy do.

Sampling, error rates and Jaeger's pages recognise an error only by the status.
"""

from collections.abc import Iterator

HTTP_STATUS = ("http.response.status_code", "http.status_code")
"""The current attribute and its predecessor (semantic conventions for HTTP spans)."""
GRPC_STATUS = ("rpc.grpc.status_code", "rpc.response.status_code", "grpc.status_code")
"""The attribute that most libraries send, the current one, and Envoy's."""
_SERVER_ERROR = 500
"""Lowest status of a server error. Lower ones are the client's mistake (semantic conventions, HTTP spans, status)."""
_GRPC_OF_A_SERVER = {
    2: "UNKNOWN", 4: "DEADLINE_EXCEEDED", 12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS",
}  # fmt: skip
"""Status codes that are errors on a server's span. On a client's span, all but OK are (semantic conventions, gRPC
spans)."""


def of_span() -> Iterator[str]:
    error = "set(span.status.code, STATUS_CODE_ERROR) where span.status.code == STATUS_CODE_UNSET and "
    client = "span.kind == SPAN_KIND_CLIENT"
    for key in HTTP_STATUS:
        yield f'{error}Int(span.attributes["{key}"]) >= {_SERVER_ERROR}'
    for key in GRPC_STATUS:
        value = f'span.attributes["{key}"]'
        numbers = " or ".join(f"Int({value}) == {number}" for number in _GRPC_OF_A_SERVER)
        yield f"{error}({numbers} or ({client} and Int({value}) > 0))"
        names = "|".join(_GRPC_OF_A_SERVER.values())
        word = f'IsMatch({value}, "^[A-Z_]+$") and {value} != "OK"'
        yield f'{error}IsString({value}) and (IsMatch({value}, "^({names})$") or ({client} and {word}))'
    value = 'span.attributes["error"]'  # OpenTracing's tag
    yield f'{error}({value} == true or {value} == "true")'
