"""A span that has failed says so, also where its library left the status unset: nginx's module and Envoy do.

Sampling, rates of errors, and Jaeger's pages know an error by its status alone.
"""

from collections.abc import Iterator

HTTP_STATUS = ("http.response.status_code", "http.status_code")
"""The present attribute, and the one before it (semantic conventions for HTTP spans)."""
GRPC_STATUS = ("rpc.grpc.status_code", "rpc.response.status_code", "grpc.status_code")
"""The one that most libraries send, the present one, Envoy's."""
_SERVER_ERROR = 500
"""The least. What is below is the client's mistake, and no error of a server (semantic conventions, HTTP spans, status)."""
_GRPC_OF_A_SERVER = {
    2: "UNKNOWN", 4: "DEADLINE_EXCEEDED", 12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS",
}  # fmt: skip
"""Those that are errors of a server too; for a client all but OK are (semantic conventions, gRPC spans)."""


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
    value = 'span.attributes["error"]'  # of OpenTracing
    yield f'{error}({value} == true or {value} == "true")'
