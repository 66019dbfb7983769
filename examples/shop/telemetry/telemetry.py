"""All that a Python service needs to be seen: docs/instrumentation/python.md explains it, step by step."""

import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import REGISTRY, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

SERVICE = os.environ["OTEL_SERVICE_NAME"]
UNSEEN = ("/healthz", "/metrics")
"""No traffic: nobody wants traces, metrics and logs of these."""

log = logging.getLogger(SERVICE)
_duration = Histogram(
    "http_server_request_duration_seconds",
    "Time until the answer was ready.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)
_active = Gauge("http_server_active_requests", "Requests under way.", ["http_request_method"])


def start() -> FastAPI:
    """An application with traces, metrics and logs as the variables OTEL_* say, which serves /metrics and /healthz."""
    tracing = TracerProvider()
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    for instrumentor in (HTTPXClientInstrumentor(), PsycopgInstrumentor(), RedisInstrumentor()):
        instrumentor.instrument()
    disable_created_metrics()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Linked())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("ready")
        yield
        tracing.shutdown()  # sends the spans that still wait

    app = FastAPI(lifespan=lifespan)
    app.middleware("http")(_observed)
    app.get("/healthz")(_well)
    app.get("/metrics")(_metrics)
    FastAPIInstrumentor.instrument_app(app, excluded_urls=",".join(UNSEEN), exclude_spans=["send", "receive"])
    return app


def run(app: FastAPI) -> None:
    """Serves on port 8000 until SIGTERM, and answers what is under way then."""
    uvicorn.run(app, host="0.0.0.0", port=8000, access_log=False, log_config=None, timeout_graceful_shutdown=8)  # noqa: S104


async def _observed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Counts and times a request, and answers 500 where its handler raises."""
    if request.url.path in UNSEEN:
        return await call_next(request)
    begun, span = time.perf_counter(), trace.get_current_span()
    trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    with _active.labels(request.method).track_inprogress():
        try:
            response = await call_next(request)
        except Exception as error:
            log.exception("unhandled")
            span.record_exception(error)
            response = JSONResponse({"error": "internal"}, status_code=500)
    took = time.perf_counter() - begun
    route = getattr(request.scope.get("route"), "path", "")
    _duration.labels(request.method, route, response.status_code).observe(took, {"trace_id": trace_id})
    response.headers["X-Trace-Id"] = trace_id
    log.info("%s %s", request.method, route, extra={"status": response.status_code, "duration_ms": int(took * 1000)})
    return response


def _well() -> dict[str, str]:
    return {}


def _metrics(request: Request) -> Response:
    """In the format that is asked for: exemplars exist in OpenMetrics only."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), media_type=content_type)


class _Linked(logging.Formatter):
    """One JSON object a line, with the ids of the current span and all of `extra`."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "service": SERVICE,
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
            line["span_id"] = trace.format_span_id(span.span_id)
        line.update({key: value for key, value in vars(record).items() if key not in self._STANDARD})
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
