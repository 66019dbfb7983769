"""Starlette with starlette-exporter."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette_exporter import PrometheusMiddleware, handle_metrics


async def index(_: Request) -> PlainTextResponse:
    await asyncio.sleep(0.12)
    return PlainTextResponse("well")


async def fail(_: Request) -> PlainTextResponse:
    raise RuntimeError("as asked")


app = Starlette()
app.add_middleware(PrometheusMiddleware)
app.add_route("/metrics", handle_metrics)
app.add_route("/", index)
app.add_route("/fail", fail)
