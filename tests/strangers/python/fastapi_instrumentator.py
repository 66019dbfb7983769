"""FastAPI with prometheus-fastapi-instrumentator."""

import asyncio

from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator

app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.get("/")
async def index() -> str:
    await asyncio.sleep(0.12)
    return "well"


@app.get("/fail")
async def fail() -> str:
    raise RuntimeError("as asked")
