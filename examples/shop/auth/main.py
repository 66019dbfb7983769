"""Auth: who logs in gets a session, which lives in Redis. Passwords are Users' business."""

import secrets
from typing import Annotated

import httpx
import redis
from fastapi import Depends, Header, HTTPException
from opentelemetry import trace
from pydantic import BaseModel

from faults.faults import inject
from telemetry import telemetry

SESSION_SECONDS = 3600

app = telemetry.start()
sessions = redis.Redis(host="redis", decode_responses=True)
users = httpx.Client(base_url="http://users:8000", timeout=10)


class Credentials(BaseModel):
    user: str
    password: str


@app.post("/login", dependencies=[Depends(inject)])
def login(credentials: Credentials) -> dict[str, str]:
    """A token for the header `Authorization: Bearer <token>`."""
    try:
        answer = users.post("/check", json=credentials.model_dump())
    except httpx.HTTPError as error:
        telemetry.log.warning("users does not answer: %s", error)
        raise HTTPException(502, "unavailable") from error
    refused = answer.status_code == httpx.codes.UNAUTHORIZED
    trace.get_current_span().set_attribute("shop.login.refused", refused)
    if refused:
        telemetry.log.warning("login refused")
        raise HTTPException(401, "wrong user or password")
    if answer.is_error:
        telemetry.log.warning("users answers %s", answer.status_code)
        raise HTTPException(502, "unavailable")
    token = secrets.token_urlsafe(24)
    sessions.set(f"session:{token}", credentials.user, ex=SESSION_SECONDS)
    return {"token": token}


@app.get("/verify", dependencies=[Depends(inject)])
def verify(authorization: Annotated[str, Header()] = "") -> dict[str, str]:
    """Whose session it is."""
    user = sessions.get(f"session:{authorization.removeprefix('Bearer ')}")
    if not user:
        raise HTTPException(401, "no valid session")
    trace.get_current_span().set_attribute("user.id", str(user))
    return {"user": str(user)}


telemetry.run(app)
