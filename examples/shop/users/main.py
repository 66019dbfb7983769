"""Users: names and passwords, in PostgreSQL."""

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Header, HTTPException
from opentelemetry import trace
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

from faults.faults import inject
from telemetry import telemetry

SCHEMA = """CREATE TABLE IF NOT EXISTS users (
    id text PRIMARY KEY, name text NOT NULL, salt bytea NOT NULL, hash bytea NOT NULL)"""
FIRST = Path(__file__).with_name("first.json")
"""The user that the shop begins with."""

app = telemetry.start()
password = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text().strip()
database = ConnectionPool(os.environ["DATABASE_URL"], kwargs={"password": password}, min_size=1, max_size=5, open=True)


def hashed(password: str, salt: bytes) -> bytes:
    """What is kept of a password."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1)


def prepare() -> None:
    """Makes the table, and the first user."""
    first, salt = json.loads(FIRST.read_text()), secrets.token_bytes(16)
    with database.connection() as connection:
        connection.execute(SCHEMA)
        connection.execute(
            "INSERT INTO users VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (first["user"], first["name"], salt, hashed(first["password"], salt)),
        )


class Credentials(BaseModel):
    user: str
    password: str


@app.post("/check", dependencies=[Depends(inject)])
def check(credentials: Credentials) -> dict[str, str]:
    """Whether the password is right. Unknown users and wrong passwords look alike."""
    with database.connection() as connection:
        row = connection.execute("SELECT salt, hash FROM users WHERE id = %s", (credentials.user,)).fetchone()
    salt, right = row or (b"", b"")
    if not hmac.compare_digest(hashed(credentials.password, salt), right):
        raise HTTPException(401, "wrong user or password")
    trace.get_current_span().set_attribute("user.id", credentials.user)
    return {"user": credentials.user}


@app.get("/users/me", dependencies=[Depends(inject)])
def me(x_user: Annotated[str, Header()] = "") -> dict[str, str]:
    """The user that Gateway has found out."""
    with database.connection() as connection:
        row = connection.execute("SELECT name FROM users WHERE id = %s", (x_user,)).fetchone()
    if not row:
        raise HTTPException(404, "no such user")
    return {"user": x_user, "name": row[0]}


prepare()
telemetry.run(app)
